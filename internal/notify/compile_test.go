package notify

import (
	"strings"
	"testing"
)

const (
	allTo    = "routes: [{events: [Requested], to: [{channel: c}]}]\n"
	hook     = "{name: c, cloudEvents: {url: 'https://events.example.com/x'}}"
	mailHost = "host: mail.example.org, port: 587, from: a@example.org, "
)

func TestCompile(t *testing.T) {
	cases := map[string]struct {
		reason, spec string
		// want is a part of each error. Empty: it compiles.
		want []string
	}{
		"Plain": {"a host and a route are enough", "channels: [" + hook + "]\n" + allTo, nil},
		"Templates": {"texts may read what they are about", "channels: [" + hook + `]
routes:
- events: [Requested]
  to: [{channel: c}]
  message: {title: "${event.title} ${request.name} ${inputs.level} ${action.labels['kind']}", text: "${requester.username} ${recipient.username} ${event.command}"}
`, nil},
		"UnknownField": {"a misspelt field is found before it is needed", "channels: [" + hook + `]
routes: [{events: [Requested], to: [{channel: c}], message: {text: "${request.nam}"}}]
`, []string{`spec.routes[0].message.text: Invalid value: "${request.nam}": line 1, column 11: undefined field 'nam' (did you mean "name"?)`}},
		"Time":          {"a message knows no other time than that of its event", "channels: [" + hook + "]\nroutes: [{events: [Requested], to: [{channel: c}], message: {text: '${now}'}}]\n", []string{"spec.routes[0].message.text: Invalid value"}},
		"Unterminated":  {"a template ends", "channels: [" + hook + "]\nroutes: [{events: [Requested], to: [{channel: c}], message: {title: '${event.title'}}]\n", []string{"spec.routes[0].message.title: Invalid value"}},
		"NoChannel":     {"a route names channels that there are", "channels: [" + hook + "]\nroutes: [{events: [Requested], to: [{channel: d}, {channel: c}]}]\n", []string{`spec.routes[0].to[0].channel: Unsupported value: "d": supported values: "c"`}},
		"Unused":        {"a channel that no route names is a mistake", "channels: [" + hook + ", {name: d, cloudEvents: {url: 'https://x.example.com'}}]\n" + allTo, []string{"spec.channels[1].name: Invalid value: \"d\": no route names this channel"}},
		"NoAccount":     {"somebody must read the Secret", "channels: [{name: c, slack: {urlSecret: {name: s, key: url}}}]\n" + allTo, []string{"spec.serviceAccountName: Required value: spec.channels[0].slack.urlSecret names a Secret"}},
		"Slack":         {"the address is the secret", "serviceAccountName: teller\nchannels: [{name: c, slack: {urlSecret: {name: s, key: url}}}]\n" + allTo, nil},
		"SecretBody":    {"a body goes to a secret address, too", "serviceAccountName: teller\nchannels: [{name: c, webhook: {urlSecret: {name: s, key: url}, body: {text: '${event.title}'}}}]\n" + allTo, nil},
		"SecretEvents":  {"and so do events", "serviceAccountName: teller\nchannels: [{name: c, cloudEvents: {urlSecret: {name: s, key: url}}}]\n" + allTo, nil},
		"SecretAccount": {"which somebody reads", "channels: [{name: c, cloudEvents: {urlSecret: {name: s, key: url}}}]\n" + allTo, []string{"spec.serviceAccountName: Required value: spec.channels[0].cloudEvents.urlSecret names a Secret"}},
		"TwoAddresses":  {"there is one address", "serviceAccountName: teller\nchannels: [{name: c, cloudEvents: {url: 'https://x.example.com', urlSecret: {name: s, key: url}}}]\n" + allTo, []string{"spec.channels[0].cloudEvents: Required value: exactly one of url and urlSecret"}},
		"NoAddress":     {"and there is one", "channels: [{name: c, webhook: {body: {}}}]\n" + allTo, []string{"spec.channels[0].webhook: Required value: exactly one of url and urlSecret"}},
		"Login":         {"a login in a URL would be seen by all", "channels: [{name: c, cloudEvents: {url: 'https://u:p@x.example.com/'}}]\n" + allTo, []string{"spec.channels[0].cloudEvents.url: Invalid value"}},
		"HostTemplate":  {"nobody but its author says where it goes", "channels: [{name: c, cloudEvents: {url: 'https://${inputs.host}/'}}]\n" + allTo, []string{"spec.channels[0].cloudEvents.url: Invalid value"}},
		"PathTemplate":  {"nor in the path", "channels: [{name: c, cloudEvents: {url: 'https://x.example.com/${inputs.host}'}}]\n" + allTo, []string{"spec.channels[0].cloudEvents.url: Invalid value"}},
		"SameHeader":    {"only the last one would be sent", "channels: [{name: c, cloudEvents: {url: 'https://x.example.com', headers: [{name: X-Team, value: a}, {name: x-team, value: b}]}}]\n" + allTo, []string{"spec.channels[0].cloudEvents.headers[1].name: Duplicate value: \"x-team\""}},
		"OwnHeader":     {"what Signoff sets, it sets itself", "channels: [{name: c, cloudEvents: {url: 'https://x.example.com', headers: [{name: idempotency-key, value: a}]}}]\n" + allTo, []string{"spec.channels[0].cloudEvents.headers[0].name: Forbidden: Signoff sets idempotency-key itself"}},
		"HeaderLines":   {"a header is one line", "channels: [{name: c, cloudEvents: {url: 'https://x.example.com', headers: [{name: X, value: \"a\\nb\"}]}}]\n" + allTo, []string{"spec.channels[0].cloudEvents.headers[0].value: Invalid value"}},
		"HeaderSecret":  {"a Secret in a header takes an account, too", "channels: [{name: c, cloudEvents: {url: 'https://x.example.com', headers: [{name: X, secret: {name: s, key: k}}]}}]\n" + allTo, []string{"spec.serviceAccountName: Required value: spec.channels[0].cloudEvents.headers[0].secret"}},
		"Authority":     {"an authority is a certificate", "channels: [{name: c, cloudEvents: {url: 'https://x.example.com', caBundle: no}}]\n" + allTo, []string{"spec.channels[0].cloudEvents.caBundle: Invalid value"}},
		"Body":          {"a body of one's own", "channels: [{name: c, webhook: {url: 'https://x.example.com', body: {text: '${event.title}'}}}]\n" + allTo, nil},
		"BodyTemplate":  {"its templates compile", "channels: [{name: c, webhook: {url: 'https://x.example.com', body: {a: [{b: '${nothing}'}]}}}]\n" + allTo, []string{"spec.channels[0].webhook.body.a[0].b: Invalid value"}},
		"BodySecret":    {"a key in the body is read by somebody", "channels: [{name: c, webhook: {url: 'https://x.example.com', body: {text: a}, bodySecrets: [{field: key, secret: {name: s, key: k}}]}}]\n" + allTo, []string{"spec.serviceAccountName: Required value: spec.channels[0].webhook.bodySecrets[0].secret names a Secret"}},
		"BodyTwice":     {"and nobody guesses which of two is sent", "serviceAccountName: teller\nchannels: [{name: c, webhook: {url: 'https://x.example.com', body: {key: a}, bodySecrets: [{field: key, secret: {name: s, key: k}}]}}]\n" + allTo, []string{"spec.channels[0].webhook.bodySecrets[0].field: Invalid value: \"key\": body has this member, too"}},
		"Recipients":    {"an event goes to each person, too", "channels: [" + hook + "]\nroutes: [{events: [Requested], to: [{channel: c, recipients: [Requester]}]}]\n", nil},
		"HookPeople":    {"and so does a body", "channels: [{name: c, webhook: {url: 'https://x.example.com', body: {to: '${recipient.username}'}}}]\nroutes: [{events: [Requested], to: [{channel: c, recipients: [Requester, Approvers]}]}]\n", nil},
		"SlackPeople":   {"the address of a chat leads to one place", "serviceAccountName: teller\nchannels: [{name: c, slack: {urlSecret: {name: s, key: url}}}]\nroutes: [{events: [Requested], to: [{channel: c, recipients: [Requester]}]}]\n", []string{"spec.routes[0].to[0].recipients: Forbidden"}},
		"TeamsPeople":   {"also one of Teams", "serviceAccountName: teller\nchannels: [{name: c, teams: {urlSecret: {name: s, key: url}}}]\nroutes: [{events: [Requested], to: [{channel: c, recipients: [Approvers]}]}]\n", []string{"spec.routes[0].to[0].recipients: Forbidden"}},
		"Mail":          {"to an address", "channels: [{name: c, email: {" + mailHost + "to: [b@example.org]}}]\n" + allTo, nil},
		"MailPeople":    {"to people", "channels: [{name: c, email: {" + mailHost + "address: '${recipient.username}@example.org'}}]\nroutes: [{events: [Requested], to: [{channel: c, recipients: [Requester, Approvers]}]}]\n", nil},
		"MailUnknown":   {"user names may be addresses", "channels: [{name: c, email: {" + mailHost + "to: [b@example.org]}}]\nroutes: [{events: [Requested], to: [{channel: c}, {channel: c, recipients: [Requester]}]}]\n", nil},
		"MailNobody":    {"mail goes to somebody", "channels: [{name: c, email: {" + mailHost + "address: '${recipient.username}@example.org'}}]\n" + allTo, []string{"spec.routes[0].to[0].recipients: Required value"}},
		"MailNames":     {"nothing is needed but people whose user names are addresses", "channels: [{name: c, email: {" + mailHost + "}}]\nroutes: [{events: [Requested], to: [{channel: c, recipients: [Requester]}]}]\n", nil},
		"MailNoNames":   {"and then people are needed", "channels: [{name: c, email: {" + mailHost + "}}]\n" + allTo, []string{"spec.routes[0].to[0].recipients: Required value"}},
		"MailAddress":   {"an address compiles", "channels: [{name: c, email: {" + mailHost + "address: '${recipient.name}'}}]\nroutes: [{events: [Requested], to: [{channel: c, recipients: [Requester]}]}]\n", []string{"spec.channels[0].email.address: Invalid value"}},
		"PlainPassword": {"a password is never sent in the open", "serviceAccountName: teller\nchannels: [{name: c, email: {" + mailHost + "security: None, username: u, passwordSecret: {name: s, key: k}, to: [b@example.org]}}]\n" + allTo, []string{"spec.channels[0].email.passwordSecret: Forbidden"}},
		"Several":       {"everything that is wrong is said at once", "channels: [" + hook + "]\nroutes: [{events: [Requested], to: [{channel: d}]}]\n", []string{"spec.routes[0].to[0].channel", "spec.channels[0].name"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, errs := Compile(notifierOf(t, tc.spec))
			if len(errs) != len(tc.want) {
				t.Fatalf("%s: %v", tc.reason, errs)
			}
			for i, want := range tc.want {
				if !strings.Contains(errs[i].Error(), want) {
					t.Errorf("%s: %q does not say %q", tc.reason, errs[i], want)
				}
			}
		})
	}
}

