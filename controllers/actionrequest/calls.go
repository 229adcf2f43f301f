package actionrequest

import (
	"fmt"
	"net/url"
	"slices"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/gate"
	"github.com/signoff-dev/signoff/internal/kinds"
	"github.com/signoff-dev/signoff/internal/steps"
)

// mayCall says before anybody is asked why a call would be refused: by the configuration, or for a Secret that may not go there or lacks what is to be sent.
func (s *scope) mayCall(rendered []v1alpha1.RenderedStep, input *steps.Input) *gate.Problem {
	for i := range rendered {
		call := rendered[i].HTTP
		if call == nil {
			continue
		}
		if err := s.mayCallOne(call, input, rendered[:i]); err != nil {
			return &gate.Problem{Reason: v1alpha1.ReasonIndeterminate, Transient: true,
				Message: fmt.Sprintf("Step %s cannot call %s: %v", rendered[i].Name, gate.Cut(call.URL, 200), err)}
		}
	}
	return nil
}

func (s *scope) mayCallOne(call *v1alpha1.RenderedHTTP, input *steps.Input, earlier []v1alpha1.RenderedStep) error {
	u, err := url.Parse(steps.Origin(call.URL))
	if err != nil {
		return err
	}
	if err := s.Egress.Check(u); err != nil {
		return err
	}
	for _, secret := range secretsOf(call) {
		ref := steps.SecretRef(input.Namespace, secret.Name)
		if err := steps.AllowedFor(input.Objects[ref].GetAnnotations(), u.Hostname()); err != nil {
			return fmt.Errorf("%s: %w", gate.Name(&ref), err)
		}
		// A plan that has been made stays, also where its Secret was for that once.
		if planning := input.Round > 0; !planning && !steps.HasKey(input.Objects[ref], secret.Key) && !mayFill(earlier, &ref) {
			return fmt.Errorf("%s has no key %q, or nothing in it", gate.Name(&ref), secret.Key)
		}
	}
	return nil
}

// mayFill tells whether an earlier step may give an object what it lacks now. Of a Job and a call nobody knows what they do.
func mayFill(earlier []v1alpha1.RenderedStep, ref *v1alpha1.ObjectReference) bool {
	return slices.ContainsFunc(earlier, func(step v1alpha1.RenderedStep) bool {
		return step.HTTP != nil || slices.ContainsFunc(step.Writes, func(w v1alpha1.RenderedWrite) bool {
			return w.Operation == v1alpha1.WriteCreateJob || kinds.PlaceOf(&w.Object) == kinds.PlaceOf(ref)
		})
	})
}

func secretsOf(call *v1alpha1.RenderedHTTP) []*v1alpha1.RecordedSecret {
	var out []*v1alpha1.RecordedSecret
	for i := range call.Headers {
		if secret := call.Headers[i].Secret; secret != nil {
			out = append(out, secret)
		}
	}
	if call.Sign != nil {
		out = append(out, call.Sign)
	}
	return out
}
