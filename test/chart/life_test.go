package chart

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/config"
	"github.com/signoff-dev/signoff/test/env"
	"github.com/signoff-dev/signoff/test/play"

	"github.com/signoff-dev/signoff/test/system"
)

var (
	cluster *env.Cluster
	// kubeconfig is that of the administrator who installs.
	kubeconfig string
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	ctrl.SetLogger(logr.Discard())
	var err error
	if cluster, err = env.Start(context.Background(), env.Options{Nodes: true}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer cluster.Stop()
	kubeconfig = filepath.Join(cluster.Dir, "admin.kubeconfig")
	if err := cluster.Kubeconfig(kubeconfig, cluster.Admin); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	// Its Pods must be allowed under restricted Pod security.
	if err := cluster.Apply(context.Background(), []byte(`
apiVersion: v1
kind: Namespace
metadata: {name: approvals, labels: {pod-security.kubernetes.io/enforce: restricted}}
---
apiVersion: v1
kind: Namespace
metadata: {name: platform}
---
apiVersion: v1
kind: Namespace
metadata: {name: data}
`)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

func admin(t *testing.T) client.WithWatch {
	t.Helper()
	return play.As(t, env.Person{Name: "admin", Config: cluster.Admin})
}

// TestEveryCombinationIsAccepted applies each to the real API server, which stores nothing of it, and refuses fields that it does not know.
func TestEveryCombinationIsAccepted(t *testing.T) {
	defineForeign(t)
	strict := client.WithFieldValidation(admin(t), metav1.FieldValidationStrict)
	known := map[string]bool{}
	for name, values := range combinations {
		accepted := 0
		for _, object := range render(t, values) {
			accepted++
			text, err := object.MarshalJSON()
			if err != nil {
				t.Fatal(err)
			}
			if known[string(text)] {
				continue // most are the same in each
			}
			known[string(text)] = true
			apply := client.ApplyConfigurationFromUnstructured(object)
			if err := strict.Apply(t.Context(), apply, client.FieldOwner("test"), client.ForceOwnership, client.DryRunAll); err != nil {
				t.Errorf("%s: %s %s: %v", name, object.GetKind(), object.GetName(), err)
			}
		}
		if accepted < 30 {
			t.Errorf("%s: only %d objects", name, accepted)
		}
	}
}

// TestPodsAreRestricted lets the real API server judge each Pod by the strictest of its standards.
func TestPodsAreRestricted(t *testing.T) {
	for _, values := range []string{"", combinations["Bare"], combinations["Everything"]} {
		for name, template := range pods(t, render(t, values)) {
			pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: template.Spec}
			pod.Spec.ServiceAccountName = "default" // the others come with the release
			if err := admin(t).Create(t.Context(), pod, client.DryRunAll); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			for _, container := range pod.Spec.Containers {
				if c := container.SecurityContext; c.ReadOnlyRootFilesystem == nil || !*c.ReadOnlyRootFilesystem {
					t.Errorf("%s: %s may write its files", name, container.Name)
				}
			}
		}
	}
}

// installation is a release, and what runs of it: on the simulated node nothing does, so that the processes run here, as they are rendered.
type installation struct {
	*testing.T
	binary, dir string
	values      []string
	ports       map[string]int
	stop        func()
}

func prepare(t *testing.T) *installation {
	t.Helper()
	i := &installation{T: t, dir: t.TempDir(), ports: map[string]int{}, stop: func() {}}
	i.binary = filepath.Join(i.dir, "signoff")
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", i.dir+"/", "github.com/signoff-dev/signoff", "github.com/signoff-dev/signoff/cmd/kubectl-signoff")
	// The same setting as for the control plane and the demo, so that their build cache serves this too.
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("failed to build Signoff and the plugin: %v\n%s", err, out)
	}
	ca, err := yaml.Marshal(map[string]any{"clientCA": map[string]any{"certificate": string(cluster.WebhookClientCA())}})
	if err != nil {
		t.Fatal(err)
	}
	i.values = []string{needed, combinations["Catalogs"], string(ca), "configuration: {audit: {sinks: []}}"}
	free, err := system.FreePorts(4)
	if err != nil {
		t.Fatal(err)
	}
	for n, name := range []string{"webhook", "admission", "controller", "metrics"} {
		i.ports[name] = free[n]
	}
	t.Cleanup(func() { i.stop() })
	return i
}

// helm runs helm as the administrator, and gives what it says.
func (i *installation) helm(args ...string) string {
	i.Helper()
	ctx, cancel := context.WithTimeout(i.Context(), 3*time.Minute)
	defer cancel()
	out, err := helm(ctx, i.T, kubeconfig, append(args, "--namespace="+namespace)...)
	if err != nil {
		i.Fatal(err)
	}
	return out
}

func (i *installation) install() {
	i.Helper()
	i.helm(append([]string{"install", release, "charts/signoff"}, valuesFiles(i.T, i.values...)...)...)
}

// older is the chart as it might have been before: with another version, and with a definition that is not the same.
func (i *installation) older() string {
	i.Helper()
	dir := filepath.Join(i.dir, "older")
	if out, err := exec.CommandContext(i.Context(), "cp", "-R", "../../charts/signoff", dir).CombinedOutput(); err != nil {
		i.Fatalf("%v: %s", err, out)
	}
	for name, change := range map[string][2]string{
		"Chart.yaml": {"version: 0.1.0", "version: 0.0.9"}, "files/crds/signoff.dev_teams.yaml": {"    - signoff\n", "    - signoff\n    - older\n"},
	} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || !strings.Contains(string(text), change[0]) {
			i.Fatalf("%s does not have %q: %v", name, change[0], err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(strings.Replace(string(text), change[0], change[1], 1)), 0o600); err != nil {
			i.Fatal(err)
		}
	}
	return dir
}

// get reads an object as the API server has it.
func (i *installation) get(object client.Object, name string) error {
	i.Helper()
	key := types.NamespacedName{Namespace: namespace, Name: name}
	if u, ok := object.(*unstructured.Unstructured); ok && !strings.HasPrefix(u.GetAPIVersion(), "v1") {
		key.Namespace = ""
	}
	return admin(i.T).Get(i.Context(), key, object)
}

func clusterObject(apiVersion, kind string) *unstructured.Unstructured {
	object := &unstructured.Unstructured{}
	object.SetAPIVersion(apiVersion)
	object.SetKind(kind)
	return object
}

// trusted gives what the API server trusts, one for each webhook.
func (i *installation) trusted() []string {
	i.Helper()
	var all []string
	for _, kind := range []string{"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"} {
		object := clusterObject("admissionregistration.k8s.io/v1", kind)
		if err := i.get(object, "signoff"); err != nil {
			i.Fatal(err)
		}
		webhooks, _, err := unstructured.NestedSlice(object.Object, "webhooks")
		if err != nil {
			i.Fatal(err)
		}
		for _, webhook := range webhooks {
			bundle, _, err := unstructured.NestedString(webhook.(map[string]any), "clientConfig", "caBundle")
			if err != nil {
				i.Fatal(err)
			}
			all = append(all, bundle)
		}
	}
	return all
}

// certificates does what the Job does: on the simulated node it only seems to have run. It has the rights of the Job, as rendered.
func (i *installation) certificates() {
	i.Helper()
	job := batchv1.Job{}
	for _, object := range render(i.T) {
		switch {
		case !isHook(object):
		case object.GetKind() == "Job":
			job = *into[batchv1.Job](i.T, object)
		default:
			text, err := object.MarshalJSON()
			if err != nil {
				i.Fatal(err)
			}
			if err := cluster.Apply(i.Context(), text); err != nil {
				i.Fatal(err)
			}
			defer func() {
				if err := admin(i.T).Delete(i.Context(), object); err != nil {
					i.Error(err)
				}
			}()
		}
	}
	command := exec.CommandContext(i.Context(), i.binary, job.Spec.Template.Spec.Containers[0].Args...)
	command.Env = []string{"KUBECONFIG=" + i.credentials(job.Spec.Template.Spec.ServiceAccountName)}
	if out, err := command.CombinedOutput(); err != nil {
		i.Fatalf("failed to make certificates: %v\n%s", err, out)
	}
}

// credentials writes a kubeconfig of a ServiceAccount of the release.
func (i *installation) credentials(account string) string {
	i.Helper()
	restConfig, err := cluster.ServiceAccount(i.Context(), namespace, account)
	if err != nil {
		i.Fatal(err)
	}
	path := filepath.Join(i.dir, account+".kubeconfig")
	if err := cluster.Kubeconfig(path, restConfig); err != nil {
		i.Fatal(err)
	}
	return path
}

// connect lets the API server find the webhooks here, by the name and with the certificate that they have in a cluster.
func (i *installation) connect() {
	i.Helper()
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "signoff-webhook"}}
	patch := []byte(`{"spec":{"type":"ExternalName","externalName":"localhost","clusterIP":null,"clusterIPs":null}}`)
	if err := admin(i.T).Patch(i.Context(), service, client.RawPatch(types.MergePatchType, patch)); err != nil {
		i.Fatal(err)
	}
	for _, kind := range []string{"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"} {
		object := clusterObject("admissionregistration.k8s.io/v1", kind)
		if err := i.get(object, "signoff"); err != nil {
			i.Fatal(err)
		}
		webhooks, _, err := unstructured.NestedSlice(object.Object, "webhooks")
		if err != nil {
			i.Fatal(err)
		}
		for _, webhook := range webhooks {
			if err := unstructured.SetNestedField(webhook.(map[string]any), int64(i.ports["webhook"]), "clientConfig", "service", "port"); err != nil {
				i.Fatal(err)
			}
		}
		if err := unstructured.SetNestedSlice(object.Object, webhooks, "webhooks"); err != nil {
			i.Fatal(err)
		}
		if err := admin(i.T).Update(i.Context(), object); err != nil {
			i.Fatal(err)
		}
	}
}

