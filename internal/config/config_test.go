package config

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
)

const head = "apiVersion: config.signoff.dev/v1alpha1\nkind: Configuration\n"

func TestDefaultIsValid(t *testing.T) {
	if errs := Default().Validate(); len(errs) > 0 {
		t.Error(errs.ToAggregate())
	}
}

// TestExample shows that the documented file is accepted, says what the defaults are, and leaves out no field.
func TestExample(t *testing.T) {
	data, err := os.ReadFile("../../config/signoff/configuration.yaml")
	if err != nil {
		t.Fatal(err)
	}
	got, err := Load(data)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Default(), got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("the documented values are not the defaults (-default +file):\n%s", diff)
	}
	for _, name := range []string{
		"person", "expression", "requester", "extraKeys", "agents", "maxOpen", "maxDryRuns", "users", "groups", "approvers", "serviceAccounts", "operator",
		"namespace", "serviceAccount", "catalogNamespaces", "webhook", "bindAddress", "port", "certDir", "clientCAFile", "health",
		"metrics", "leaderElection", "enabled", "workers", "audit", "sinks", "inputValues", "checkpoints", "lines", "every",
		"retention", "details", "finished", "records", "egress", "hosts", "host", "ports", "networks", "plain",
	} {
		if !strings.Contains(string(data), "\n"+name+":") && !strings.Contains(string(data), " "+name+":") {
			t.Errorf("field %s is not documented", name)
		}
	}
}

