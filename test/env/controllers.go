package env

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
)

// startControllerManager starts kube-controller-manager as the user that the built-in roles know. Its controllers use tokens
// of their own ServiceAccounts, so that none of them is an administrator.
func (c *Cluster) startControllerManager(context.Context) error {
	if !c.options.ControllerManager {
		return nil
	}
	kubeconfig, err := c.ComponentKubeconfig("kube-controller-manager", "system:kube-controller-manager")
	if err != nil {
		return err
	}
	rootCA := filepath.Join(c.Dir, "apiserver", "root-ca.crt")
	if err := os.WriteFile(rootCA, c.Admin.CAData, 0o600); err != nil {
		return fmt.Errorf("failed to write the root authority: %w", err)
	}
	return c.Launch("kube-controller-manager",
		"--kubeconfig="+kubeconfig,
		"--use-service-account-credentials=true",
		"--service-account-private-key-file="+filepath.Join(c.Dir, "apiserver", "sa-signer.key"),
		"--root-ca-file="+rootCA,
		// Nothing asks it anything, and a port less is a conflict less.
		"--secure-port=0",
		"--leader-elect=false",
		// Without the flag it makes a folder under /usr.
		"--flex-volume-plugin-dir="+filepath.Join(c.Dir, "flex"),
		// The default limits make the controllers take seconds to fetch their tokens one after the other.
		"--kube-api-qps=500", "--kube-api-burst=1000",
	)
}

// ComponentKubeconfig writes the credentials of a component and returns the path of the file.
func (c *Cluster) ComponentKubeconfig(component, user string, groups ...string) (string, error) {
	config, err := c.User(user, groups...)
	if err != nil {
		return "", err
	}
	path := filepath.Join(c.Dir, "run", component+".kubeconfig")
	return path, c.Kubeconfig(path, config)
}

// waitForControllers returns when what the options promise has happened once.
func (c *Cluster) waitForControllers(ctx context.Context) error {
	if !c.options.ControllerManager {
		return nil
	}
	clients, err := kubernetes.NewForConfig(c.Admin)
	if err != nil {
		return fmt.Errorf("failed to make a client: %w", err)
	}
	checks := []check{serviceAccountsAppear, rolesAreAggregated}
	if c.options.Nodes {
		checks = append(checks, nodeIsReady)
	}
	var pending error
	err = wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, startTimeout, true, func(ctx context.Context) (bool, error) {
		if err := c.Exited(); err != nil {
			return false, err
		}
		pending = nil
		for _, check := range checks {
			pending = errors.Join(pending, check(ctx, clients))
		}
		return pending == nil, nil
	})
	if err != nil {
		return fmt.Errorf("failed to wait for the controllers: %w", errors.Join(err, pending))
	}
	return nil
}

// check returns why its subject is not ready yet, or nil.
type check func(context.Context, kubernetes.Interface) error

func serviceAccountsAppear(ctx context.Context, clients kubernetes.Interface) error {
	_, err := clients.CoreV1().ServiceAccounts(metav1.NamespaceDefault).Get(ctx, "default", metav1.GetOptions{})
	return err
}

var errNotAggregated = errors.New("ClusterRole admin has no rules yet")

func rolesAreAggregated(ctx context.Context, clients kubernetes.Interface) error {
	// admin includes edit, which includes view, so that a rule that came through both says that all three are complete.
	role, err := clients.RbacV1().ClusterRoles().Get(ctx, "admin", metav1.GetOptions{})
	if err != nil {
		return err
	}
	if !grants(role.Rules, "list", "pods") || !grants(role.Rules, "impersonate", "serviceaccounts") ||
		!grants(role.Rules, "create", "rolebindings") {
		return errNotAggregated
	}
	return nil
}

func grants(rules []rbacv1.PolicyRule, verb, resource string) bool {
	return slices.ContainsFunc(rules, func(r rbacv1.PolicyRule) bool {
		return slices.Contains(r.Verbs, verb) && slices.Contains(r.Resources, resource)
	})
}
