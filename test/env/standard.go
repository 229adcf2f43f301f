package env

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// The namespaces that StandardUsers makes and gives rights in.
const (
	// CatalogNamespace holds Actions and Roles.
	CatalogNamespace = "platform"
	// WorkNamespace is where people make their requests.
	WorkNamespace = "payments"
	// SystemNamespace is the namespace of the operator, with the Records.
	SystemNamespace = "signoff-system"
	// AgentNamespace holds the ServiceAccount of the agent.
	AgentNamespace = "agents"
)

// Groups of the standard users, as an identity provider would report them.
const (
	// GroupAdministrators is bound to cluster-admin; it is not system:masters, so that RBAC and webhooks see its members.
	GroupAdministrators = "cluster-administrators"
	// GroupEngineering holds everyone who requests or approves.
	GroupEngineering = "engineering"
	// GroupPayments is the team whose services are in WorkNamespace.
	GroupPayments = "payments"
	// GroupSearch is another team.
	GroupSearch = "search"
)

// The ClusterRoles of config/rbac/user-roles.yaml.
const (
	// RoleRequester may make, read and cancel requests.
	RoleRequester = "signoff-requester"
	// RoleApprover may read requests and vote.
	RoleApprover = "signoff-approver"
	// RoleAuthor may write Actions, Roles and Calendars.
	RoleAuthor = "signoff-author"
	// RoleGuard may write Teams, Calendars and ActionPolicies.
	RoleGuard = "signoff-guard"
	// RoleAuditor may read everything, the Records too.
	RoleAuditor = "signoff-auditor"
	// RoleCatalogReader may read Actions, Roles and Calendars.
	RoleCatalogReader = "signoff-catalog-reader"
	// RoleTeamReader may read Teams.
	RoleTeamReader = "signoff-team-reader"
)

// Person is a user with credentials.
type Person struct {
	// Name is the user name that webhooks see.
	Name string
	// Config holds the credentials.
	Config *rest.Config
}

// Users are the people, and one machine, as whom tests speak. None of them has more rights than its comment says.
type Users struct {
	// Ada may do everything, through a ClusterRoleBinding of GroupAdministrators to cluster-admin.
	Ada Person
	// Alice requests. She is in GroupEngineering and GroupPayments.
	Alice Person
	// AliceAgain is a second login of Alice, "alice@laptop", with the same groups, and may approve too.
	AliceAgain Person
	// Bob, Carol and Dave request and approve. They are in GroupEngineering and GroupPayments.
	Bob, Carol, Dave Person
	// Erin requests and approves. She is in GroupEngineering and GroupSearch.
	Erin Person
	// Mallory is in no group. RBAC lets him patch Approvals, so that only Signoff can refuse his vote.
	Mallory Person
	// Frank writes Actions in CatalogNamespace. He may not impersonate ServiceAccounts.
	Frank Person
	// Grace writes Teams, Calendars and ActionPolicies.
	Grace Person
	// Audrey reads everything of Signoff's, the Records too.
	Audrey Person
	// Nadia administers WorkNamespace: she has the built-in ClusterRole admin there, and nothing of Signoff's.
	Nadia Person
	// Agent is the ServiceAccount agents/bot, which requests in WorkNamespace.
	Agent Person
}

// StandardUsers makes the standard namespaces, applies config/rbac/user-roles.yaml, and returns users with their bindings.
// Call it once per cluster.
func (c *Cluster) StandardUsers(ctx context.Context) (*Users, error) {
	clients, err := kubernetes.NewForConfig(c.Admin)
	if err != nil {
		return nil, fmt.Errorf("failed to make a client: %w", err)
	}
	for _, name := range []string{CatalogNamespace, WorkNamespace, SystemNamespace, AgentNamespace} {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
		_, err := clients.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return nil, fmt.Errorf("failed to create namespace %q: %w", name, err)
		}
	}
	if err := c.ApplyFile(ctx, "config/rbac/user-roles.yaml"); err != nil {
		return nil, err
	}
	users, err := c.newUsers(ctx)
	if err != nil {
		return nil, err
	}
	return users, c.bindUsers(ctx, users)
}

