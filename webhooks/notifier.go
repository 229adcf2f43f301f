package webhooks

import (
	"context"

	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/notify"
)

// notifier compiles a Notifier, and demands of its writer the right to use the ServiceAccount as which it reads Secrets.
func (w *governing) notifier(ctx context.Context, req *admission.Request) admission.Response {
	account, warnings := "", []string(nil)
	response := check(req, func(o, _ *v1alpha1.Notifier) field.ErrorList {
		compiled, errs := notify.Compile(o)
		if compiled != nil {
			warnings = compiled.Warnings()
		}
		account = o.Spec.ServiceAccountName
		return errs
	}, func(o *v1alpha1.Notifier) any { return o.Spec })
	if !response.Allowed {
		return response
	}
	if refused := w.mayUse(ctx, req, account); refused != nil {
		return *refused
	}
	return response.WithWarnings(bounded(warnings, "more channels without an address")...)
}
