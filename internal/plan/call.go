package plan

import (
	"fmt"

	utiljson "k8s.io/apimachinery/pkg/util/json"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// call describes the call of a step: where it goes, what it carries, and what is kept from those who read this.
func call(step *v1alpha1.RenderedStep) v1alpha1.PlannedChange {
	c := step.HTTP
	out := v1alpha1.PlannedChange{Step: step.Name, Operation: operationCall, Object: cutTo(string(c.Method)+" "+visibleURL(c.URL), maxLine)}
	diff := &differ{}
	for i := range c.Headers {
		h := &c.Headers[i]
		text := valueText(h.Value)
		if h.Secret != nil {
			text = fmt.Sprintf("%s(from key %s of Secret %s)", h.Prefix, h.Secret.Key, h.Secret.Name)
		}
		diff.lines = append(diff.lines, line{text: "header " + h.Name + ": " + text})
	}
	if c.Sign != nil {
		diff.lines = append(diff.lines, line{text: fmt.Sprintf("signed with key %s of Secret %s", c.Sign.Key, c.Sign.Name)})
	}
	if c.Text != "" {
		diff.lines = append(diff.lines, line{text: "text: " + valueText(c.Text)})
	}
	var body map[string]any
	if c.Body != nil && utiljson.Unmarshal(c.Body.Raw, &body) == nil {
		content := &differ{}
		content.compare(nil, map[string]any{}, body)
		for _, l := range content.lines {
			diff.lines = append(diff.lines, line{path: l.path, text: "body " + l.text})
		}
	}
	if c.Poll != nil {
		diff.lines = append(diff.lines, line{text: "waits until " + quote(c.Poll.Until, maxLine/2)})
	}
	out.Fields = append(conditions(step, c.Late), diff.lines.fields()...)
	if len(diff.lines) == 0 {
		out.Fields = append(conditions(step, c.Late), "carries nothing")
	}
	out.Fields = out.Fields[:min(len(out.Fields), maxLines)]
	return out
}

// visibleURL writes a URL with everything escaped that is not seen as it is.
func visibleURL(url string) string {
	if isPlainText(url) {
		return url
	}
	return quote(url, maxLine/2)
}
