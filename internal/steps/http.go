package steps

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/expression"
	"github.com/signoff-dev/signoff/internal/template"
	"github.com/signoff-dev/signoff/internal/visible"
)

// The variables of the templates of URLs beyond those of all templates.
const (
	varResponse = "response"
	varKey      = "idempotencyKey"
)

// HeaderIdempotencyKey is the header by which a host tells a call that is sent again from another one.
const HeaderIdempotencyKey = "Idempotency-Key"

// methods are what a call may ask for, and safe those that change nothing.
var (
	methods = []v1alpha1.HTTPMethod{v1alpha1.HTTPDelete, v1alpha1.HTTPGet, v1alpha1.HTTPHead, v1alpha1.HTTPPatch, v1alpha1.HTTPPost, v1alpha1.HTTPPut}
	safe    = []v1alpha1.HTTPMethod{v1alpha1.HTTPGet, v1alpha1.HTTPHead}
)

// httpWriter makes a call.
type httpWriter struct {
	source  *v1alpha1.HTTPStep
	url     *template.Text
	headers []*template.Text
	body    *body
	text    *template.Text
	poll    *template.Text
	lookup  *template.Text
}

func (b *builder) http(s *v1alpha1.HTTPStep, path *field.Path) writer {
	out := &httpWriter{source: s}
	if !slices.Contains(methods, s.Method) {
		b.refuse(field.NotSupported(path.Child("method"), s.Method, methods))
	}
	out.url = b.url(s.URL, b.values, path.Child("url"))
	if out.url != nil {
		b.late(out.url, path.Child("url"))
	}
	for i := range s.Headers {
		at := path.Child("headers").Index(i)
		if RepeatsHeader(s.Headers, i) {
			b.refuse(field.Duplicate(at.Child("name"), s.Headers[i].Name))
		}
		out.headers = append(out.headers, b.header(&s.Headers[i], at))
	}
	b.content(s, out, path)
	b.aboutResponse(s.Success, path.Child("success"))
	b.asking(s, out, path)
	return out
}

func (b *builder) content(s *v1alpha1.HTTPStep, out *httpWriter, path *field.Path) {
	carries := s.Body != nil || s.Text != ""
	switch {
	case s.Body != nil && s.Text != "":
		b.refuse(field.Forbidden(path.Child("text"), "body is sent as JSON and text as it is: set one of them"))
	case carries && slices.Contains(safe, s.Method):
		b.refuse(field.Forbidden(path, fmt.Sprintf("a %s carries nothing: leave body and text out, or use POST", s.Method)))
	}
	if s.Body != nil {
		if object, ok := b.decode(s.Body, path.Child("body")); ok {
			out.body = b.body(object, path.Child("body"))
		}
	}
	out.text = b.text(s.Text, path.Child("text"))
}

// asking compiles what is asked after a call.
func (b *builder) asking(s *v1alpha1.HTTPStep, out *httpWriter, path *field.Path) {
	if s.Poll != nil {
		at := path.Child("poll")
		out.poll = b.urlWith(s.Poll.URL, s.URL, varResponse, at.Child("url"))
		b.stepTimeout(s.Poll.Every, at.Child("every"))
		b.aboutResponse(s.Poll.Until, at.Child("until"))
		b.aboutResponse(s.Poll.FailWhen, at.Child("failWhen"))
	}
	if s.Lookup == nil {
		return
	}
	at := path.Child("lookup")
	out.lookup = b.urlWith(s.Lookup.URL, s.URL, varKey, at.Child("url"))
	b.aboutResponse(s.Lookup.Done, at.Child("done"))
	b.aboutResponse(s.Lookup.NotDone, at.Child("notDone"))
	b.ofResponse(s.Lookup.Response, at.Child("response"))
	if slices.Contains(safe, s.Method) {
		b.refuse(field.Forbidden(at, "the call changes nothing and is sent again after a crash, so that nothing has to be looked up: leave lookup out"))
	}
}

// aboutResponse compiles a condition on an answer. An empty one is none.
func (b *builder) aboutResponse(source string, path *field.Path) {
	b.fromResponse(source, path, (*expression.Compiler).Bool)
}

// ofResponse compiles a value that is made of an answer. An empty one is none.
func (b *builder) ofResponse(source string, path *field.Path) {
	b.fromResponse(source, path, (*expression.Compiler).Any)
}