// start runs both processes with the arguments and the configuration that are installed, but for addresses and paths.
func (i *installation) start() {
	i.Helper()
	stops := []func(){i.process("admission"), i.process("controller")}
	i.stop = func() {
		for _, stop := range stops {
			stop()
		}
		i.stop = func() {}
	}
	play.Eventually(i.T, "the guard in force", func() (bool, string) {
		metrics := fetch(i.Context(), fmt.Sprintf("http://127.0.0.1:%d/metrics", i.ports["metrics"]))
		return strings.Contains(metrics, "signoff_guard_in_force 1"), "see the logs in " + i.dir
	})
}

func fetch(ctx context.Context, url string) string {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err.Error()
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// process starts one and gives what ends it.
func (i *installation) process(part string) func() {
	i.Helper()
	deployment := &appsv1.Deployment{}
	if err := i.get(deployment, "signoff-"+part); err != nil {
		i.Fatal(err)
	}
	pod := deployment.Spec.Template.Spec
	args := bytes.ReplaceAll([]byte(strings.Join(pod.Containers[0].Args, "\n")), []byte("/etc/signoff/configuration/configuration.yaml"), []byte(i.configure(part)))
	logs, err := os.Create(filepath.Join(i.dir, part+".log"))
	if err != nil {
		i.Fatal(err)
	}
	command := exec.CommandContext(context.WithoutCancel(i.Context()), i.binary, strings.Split(string(args), "\n")...)
	command.Env = []string{"KUBECONFIG=" + i.credentials(pod.ServiceAccountName), "POD_NAME=signoff-" + part + "-0"}
	command.Stdout, command.Stderr = logs, logs
	if err := command.Start(); err != nil {
		i.Fatal(err)
	}
	return func() {
		_ = command.Process.Signal(syscall.SIGTERM)
		_ = command.Wait()
		if i.Failed() {
			text, _ := os.ReadFile(logs.Name())
			i.Logf("the log of %s ends with:\n%s", part, text[max(0, len(text)-4000):])
		}
		_ = logs.Close()
	}
}

// configure writes the configuration that is installed, with addresses and paths of this machine.
func (i *installation) configure(part string) string {
	i.Helper()
	installed := &corev1.ConfigMap{}
	if err := i.get(installed, "signoff-configuration"); err != nil {
		i.Fatal(err)
	}
	cfg, err := config.Load([]byte(installed.Data["configuration.yaml"]))
	if err != nil {
		i.Fatal(err)
	}
	authorities, secret := &corev1.ConfigMap{}, &corev1.Secret{}
	if err := i.get(authorities, "signoff-client-ca"); err != nil {
		i.Fatal(err)
	}
	if err := i.get(secret, "signoff-webhook-cert"); err != nil {
		i.Fatal(err)
	}
	dir := filepath.Join(i.dir, part)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		i.Fatal(err)
	}
	cfg.Webhook = config.Webhook{BindAddress: "127.0.0.1", Port: i.ports["webhook"], CertDir: dir, ClientCAFile: "ca.crt"}
	cfg.Health.BindAddress = fmt.Sprintf("127.0.0.1:%d", i.ports[part])
	cfg.Metrics.BindAddress = "0"
	if part == "controller" {
		cfg.Metrics.BindAddress = fmt.Sprintf("127.0.0.1:%d", i.ports["metrics"])
	}
	text, err := yaml.Marshal(cfg)
	if err != nil {
		i.Fatal(err)
	}
	for name, content := range map[string][]byte{
		"configuration.yaml": text, "tls.crt": secret.Data["tls.crt"], "tls.key": secret.Data["tls.key"], "ca.crt": []byte(authorities.Data["ca.crt"]),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			i.Fatal(err)
		}
	}
	return filepath.Join(dir, "configuration.yaml")
}

