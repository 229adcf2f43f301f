package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"
	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/rest"

	"github.com/spf13/pflag"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/identity"
)

// scheme has the kinds that are read and written.
var scheme = func() *runtime.Scheme {
	s := runtime.NewScheme()
	utilruntime.Must(v1alpha1.AddToScheme(s))
	utilruntime.Must(authenticationv1.AddToScheme(s))
	metav1.AddToGroupVersion(s, schema.GroupVersion{Version: "v1"})
	return s
}()

// connection are the flags by which kubectl finds a cluster, and what they lead to.
type connection struct {
	flags *genericclioptions.ConfigFlags
	mu    sync.Mutex
	// warnings are what the API server warned of since they were last taken.
	warnings []string
}

// shownFlags are those flags of the connection that help shows. The others work as in kubectl.
var shownFlags = []string{"as", "as-group", "as-uid", "context", "kubeconfig", "namespace"}

// connect adds those flags to a command.
func (p *Program) connect(command *cobra.Command) *connection {
	c := &connection{flags: genericclioptions.NewConfigFlags(true)}
	flags := pflag.NewFlagSet("connection", pflag.ContinueOnError)
	c.flags.AddFlags(flags)
	flags.VisitAll(func(flag *pflag.Flag) {
		flag.Hidden = !slices.Contains(shownFlags, flag.Name)
	})
	flags.Lookup("as").Usage = "who asks, by Kubernetes impersonation: you need the right to impersonate them"
	flags.Lookup("as-group").Usage = "a group of who asks; may be given several times"
	flags.Lookup("as-uid").Usage = "the uid of who asks"
	flags.Lookup("namespace").Usage = "the namespace of requests that name none"
	flags.Lookup("context").Usage = "the context of the kubeconfig to use"
	flags.Lookup("kubeconfig").Usage = "the kubeconfig file to use"
	command.Flags().AddFlagSet(flags)
	p.completeConnection(command, c)
	return c
}

// HandleWarningHeader keeps a warning of the API server.
func (c *connection) HandleWarningHeader(_ int, _, text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if text != "" && !slices.Contains(c.warnings, text) {
		c.warnings = append(c.warnings, text)
	}
}

// taken gives the warnings, and forgets them.
func (c *connection) taken() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	warnings := c.warnings
	c.warnings = nil
	return warnings
}

// client speaks to one group of APIs, as whom --as names.
func (c *connection) client(group schema.GroupVersion) (*rest.RESTClient, error) {
	config, err := c.flags.ToRESTConfig()
	if err != nil {
		return nil, fmt.Errorf("failed to find the cluster: %w", err)
	}
	return c.clientOf(config, group)
}

// own speaks to the API of Signoff as the caller, whomever --as names: who may not read something can still be asked about.
func (c *connection) own() (*rest.RESTClient, error) {
	config, err := c.ownConfig()
	if err != nil {
		return nil, err
	}
	return c.clientOf(config, v1alpha1.GroupVersion)
}

func (c *connection) ownConfig() (*rest.Config, error) {
	config, err := c.flags.ToRESTConfig()
	if err != nil {
		return nil, fmt.Errorf("failed to find the cluster: %w", err)
	}
	config = rest.CopyConfig(config)
	config.Impersonate = rest.ImpersonationConfig{}
	return config, nil
}

func (c *connection) clientOf(config *rest.Config, group schema.GroupVersion) (*rest.RESTClient, error) {
	config = rest.CopyConfig(config)
	config.GroupVersion, config.APIPath = &group, "/apis"
	config.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	config.WarningHandler = c
	config.UserAgent = "kubectl-signoff"
	client, err := rest.RESTClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("failed to make a client: %w", err)
	}
	return client, nil
}

// namespace is where requests are that name none.
func (c *connection) namespace() (string, error) {
	name, _, err := c.flags.ToRawKubeConfigLoader().Namespace()
	if err != nil {
		return "", fmt.Errorf("failed to find the namespace: %w", err)
	}
	return name, nil
}

// whoAmI asks the API server who it is that --as names, or else the caller.
func (c *connection) whoAmI(ctx context.Context) (*authenticationv1.UserInfo, error) {
	client, err := c.client(authenticationv1.SchemeGroupVersion)
	if err != nil {
		return nil, err
	}
	info, err := reviewed(ctx, client)
	if wanted := c.impersonated(); apierrors.IsForbidden(err) && len(wanted) > 0 {
		return nil, fmt.Errorf("%s may not ask as %s: that takes the right to impersonate %s.\n"+
			"  Ask an administrator of the cluster for the verb \"impersonate\" on %s.  Check: kubectl auth can-i impersonate %s",
			c.callerText(ctx), *c.flags.Impersonate, strings.Join(wanted, ", "), it(wanted), wanted[0])
	}
	return info, err
}

// impersonated are the rights that --as and its companions take, as kubectl auth can-i writes them. The first is about --as itself.
func (c *connection) impersonated() []string {
	if c.flags.Impersonate == nil || *c.flags.Impersonate == "" {
		return nil
	}
	rights := []string{"users/" + *c.flags.Impersonate}
	if account, ok := identity.ServiceAccount(*c.flags.Impersonate); ok {
		namespace, name, _ := strings.Cut(account, "/")
		rights = []string{"serviceaccounts/" + name + " -n " + namespace}
	}
	for _, group := range *c.flags.ImpersonateGroup {
		rights = append(rights, "groups/"+group)
	}
	if uid := *c.flags.ImpersonateUID; uid != "" {
		rights = append(rights, "uids.authentication.k8s.io/"+uid)
	}
	return rights
}

func it(wanted []string) string {
	if len(wanted) == 1 {
		return "it"
	}
	return "each"
}

// caller asks the API server who the caller is, whomever --as names.
func (c *connection) caller(ctx context.Context) (*authenticationv1.UserInfo, error) {
	config, err := c.ownConfig()
	if err != nil {
		return nil, err
	}
	client, err := c.clientOf(config, authenticationv1.SchemeGroupVersion)
	if err != nil {
		return nil, err
	}
	return reviewed(ctx, client)
}

func reviewed(ctx context.Context, client *rest.RESTClient) (*authenticationv1.UserInfo, error) {
	review := &authenticationv1.SelfSubjectReview{}
	err := client.Post().Resource("selfsubjectreviews").Body(&authenticationv1.SelfSubjectReview{}).Do(ctx).Into(review)
	if err != nil {
		return nil, fmt.Errorf("failed to find out who you are: %w", err)
	}
	return &review.Status.UserInfo, nil
}

// loginText shows a login to people, without the groups that everybody is in.
func loginText(username string, groups []string) string {
	groups = slices.DeleteFunc(slices.Clone(groups), func(group string) bool { return group == "system:authenticated" })
	switch {
	case len(groups) == 0:
		return username
	case len(groups) > maxShown:
		groups = append(groups[:maxShown:maxShown], fmt.Sprintf("%d more", len(groups)-maxShown))
	}
	return fmt.Sprintf("%s (groups %s)", username, strings.Join(groups, ", "))
}

// maxShown is how many names are shown before the rest is counted.
const maxShown = 8