func (b *builder) fromResponse(source string, path *field.Path, compile func(*expression.Compiler, string) (*expression.Program, error)) {
	if source == "" {
		return
	}
	compiler, err := expression.NewCompiler(expression.Response, nil)
	if err == nil {
		_, err = compile(compiler, source)
	}
	if err != nil {
		b.refuse(field.Invalid(path, source, err.Error()))
	}
}

// origin is scheme and host of a URL, which no template can have made.
var origin = regexp.MustCompile(`^(https?://(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?)(?:[/?]|$)`)

// Origin is scheme, host and port of a URL of a step.
func Origin(url string) string {
	if found := origin.FindStringSubmatch(url); found != nil {
		return found[1]
	}
	return ""
}

// url parses a URL whose scheme and host are literal.
func (b *builder) url(source string, c *expression.Compiler, path *field.Path) *template.Text {
	if !origin.MatchString(source) {
		b.refuse(field.Invalid(path, source, "must begin with a scheme and a host that are literal and in lower case, such as https://hooks.example.com/path; only path and query may hold templates"))
		return nil
	}
	text, err := template.Parse(source, c)
	if err != nil {
		b.refuse(field.Invalid(path, source, err.Error()))
		return nil
	}
	return text
}

// urlWith parses a URL on the host of another, with one variable more.
func (b *builder) urlWith(source, of, variable string, path *field.Path) *template.Text {
	c, err := b.templates.With(variable)
	if err != nil {
		b.refuse(field.InternalError(path, err))
		return nil
	}
	out := b.url(source, c, path)
	if out == nil {
		return nil
	}
	if mine, its := origin.FindStringSubmatch(source), origin.FindStringSubmatch(of); its != nil && mine[1] != its[1] {
		b.refuse(field.Invalid(path, source, fmt.Sprintf("must be on %s, the host of the step: its headers are sent there", its[1])))
	}
	if variable == varResponse && out.Mixed(variable) != "" {
		b.refuse(field.Invalid(path, source, fmt.Sprintf("${%s} reads the answer together with what is known before: write it as two", out.Mixed(variable))))
	}
	if err := recordable(out.Around(variable)); err != nil {
		b.refuse(field.Invalid(path, cut(source), err.Error()))
	}
	return out
}

// ownHeaders are headers that Signoff or the protocol sets.
var ownHeaders = []string{"host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer", "idempotency-key", "webhook-id", "webhook-timestamp", "webhook-signature"}

// OwnHeader tells whether Signoff or the protocol sets a header.
func OwnHeader(name string) bool { return slices.Contains(ownHeaders, strings.ToLower(name)) }

// RepeatsHeader tells whether an earlier header has the name of this one, in whatever letter case: it is the same header, and only the last one is sent.
func RepeatsHeader(headers []v1alpha1.HTTPHeader, i int) bool {
	return slices.ContainsFunc(headers[:i], func(h v1alpha1.HTTPHeader) bool { return strings.EqualFold(h.Name, headers[i].Name) })
}

func (b *builder) header(h *v1alpha1.HTTPHeader, path *field.Path) *template.Text {
	if OwnHeader(h.Name) {
		b.refuse(field.Forbidden(path.Child("name"), fmt.Sprintf("Signoff sets %s itself", h.Name)))
	}
	if !b.exactlyOne(path, map[string]bool{"value": h.Value != "", "secret": h.Secret != nil}, "value, secret") {
		return nil
	}
	if visible.Hides(h.Prefix) || h.Prefix != "" && h.Secret == nil {
		b.refuse(field.Invalid(path.Child("prefix"), h.Prefix, "stands before a secret, in one line, of characters that are seen"))
	}
	if !strings.Contains(h.Value, "${") && strings.ContainsFunc(h.Value, isControl) {
		b.refuse(field.Invalid(path.Child("value"), h.Value, "a header is one line of visible text"))
	}
	return b.text(h.Value, path.Child("value"))
}

func (w *httpWriter) uses(variable string) bool {
	texts := append([]*template.Text{w.url, w.text, w.poll, w.lookup}, w.headers...)
	return w.body != nil && w.body.uses(variable) || slices.ContainsFunc(texts, func(t *template.Text) bool { return t != nil && t.Uses(variable) })
}

func (w *httpWriter) kinds() []schema.GroupKind { return nil }

