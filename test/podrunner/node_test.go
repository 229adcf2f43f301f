package podrunner

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	authenticationv1 "k8s.io/api/authentication/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/yaml"

	"github.com/signoff-dev/signoff/test/env"
)

const image = "registry.example/probe:1"

var (
	cluster *env.Cluster
	admin   kubernetes.Interface
)

func TestMain(m *testing.M) {
	log.SetLogger(logr.Discard())
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	ctx := context.Background()
	// Its simulated node is there, too: neither may touch Pods of the other.
	if cluster, err = env.Start(ctx, env.Options{Nodes: true}); err != nil {
		return 1, err
	}
	defer cluster.Stop()
	if admin, err = kubernetes.NewForConfig(cluster.Admin); err != nil {
		return 1, err
	}
	dir := filepath.Join(cluster.Dir, "node")
	probe := filepath.Join(dir, "image", "bin", "probe")
	build := exec.Command("go", "build", "-trimpath", "-o", probe, "./testdata/probe")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return 1, fmt.Errorf("failed to build probe: %w\n%s", err, out)
	}
	node, err := Start(ctx, cluster, Options{Dir: dir, Images: map[string]Image{
		image: {Dir: filepath.Join(dir, "image"), Entrypoint: []string{"/bin/probe"}},
	}})
	if err != nil {
		return 1, err
	}
	defer node.Stop()
	for _, manifest := range []string{
		`{apiVersion: v1, kind: Secret, metadata: {namespace: default, name: hidden}, stringData: {key: secret-word}}`,
		`{apiVersion: v1, kind: ConfigMap, metadata: {namespace: default, name: plain}, data: {a.txt: in a, b.txt: in b}}`,
	} {
		if err := cluster.Apply(ctx, []byte(manifest)); err != nil {
			return 1, err
		}
	}
	return m.Run(), nil
}

// job creates a Job, of a pod spec to which arguments of the probe are added.
func job(t *testing.T, name, spec string, args ...string) {
	t.Helper()
	pod := corev1.PodSpec{}
	if err := yaml.UnmarshalStrict([]byte(spec), &pod); err != nil {
		t.Fatal(err)
	}
	pod.RestartPolicy = corev1.RestartPolicyNever
	if len(pod.Containers) == 0 {
		pod.Containers = []corev1.Container{{Name: "main"}}
	}
	pod.Containers[0].Image, pod.Containers[0].Args = image, args
	never := int32(0)
	_, err := admin.BatchV1().Jobs("default").Create(t.Context(), &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       batchv1.JobSpec{BackoffLimit: &never, Template: corev1.PodTemplateSpec{Spec: pod}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

// podOf waits until the Pod of a Job is as it should be.
func podOf(t *testing.T, name string, is func(*corev1.Pod) bool) *corev1.Pod {
	t.Helper()
	var last *corev1.Pod
	err := wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		list, err := admin.CoreV1().Pods("default").List(ctx, metav1.ListOptions{LabelSelector: batchv1.JobNameLabel + "=" + name})
		if err != nil || len(list.Items) == 0 {
			return false, err
		}
		last = &list.Items[0]
		return is(last), nil
	})
	if err != nil {
		t.Fatalf("%v: %+v", err, last)
	}
	return last
}

func hasEnded(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

func logOf(t *testing.T, pod *corev1.Pod, options corev1.PodLogOptions) string {
	t.Helper()
	text, err := admin.CoreV1().Pods(pod.Namespace).GetLogs(pod.Name, &options).DoRaw(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestPods(t *testing.T) {
	for name, tc := range map[string]struct {
		reason, spec string
		args         []string
		exit         int32
		message, log string
	}{
		"ends-well": {
			reason: "its message and what it printed can be read", args: []string{"env=HOSTNAME", "last=all is well"}, message: "all is well", log: "ends-well-",
		},
		"fails": {reason: "the exit code is its own", args: []string{"last=no luck", "exit=7"}, exit: 7, message: "no luck"},
		"environment": {
			reason: "values come from where the Pod says",
			spec: `{containers: [{name: main, env: [{name: A, value: literal}, {name: B, valueFrom: {secretKeyRef: {name: hidden, key: key}}},
				{name: C, valueFrom: {configMapKeyRef: {name: plain, key: a.txt}}}, {name: D, valueFrom: {fieldRef: {fieldPath: "metadata.labels['batch.kubernetes.io/job-name']"}}}]}]}`,
			args: []string{"env=A", "env=B", "env=C", "env=D"}, log: "literal\nsecret-word\nin a\nenvironment\n",
		},
		"volumes": {
			reason: "volumes are where they are mounted",
			spec: `{volumes: [{name: m, configMap: {name: plain, items: [{key: b.txt, path: deep/b}]}}, {name: s, secret: {secretName: hidden}}, {name: w, emptyDir: {}}],
				containers: [{name: main, volumeMounts: [{name: m, mountPath: /m}, {name: s, mountPath: /s}, {name: w, mountPath: /w}]}]}`,
			args: []string{"cat=/m/deep/b", "cat=/s/key", "write=/w/new"}, log: "in b \nsecret-word \nwrite: \n",
		},
		"another-root": {
			reason: "it sees its image and not the machine, and cannot change it",
			args:   []string{"id", "list=/bin", "cat=/etc/passwd", "write=/bin/probe"},
			log:    "user 65532\nprobe\n open /etc/passwd: no such file or directory\nwrite: open /bin/probe: ",
		},
		"user": {
			reason: "it runs as the user it says", spec: `{securityContext: {runAsUser: 1234}, containers: [{name: main, securityContext: {runAsUser: 4321}}]}`,
			args: []string{"id"}, log: "user 4321\n",
		},
		"no-such-secret": {
			reason: "what cannot be mounted fails the Pod, and says why", spec: `{volumes: [{name: s, secret: {secretName: none}}], containers: [{name: main, volumeMounts: [{name: s, mountPath: /s}]}]}`,
			exit: 128, message: `volume s: failed to read Secret default/none: secrets "none" not found`,
		},
		"not-supported": {
			reason: "what would run otherwise than on a real node does not run",
			spec:   `{initContainers: [{name: first, image: "` + image + `"}], containers: [{name: main, volumeMounts: [], livenessProbe: {exec: {command: [x]}}}]}`,
			exit:   128, message: "this node knows no Pod with more than one container\nthis node knows no probes",
		},
	} {
		t.Run(name, func(t *testing.T) {
			job(t, name, tc.spec, tc.args...)
			pod := podOf(t, name, hasEnded)
			ended := pod.Status.ContainerStatuses[0].State.Terminated
			if pod.Spec.NodeName != Name || ended == nil || ended.ExitCode != tc.exit || ended.Message != tc.message {
				t.Errorf("%s: on node %q it ended as %+v", tc.reason, pod.Spec.NodeName, ended)
			}
			if tc.log != "" {
				if got := logOf(t, pod, corev1.PodLogOptions{}); !strings.HasPrefix(got, tc.log) {
					t.Errorf("%s: log is\n%s\nwant\n%s", tc.reason, got, tc.log)
				}
			}
		})
	}
}

// Pods with other images run on the simulated node.
func TestOtherImages(t *testing.T) {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "other"}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: image + ".1"}}}}
	if _, err := admin.CoreV1().Pods("default").Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	err := wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		now, err := admin.CoreV1().Pods("default").Get(ctx, "other", metav1.GetOptions{})
		return err == nil && now.Spec.NodeName == "simulated" && now.Status.Phase == corev1.PodRunning, err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestLogTail(t *testing.T) {
	job(t, "tail", "{containers: [{name: main, env: [{name: A, value: one}, {name: B, value: two}, {name: C, value: three}]}]}", "env=A", "env=B", "env=C")
	pod := podOf(t, "tail", hasEnded)
	lines, limit := int64(2), int64(6)
	if got := logOf(t, pod, corev1.PodLogOptions{TailLines: &lines}); got != "two\nthree\n" {
		t.Errorf("the last two lines are %q", got)
	}
	if got := logOf(t, pod, corev1.PodLogOptions{TailLines: &lines, LimitBytes: &limit}); got != "two\nth" {
		t.Errorf("six bytes of them are %q", got)
	}
}

