package notify

import (
	"cmp"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/egress"
	"github.com/signoff-dev/signoff/internal/expression"
	"github.com/signoff-dev/signoff/internal/steps"
	"github.com/signoff-dev/signoff/internal/template"
)

// Notifier is one that compiles.
type Notifier struct {
	// Object is what was compiled.
	Object   *v1alpha1.Notifier
	channels map[string]*Channel
	routes   []route
}

// Channel is a way by which something is told.
type Channel struct {
	*v1alpha1.NotifierChannel

	address *template.Text
	body    *template.Object
	target  *url.URL
}

// route says what is told by which channels.
type route struct {
	*v1alpha1.NotifierRoute

	selector    labels.Selector
	title, text *template.Text
}

// Compile checks a Notifier and prepares it.
func Compile(object *v1alpha1.Notifier) (*Notifier, field.ErrorList) {
	compiler, err := expression.NewCompiler(expression.Notification, nil)
	if err != nil {
		return nil, field.ErrorList{field.InternalError(field.NewPath("spec"), err)}
	}
	b := &builder{compiler: compiler, out: &Notifier{Object: object, channels: map[string]*Channel{}}}
	for i := range object.Spec.Channels {
		b.channel(&object.Spec.Channels[i], field.NewPath("spec", "channels").Index(i))
	}
	used := map[string]bool{}
	for i := range object.Spec.Routes {
		b.route(&object.Spec.Routes[i], field.NewPath("spec", "routes").Index(i), used)
	}
	for i := range object.Spec.Channels {
		if name := object.Spec.Channels[i].Name; !used[name] {
			b.refuse(field.Invalid(field.NewPath("spec", "channels").Index(i).Child("name"), name, "no route names this channel, so that nothing goes by it"))
		}
	}
	if b.secret != nil && object.Spec.ServiceAccountName == "" {
		b.refuse(field.Required(field.NewPath("spec", "serviceAccountName"), fmt.Sprintf("%s names a Secret, which is read as a ServiceAccount of this namespace", b.secret)))
	}
	if len(b.errs) > 0 {
		return nil, b.errs
	}
	return b.out, nil
}

type builder struct {
	compiler *expression.Compiler
	out      *Notifier
	errs     field.ErrorList
	// secret is where the first Secret is named.
	secret *field.Path
}

func (b *builder) refuse(err *field.Error) { b.errs = append(b.errs, err) }

func (b *builder) usesSecret(path *field.Path) {
	if b.secret == nil {
		b.secret = path
	}
}

func (b *builder) channel(c *v1alpha1.NotifierChannel, path *field.Path) {
	out := &Channel{NotifierChannel: c}
	b.out.channels[c.Name] = out
	switch {
	case c.Slack != nil:
		b.chat(c.Slack, path.Child("slack"))
	case c.Teams != nil:
		b.chat(c.Teams, path.Child("teams"))
	case c.Email != nil:
		b.email(out, path.Child("email"))
	case c.CloudEvents != nil:
		out.target = b.http(c.CloudEvents, path.Child("cloudEvents"))
	case c.Webhook != nil:
		out.target = b.http(&c.Webhook.HTTPChannel, path.Child("webhook"))
		b.body(out, path.Child("webhook"))
	default:
		b.refuse(field.Required(path, "exactly one of slack, teams, email, cloudEvents and webhook is needed"))
	}
}

func (b *builder) chat(c *v1alpha1.ChatChannel, path *field.Path) {
	b.usesSecret(path.Child("urlSecret"))
	b.authorities(c.CABundle, path)
}

func (b *builder) authorities(bundle string, path *field.Path) {
	if bundle != "" && !x509.NewCertPool().AppendCertsFromPEM([]byte(bundle)) {
		b.refuse(field.Invalid(path.Child("caBundle"), "…", "holds no certificate, as PEM"))
	}
}

func (b *builder) email(out *Channel, path *field.Path) {
	e := out.Email
	b.authorities(e.CABundle, path)
	if e.PasswordSecret != nil {
		b.usesSecret(path.Child("passwordSecret"))
		if e.Security == v1alpha1.MailPlain {
			b.refuse(field.Forbidden(path.Child("passwordSecret"), "a password is never sent without TLS: set security to StartTLS or TLS"))
		}
	}
	out.address = b.text(cmp.Or(e.Address, ownAddress), path.Child("address"))
}