// touched names no object, since a call writes none. It fails where the call cannot be made with what it is to carry.
func (w *httpWriter) touched(ctx context.Context, r rendering) ([]Touched, error) {
	out := &v1alpha1.RenderedHTTP{IdempotencyKey: r.idempotencyKey()}
	for _, part := range []func(context.Context, rendering, *v1alpha1.RenderedHTTP) error{w.where, w.after, w.values} {
		if err := part(ctx, r, out); err != nil {
			return nil, fmt.Errorf("http.%w", err)
		}
	}
	return nil, nil
}

// CallsByTemplate tells whether a step makes a call of which a template says where it goes, or with which headers: what it makes of inputs can be
// no URL, and no header.
func (s *Steps) CallsByTemplate() bool {
	return slices.ContainsFunc(s.steps, func(step step) bool {
		w, ok := step.writer.(*httpWriter)
		return ok && slices.ContainsFunc(append([]*template.Text{w.url, w.poll, w.lookup}, w.headers...), func(t *template.Text) bool { return t != nil && !t.IsLiteral() })
	})
}

func (w *httpWriter) render(context.Context, rendering) ([]v1alpha1.RenderedWrite, error) {
	return nil, nil
}

// call fills in the templates of the call.
func (w *httpWriter) call(ctx context.Context, r rendering) (*v1alpha1.RenderedHTTP, error) {
	s := w.source
	out := &v1alpha1.RenderedHTTP{
		Method: s.Method, IdempotencyKey: r.idempotencyKey(), CABundle: s.CABundle, Success: s.Success,
		Idempotent: s.Idempotent || slices.Contains(safe, s.Method),
	}
	for _, part := range []func(context.Context, rendering, *v1alpha1.RenderedHTTP) error{w.where, w.what, w.who, w.after} {
		if err := part(ctx, r, out); err != nil {
			return nil, fmt.Errorf("http.%w", err)
		}
	}
	if err := recordableAll(out.Late); err != nil {
		return nil, fmt.Errorf("http: %w", err)
	}
	return out, nil
}

// idempotencyKey is the same however often the step is tried. Each run of a plan step has its own: a host that does a call with the same key once
// would answer the next run with what it said to the first. The name of no step has the character between them, so that no two share a key.
func (r rendering) idempotencyKey() string {
	key := r.RequestUID + "-" + r.step
	if r.Round > 1 {
		key += fmt.Sprintf("_%d", r.Round)
	}
	return key
}

func (w *httpWriter) where(ctx context.Context, r rendering, out *v1alpha1.RenderedHTTP) error {
	parts, err := lateParts(ctx, w.url, lateVariables, r.Input)
	if err != nil {
		return fmt.Errorf("url: %w", err)
	}
	out.URL = shown(parts)
	if w.url.UsesAny(lateVariables...) {
		out.Late = append(out.Late, v1alpha1.LateValue{Path: pathURL, Parts: parts, AsText: true, Encodes: true})
		return nil
	}
	out.URL, err = cleanURL(out.URL)
	return err
}

// pathURL and pathBody are where late values of a call stand.
const (
	pathURL  = "/url"
	pathBody = "body"
)

// lateParts fills in a URL but for what reads variables that are known later.
func lateParts(ctx context.Context, text *template.Text, variables []string, in Input) ([]v1alpha1.LatePart, error) {
	rendered, err := text.RenderAround(ctx, variables, in.Vars, in.Budget, template.WithEscape(encodePart))
	if err != nil {
		return nil, err
	}
	var out []v1alpha1.LatePart
	var whole strings.Builder
	for _, p := range rendered {
		if whole.WriteString(p.Text); p.Expression != "" {
			whole.WriteString("later")
		}
		// What only marks that nothing is shown is no part.
		if part := (v1alpha1.LatePart{Text: strings.ReplaceAll(p.Text, blank, ""), Expression: p.Expression}); part != (v1alpha1.LatePart{}) {
			out = append(out, part)
		}
	}
	if len(shown(out)) > maxURL {
		return nil, fmt.Errorf("more than %d characters", maxURL)
	}
	return out, errors.Join(noneBlank(whole.String()), recordable(rendered))
}

// blank marks a value that shows nothing, until it is known whether it is all of a segment. No other value contains it: it would be encoded.
const blank = "\x00"

// encodePart encodes everything that means something in a URL, so that a value stays within its segment or parameter.
func encodePart(s string) string {
	encoded := strings.ReplaceAll(url.QueryEscape(s), "+", "%20")
	if strings.TrimSpace(s) == "" {
		return blank + encoded
	}
	return encoded
}

