package gate

import (
	"context"
	"iter"

	corev1 "k8s.io/api/core/v1"
)

// become gives the labels that a namespace has after each write of it by the request itself, which can make the namespace that it then
// writes into. One that does not exist gets its name as a label, whoever makes it. The last of them may be an error: nobody can tell.
func (p *planned) become(ctx context.Context, found metadataResult) iter.Seq2[map[string]any, error] {
	return func(yield func(map[string]any, error) bool) {
		labels := found.labels
		if found.missing {
			labels = map[string]any{corev1.LabelMetadataName: found.name}
			if !yield(labels, nil) {
				return
			}
		}
		touched, err := p.render(ctx)
		if err != nil {
			yield(nil, err)
			return
		}
		for i := range touched {
			t := &touched[i]
			if !isNamespace(&t.Object) || t.Object.Name != found.name {
				continue
			}
			if labels = written(labels, t.Labels); !yield(labels, t.Unclear) || t.Unclear != nil {
				return
			}
		}
	}
}
