package schema

import "testing"

func TestNotifier(t *testing.T) { run(t, "notifier", notifierCases()) }

func notifierCases() map[string]schemaCase {
	channel := func(text string) string { return "spec: {channels: [{name: c, " + text + "}]}" }
	mail := func(text string) string {
		return channel("email: {host: smtp.example.org, from: a@b.c, " + text + "}")
	}
	return map[string]schemaCase{
		"Full":         {reason: "every property together is a good Notifier"},
		"NoChannels":   {reason: "a Notifier without channels tells nobody", change: "spec: {channels: []}", want: "spec.channels: Invalid value"},
		"NoRoutes":     {reason: "a Notifier without routes tells nothing", change: "spec: {routes: []}", want: "spec.routes: Invalid value"},
		"Neither":      {reason: "a channel is some way", change: "spec: {channels: [{name: c}]}", want: "exactly one of the fields in [slack teams email cloudEvents webhook] must be set"},
		"Both":         {reason: "a channel is one way", change: channel("slack: {urlSecret: {name: a, key: b}}, teams: {urlSecret: {name: a, key: b}}"), want: "exactly one of the fields in [slack teams email cloudEvents webhook] must be set"},
		"SameName":     {reason: "routes name channels", change: "spec: {channels: [{name: c, cloudEvents: {url: 'https://a.b'}}, {name: c, cloudEvents: {url: 'https://a.b'}}]}", want: "spec.channels[1]: Duplicate value"},
		"BadName":      {reason: "names of channels are short words", change: "spec: {channels: [{name: A b, cloudEvents: {url: 'https://a.b'}}]}", want: "spec.channels[0].name: Invalid value"},
		"Scheme":       {reason: "events go over HTTP", change: channel("cloudEvents: {url: 'ftp://a.b'}"), want: "spec.channels[0].cloudEvents.url: Invalid value"},
		"HostTemplate": {reason: "a host is literal", change: channel("cloudEvents: {url: 'https://${x}'}"), want: "spec.channels[0].cloudEvents.url: Invalid value"},
		"NoBody":       {reason: "a webhook sends a body of one's own", change: channel("webhook: {url: 'https://a.b'}"), want: "spec.channels[0].webhook.body: Required value"},
		"NoURL":        {reason: "events go somewhere", change: channel("cloudEvents: {}"), want: "exactly one of the fields in [url urlSecret] must be set"},
		"TwoURLs":      {reason: "and to one place", change: channel("cloudEvents: {url: 'https://a.b', urlSecret: {name: a, key: b}}"), want: "exactly one of the fields in [url urlSecret] must be set"},
		"HookNoURL":    {reason: "a webhook is somewhere", change: channel("webhook: {body: {}}"), want: "exactly one of the fields in [url urlSecret] must be set"},
		"HookTwoURLs":  {reason: "and in one place", change: channel("webhook: {url: 'https://a.b', urlSecret: {name: a, key: b}, body: {}}"), want: "exactly one of the fields in [url urlSecret] must be set"},
		"BodyField":    {reason: "a member of a body has a name", change: channel("webhook: {url: 'https://a.b', body: {}, bodySecrets: [{field: 'a b', secret: {name: a, key: b}}]}"), want: "spec.channels[0].webhook.bodySecrets[0].field: Invalid value"},
		"BodyTwice":    {reason: "and one value", change: channel("webhook: {url: 'https://a.b', body: {}, bodySecrets: [{field: a, secret: {name: a, key: b}}, {field: a, secret: {name: c, key: d}}]}"), want: "spec.channels[0].webhook.bodySecrets[1]: Duplicate value"},
		"BodyType":     {reason: "there are two forms", change: channel("webhook: {url: 'https://a.b', body: {}, contentType: XML}"), want: `Unsupported value: "XML"`},
		"HeaderBoth":   {reason: "a header has one value", change: channel("cloudEvents: {url: 'https://a.b', headers: [{name: X, value: a, secret: {name: a, key: b}}]}"), want: "exactly one of the fields in [value secret] must be set"},
		"EventPrefix":  {reason: "a prefix stands before a secret", change: channel("cloudEvents: {url: 'https://a.b', headers: [{name: X, value: a, prefix: b}]}"), want: "prefix stands before a secret"},
		"HookPrefix":   {reason: "a prefix stands before a secret", change: channel("webhook: {url: 'https://a.b', body: {}, headers: [{name: X, value: a, prefix: b}]}"), want: "prefix stands before a secret"},
		"MailNames":    {reason: "user names may be addresses; whether a route then names people is not seen here", change: mail("")},
		"MailTo":       {reason: "addresses are enough", change: mail("to: [d@e.f]")},
		"MailPeople":   {reason: "so is what makes addresses of people", change: mail("address: '${recipient.username}@b.c'")},
		"MailLogin":    {reason: "a login has two parts", change: mail("to: [d@e.f], username: u"), want: "username and passwordSecret belong together"},
		"MailSecurity": {reason: "there are three ways", change: mail("to: [d@e.f], security: SSL"), want: `Unsupported value: "SSL"`},
		"MailPort":     {reason: "a port is a number", change: mail("to: [d@e.f], port: 70000"), want: "spec.channels[0].email.port: Invalid value"},
		"MailAddress":  {reason: "an address has a host", change: mail("to: [owners]"), want: "spec.channels[0].email.to[0]: Invalid value"},
		"MailInject":   {reason: "an address is one word", change: mail(`to: ["a@b\nBcc: c@d"]`), want: "spec.channels[0].email.to[0]: Invalid value"},
		"UnknownEvent": {reason: "events have names", change: "spec: {routes: [{events: [Sneezed], to: [{channel: bus}]}]}", want: `Unsupported value: "Sneezed"`},
		"NoEvents":     {reason: "a route tells something", change: "spec: {routes: [{events: [], to: [{channel: bus}]}]}", want: "spec.routes[0].events: Invalid value"},
		"NobodyTold":   {reason: "a route tells somebody", change: "spec: {routes: [{events: [Voted], to: []}]}", want: "spec.routes[0].to: Invalid value"},
		"ToTwice":      {reason: "one channel, one entry", change: "spec: {routes: [{events: [Voted], to: [{channel: bus}, {channel: bus}]}]}", want: "spec.routes[0].to[1]: Duplicate value"},
		"Recipients":   {reason: "there are two sorts of people", change: "spec: {routes: [{events: [Voted], to: [{channel: mail, recipients: [Everybody]}]}]}", want: `Unsupported value: "Everybody"`},
		"EmptyActions": {reason: "what is empty could mean everything or nothing", change: "spec: {routes: [{events: [Voted], actions: {}, to: [{channel: bus}]}]}", want: "actions is empty"},
		"NoSpec":       {reason: "a Notifier without spec says nothing", change: "spec: null", want: "spec: Required value"},
	}
}