// noneBlank refuses a URL in which a value that shows nothing is a whole segment of the path: without it, the URL is that of something else, such as
// of all of a kind.
func noneBlank(text string) error {
	path, _, _ := strings.Cut(text, "?")
	for segment := range strings.SplitSeq(path, "/") {
		rest, err := url.PathUnescape(strings.ReplaceAll(segment, blank, ""))
		if strings.Contains(segment, blank) && (err != nil || strings.TrimSpace(rest) == "") {
			return fmt.Errorf("url: %q: a part of the path would be empty", cut(strings.ReplaceAll(text, blank, "")))
		}
	}
	return nil
}

// cleanURL refuses a URL that a template has led elsewhere.
func cleanURL(text string) (string, error) {
	if err := noneBlank(text); err != nil {
		return "", err
	}
	text = strings.ReplaceAll(text, blank, "")
	u, err := url.Parse(text)
	if err != nil {
		return "", fmt.Errorf("url: %q is no URL", cut(text))
	}
	// Some servers take a backslash for a slash.
	if slices.ContainsFunc(strings.FieldsFunc(u.Path, func(r rune) bool { return r == '/' || r == '\\' }), func(segment string) bool { return segment == "." || segment == ".." }) {
		return "", fmt.Errorf("url: %q: neither . nor .. can be a part of a path", cut(text))
	}
	if u.User != nil || u.Fragment != "" || len(text) > maxURL {
		return "", fmt.Errorf("url: %q: neither a user nor a fragment is accepted, nor more than %d characters", cut(text), maxURL)
	}
	return text, nil
}

// maxURL is how long a URL may be.
const maxURL = 8192

func (w *httpWriter) what(ctx context.Context, r rendering, out *v1alpha1.RenderedHTTP) error {
	if w.text != nil {
		text, err := w.text.RenderString(ctx, r.Vars, r.Budget)
		out.Text = text
		if err == nil && len(text) > maxText {
			err = fmt.Errorf("more than %d bytes", maxText)
		}
		if err != nil {
			return fmt.Errorf("text: %w", err)
		}
	}
	if w.body == nil {
		return nil
	}
	object, late, err := w.body.render(ctx, r.Input, pathBody)
	if err != nil {
		return fmt.Errorf("body: %w", err)
	}
	raw, err := encode(object)
	out.Body, out.Late = &raw, append(out.Late, late...)
	return err
}

// maxText is how long a text may be that is sent.
const maxText = 256 * 1024

// values fills in the headers; Secrets have no uid yet. One that became empty is left out: no Record holds it, and a host takes it for none.
func (w *httpWriter) values(ctx context.Context, r rendering, out *v1alpha1.RenderedHTTP) error {
	for i := range w.source.Headers {
		h := &w.source.Headers[i]
		if h.Secret != nil {
			out.Headers = append(out.Headers, v1alpha1.RenderedHeader{Name: h.Name, Prefix: h.Prefix, Secret: &v1alpha1.RecordedSecret{SecretKey: *h.Secret}})
			continue
		}
		value, err := w.headers[i].RenderString(ctx, r.Vars, r.Budget)
		if err == nil && (strings.ContainsFunc(value, isControl) || len(value) > maxURL) {
			err = errors.New("a header is one line of visible text")
		}
		if err != nil {
			return fmt.Errorf("headers[%s]: %w", h.Name, err)
		}
		if value != "" {
			out.Headers = append(out.Headers, v1alpha1.RenderedHeader{Name: h.Name, Value: value})
		}
	}
	return nil
}

func (w *httpWriter) who(ctx context.Context, r rendering, out *v1alpha1.RenderedHTTP) error {
	if err := w.values(ctx, r, out); err != nil {
		return err
	}
	var err error
	for i := range out.Headers {
		h := &out.Headers[i]
		if h.Secret == nil {
			continue
		}
		if h.Secret, err = r.secret(&h.Secret.SecretKey); err != nil {
			return fmt.Errorf("headers[%s]: %w", h.Name, err)
		}
	}
	if w.source.Sign == nil {
		return nil
	}
	if out.Sign, err = r.secret(w.source.Sign); err != nil {
		return fmt.Errorf("sign: %w", err)
	}
	return nil
}

func isControl(c rune) bool { return c < ' ' || c == 0x7f }

