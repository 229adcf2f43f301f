package plan

import (
	"strings"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// sent says of a write to which API it goes, and in whose name, where everything is shown.
func (d *describer) sent(w *v1alpha1.RenderedWrite) []string {
	if !d.view.Whole {
		return nil
	}
	text := "sent to API " + d.most.valueText(w.Object.APIVersion)
	if w.Operation != v1alpha1.WriteDelete {
		text += " as field manager " + d.most.valueText(w.FieldManager)
	}
	switch {
	case w.Operation != v1alpha1.WriteApply:
	case w.Conflicts == v1alpha1.ConflictsTake:
		text += "; fields that others own are taken over"
	default:
		text += "; it fails where others own a field"
	}
	return []string{text}
}

// asked says of a call when it has done what it should, and where else its host is asked, where everything is shown.
func (d *describer) asked(c *v1alpha1.RenderedHTTP) []line {
	if !d.view.Whole {
		return nil
	}
	var out lines
	add := func(text, what string) {
		if what != "" {
			out = append(out, line{text: text + quote(what, d.most.line)})
		}
	}
	add("has done what it should when ", c.Success)
	if c.Poll != nil {
		add("then asks every "+string(c.Poll.Every)+" at ", partsText(c.Poll.URL))
		add("has failed when ", c.Poll.FailWhen)
	}
	if c.Lookup != nil {
		add("whether it was made is asked after a crash at ", c.Lookup.URL)
		add("it was made when ", c.Lookup.Done)
		add("it was not made when ", c.Lookup.NotDone)
		add("what stands for its answer is then ", c.Lookup.Response)
	}
	if c.Idempotent {
		out = append(out, line{text: "may be made again where nobody knows whether it was made"})
	}
	if c.CABundle != "" {
		out = append(out, line{text: "trusts the authorities that the Action names, and not those of the system"})
	}
	return out
}

// partsText writes a text of which a part is known later as the Action has it.
func partsText(parts []v1alpha1.LatePart) string {
	var out strings.Builder
	for i := range parts {
		out.WriteString(parts[i].Text)
		if parts[i].Expression != "" {
			out.WriteString("${" + parts[i].Expression + "}")
		}
	}
	return out.String()
}