func TestLoad(t *testing.T) {
	cases := map[string]struct {
		reason string
		data   string
		change func(*Configuration)
	}{
		"OnlyTheHead": {reason: "everything else has a default", data: head, change: func(*Configuration) {}},
		"JSON": {
			reason: "JSON is YAML", data: `{"apiVersion": "config.signoff.dev/v1alpha1", "kind": "Configuration", "workers": 3}`,
			change: func(c *Configuration) { c.Workers = 3 },
		},
		"ForEver": {
			reason: "nothing has to be removed", data: head + "retention: {finished: 0s, records: 0s}\n",
			change: func(c *Configuration) { c.Retention.Finished.Duration, c.Retention.Records.Duration = 0, 0 },
		},
		"NullIsUnset": {
			reason: "a field without a value keeps its default", data: head + "person:\nworkers:\noperator:\n  namespace:\n",
			change: func(*Configuration) {},
		},
		"NoSink": {
			reason: "an empty list is not a default: nothing is written", data: head + "audit: {sinks: []}\n",
			change: func(c *Configuration) { c.Audit.Sinks = []AuditSink{} },
		},
		"SinksUnset": {
			reason: "a section without sinks keeps the default", data: head + "audit: {inputValues: true, sinks: }\n",
			change: func(c *Configuration) { c.Audit.InputValues = true },
		},
		"OneOfASection": {
			reason: "the other fields of the section keep theirs", data: head + "webhook: {port: 8443}\nleaderElection: {enabled: false}\n",
			change: func(c *Configuration) { c.Webhook.Port, c.LeaderElection.Enabled = 8443, false },
		},
		"Everything": {
			reason: "every field is read",
			data: head + `
person: {expression: "user.username.split('@')[0]"}
requester:
  extraKeys: [example.org/employee]
  agents: {users: [ci], groups: [bots], serviceAccounts: [agents/scaler]}
  maxOpen: 100000
  maxDryRuns: 100000
approvers: {serviceAccounts: [checks/scanner]}
operator: {namespace: signoff, serviceAccount: signoff.operator}
catalogNamespaces: [platform]
webhook: {bindAddress: "::1", port: 1, certDir: /tls, clientCAFile: /ca/api-server.crt, drain: 1m}
health: {bindAddress: "[::]:1"}
metrics: {bindAddress: "0"}
leaderElection: {enabled: false}
audit:
  inputValues: true
  checkpoints: {lines: 10, every: 5s}
  sinks:
  - file: {path: /var/log/signoff/audit.jsonl}
  - http: {url: "https://audit.example.org/", caFile: /ca.crt, headersFile: /headers, bearerTokenFile: /token, outboxDir: /outbox, outboxMiB: 8}
workers: 64
`,
			change: func(c *Configuration) {
				c.Person.Expression = "user.username.split('@')[0]"
				c.Requester = Requester{
					ExtraKeys: []string{"example.org/employee"},
					Agents:    Subjects{Users: []string{"ci"}, Groups: []string{"bots"}, ServiceAccounts: []string{"agents/scaler"}},
					MaxOpen:   100_000, MaxDryRuns: 100_000,
				}
				c.Approvers.ServiceAccounts = []string{"checks/scanner"}
				c.Operator = Operator{Namespace: "signoff", ServiceAccount: "signoff.operator"}
				c.CatalogNamespaces = []string{"platform"}
				c.Webhook = Webhook{BindAddress: "::1", Port: 1, CertDir: "/tls", ClientCAFile: "/ca/api-server.crt", Drain: metav1.Duration{Duration: time.Minute}}
				c.Health.BindAddress, c.Metrics.BindAddress = "[::]:1", "0"
				c.LeaderElection.Enabled, c.Workers = false, 64
				c.Audit = Audit{InputValues: true, Checkpoints: AuditCheckpoints{Lines: 10, Every: metav1.Duration{Duration: 5 * time.Second}}, Sinks: []AuditSink{
					{File: &AuditFile{Path: "/var/log/signoff/audit.jsonl"}},
					{HTTP: &AuditHTTP{URL: "https://audit.example.org/", CAFile: "/ca.crt", HeadersFile: "/headers", BearerTokenFile: "/token", OutboxDir: "/outbox", OutboxMiB: 8}},
				}}
			},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			want := Default()
			tc.change(want)
			got, err := Load([]byte(tc.data))
			if err != nil {
				t.Fatalf("%s: %v", tc.reason, err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestLoadRefuses(t *testing.T) {
	cases := map[string]struct {
		reason string
		data   string
		want   []string
	}{
		"Empty": {
			reason: "a file that is not for us", data: "",
			want: []string{
				`apiVersion: Required value: "config.signoff.dev/v1alpha1" is accepted`, `kind: Required value: "Configuration" is accepted`,
			},
		},
		"AnotherVersion": {
			reason: "the head is compared exactly", data: "apiVersion: config.signoff.dev/v1\nkind: configuration\n",
			want: []string{
				`apiVersion: Unsupported value: "config.signoff.dev/v1": supported values: "config.signoff.dev/v1alpha1"`,
				`kind: Unsupported value: "configuration": supported values: "Configuration"`,
			},
		},
		"UnknownFields": {
			reason: "each with its path, and beside what else is wrong",
			data:   head + "webhok: {}\nworkers: 0\nwebhook: {clientCaFile: a, tls: b}\nrequester: {agents: {user: [a]}}\n",
			want: []string{
				`requester.agents.user: Forbidden: unknown field, did you mean "users"?`,
				`webhok: Forbidden: unknown field, did you mean "webhook"?`,
				`webhook.clientCaFile: Forbidden: unknown field, did you mean "clientCAFile"?`,
				`webhook.tls: Forbidden: unknown field`,
				`workers: Invalid value: 0: a number from 1 to 64 is accepted`,
			},
		},
		"EmptyInsteadOfUnset": {
			reason: "an empty text is not a default, above all not for who the caller is",
			data:   head + "person: {expression: ' '}\nwebhook: {clientCAFile: '', certDir: ''}\noperator: {namespace: ''}\nhealth: {bindAddress: ''}\n",
			want: []string{
				"person.expression: Required value: a CEL expression over user, such as user.username",
				`operator.namespace: Invalid value: "": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')`,
				`webhook.certDir: Invalid value: "": the absolute path of the folder of tls.crt and tls.key is accepted`,
				"webhook.clientCAFile: Required value: the authority that signs the client certificate of the API server: without it anybody could pose as the API server",
				`health.bindAddress: Invalid value: "": "address:port" with an IP address is accepted, such as "127.0.0.1:8080", or ":port" for all addresses`,
			},
		},
		"Retention": {
			reason: "people must have time to look, and rules look back at what was executed",
			data:   head + "retention: {details: 1s, finished: 1m, records: 24h}\n",
			want: []string{
				`retention.details: Invalid value: "1s": 1m0s to 8760h0m0s are accepted`,
				`retention.finished: Invalid value: "1m0s": at least 1h0m0s is accepted, or 0s: for ever`,
				`retention.records: Invalid value: "24h0m0s": at least 192h0m0s is accepted, because rules look back at what was executed, or 0s: for ever`,
			},
		},
		"RetentionOfRecords": {
			reason: "what a request rests on is not gone before it", data: head + "retention: {finished: 0s, records: 192h}\n",
			want: []string{`retention.records: Invalid value: "192h0m0s": Records are kept at least as long as requests (retention.finished)`},
		},
		"Egress": {
			reason: "what is called is compared exactly, so it is written exactly",
			data:   head + "egress: {hosts: [{host: Hooks.example.com}, {host: '*'}, {host: '*.com', ports: [0]}, {host: a.example.com, networks: [10.1.2.3/8]}, {host: '192.168.001.1'}, {}]}\n",
			want: []string{
				`egress.hosts[0].host: Invalid value: "Hooks.example.com": a name in lower case is accepted, "*.example.com" for all below it, or an IP address`,
				`egress.hosts[1].host: Invalid value: "*": a name in lower case is accepted, "*.example.com" for all below it, or an IP address`,
				`egress.hosts[2].host: Invalid value: "*.com": a name in lower case is accepted, "*.example.com" for all below it, or an IP address`,
				`egress.hosts[2].ports[0]: Invalid value: 0: must be between 1 and 65535, inclusive`,
				`egress.hosts[3].networks[0]: Invalid value: "10.1.2.3/8": a network is accepted, such as 10.1.0.0/16`,
				`egress.hosts[5].host: Invalid value: "": a name in lower case is accepted, "*.example.com" for all below it, or an IP address`,
			},
		},
		"LongExpression": {
			reason: "an expression has a bound", data: head + "person: {expression: " + strings.Repeat("a", 4097) + "}\n",
			want: []string{"person.expression: Too long: may not be more than 4096 bytes"},
		},
		"People": {
			reason: "names are compared exactly, so what can never match is refused",
			data: head + `
requester: {extraKeys: ["", a, a], agents: {users: [" bob", "system:serviceaccount:a:b"], groups: [""], serviceAccounts: [scaler, a/b]}}
approvers: {serviceAccounts: [a/b, A/b, a/b/c, signoff-system/signoff]}
`,
			want: []string{
				`requester.extraKeys[0]: Invalid value: "": a name is accepted, without blanks around it`,
				`requester.extraKeys[2]: Duplicate value: "a"`,
				`requester.agents.users[0]: Invalid value: " bob": a name is accepted, without blanks around it`,
				`requester.agents.users[1]: Invalid value: "system:serviceaccount:a:b": a ServiceAccount belongs in serviceAccounts, as "namespace/name"`,
				`requester.agents.groups[0]: Invalid value: "": a name is accepted, without blanks around it`,
				`requester.agents.serviceAccounts[0]: Invalid value: "scaler": a ServiceAccount is accepted as "namespace/name"`,
				`approvers.serviceAccounts[1]: Invalid value: "A/b": a ServiceAccount is accepted as "namespace/name"`,
				`approvers.serviceAccounts[2]: Invalid value: "a/b/c": a ServiceAccount is accepted as "namespace/name"`,
				`approvers.serviceAccounts[0]: Forbidden: a/b is one of requester.agents, and agents never approve`,
				`approvers.serviceAccounts[3]: Forbidden: signoff-system/signoff is the operator itself, which never approves`,
			},
		},
		"OperatorAsCatalog": {
			reason: "who publishes there could run as the operator", data: head + "catalogNamespaces: [platform, signoff-system, platform]\n",
			want: []string{
				`catalogNamespaces[2]: Duplicate value: "platform"`,
				"catalogNamespaces[1]: Forbidden: signoff-system is operator.namespace: publish Actions in a namespace of their own",
			},
		},
		"Addresses": {
			reason: "addresses are checked before anything listens",
			data:   head + "webhook: {bindAddress: localhost, port: 65536}\nhealth: {bindAddress: '0'}\nmetrics: {bindAddress: 'metrics:8080'}\nworkers: 65\nrequester: {maxOpen: 100001, maxDryRuns: -1}\n",
			want: []string{
				"requester.maxOpen: Invalid value: 100001: a number from 1 to 100000 is accepted",
				"requester.maxDryRuns: Invalid value: -1: a number from 1 to 100000 is accepted",
				`webhook.bindAddress: Invalid value: "localhost": an IP address is accepted, or "" for all`,
				"webhook.port: Invalid value: 65536: must be between 1 and 65535, inclusive",
				`health.bindAddress: Invalid value: "0": "address:port" with an IP address is accepted, such as "127.0.0.1:8080", or ":port" for all addresses`,
				`metrics.bindAddress: Invalid value: "metrics:8080": "address:port" with an IP address is accepted, such as "127.0.0.1:8080", or ":port" for all addresses`,
				"workers: Invalid value: 65: a number from 1 to 64 is accepted",
			},
		},
		"Audit": {
			reason: "evidence that goes nowhere, twice to one place, or past somebody who can read it, is a mistake",
			data: head + `
audit:
  checkpoints: {lines: 0, every: 1ms}
  sinks:
  - {}
  - {stdout: {}, file: {path: /a}}
  - file: {path: audit.jsonl}
  - file: {path: /a/../b}
  - file: {path: /b}
  - http: {url: "http://audit.example.org", outboxDir: out, outboxMiB: 1, caFile: ca}
  - http: {url: "https://user:word@audit.example.org", outboxDir: /c, outboxMib: 9}
  - http: {url: "http://127.0.0.1:80/", outboxDir: /c/}
`,
			want: []string{
				`audit.sinks[6].http.outboxMib: Forbidden: unknown field, did you mean "outboxMiB"?`,
				"audit.sinks[0]: Required value: exactly one of stdout, file and http is accepted",
				"audit.sinks[1]: Required value: exactly one of stdout, file and http is accepted",
				`audit.sinks[2].file.path: Invalid value: "audit.jsonl": an absolute path is accepted`,
				`audit.sinks[4].file.path: Duplicate value: "/b"`,
				`audit.sinks[5].http.url: Invalid value: "http://audit.example.org": https is accepted, and http on the loopback interface only`,
				`audit.sinks[5].http.caFile: Invalid value: "ca": an absolute path is accepted`,
				`audit.sinks[5].http.outboxDir: Invalid value: "out": an absolute path is accepted`,
				"audit.sinks[5].http.outboxMiB: Invalid value: 1: a number from 8 to 65536 is accepted",
				`audit.sinks[6].http.url: Invalid value: "https://user:xxxxx@audit.example.org": a URL is accepted, such as https://audit.example.org/signoff, without a user and without a fragment`,
				`audit.sinks[7].http.outboxDir: Duplicate value: "/c"`,
				"audit.checkpoints.lines: Invalid value: 0: a number from 1 to 10000 is accepted",
				`audit.checkpoints.every: Invalid value: "1ms": from 1s to 1h0m0s is accepted`,
			},
		},
		"TypeOfAText": {
			reason: "YAML reads 0 as a number", data: head + "metrics: {bindAddress: 0}\n",
			want: []string{`metrics.bindAddress: Invalid value: "number": a text is accepted, in quotes where it looks like a number or a truth value`},
		},
		"TypeOfANumber": {
			reason: "quotes make a text", data: head + "webhook: {port: '9443'}\n",
			want: []string{`webhook.port: Invalid value: "string": a whole number is accepted`},
		},
		"DrainTooLong": {
			reason: "a Pod is killed before that", data: head + "webhook: {drain: 2m}\n",
			want: []string{`webhook.drain: Invalid value: "2m0s": 0s to 1m0s is accepted`},
		},
		"TypeOfAList": {
			reason: "one is not a list of one", data: head + "catalogNamespaces: platform\n",
			want: []string{`catalogNamespaces: Invalid value: "string": a list is accepted`},
		},
		"TypeOfEverything": {
			reason: "a file is not a list", data: "[1]",
			want: []string{`configuration: Invalid value: "array": fields are accepted`},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, causes(t, tc.data)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// causes gives the single errors with which a file is refused.
func causes(t *testing.T, data string) []string {
	t.Helper()
	cfg, err := Load([]byte(data))
	if err == nil || cfg != nil {
		t.Fatalf("got %+v, want an error and nothing else", cfg)
	}
	var all utilerrors.Aggregate
	if !errors.As(err, &all) {
		t.Fatalf("%v is not a list of errors", err)
	}
	var texts []string
	for _, e := range all.Errors() {
		texts = append(texts, e.Error())
	}
	return texts
}

func TestLoadRefusesToRead(t *testing.T) {
	cases := map[string]struct {
		reason string
		data   string
		want   string
	}{
		"Twice": {
			reason: "which of two values would hold?", data: head + "workers: 1\nworkers: 2\n",
			want: `failed to read the configuration: failed to parse YAML: yaml: unmarshal errors:
  line 4: key "workers" already set in map`,
		},
		"TwoDocuments": {
			reason: "the second would be ignored", data: head + "---\n" + head,
			want: "failed to read the configuration: line 3 begins another YAML document: one document is accepted",
		},
		"NotYAML": {
			reason: "a parser's message is shown", data: "a: [",
			want: "failed to read the configuration: failed to parse YAML: yaml: line 1: did not find expected node content",
		},
		"TooLarge": {
			reason: "a file has a bound", data: head + strings.Repeat("#", maxSize),
			want: "failed to read the configuration: it has 1048636 bytes: at most 1048576 are accepted",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := Load([]byte(tc.data))
			if err == nil {
				t.Fatalf("%s: got no error", tc.reason)
			}
			if diff := cmp.Diff(tc.want, err.Error()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}