func (c *Cluster) newUsers(ctx context.Context) (*Users, error) {
	users := &Users{}
	var errs []error
	add := func(person *Person, name string, groups ...string) {
		config, err := c.User(name, groups...)
		*person = Person{Name: name, Config: config}
		errs = append(errs, err)
	}
	add(&users.Ada, "ada", GroupAdministrators)
	add(&users.Alice, "alice", GroupEngineering, GroupPayments)
	add(&users.AliceAgain, "alice@laptop", GroupEngineering, GroupPayments)
	add(&users.Bob, "bob", GroupEngineering, GroupPayments)
	add(&users.Carol, "carol", GroupEngineering, GroupPayments)
	add(&users.Dave, "dave", GroupEngineering, GroupPayments)
	add(&users.Erin, "erin", GroupEngineering, GroupSearch)
	add(&users.Mallory, "mallory")
	add(&users.Frank, "frank")
	add(&users.Grace, "grace")
	add(&users.Audrey, "audrey")
	add(&users.Nadia, "nadia")
	config, err := c.ServiceAccount(ctx, AgentNamespace, "bot")
	users.Agent = Person{Name: "system:serviceaccount:" + AgentNamespace + ":bot", Config: config}
	return users, errors.Join(append(errs, err)...)
}

func (c *Cluster) bindUsers(ctx context.Context, users *Users) error {
	engineers := ToGroup(GroupEngineering)
	agent := ToServiceAccount(AgentNamespace, "bot")
	// Without the controller manager the built-in role admin stays empty; these three are what it would collect.
	nadiasRoles := []string{"system:aggregate-to-admin", "system:aggregate-to-edit", "system:aggregate-to-view"}
	if c.options.ControllerManager {
		nadiasRoles = []string{"admin"}
	}
	errs := []error{
		c.Grant(ctx, "cluster-admin", "", ToGroup(GroupAdministrators)),
		c.Grant(ctx, RoleCatalogReader, CatalogNamespace, engineers, agent),
		c.Grant(ctx, RoleRequester, WorkNamespace, engineers, agent),
		c.Grant(ctx, RoleApprover, WorkNamespace, engineers, ToUser(users.Mallory.Name)),
		c.Grant(ctx, RoleAuthor, CatalogNamespace, ToUser(users.Frank.Name)),
		c.Grant(ctx, RoleGuard, "", ToUser(users.Grace.Name)),
		c.Grant(ctx, RoleAuditor, "", ToUser(users.Audrey.Name)),
	}
	for _, role := range nadiasRoles {
		errs = append(errs, c.Grant(ctx, role, WorkNamespace, ToUser(users.Nadia.Name)))
	}
	return errors.Join(errs...)
}

// Grant binds the ClusterRole to the subjects in the namespace, or everywhere when the namespace is empty. A second call for
// the same role and namespace adds a binding.
func (c *Cluster) Grant(ctx context.Context, clusterRole, namespace string, subjects ...rbacv1.Subject) error {
	clients, err := kubernetes.NewForConfig(c.Admin)
	if err != nil {
		return fmt.Errorf("failed to make a client: %w", err)
	}
	meta := metav1.ObjectMeta{GenerateName: "test-", Namespace: namespace}
	role := rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: clusterRole}
	if namespace == "" {
		binding := &rbacv1.ClusterRoleBinding{ObjectMeta: meta, RoleRef: role, Subjects: subjects}
		_, err = clients.RbacV1().ClusterRoleBindings().Create(ctx, binding, metav1.CreateOptions{})
	} else {
		binding := &rbacv1.RoleBinding{ObjectMeta: meta, RoleRef: role, Subjects: subjects}
		_, err = clients.RbacV1().RoleBindings(namespace).Create(ctx, binding, metav1.CreateOptions{})
	}
	if err != nil {
		return fmt.Errorf("failed to bind ClusterRole %q in namespace %q: %w", clusterRole, namespace, err)
	}
	return nil
}

// ToUser is the subject of a binding to the user with this name.
func ToUser(name string) rbacv1.Subject {
	return rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: name}
}

// ToGroup is the subject of a binding to the group with this name.
func ToGroup(name string) rbacv1.Subject {
	return rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: name}
}

// ToServiceAccount is the subject of a binding to the ServiceAccount.
func ToServiceAccount(namespace, name string) rbacv1.Subject {
	return rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: name}
}
