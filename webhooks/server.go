// Package webhooks is what the API server asks before it stores an object of ours: one adapter per kind between admission
// requests and the functions that decide.
package webhooks

import (
	"context"
	"fmt"
	"net/http"

	"github.com/go-logr/logr"
	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
	"sigs.k8s.io/json"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/evidence"
	"github.com/signoff-dev/signoff/internal/gate"
	"github.com/signoff-dev/signoff/internal/guard/canary"
	"github.com/signoff-dev/signoff/internal/identity"
	"github.com/signoff-dev/signoff/internal/kinds"
	"github.com/signoff-dev/signoff/internal/metrics"
	"github.com/signoff-dev/signoff/internal/snapshot"
	"github.com/signoff-dev/signoff/internal/tracing"
)

// The rights of the webhooks. What an Action reads, it reads as its own ServiceAccount.
// +kubebuilder:rbac:groups=signoff.dev,resources=actions;roles;teams;calendars;actionpolicies;delegations;actionrequests;approvals,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=get;list;watch
// +kubebuilder:rbac:groups=authorization.k8s.io,resources=subjectaccessreviews,verbs=create
// Budgets count Records, and reviews outlive their requests there.
// +kubebuilder:rbac:groups=signoff.dev,namespace=signoff-system,resources=records,verbs=get;list
// The key of admission, and the public keys. They are created by applying them, which RBAC can limit to names.
// +kubebuilder:rbac:groups="",namespace=signoff-system,resources=secrets,resourceNames=signoff-admission-key,verbs=get;watch;create;patch;update
// +kubebuilder:rbac:groups="",namespace=signoff-system,resources=configmaps,resourceNames=signoff-keys,verbs=get;watch;create;patch;update
// +kubebuilder:rbac:groups=coordination.k8s.io,namespace=signoff-system,resources=leases,verbs=get;list;create;update;delete

// The paths at which the webhooks are served.
const (
	PathMutateActionRequest   = "/mutate/actionrequests"
	PathValidateActionRequest = "/validate/actionrequests"
	PathMutateApproval        = "/mutate/approvals"
	PathMutateAction          = "/mutate/actions"
	PathMutateDelegation      = "/mutate/delegations"
	PathValidateApproval      = "/validate/approvals"
	PathValidateGoverning     = "/validate/governing"
	PathValidateRecord        = "/validate/records"
)

// Deps is what the webhooks need.
type Deps struct {
	// Gate judges requests and voters.
	Gate *gate.Gate
	// Identity stamps logins.
	Identity *identity.Rules
	// Store has the governing objects.
	Store *snapshot.Store
	// Reader reads the API server directly.
	Reader client.Reader
	// Requests reads requests that are not over from a cache.
	Requests client.Reader
	// Open bounds the requests of one person.
	Open *OpenRequests
	// DryRuns bounds the dry runs of one person.
	DryRuns *DryRuns
	// Namespaces reads namespaces from a cache.
	Namespaces client.Reader
	// Reviews asks the API server what somebody may do.
	Reviews client.Client
	// Evidence seals what people do.
	Evidence *evidence.Book
	// Kinds says which kinds that an Action names the API server does not serve. It never keeps anybody waiting.
	Kinds *kinds.Asker
	// Clock tells the time.
	Clock clock.PassiveClock
	// Wall tells the time by which the API server dates objects. It is Clock, but for tests that let that run faster.
	Wall clock.PassiveClock
	// Canary proves to the controllers that this process was asked.
	Canary canary.Prover
	// Operator is the user name of the operator itself.
	Operator string
	// OperatorNamespace is where the Calendars of policies are.
	OperatorNamespace string
	// CatalogNamespaces are the namespaces in which Actions may be published. Empty: all.
	CatalogNamespaces []string
	// Traces traces what is asked. Nil: nothing is traced.
	Traces *tracing.Tracer
}

// Register serves every webhook.
func Register(server webhook.Server, deps *Deps) {
	requests := &actionRequests{deps}
	approvals := &approvals{deps}
	for path, handler := range map[string]http.Handler{
		PathMutateActionRequest:   stamps(requests.mutate),
		PathValidateActionRequest: serve(requests.validate),
		PathMutateApproval:        stamps(approvals.mutate),
		PathMutateAction:          stamps((&actions{deps}).mutate),
		PathMutateDelegation:      stamps((&delegations{deps}).mutate),
		PathValidateApproval:      serve(approvals.validate),
		PathValidateGoverning:     hook((&governing{deps}).validate),
		PathValidateRecord:        hook((&records{deps}).validate),
	} {
		server.Register(path, deps.Traces.Handler(path, handler))
	}
	server.Register("/", http.HandlerFunc(unknownPath))
}

// unknownPath refuses and counts whoever asks for anything else: the API server never does.
func unknownPath(w http.ResponseWriter, request *http.Request) {
	metrics.Refused(metrics.UnknownPath)
	http.NotFound(w, request)
}

// hook makes no logger for a request: nothing is logged here, and encoding what each is about costs as much as judging it.
func hook(handler admission.HandlerFunc) *webhook.Admission {
	answer := func(ctx context.Context, req admission.Request) admission.Response {
		return readable(handler(ctx, req))
	}
	return &webhook.Admission{Handler: admission.HandlerFunc(answer), LogConstructor: func(base logr.Logger, _ *admission.Request) logr.Logger { return base }}
}

// isOperator tells whether the operator itself makes the write.
func (d *Deps) isOperator(req *admission.Request) bool { return req.UserInfo.Username == d.Operator }

// stamp gives the identity of the caller, or the refusal.
func (d *Deps) stamp(ctx context.Context, info *authenticationv1.UserInfo) (v1alpha1.Identity, *admission.Response) {
	id, err := d.Identity.Stamp(ctx, info)
	if err != nil {
		return id, ptr(forbidden("", err.Error()))
	}
	return id, nil
}

// operatorOnly refuses a write that only the operator makes.
func (d *Deps) operatorOnly(req *admission.Request, what string) admission.Response {
	if d.isOperator(req) {
		return admission.Allowed("")
	}
	return forbidden("", fmt.Sprintf("%s is written by Signoff only. You are %s.", what, req.UserInfo.Username))
}

// decode reads an object of ours, refusing what cannot be read. Names of fields must match in case, as the API server has it.
func decode(raw []byte, into any) *admission.Response {
	if err := json.UnmarshalCaseSensitivePreserveInts(raw, into); err != nil {
		return ptr(admission.Errored(http.StatusBadRequest, fmt.Errorf("failed to decode the object: %w", err)))
	}
	return nil
}

// forbidden is a 403 whose first line reads well after kubectl's own words. The reason code is kept for programs.
func forbidden(reason, message string) admission.Response {
	response := admission.Denied("")
	response.Result.Message = message
	if reason != "" {
		response.AuditAnnotations = map[string]string{"reason": reason}
	}
	return response
}

// invalid is a 422 in which every sentence is a cause, because kubectl prints nothing else of a 422.
func invalid(req *admission.Request, name string, errs field.ErrorList) admission.Response {
	kind := schema.GroupKind{Group: req.Kind.Group, Kind: req.Kind.Kind}
	status := apierrors.NewInvalid(kind, name, errs).Status()
	response := admission.Denied("")
	response.Result = &status
	return response
}

func ptr[T any](v T) *T { return &v }