func (b *builder) http(c *v1alpha1.HTTPChannel, path *field.Path) *url.URL {
	b.authorities(c.CABundle, path)
	if c.Sign != nil {
		b.usesSecret(path.Child("sign"))
	}
	for i := range c.Headers {
		at := path.Child("headers").Index(i)
		if steps.RepeatsHeader(c.Headers, i) {
			b.refuse(field.Duplicate(at.Child("name"), c.Headers[i].Name))
		}
		b.header(&c.Headers[i], at)
	}
	if (c.URL == "") == (c.URLSecret == nil) {
		b.refuse(field.Required(path, "exactly one of url and urlSecret is needed"))
		return nil
	}
	if c.URLSecret != nil {
		b.usesSecret(path.Child("urlSecret"))
		return nil
	}
	target, err := url.Parse(c.URL)
	if err != nil || target.Host == "" || target.User != nil || steps.Origin(c.URL) == "" || strings.Contains(c.URL, "${") {
		b.refuse(field.Invalid(path.Child("url"), c.URL, "must be such as https://events.example.com/path, without a login and without templates"))
		return nil
	}
	return target
}

func (b *builder) header(h *v1alpha1.HTTPHeader, path *field.Path) {
	if steps.OwnHeader(h.Name) {
		b.refuse(field.Forbidden(path.Child("name"), fmt.Sprintf("Signoff sets %s itself", h.Name)))
	}
	if strings.Contains(h.Value, "${") || strings.ContainsAny(h.Value+h.Prefix, "\r\n") {
		b.refuse(field.Invalid(path.Child("value"), h.Value, "must be one line without templates"))
	}
	if h.Secret != nil {
		b.usesSecret(path.Child("secret"))
	}
}

func (b *builder) body(out *Channel, path *field.Path) {
	var value any
	if err := json.Unmarshal(out.Webhook.Body.Raw, &value); err != nil {
		b.refuse(field.Invalid(path.Child("body"), "…", "must be an object: "+err.Error()))
		return
	}
	body, errs := template.ParseObject(value, b.compiler, path.Child("body"))
	b.errs = append(b.errs, errs...)
	out.body = body
	members, _ := value.(map[string]any)
	for i := range out.Webhook.BodySecrets {
		b.bodySecret(&out.Webhook.BodySecrets[i], members, path.Child("bodySecrets").Index(i))
	}
}

func (b *builder) bodySecret(s *v1alpha1.BodySecret, members map[string]any, path *field.Path) {
	b.usesSecret(path.Child("secret"))
	if _, twice := members[s.Field]; twice {
		b.refuse(field.Invalid(path.Child("field"), s.Field, "body has this member, too: name it once"))
	}
}

func (b *builder) text(source string, path *field.Path) *template.Text {
	if source == "" {
		return nil
	}
	text, err := template.Parse(source, b.compiler)
	if err != nil {
		b.refuse(field.Invalid(path, source, err.Error()))
	}
	return text
}

func (b *builder) route(r *v1alpha1.NotifierRoute, path *field.Path, used map[string]bool) {
	out := route{NotifierRoute: r}
	if r.Actions != nil && r.Actions.Selector != nil {
		selector, err := r.Actions.Selector.AsSelector()
		if err != nil {
			b.refuse(field.Invalid(path.Child("actions", "selector"), "…", err.Error()))
		}
		out.selector = selector
	}
	for i := range r.To {
		used[r.To[i].Channel] = true
		b.to(&r.To[i], path.Child("to").Index(i))
	}
	if m := r.Message; m != nil {
		out.title, out.text = b.text(m.Title, path.Child("message", "title")), b.text(m.Text, path.Child("message", "text"))
	}
	b.out.routes = append(b.out.routes, out)
}