// secret names the Secret that is there, by its uid: another one is not what people have agreed to.
func (r rendering) secret(key *v1alpha1.SecretKey) (*v1alpha1.RecordedSecret, error) {
	found := r.Objects[SecretRef(r.Namespace, key.Name)]
	if found == nil {
		return nil, fmt.Errorf("Secret %s/%s was not read", r.Namespace, key.Name) //nolint:staticcheck // a kind begins with a capital
	}
	return &v1alpha1.RecordedSecret{SecretKey: *key, UID: found.GetUID()}, nil
}

// SecretRef names a Secret.
func SecretRef(namespace, name string) v1alpha1.ObjectReference {
	return v1alpha1.ObjectReference{APIVersion: "v1", Kind: "Secret", Namespace: namespace, Name: name}
}

func (w *httpWriter) after(ctx context.Context, r rendering, out *v1alpha1.RenderedHTTP) error {
	if p := w.source.Poll; p != nil {
		parts, err := lateParts(ctx, w.poll, []string{varResponse}, r.Input)
		if err != nil {
			return fmt.Errorf("poll.url: %w", err)
		}
		every := p.Every
		if every == "" {
			every = "10s"
		}
		out.Poll = &v1alpha1.RenderedPoll{URL: parts, Every: every, Until: p.Until, FailWhen: p.FailWhen}
	}
	if l := w.source.Lookup; l != nil {
		in := r.Input
		in.Vars.Values = withValue(in.Vars.Values, varKey, out.IdempotencyKey)
		text, err := w.lookup.RenderString(ctx, in.Vars, in.Budget, template.WithEscape(encodePart))
		if err == nil {
			text, err = cleanURL(text)
		}
		if err != nil {
			return fmt.Errorf("lookup.url: %w", err)
		}
		out.Lookup = &v1alpha1.RenderedLookup{URL: text, Done: l.Done, NotDone: l.NotDone, Response: l.Response}
	}
	return nil
}

func withValue(values map[string]any, name string, value any) map[string]any {
	out := make(map[string]any, len(values)+1)
	for k, v := range values {
		out[k] = v
	}
	out[name] = value
	return out
}

// Secrets names the Secrets that calls carry, each once. Render needs them in Input.Objects.
func (s *Steps) Secrets() []string {
	var names []string
	note := func(key *v1alpha1.SecretKey) {
		if key != nil && !slices.Contains(names, key.Name) {
			names = append(names, key.Name)
		}
	}
	for _, step := range s.steps {
		w, ok := step.writer.(*httpWriter)
		if !ok {
			continue
		}
		for i := range w.source.Headers {
			note(w.source.Headers[i].Secret)
		}
		note(w.source.Sign)
	}
	return names
}

// fillCall gives a call with everything filled in that became known while earlier steps ran.
func (e *Earlier) fillCall(ctx context.Context, f *filling, call *v1alpha1.RenderedHTTP) error {
	var later []v1alpha1.LateValue
	for i := range call.Late {
		l := &call.Late[i]
		if !f.known(l) {
			later = append(later, *l)
			continue
		}
		value, err := e.late(ctx, f.compiler, f.budget, l)
		if err != nil {
			return fmt.Errorf("failed to fill in %s of the call: %w", l.Path, err)
		}
		if l.Path == pathURL {
			text, _ := value.(string)
			call.URL, err = cleanURL(text)
		} else {
			raw := runtime.RawExtension{}
			raw.Raw, err = put(call.Body.Raw, strings.TrimPrefix(l.Path, "/"+pathBody), value)
			call.Body = &raw
		}
		if err != nil {
			return fmt.Errorf("failed to fill in %s of the call: %w", l.Path, err)
		}
	}
	call.Late = later
	return nil
}

// PollURL is where to ask whether what a call began is done.
func PollURL(ctx context.Context, poll *v1alpha1.RenderedPoll, response map[string]any, budget *expression.Budget) (string, error) {
	c, err := expression.NewCompiler(expression.Response, nil)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	for _, part := range poll.URL {
		if part.Expression == "" {
			out.WriteString(part.Text)
			continue
		}
		program, err := c.Any(part.Expression)
		if err != nil {
			return "", err
		}
		value, err := program.EvalAny(ctx, expression.Vars{Values: map[string]any{varResponse: response}}, budget)
		if err != nil {
			return "", err
		}
		text, err := template.AsText(value)
		if err != nil {
			return "", err
		}
		out.WriteString(encodePart(text))
	}
	return cleanURL(out.String())
}
