package keyholder

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/signoff-dev/signoff/internal/keys"
)

// watches follow the single objects. What they report is not looked at: it is a reason to read live.
func (h *Holder) watches() []func(context.Context) {
	out := []func(context.Context){h.follow(keys.DocumentName, h.core.ConfigMaps(h.options.Namespace).Watch)}
	for _, purpose := range h.options.Holds {
		if _, file := h.options.Files[purpose]; !file {
			out = append(out, h.follow(keys.SecretName(purpose), h.core.Secrets(h.options.Namespace).Watch))
		}
	}
	return out
}

// follow watches one object by its name, so that the right to this one suffices.
func (h *Holder) follow(name string, open func(context.Context, metav1.ListOptions) (watch.Interface, error)) func(context.Context) {
	options := metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("metadata.name", name).String()}
	return func(ctx context.Context) {
		for ctx.Err() == nil {
			// Without a watch, everything is still read every period.
			if events, err := open(ctx, options); err == nil {
				// What changed before the watch was there, it does not report.
				h.rouse()
				h.drain(ctx, events)
			}
			timer := h.options.Clock.NewTimer(retry)
			select {
			case <-ctx.Done():
			case <-timer.C():
			}
			timer.Stop()
		}
	}
}

// drain reports changes until the watch ends.
func (h *Holder) drain(ctx context.Context, events watch.Interface) {
	defer events.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case event, ok := <-events.ResultChan():
			if !ok || event.Type == watch.Error {
				return
			}
			h.rouse()
		}
	}
}