// ask asks for what needs the approval of bob.
func (i *installation) ask(who *rest.Config) *v1alpha1.ActionRequest {
	i.Helper()
	request := &v1alpha1.ActionRequest{
		ObjectMeta: metav1.ObjectMeta{Namespace: env.WorkNamespace, GenerateName: "note-"},
		Spec: v1alpha1.ActionRequestSpec{
			ActionRef: v1alpha1.ActionReference{Namespace: env.CatalogNamespace, Name: "note"}, Reason: "a test",
			Inputs: &runtime.RawExtension{Raw: []byte(`{"environment":"production"}`)},
		},
	}
	play.Eventually(i.T, "the request", func() (bool, string) {
		attempt := request.DeepCopy()
		err := play.As(i.T, env.Person{Config: who}).Create(i.Context(), attempt)
		if err == nil {
			*request = *attempt
		}
		return err == nil, fmt.Sprint(err)
	})
	i.reaches(request, v1alpha1.PhaseAwaitingApproval)
	return request
}

func (i *installation) reaches(request *v1alpha1.ActionRequest, phase v1alpha1.Phase) {
	i.Helper()
	play.Eventually(i.T, fmt.Sprintf("phase %s of %s", phase, request.Name), func() (bool, string) {
		err := admin(i.T).Get(i.Context(), client.ObjectKeyFromObject(request), request)
		return err == nil && request.Status.Phase == phase, fmt.Sprintf("%v: %s, %+v", err, request.Status.Phase, request.Status.Conditions)
	})
}

