package plan

import (
	"fmt"

	utiljson "k8s.io/apimachinery/pkg/util/json"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/visible"
)

// call describes the call of a step: where it goes, what it carries, and what is kept from those who read this.
func (d *describer) call(step *v1alpha1.RenderedStep) v1alpha1.PlannedChange {
	c := step.HTTP
	out := v1alpha1.PlannedChange{Step: step.Name, Operation: operationCall, Object: cutTo(string(c.Method)+" "+d.most.urlText(c.URL), d.most.line)}
	diff := &differ{most: d.most}
	for i := range c.Headers {
		h := &c.Headers[i]
		text := d.most.valueText(h.Value)
		if h.Secret != nil {
			text = fmt.Sprintf("%s(from key %s of Secret %s)", visible.Inside(h.Prefix), h.Secret.Key, h.Secret.Name)
		}
		diff.lines = append(diff.lines, line{text: "header " + h.Name + ": " + text})
	}
	if c.Sign != nil {
		diff.lines = append(diff.lines, line{text: fmt.Sprintf("signed with key %s of Secret %s", c.Sign.Key, c.Sign.Name)})
	}
	if c.Text != "" {
		diff.lines = append(diff.lines, line{text: "text: " + d.most.valueText(c.Text)})
	}
	var body map[string]any
	if c.Body != nil && utiljson.Unmarshal(c.Body.Raw, &body) == nil {
		content := &differ{most: d.most}
		content.compare(nil, map[string]any{}, body, missing{})
		for _, l := range content.lines {
			diff.lines = append(diff.lines, line{path: l.path, text: "body " + l.text})
		}
	}
	if c.Poll != nil {
		diff.lines = append(diff.lines, line{text: "waits until " + quote(c.Poll.Until, d.most.line/2)})
	}
	if len(diff.lines) == 0 {
		diff.lines = lines{{text: "carries nothing"}}
	}
	out.Fields = d.most.fields(append(diff.lines, d.asked(c)...), d.conditions(step, c.Late)...)
	return out
}

// urlText writes a URL with everything escaped that is not seen as it is.
func (b bounds) urlText(url string) string {
	if b.isPlainText(url) {
		return url
	}
	return quote(url, b.line/2)
}
