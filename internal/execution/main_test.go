package execution

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/signoff-dev/signoff/test/env"
)

// patience is how long a test waits for what must happen.
const patience = time.Minute

var (
	cluster *env.Cluster
	// admin prepares and looks.
	admin *kubernetes.Clientset
	// operator are the credentials of the operator, which may impersonate and nothing else.
	operator *rest.Config
)

// world is where the tests happen.
const world = `
apiVersion: v1
kind: Namespace
metadata: {name: signoff-system}
---
apiVersion: v1
kind: Namespace
metadata: {name: platform}
---
# The operator may become these ServiceAccounts, and nothing else.
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {namespace: platform, name: executors}
rules:
- {apiGroups: [""], resources: [serviceaccounts], resourceNames: [deployer, weak, blind, jobs-only], verbs: [impersonate]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {namespace: platform, name: executors}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: executors}
subjects: [{kind: ServiceAccount, namespace: signoff-system, name: operator}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: test-deploy}
rules:
- {apiGroups: [apps], resources: [deployments], verbs: [get, watch, create, patch, delete]}
- {apiGroups: [batch], resources: [jobs], verbs: [get, watch, create]}
- {apiGroups: [""], resources: [pods, pods/log], verbs: [get, list]}
- {apiGroups: [""], resources: [configmaps], verbs: [get, watch, create, patch, delete]}
- {apiGroups: [""], resources: [secrets], verbs: [get, patch]}
- {apiGroups: [""], resources: [services], verbs: [get, patch]}
- {apiGroups: [rbac.authorization.k8s.io], resources: [rolebindings], verbs: [get, patch]}
- {apiGroups: [rbac.authorization.k8s.io], resources: [clusterroles], resourceNames: [test-read], verbs: [bind]}
- {apiGroups: [lent.example.com], resources: ["*"], verbs: [get, create, patch, delete]}
---
# What calls carry is kept beside the Actions.
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {namespace: platform, name: secrets}
rules:
- {apiGroups: [""], resources: [secrets], verbs: [get]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {namespace: platform, name: secrets}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: secrets}
subjects: [{kind: ServiceAccount, namespace: platform, name: deployer}]
---
# May run Jobs, and not look how they ended.
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: test-jobs}
rules:
- {apiGroups: [batch], resources: [jobs], verbs: [get, watch, create]}
---
# May read, but neither watch nor write.
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: test-read}
rules:
- {apiGroups: [apps, ""], resources: [deployments, configmaps], verbs: [get]}
`

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	ctrl.SetLogger(logr.Discard())
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	var err error
	if cluster, err = env.Start(ctx, env.Options{Nodes: true}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer cluster.Stop()
	if err := prepare(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

func prepare(ctx context.Context) error {
	if err := cluster.Apply(ctx, []byte(world)); err != nil {
		return err
	}
	var err error
	if admin, err = kubernetes.NewForConfig(cluster.Admin); err != nil {
		return err
	}
	for _, name := range []string{"deployer", "weak", "blind", "jobs-only"} {
		if _, err := cluster.ServiceAccount(ctx, "platform", name); err != nil {
			return err
		}
	}
	operator, err = cluster.ServiceAccount(ctx, "signoff-system", "operator")
	return err
}

// newClients makes clients with the operator's credentials.
func newClients(t testing.TB, cfg *rest.Config) *Clients {
	t.Helper()
	http, err := rest.HTTPClientFor(cfg)
	if err != nil {
		t.Fatal(err)
	}
	mapper, err := apiutil.NewDynamicRESTMapper(cfg, http)
	if err != nil {
		t.Fatal(err)
	}
	return NewClients(cfg, mapper)
}

// newNamespace makes a namespace in which deployer may deploy, and blind may read.
func newNamespace(t testing.TB) string {
	t.Helper()
	ctx := t.Context()
	created, err := admin.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "exec-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	namespace := created.Name
	t.Cleanup(func() {
		if err := admin.CoreV1().Namespaces().Delete(context.Background(), namespace, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
	for role, account := range map[string]string{"test-deploy": "deployer", "test-read": "blind"} {
		if err := cluster.Grant(ctx, role, namespace, env.ToServiceAccount("platform", account)); err != nil {
			t.Fatal(err)
		}
	}
	// Pods need it.
	eventually(t, func(ctx context.Context) error {
		_, err := admin.CoreV1().ServiceAccounts(namespace).Get(ctx, "default", metav1.GetOptions{})
		return err
	})
	return namespace
}

// eventually waits until the check holds. It says what it saw last.
func eventually(t testing.TB, check func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ticks := time.NewTicker(50 * time.Millisecond)
	defer ticks.Stop()
	for {
		err := check(ctx)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatal(err)
		case <-ticks.C:
		}
	}
}