func (i *installation) approve(who *rest.Config, request *v1alpha1.ActionRequest) {
	i.Helper()
	c := play.As(i.T, env.Person{Config: who})
	approvals := &v1alpha1.ApprovalList{}
	if err := c.List(i.Context(), approvals, client.InNamespace(request.Namespace), client.MatchingLabels{v1alpha1.LabelRequestUID: string(request.UID)}); err != nil || len(approvals.Items) != 1 {
		i.Fatalf("one Approval is expected: %d, %v", len(approvals.Items), err)
	}
	vote := client.RawPatch(types.MergePatchType, []byte(`{"spec":{"vote":{"decision":"Approve"}}}`))
	if err := c.Patch(i.Context(), &approvals.Items[0], vote); err != nil {
		i.Fatal(err)
	}
}

// shell runs commands that people are shown as the administrator, in our namespace. The plugin is found where it was built.
func (i *installation) shell(commands string) {
	i.Helper()
	ours := strings.NewReplacer("signoff-system", namespace, "kubectl signoff doctor", "kubectl signoff doctor --operator-namespace="+namespace).Replace(commands)
	command := exec.CommandContext(i.Context(), "/bin/sh", "-euc", ours)
	command.Dir = i.dir
	command.Env = []string{"PATH=" + strings.Join([]string{i.dir, cluster.Binaries, filepath.Dir(helmPath(i.T)), os.Getenv("PATH")}, ":"), "KUBECONFIG=" + kubeconfig, "HOME=" + i.dir}
	if out, err := command.CombinedOutput(); err != nil {
		i.Fatalf("%s\n%v: %s", commands, err, out)
	}
}

