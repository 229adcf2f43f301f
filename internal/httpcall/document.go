// Package httpcall gives the form in which the call of an http step is hashed, for the digest and for the seal of a Record. It is closed: it
// holds these members and no others, built one by one.
package httpcall

import (
	"encoding/json"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// Document is what is hashed. A member that is not set is left out.
type Document struct {
	Method         string          `json:"method"`
	URL            string          `json:"url"`
	IdempotencyKey string          `json:"idempotencyKey"`
	Headers        []Header        `json:"headers,omitempty"`
	Body           json.RawMessage `json:"body,omitempty"`
	Text           string          `json:"text,omitempty"`
	Late           []Late          `json:"late,omitempty"`
	Sign           *Secret         `json:"sign,omitempty"`
	CABundle       string          `json:"caBundle,omitempty"`
	Idempotent     bool            `json:"idempotent,omitempty"`
	Success        string          `json:"success,omitempty"`
	Poll           *Poll           `json:"poll,omitempty"`
	Lookup         *Lookup         `json:"lookup,omitempty"`
}

// Header is a header, without the value of a Secret.
type Header struct {
	Name   string  `json:"name"`
	Value  string  `json:"value,omitempty"`
	Prefix string  `json:"prefix,omitempty"`
	Secret *Secret `json:"secret,omitempty"`
}

// Secret is a key of a Secret.
type Secret struct {
	Name string `json:"name"`
	Key  string `json:"key"`
	UID  string `json:"uid"`
}

// Late is a place that is filled in when the step is reached.
type Late struct {
	Path    string `json:"path"`
	Parts   []Part `json:"parts"`
	AsText  bool   `json:"asText,omitempty"`
	Encodes bool   `json:"encodes,omitempty"`
	Expands bool   `json:"expands,omitempty"`
}

// Part is a text, or an expression that gives one.
type Part struct {
	Text       string `json:"text,omitempty"`
	Expression string `json:"expression,omitempty"`
}

// Poll asks until something is done.
type Poll struct {
	URL      []Part `json:"url"`
	Every    string `json:"every"`
	Until    string `json:"until"`
	FailWhen string `json:"failWhen,omitempty"`
}

// Lookup finds out whether a call was made.
type Lookup struct {
	URL     string `json:"url"`
	Done    string `json:"done"`
	NotDone string `json:"notDone,omitempty"`
	// Response was added later, and is left out where it is not set, so that what was hashed before stays the same.
	Response string `json:"response,omitempty"`
}

// Of gives the document of a call; nil for none.
func Of(call *v1alpha1.RenderedHTTP) *Document {
	if call == nil {
		return nil
	}
	out := &Document{
		Method: string(call.Method), URL: call.URL, IdempotencyKey: call.IdempotencyKey, Body: raw(call.Body), Text: call.Text,
		Late: Lates(call.Late), Sign: secret(call.Sign), CABundle: call.CABundle, Idempotent: call.Idempotent, Success: call.Success,
	}
	for i := range call.Headers {
		h := &call.Headers[i]
		out.Headers = append(out.Headers, Header{h.Name, h.Value, h.Prefix, secret(h.Secret)})
	}
	if p := call.Poll; p != nil {
		out.Poll = &Poll{parts(p.URL), string(p.Every), p.Until, p.FailWhen}
	}
	if l := call.Lookup; l != nil {
		out.Lookup = &Lookup{l.URL, l.Done, l.NotDone, l.Response}
	}
	return out
}

func raw(value *runtime.RawExtension) json.RawMessage {
	if value == nil {
		return nil
	}
	return json.RawMessage(value.Raw)
}

func secret(s *v1alpha1.RecordedSecret) *Secret {
	if s == nil {
		return nil
	}
	return &Secret{s.Name, s.Key, string(s.UID)}
}

// Lates gives the places that are filled in later; nil for none.
func Lates(list []v1alpha1.LateValue) []Late {
	var out []Late
	for i := range list {
		out = append(out, Late{list[i].Path, parts(list[i].Parts), list[i].AsText, list[i].Encodes, list[i].Expands})
	}
	return out
}

func parts(list []v1alpha1.LatePart) []Part {
	out := make([]Part, len(list))
	for i := range list {
		out[i] = Part{list[i].Text, list[i].Expression}
	}
	return out
}