// TestWarnings: whoever writes to people without saying their addresses is told whom that reaches, in what the API server lets pass.
func TestWarnings(t *testing.T) {
	people := "routes: [{events: [Requested], to: [{channel: c, recipients: [Requester]}]}]\n"
	cases := map[string]struct {
		reason, spec string
		want         string
	}{
		"Names":   {"user names may be no addresses", "channels: [{name: c, email: {" + mailHost + "to: [b@example.org]}}]\n" + people, "channel c has no address: "},
		"Address": {"the author says which they are", "channels: [{name: c, email: {" + mailHost + "address: '${recipient.username}@example.org'}}]\n" + people, ""},
		"To":      {"nobody is written to by name", "channels: [{name: c, email: {" + mailHost + "to: [b@example.org]}}]\n" + allTo, ""},
		"Hook":    {"calls need no addresses", "channels: [" + hook + "]\n" + people, ""},
		"Early":   {"nobody is asked yet", "channels: [" + hook + "]\nroutes: [{events: [Voted, Requested], to: [{channel: c, recipients: [Approvers]}]}]\n", "spec.routes[0]: nobody is asked yet"},
		"Ends":    {"later people were", "channels: [" + hook + "]\nroutes: [{events: [Voted, Denied], to: [{channel: c, recipients: [Approvers]}]}]\n", ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := compiled(t, tc.spec).Warnings()
			if tc.want == "" && len(got) > 0 || tc.want != "" && (len(got) != 1 || !strings.HasPrefix(got[0], tc.want) || len(got[0]) > 255) {
				t.Errorf("%s: %q", tc.reason, got)
			}
		})
	}
}
