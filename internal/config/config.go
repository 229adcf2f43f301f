// Package config is the configuration file of the process. It is a file and not a resource, because who may write resources
// must not be able to move the rule that says who is who.
package config

import (
	"fmt"
	"net"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/yaml"
)

const (
	// APIVersion and Kind stand at the head of the file.
	APIVersion = "config.signoff.dev/v1alpha1"
	// Kind is the kind of the file.
	Kind = "Configuration"
	// DefaultNamespace is where the operator runs, and where Records live.
	DefaultNamespace = "signoff-system"
	// DefaultServiceAccount is the ServiceAccount of the operator.
	DefaultServiceAccount = "signoff"
)

// Configuration is the file.
type Configuration struct {
	metav1.TypeMeta `json:",inline"`
	// Person says who stands behind a login.
	Person Person `json:"person"`
	// Requester says what is stored about who asks.
	Requester Requester `json:"requester"`
	// Approvers bounds who may approve at all.
	Approvers Approvers `json:"approvers"`
	// Operator says where and as whom the process runs.
	Operator Operator `json:"operator"`
	// Webhook says where admission webhooks are served.
	Webhook Webhook `json:"webhook"`
	// Health says where liveness and readiness are served.
	Health Endpoint `json:"health"`
	// Metrics says where metrics are served. The address "0" serves none.
	Metrics Endpoint `json:"metrics"`
	// LeaderElection lets only one replica run the controllers.
	LeaderElection LeaderElection `json:"leaderElection"`
	// CatalogNamespaces are the namespaces in which Actions may be published. Empty: all.
	CatalogNamespaces []string `json:"catalogNamespaces,omitempty"`
	// Workers is how many requests are worked on at once, from 1 to 64. Default 8.
	Workers int `json:"workers"`
}

// Person says who stands behind a login.
type Person struct {
	// Expression is a CEL expression over user (username, uid, groups, extra) that gives a string: the same string for all
	// logins of one person. It only ever excludes: nobody can approve what another login of theirs asked for. Default
	// user.username.
	Expression string `json:"expression"`
}

// Requester says what is stored about who asks.
type Requester struct {
	// ExtraKeys are the keys of userInfo.extra that are stored. Others may hold ids of credentials and are not.
	ExtraKeys []string `json:"extraKeys,omitempty"`
	// Agents are logins that count as agents: they may ask and never approve.
	Agents Subjects `json:"agents"`
}

// Subjects names logins.
type Subjects struct {
	Users  []string `json:"users,omitempty"`
	Groups []string `json:"groups,omitempty"`
	// ServiceAccounts are written as namespace/name.
	ServiceAccounts []string `json:"serviceAccounts,omitempty"`
}

// Approvers bounds who may approve at all.
type Approvers struct {
	// ServiceAccounts may approve where a stage names them too, written as namespace/name. No other may.
	ServiceAccounts []string `json:"serviceAccounts,omitempty"`
}

// Operator says where and as whom the process runs.
type Operator struct {
	// Namespace is where Records and the Calendars of policies live. Default signoff-system.
	Namespace string `json:"namespace"`
	// ServiceAccount is the process's own. Default signoff.
	ServiceAccount string `json:"serviceAccount"`
}

// Webhook says where admission webhooks are served.
type Webhook struct {
	// BindAddress is the address to listen on. Default: all.
	BindAddress string `json:"bindAddress,omitempty"`
	// Port is the port to listen on. Default 9443.
	Port int `json:"port"`
	// CertDir holds tls.crt and tls.key. Default /etc/signoff/tls.
	CertDir string `json:"certDir"`
	// ClientCAFile holds the authority that signs the client certificate of the API server. Whoever shows no certificate of
	// it is cut off. Relative to certDir. Default client-ca.crt.
	ClientCAFile string `json:"clientCAFile"`
}

// Endpoint is an address to listen on.
type Endpoint struct {
	// BindAddress is host:port, or :port for all addresses.
	BindAddress string `json:"bindAddress"`
}

// LeaderElection lets only one replica run the controllers.
type LeaderElection struct {
	// Enabled turns it on. Default true.
	Enabled bool `json:"enabled"`
}