// keeps puts what an administrator keeps for an upgrade where the commands of the guide look for it: the chart, the values, and the authority.
func (i *installation) keeps(more string) {
	i.Helper()
	values := map[string]any{}
	for _, text := range append(i.values, more) {
		if err := yaml.Unmarshal([]byte(text), &values); err != nil {
			i.Fatal(err)
		}
	}
	delete(values, "clientCA")
	text, err := yaml.Marshal(values)
	if err != nil {
		i.Fatal(err)
	}
	for name, content := range map[string][]byte{"values.yaml": text, "client-ca.crt": cluster.WebhookClientCA()} {
		if err := os.WriteFile(filepath.Join(i.dir, name), content, 0o600); err != nil {
			i.Fatal(err)
		}
	}
	charts, err := filepath.Abs("../../charts")
	if err != nil {
		i.Fatal(err)
	}
	if err := os.Symlink(charts, filepath.Join(i.dir, "charts")); err != nil {
		i.Fatal(err)
	}
}

// TestLife installs, upgrades, goes back, upgrades again, uses, removes, installs again and removes for good.
func TestLife(t *testing.T) {
	i := prepare(t)
	i.helm(append([]string{"install", release, i.older(), "--wait", "--timeout=2m"}, valuesFiles(t, i.values...)...)...)
	i.checkInstalled()
	i.certificates()
	i.checkTrust()

	i.keeps("admission: {replicas: 3}")
	i.shell(blockOf(t, upgradeGuide, "upgrade"))
	i.checkVersion("0.1.0", 3, "signoff")
	i.checkTrust()

	i.shell(blockOf(t, upgradeGuide, "back"))
	i.checkVersion("0.0.9", 2, "signoff", "older")
	i.checkTrust()

	i.tamper()
	i.helm(append([]string{"upgrade", release, "charts/signoff", "--force-conflicts"}, valuesFiles(t, i.values...)...)...)
	i.certificates()
	i.checkTrust()

	i.connect()
	i.start()
	i.checkNotes()
	i.shell(blockOf(t, upgradeGuide, "before"))
	i.shell(blockOf(t, upgradeGuide, "after"))
	users, err := cluster.StandardUsers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, account := range []string{"deployer", "deployer-read"} {
		if _, err := cluster.ServiceAccount(t.Context(), env.CatalogNamespace, account); err != nil {
			t.Fatal(err)
		}
	}
	if err := cluster.ApplyFile(t.Context(), "test/apart/testdata/world.yaml"); err != nil {
		t.Fatal(err)
	}
	done, open, left := i.ask(users.Alice.Config), i.ask(users.Alice.Config), i.ask(users.Alice.Config)
	i.approve(users.Bob.Config, done)
	i.reaches(done, v1alpha1.PhaseSucceeded)

	i.stop()
	i.helm("uninstall", release, "--wait")
	i.checkRemoved()

	i.install()
	i.certificates()
	i.connect()
	i.start()
	i.reaches(open, v1alpha1.PhaseAwaitingApproval)
	i.approve(users.Bob.Config, open)
	i.reaches(open, v1alpha1.PhaseSucceeded)

	i.stop()
	i.helm("uninstall", release, "--wait")
	i.checkReleased(left)
	i.checkPurged()
}

