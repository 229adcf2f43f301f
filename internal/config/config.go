// Package config is the configuration file of the process. It is a file and not a resource, because who may write resources
// must not be able to move the rule that says who is who.
package config

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
	// Health says where liveness and readiness are served. Default :8081.
	Health Endpoint `json:"health"`
	// Metrics says where metrics are served. The address "0" serves none. Default 127.0.0.1:8080.
	Metrics Endpoint `json:"metrics"`
	// LeaderElection lets only one replica run the controllers.
	LeaderElection LeaderElection `json:"leaderElection"`
	// Keys says where the keys come from by which requests, votes and Records are sealed.
	Keys Keys `json:"keys"`
	// Audit says where the evidence log goes.
	Audit Audit `json:"audit"`
	// Retention says how long what is finished is kept.
	Retention Retention `json:"retention"`
	// Egress says which hosts the steps of Actions and the channels of Notifiers may call.
	Egress Egress `json:"egress"`
	// CatalogNamespaces are the namespaces in which Actions may be published. The operator's own can never be one of them: who
	// may create pods there is the operator. Empty: all others.
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
	// ExtraKeys are the keys of userInfo.extra that are stored. Others may hold ids of credentials and are not. Default: none.
	ExtraKeys []string `json:"extraKeys,omitempty"`
	// Agents are logins that count as agents: they may ask and never approve. Default: none but ServiceAccounts, which never
	// approve unless approvers.serviceAccounts names them. Users are compared loosely, also by person.expression.
	Agents Subjects `json:"agents"`
	// MaxOpen is how many requests of one person may wait or run at once, from 1 to 100000. Default 100. Ten
	// emergencies (breakGlass) of a person fit beside as many.
	MaxOpen int `json:"maxOpen"`
	// MaxDryRuns is how many dry runs of one person are judged at once, from 1 to 100000: so many of new requests, of votes, and of cancellations and
	// decisions about steps. A tenth of them comes back each second. Default 120.
	MaxDryRuns int `json:"maxDryRuns"`
}

// Subjects names logins.
type Subjects struct {
	// Users are user names, exactly as the API server authenticates them.
	Users []string `json:"users,omitempty"`
	// Groups are group names, exactly as the API server authenticates them.
	Groups []string `json:"groups,omitempty"`
	// ServiceAccounts are written as namespace/name.
	ServiceAccounts []string `json:"serviceAccounts,omitempty"`
}

// Approvers bounds who may approve at all.
type Approvers struct {
	// ServiceAccounts may approve where a stage names them too, written as namespace/name. No other may. Default: none.
	ServiceAccounts []string `json:"serviceAccounts,omitempty"`
}

// Operator says where and as whom the process runs.
type Operator struct {
	// Namespace is where Records and the Calendars of policies live. Default signoff-system.
	Namespace string `json:"namespace"`
	// ServiceAccount is the process's own; with two processes, that of the controllers. Default signoff.
	ServiceAccount string `json:"serviceAccount"`
	// AdmissionServiceAccount is that of the process that serves the webhooks, where it has one of its own. It never approves either.
	// Default: that of the controllers.
	AdmissionServiceAccount string `json:"admissionServiceAccount,omitempty"`
}

// Webhook says where admission webhooks are served.
type Webhook struct {
	// BindAddress is the IP address to listen on. Default: all.
	BindAddress string `json:"bindAddress,omitempty"`
	// Port is the port to listen on. Default 9443.
	Port int `json:"port"`
	// CertDir is the folder of tls.crt and tls.key, as an absolute path. Default /etc/signoff/tls.
	CertDir string `json:"certDir"`
	// ClientCAFile holds the authority that signs the client certificate of the API server. Whoever shows no certificate of
	// it is cut off. Relative to certDir. Default client-ca.crt.
	ClientCAFile string `json:"clientCAFile"`
	// Drain is how long the webhooks go on answering after the process was told to end, from 0s to 1m. Until then the API server learns that
	// others answer. Default 5s.
	Drain metav1.Duration `json:"drain"`
}

// Endpoint is an address to listen on.
type Endpoint struct {
	// BindAddress is an IP address and a port, or :port for all addresses.
	BindAddress string `json:"bindAddress"`
}

// LeaderElection lets only one replica run the controllers.
type LeaderElection struct {
	// Enabled turns it on. Default true.
	Enabled bool `json:"enabled"`
}

// Keys says where keys come from, and how long they are used.
type Keys struct {
	// AdmissionFile and ControllerFile are files with a private key each (PEM of PKCS#8, Ed25519), or folders with several, as absolute
	// paths. Default: none; the process makes its keys and keeps them in Secrets.
	AdmissionFile  string `json:"admissionFile,omitempty"`
	ControllerFile string `json:"controllerFile,omitempty"`
	// MaxAge is how old a key may become before it is replaced, such as "8760h". Default: as old as it likes.
	MaxAge metav1.Duration `json:"maxAge,omitzero"`
}