func (b *builder) to(t *v1alpha1.NotifierTarget, path *field.Path) {
	channel, ok := b.out.channels[t.Channel]
	switch {
	case !ok:
		b.refuse(field.NotSupported(path.Child("channel"), t.Channel, b.names()))
	case (channel.Slack != nil || channel.Teams != nil) && len(t.Recipients) > 0:
		b.refuse(field.Forbidden(path.Child("recipients"), fmt.Sprintf("the address of channel %s leads to one place; people are written to one by one by email, webhook and cloudEvents", t.Channel)))
	case channel.Email != nil && len(t.Recipients) == 0 && len(channel.Email.To) == 0:
		b.refuse(field.Required(path.Child("recipients"), fmt.Sprintf("channel %s has no addresses in to, so say who is written to", t.Channel)))
	}
}

// ownAddress is the address of a person where the channel does not say how it is made: the user name, where that is one. It is what such a channel has
// always meant, so that what is stored goes on.
const ownAddress = "${recipient.username.contains('@') ? recipient.username : ''}"

// Warnings say what compiles and may not be meant: whoever writes to people by their user names reaches nobody where those are no addresses, and nor does
// whoever writes to approvers before there are any.
func (n *Notifier) Warnings() []string {
	var out []string
	for i := range n.routes {
		if r := &n.routes[i]; slices.Contains(r.Events, v1alpha1.EventRequested) && slices.ContainsFunc(r.To, toApprovers) {
			out = append(out, fmt.Sprintf("spec.routes[%d]: nobody is asked yet when something is Requested, so Approvers are not told of it. They are of ApprovalNeeded.", i))
		}
	}
	for i := range n.Object.Spec.Channels {
		c := &n.Object.Spec.Channels[i]
		if c.Email == nil || c.Email.Address != "" || !n.toPeople(c.Name) {
			continue
		}
		out = append(out, fmt.Sprintf("channel %s has no address: of its recipients, only Teams with contact.email and people whose user name is an e-mail address get mail. "+
			"For others write address, such as ${recipient.username}@example.org.", c.Name))
	}
	return out
}

func toApprovers(t v1alpha1.NotifierTarget) bool {
	return slices.Contains(t.Recipients, v1alpha1.RecipientApprovers)
}

// toPeople tells whether a route writes to people one by one by a channel.
func (n *Notifier) toPeople(channel string) bool {
	return slices.ContainsFunc(n.routes, func(r route) bool {
		return slices.ContainsFunc(r.To, func(t v1alpha1.NotifierTarget) bool { return t.Channel == channel && len(t.Recipients) > 0 })
	})
}

func (b *builder) names() []string {
	var names []string
	for i := range b.out.Object.Spec.Channels {
		names = append(names, b.out.Object.Spec.Channels[i].Name)
	}
	return names
}

// NotAllowed says which channels can deliver nothing, because what they call is not allowed. Of an address that is a secret nobody knows it before
// something is sent.
func (n *Notifier) NotAllowed(allowed *egress.Policy) []string {
	var out []string
	for i := range n.Object.Spec.Channels {
		c := n.channels[n.Object.Spec.Channels[i].Name]
		if err := c.mayCall(allowed); err != nil {
			out = append(out, fmt.Sprintf("nothing goes by channel %s: %v", c.Name, err))
		}
	}
	return out
}

func (c *Channel) mayCall(allowed *egress.Policy) error {
	if c.Email != nil {
		return allowed.CheckServer(c.Email.Host, uint16(c.Email.Port), c.Email.Security != v1alpha1.MailPlain) //nolint:gosec // the schema bounds it
	}
	if c.target != nil {
		return allowed.Check(c.target)
	}
	return nil
}

// fits tells whether a route tells an event. Labels are those of the Action.
func (r *route) fits(e *Event, of map[string]string) bool {
	if !slices.Contains(r.Events, e.Type) {
		return false
	}
	if len(r.Stages) > 0 && (e.Approval == nil || !slices.Contains(r.Stages, e.Approval.Spec.Stage.Name)) {
		return false
	}
	a := r.Actions
	if a == nil {
		return true
	}
	ref := e.Request.Spec.ActionRef
	return (len(a.Namespaces) == 0 || slices.Contains(a.Namespaces, ref.Namespace)) &&
		(len(a.Names) == 0 || slices.Contains(a.Names, ref.Name)) && (r.selector == nil || r.selector.Matches(labels.Set(of)))
}