// Default gives the configuration that an empty file means.
func Default() *Configuration {
	return &Configuration{
		TypeMeta:       metav1.TypeMeta{APIVersion: APIVersion, Kind: Kind},
		Person:         Person{Expression: "user.username"},
		Operator:       Operator{Namespace: DefaultNamespace, ServiceAccount: DefaultServiceAccount},
		Webhook:        Webhook{Port: 9443, CertDir: "/etc/signoff/tls", ClientCAFile: "client-ca.crt"},
		Health:         Endpoint{BindAddress: ":8081"},
		Metrics:        Endpoint{BindAddress: "127.0.0.1:8080"},
		LeaderElection: LeaderElection{Enabled: true},
		Workers:        8,
	}
}

// Load reads a file. Fields that it does not know are refused, so that a misspelt one is not silently ignored.
func Load(data []byte) (*Configuration, error) {
	cfg := Default()
	cfg.TypeMeta = metav1.TypeMeta{}
	if err := yaml.UnmarshalStrict(data, cfg); err != nil {
		return nil, fmt.Errorf("failed to read the configuration: %w", err)
	}
	if errs := cfg.Validate(); len(errs) > 0 {
		return nil, errs.ToAggregate()
	}
	return cfg, nil
}

// Validate checks every field.
func (c *Configuration) Validate() field.ErrorList {
	var errs field.ErrorList
	if c.APIVersion != APIVersion {
		errs = append(errs, field.NotSupported(field.NewPath("apiVersion"), c.APIVersion, []string{APIVersion}))
	}
	if c.Kind != Kind {
		errs = append(errs, field.NotSupported(field.NewPath("kind"), c.Kind, []string{Kind}))
	}
	if strings.TrimSpace(c.Person.Expression) == "" {
		errs = append(errs, field.Required(field.NewPath("person", "expression"), "a CEL expression over user, such as user.username"))
	}
	errs = append(errs, serviceAccounts(field.NewPath("requester", "agents", "serviceAccounts"), c.Requester.Agents.ServiceAccounts)...)
	errs = append(errs, serviceAccounts(field.NewPath("approvers", "serviceAccounts"), c.Approvers.ServiceAccounts)...)
	errs = append(errs, label(field.NewPath("operator", "namespace"), c.Operator.Namespace)...)
	errs = append(errs, label(field.NewPath("operator", "serviceAccount"), c.Operator.ServiceAccount)...)
	for i, namespace := range c.CatalogNamespaces {
		errs = append(errs, label(field.NewPath("catalogNamespaces").Index(i), namespace)...)
	}
	return append(errs, c.validateServing()...)
}

func (c *Configuration) validateServing() field.ErrorList {
	var errs field.ErrorList
	webhook := field.NewPath("webhook")
	for _, message := range validation.IsValidPortNum(c.Webhook.Port) {
		errs = append(errs, field.Invalid(webhook.Child("port"), c.Webhook.Port, message))
	}
	if c.Webhook.CertDir == "" {
		errs = append(errs, field.Required(webhook.Child("certDir"), "the folder of tls.crt and tls.key"))
	}
	if c.Webhook.ClientCAFile == "" {
		errs = append(errs, field.Required(webhook.Child("clientCAFile"), "without it anybody could pose as the API server"))
	}
	for path, address := range map[string]string{"health": c.Health.BindAddress, "metrics": c.Metrics.BindAddress} {
		if _, _, err := net.SplitHostPort(address); err != nil && address != "0" {
			errs = append(errs, field.Invalid(field.NewPath(path, "bindAddress"), address, `must be host:port, :port, or "0" for none`))
		}
	}
	const maxWorkers = 64
	if c.Workers < 1 || c.Workers > maxWorkers {
		errs = append(errs, field.Invalid(field.NewPath("workers"), c.Workers, fmt.Sprintf("must be from 1 to %d", maxWorkers)))
	}
	return errs
}

func label(path *field.Path, name string) field.ErrorList {
	var errs field.ErrorList
	for _, message := range validation.IsDNS1123Label(name) {
		errs = append(errs, field.Invalid(path, name, message))
	}
	return errs
}

func serviceAccounts(path *field.Path, accounts []string) field.ErrorList {
	var errs field.ErrorList
	for i, account := range accounts {
		namespace, name, ok := strings.Cut(account, "/")
		if !ok || len(validation.IsDNS1123Label(namespace)) > 0 || len(validation.IsDNS1123Subdomain(name)) > 0 {
			errs = append(errs, field.Invalid(path.Index(i), account, "must be namespace/name"))
		}
	}
	return errs
}