// The token is a real one, of the ServiceAccount, and ends with the Pod.
func TestToken(t *testing.T) {
	job(t, "token", "", "cat=/var/run/secrets/kubernetes.io/serviceaccount/token")
	pod := podOf(t, "token", hasEnded)
	config := rest.AnonymousClientConfig(cluster.Admin)
	config.BearerToken = strings.TrimSpace(logOf(t, pod, corev1.PodLogOptions{}))
	clients, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	who := func() (string, error) {
		review, err := clients.AuthenticationV1().SelfSubjectReviews().Create(t.Context(), &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
		return review.Status.UserInfo.Username, err
	}
	if got, err := who(); err != nil || got != "system:serviceaccount:default:default" {
		t.Errorf("the token is of %q (%v)", got, err)
	}
	deleteJob(t, "token")
	err = wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, time.Minute, true, func(context.Context) (bool, error) {
		_, err := who()
		return apierrors.IsUnauthorized(err), nil
	})
	if err != nil {
		t.Errorf("the token outlives the Pod: %v", err)
	}
}

func TestPodIsDeleted(t *testing.T) {
	job(t, "deleted", "", "wait")
	pod := podOf(t, "deleted", func(p *corev1.Pod) bool { return p.Status.Phase == corev1.PodRunning })
	err := wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, time.Minute, true, func(context.Context) (bool, error) {
		return logOf(t, pod, corev1.PodLogOptions{}) == "waiting\n", nil
	})
	if err != nil {
		t.Fatal(err)
	}
	watch, err := admin.CoreV1().Pods("default").Watch(t.Context(), metav1.SingleObject(pod.ObjectMeta))
	if err != nil {
		t.Fatal(err)
	}
	defer watch.Stop()
	deleteJob(t, "deleted")
	exit := int32(0)
	for event := range watch.ResultChan() {
		seen, ok := event.Object.(*corev1.Pod)
		if ok && seen.Status.ContainerStatuses[0].State.Terminated != nil {
			exit = seen.Status.ContainerStatuses[0].State.Terminated.ExitCode
		}
		if event.Type == "DELETED" {
			break
		}
	}
	if exit != 3 {
		t.Errorf("it exited with %d, want what it does when it is asked to end", exit)
	}
}

func deleteJob(t *testing.T, name string) {
	t.Helper()
	policy := metav1.DeletePropagationBackground
	if err := admin.BatchV1().Jobs("default").Delete(t.Context(), name, metav1.DeleteOptions{PropagationPolicy: &policy}); err != nil {
		t.Fatal(err)
	}
}