// checkInstalled looks at what runs: under restricted Pod security, or there would be no Pods. What made the certificate is gone.
func (i *installation) checkInstalled() {
	i.Helper()
	running := &corev1.PodList{}
	if err := admin(i.T).List(i.Context(), running, client.InNamespace(namespace), client.MatchingLabels{"app.kubernetes.io/name": "signoff"}); err != nil {
		i.Fatal(err)
	}
	parts := map[string]int{}
	for _, pod := range running.Items {
		if pod.DeletionTimestamp == nil {
			parts[pod.Labels["app.kubernetes.io/component"]]++
		}
	}
	if parts["admission"] != 2 || parts["controller"] != 2 {
		i.Errorf("there are Pods: %v", parts)
	}
	for _, object := range []client.Object{&corev1.ServiceAccount{}, &batchv1.Job{}} {
		if err := i.get(object, "signoff-certificates"); !apierrors.IsNotFound(err) {
			i.Errorf("%T of the Job is left: %v", object, err)
		}
	}
}

// checkTrust looks whether the API server trusts the certificate, in each webhook.
func (i *installation) checkTrust() {
	i.Helper()
	secret := &unstructured.Unstructured{}
	secret.SetAPIVersion("v1")
	secret.SetKind("Secret")
	if err := i.get(secret, "signoff-webhook-cert"); err != nil {
		i.Fatal(err)
	}
	want, _, err := unstructured.NestedString(secret.Object, "data", "ca.crt")
	if err != nil || want == "" {
		i.Fatalf("the Secret says nothing of an authority: %v", err)
	}
	for n, got := range i.trusted() {
		if got != want {
			i.Errorf("webhook %d is trusted by %q", n, got)
		}
	}
}

// checkVersion looks at what an upgrade must change, and a rollback change back: definitions, too.
func (i *installation) checkVersion(version string, replicas int32, categories ...string) {
	i.Helper()
	deployment := &appsv1.Deployment{}
	if err := i.get(deployment, "signoff-admission"); err != nil {
		i.Fatal(err)
	}
	if *deployment.Spec.Replicas != replicas || deployment.Labels["helm.sh/chart"] != "signoff-"+version {
		i.Errorf("there are %d replicas of %s, want %d of %s", *deployment.Spec.Replicas, deployment.Labels["helm.sh/chart"], replicas, version)
	}
	definition := clusterObject("apiextensions.k8s.io/v1", "CustomResourceDefinition")
	if err := i.get(definition, "teams.signoff.dev"); err != nil {
		i.Fatal(err)
	}
	got, _, err := unstructured.NestedStringSlice(definition.Object, "spec", "names", "categories")
	if diff := cmp.Diff(categories, got); err != nil || diff != "" {
		i.Errorf("the definition is another one: %v (-want +got):\n%s", err, diff)
	}
}

// tamper loosens and removes what protects Signoff: what is not put back, the guard finds.
func (i *installation) tamper() {
	i.Helper()
	mutating := clusterObject("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration")
	if err := i.get(mutating, "signoff"); err != nil {
		i.Fatal(err)
	}
	webhooks, _, err := unstructured.NestedSlice(mutating.Object, "webhooks")
	if err != nil {
		i.Fatal(err)
	}
	webhooks[0].(map[string]any)["failurePolicy"] = "Ignore"
	if err := unstructured.SetNestedSlice(mutating.Object, webhooks, "webhooks"); err != nil {
		i.Fatal(err)
	}
	if err := admin(i.T).Update(i.Context(), mutating); err != nil {
		i.Fatal(err)
	}
	validating := clusterObject("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration")
	validating.SetName("signoff")
	if err := admin(i.T).Delete(i.Context(), validating); err != nil {
		i.Fatal(err)
	}
}