// Audit says where what happened is written, one line per fact.
type Audit struct {
	// Sinks are all that get every line. Default: the standard output. An empty list writes nothing.
	Sinks []AuditSink `json:"sinks"`
	// InputValues writes the values of inputs, and not only their names and their hash.
	InputValues bool `json:"inputValues"`
	// Checkpoints says how often all lines so far are signed.
	Checkpoints AuditCheckpoints `json:"checkpoints"`
}

// AuditSink is one place to which facts are written: exactly one of its fields is set. Each sink has a log of its own.
type AuditSink struct {
	// Stdout is the standard output of the process, which logs to the standard error.
	Stdout *AuditStdout `json:"stdout,omitempty"`
	// File is a file that the process appends to.
	File *AuditFile `json:"file,omitempty"`
	// HTTP is a receiver that lines are sent to.
	HTTP *AuditHTTP `json:"http,omitempty"`
}

// AuditStdout has no settings.
type AuditStdout struct{}

// AuditFile is a file that the process appends to.
type AuditFile struct {
	// Path is its absolute path. Only the replica that leads opens it.
	Path string `json:"path"`
}

// AuditHTTP is a receiver that lines are sent to.
type AuditHTTP struct {
	// URL is where lines are sent, with https; http is accepted on the loopback interface only.
	URL string `json:"url"`
	// CAFile has the authorities that sign the certificate of the receiver. Default: those of the system.
	CAFile string `json:"caFile,omitempty"`
	// HeadersFile has further headers, one "Name: value" per line. It is read for each request.
	HeadersFile string `json:"headersFile,omitempty"`
	// BearerTokenFile has a token for the header Authorization. It is read for each request.
	BearerTokenFile string `json:"bearerTokenFile,omitempty"`
	// OutboxDir is the folder in which lines wait until the receiver has them. No two sinks may share one.
	OutboxDir string `json:"outboxDir"`
	// OutboxMiB is how much may wait there, from 8 to 65536. Default 256.
	OutboxMiB int `json:"outboxMiB,omitempty"`
}

// AuditCheckpoints says how often all lines so far are signed.
type AuditCheckpoints struct {
	// Lines is after how many lines. Default 100.
	Lines int `json:"lines"`
	// Every is after which time, if there is anything to sign. Default 1m.
	Every metav1.Duration `json:"every"`
}

// Retention says how long what is finished is kept. Nothing is removed before the audit log has everything that it tells.
type Retention struct {
	// Details is how long finished requests show on what they were judged and each field of the plan, from 1m to 8760h. Default 24h.
	Details metav1.Duration `json:"details"`
	// Finished is how long requests are kept, with their Approvals, after they ended: at least 1h, or 0s for ever. Default 720h.
	Finished metav1.Duration `json:"finished"`
	// Records is how long Records are kept after their executions ended: at least 192h, and as long as requests, or 0s for ever. Default
	// 2160h.
	Records metav1.Duration `json:"records"`
}

// DefaultOutboxMiB is how much waits in an outbox that names no bound.
const DefaultOutboxMiB = 256

func defaultSinks() []AuditSink { return []AuditSink{{Stdout: &AuditStdout{}}} }

// Default gives the configuration of a file that says nothing but apiVersion and kind.
func Default() *Configuration {
	return &Configuration{
		TypeMeta:       metav1.TypeMeta{APIVersion: APIVersion, Kind: Kind},
		Requester:      Requester{MaxOpen: 100, MaxDryRuns: 120},
		Person:         Person{Expression: "user.username"},
		Operator:       Operator{Namespace: DefaultNamespace, ServiceAccount: DefaultServiceAccount},
		Webhook:        Webhook{Port: 9443, CertDir: "/etc/signoff/tls", ClientCAFile: "client-ca.crt", Drain: metav1.Duration{Duration: 5 * time.Second}},
		Health:         Endpoint{BindAddress: ":8081"},
		Metrics:        Endpoint{BindAddress: "127.0.0.1:8080"},
		LeaderElection: LeaderElection{Enabled: true},
		Audit:          Audit{Sinks: defaultSinks(), Checkpoints: AuditCheckpoints{Lines: 100, Every: metav1.Duration{Duration: time.Minute}}},
		Retention:      Retention{Details: metav1.Duration{Duration: 24 * time.Hour}, Finished: metav1.Duration{Duration: 720 * time.Hour}, Records: metav1.Duration{Duration: 2160 * time.Hour}},
		Workers:        8,
	}
}
