package env

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-logr/logr"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

var (
	cluster *Cluster
	users   *Users
	admin   kubernetes.Interface
	audit   string
)

func TestMain(m *testing.M) {
	log.SetLogger(logr.Discard())
	if dir := os.Getenv(envChild); dir != "" {
		os.Exit(beChild(dir))
	}
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

// envChild makes the test binary start a cluster in the folder it names, and then wait to be killed.
const envChild = "SIGNOFF_TEST_ENV_CHILD"

func beChild(dir string) int {
	if _, err := Start(context.Background(), Options{Nodes: true, Dir: dir}); err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("ready")
	select {} // until killed
}

func run(m *testing.M) (code int, err error) {
	dir, err := os.MkdirTemp("", "env-test-")
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	audit = filepath.Join(dir, "audit.log")
	cluster, err = Start(context.Background(), Options{CRDs: true, Nodes: true, AuditLog: audit})
	if err != nil {
		return 1, err
	}
	defer cluster.Stop()
	if users, err = cluster.StandardUsers(context.Background()); err != nil {
		return 1, err
	}
	if admin, err = kubernetes.NewForConfig(cluster.Admin); err != nil {
		return 1, err
	}
	return m.Run(), nil
}

// eventually waits until done returns nil, and fails with its last error.
func eventually(t *testing.T, done func(context.Context) error) {
	t.Helper()
	var last error
	err := wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		last = done(ctx)
		return last == nil, nil
	})
	if err != nil {
		t.Fatalf("%v: %v", err, last)
	}
}

// newNamespace makes a namespace whose default ServiceAccount exists, and deletes it after the test.
func newNamespace(t *testing.T) string {
	t.Helper()
	namespace, err := admin.CoreV1().Namespaces().Create(t.Context(),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "env-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		err := admin.CoreV1().Namespaces().Delete(context.Background(), namespace.Name, metav1.DeleteOptions{})
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			t.Error(err)
		}
	})
	eventually(t, func(ctx context.Context) error {
		_, err := admin.CoreV1().ServiceAccounts(namespace.Name).Get(ctx, "default", metav1.GetOptions{})
		return err
	})
	return namespace.Name
}

func podTemplate(annotations map[string]string) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "web"}, Annotations: annotations},
		Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyAlways,
			Containers:    []corev1.Container{{Name: "web", Image: "registry.example/web:1"}},
		},
	}
}

func TestNamespaceDeletionFinishes(t *testing.T) {
	name := newNamespace(t)
	if err := admin.CoreV1().Namespaces().Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, func(ctx context.Context) error {
		_, err := admin.CoreV1().Namespaces().Get(ctx, name, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
			return nil
		case err != nil:
			return err
		}
		return fmt.Errorf("namespace %q still exists", name)
	})
}

func TestDeploymentBecomesAvailable(t *testing.T) {
	name := newNamespace(t)
	deployments := admin.AppsV1().Deployments(name)
	_, err := deployments.Create(t.Context(), &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec: appsv1.DeploymentSpec{
			Replicas: new(int32(2)),
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}},
			Template: podTemplate(nil),
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, func(ctx context.Context) error {
		deployment, err := deployments.Get(ctx, "web", metav1.GetOptions{})
		if err != nil {
			return err
		}
		if deployment.Status.AvailableReplicas != 2 {
			return fmt.Errorf("%d of 2 replicas are available", deployment.Status.AvailableReplicas)
		}
		return nil
	})
}

func TestJobsEndAsAnnotated(t *testing.T) {
	name := newNamespace(t)
	for job, tc := range map[string]struct {
		reason      string
		annotations map[string]string
		want        batchv1.JobConditionType
	}{
		"succeeds": {reason: "Containers of a Job succeed by default.", want: batchv1.JobComplete},
		"fails": {
			reason:      "The annotation makes them exit with 1, and no retry is left.",
			annotations: map[string]string{PodAnnotation: PodFails},
			want:        batchv1.JobFailed,
		},
	} {
		t.Run(job, func(t *testing.T) {
			template := podTemplate(tc.annotations)
			template.Spec.RestartPolicy = corev1.RestartPolicyNever
			_, err := admin.BatchV1().Jobs(name).Create(t.Context(), &batchv1.Job{
				ObjectMeta: metav1.ObjectMeta{Name: job},
				Spec:       batchv1.JobSpec{BackoffLimit: new(int32(0)), Template: template},
			}, metav1.CreateOptions{})
			if err != nil {
				t.Fatal(err)
			}
			eventually(t, func(ctx context.Context) error {
				got, err := admin.BatchV1().Jobs(name).Get(ctx, job, metav1.GetOptions{})
				if err != nil {
					return err
				}
				for _, condition := range got.Status.Conditions {
					if condition.Type == tc.want && condition.Status == corev1.ConditionTrue {
						return nil
					}
				}
				return fmt.Errorf("%s: conditions are %+v, want %s", tc.reason, got.Status.Conditions, tc.want)
			})
		})
	}
}

func TestAuditLogNamesTheUser(t *testing.T) {
	clients, err := kubernetes.NewForConfig(users.Audrey.Config)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := clients.CoreV1().Secrets("kube-system").List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Fatalf("want a refusal, got %v", err)
	}
	eventually(t, func(context.Context) error {
		content, err := os.ReadFile(audit)
		if err != nil {
			return err
		}
		return findAuditEvent(content, "audrey", "list", "secrets")
	})
}