// checkNotes does what helm says afterwards, to see that it stands.
func (i *installation) checkNotes() {
	i.Helper()
	ran := 0
	for line := range strings.Lines(i.helm("get", "notes", release)) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "kubectl ") || strings.HasPrefix(line, "echo ") {
			i.shell(line)
			ran++
		}
	}
	if ran != 3 {
		i.Errorf("the notes have %d commands", ran)
	}
}

// checkRemoved looks at what is gone, and at what must not be.
func (i *installation) checkRemoved() {
	i.Helper()
	for _, object := range render(i.T, i.values[1:]...) {
		err := admin(i.T).Get(i.Context(), client.ObjectKeyFromObject(object), object.DeepCopy())
		switch stays := object.GetKind() == "CustomResourceDefinition"; {
		case stays && err != nil:
			i.Errorf("%s is lost: %v", object.GetName(), err)
		case !stays && !apierrors.IsNotFound(err):
			i.Errorf("%s %s is left: %v", object.GetKind(), object.GetName(), err)
		}
	}
	for _, name := range []string{"signoff-admission-key", "signoff-controller-key", "signoff-webhook-ca", "signoff-webhook-cert"} {
		if err := i.get(&corev1.Secret{}, name); err != nil {
			i.Errorf("a key is lost: %v", err)
		}
	}
	if err := i.get(&corev1.ConfigMap{}, "signoff-keys"); err != nil {
		i.Errorf("the public keys are lost: %v", err)
	}
	records := &v1alpha1.RecordList{}
	if err := admin(i.T).List(i.Context(), records, client.InNamespace(namespace)); err != nil || len(records.Items) == 0 {
		i.Errorf("evidence is lost: %v, %d Records", err, len(records.Items))
	}
}

// checkReleased shows that a request waits for Signoff when it is deleted, and that the guide says how it and its namespace go without.
func (i *installation) checkReleased(left *v1alpha1.ActionRequest) {
	i.Helper()
	work := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: left.Namespace}}
	if err := admin(i.T).Delete(i.Context(), left); err != nil {
		i.Fatal(err)
	}
	if err := admin(i.T).Delete(i.Context(), work); err != nil {
		i.Fatal(err)
	}
	if err := admin(i.T).Get(i.Context(), client.ObjectKeyFromObject(left), left); err != nil || len(left.Finalizers) != 1 {
		i.Fatalf("the guide says that it waits: %v, %s", err, left.Finalizers)
	}
	i.shell(block(i.T, "release"))
	play.Eventually(i.T, "the end of the namespace", func() (bool, string) {
		err := admin(i.T).Get(i.Context(), client.ObjectKeyFromObject(work), work)
		return apierrors.IsNotFound(err), fmt.Sprintf("%v: %+v", err, work.Status)
	})
}

// checkPurged shows that the guide says how everything goes.
func (i *installation) checkPurged() {
	i.Helper()
	i.shell(block(i.T, "purge"))
	for _, object := range render(i.T).of("CustomResourceDefinition") {
		if err := i.get(clusterObject("apiextensions.k8s.io/v1", "CustomResourceDefinition"), object.GetName()); !apierrors.IsNotFound(err) {
			i.Errorf("definition %s is left: %v", object.GetName(), err)
		}
	}
	if err := admin(i.T).Get(i.Context(), types.NamespacedName{Name: namespace}, &corev1.Namespace{}); !apierrors.IsNotFound(err) {
		i.Errorf("the namespace is left: %v", err)
	}
}
