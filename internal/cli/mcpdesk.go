package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/utils/clock"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/cli/agent"
	"github.com/signoff-dev/signoff/internal/gate"
)

// callTimeout bounds every tool but the one that waits.
const callTimeout = 30 * time.Second

// desk is where an agent asks. Each call has a session of its own, since an agent may call several tools at once.
type desk struct {
	flags     *genericclioptions.ConfigFlags
	clock     clock.PassiveClock
	namespace string
	// catalogs are namespaces of Actions that were named.
	catalogs []string
	// notes is for whoever starts the server; the agent reads none of it.
	notes io.Writer
}

var _ agent.Cluster = (*desk)(nil)

// session gives a session that looks at a namespace, or at that of the kubeconfig.
func (d *desk) session(namespace string) (*session, error) {
	chosen := namespace != ""
	if !chosen {
		namespace = d.namespace
	}
	s, err := (&Program{IO: silent(), Clock: d.clock}).sessionIn(&connection{flags: d.flags}, namespace, chosen)
	if s != nil {
		s.beside = d.catalogs
	}
	return s, err
}

// at runs a call in a namespace.
func (d *desk) at(ctx context.Context, namespace string, call func(context.Context, *session) *agent.Answer) *agent.Answer {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	s, err := d.session(namespace)
	if err != nil {
		return unanswered(err)
	}
	return call(ctx, s)
}

// unanswered says why the API server did not do what was asked.
func unanswered(err error) *agent.Answer {
	code, text := agent.CodeUnavailable, "Kubernetes gave no answer."
	switch {
	case errors.Is(err, errForbidden), apierrors.IsForbidden(err):
		code, text = agent.CodeForbidden, "Kubernetes does not permit that to you."
	case isMissing(err):
		code, text = agent.CodeNotFound, "There is no such object."
	case apierrors.IsNotFound(err):
		code, text = agent.CodeNotInstalled, "The cluster has no Signoff."
	case apierrors.IsUnauthorized(err):
		code, text = agent.CodeUnauthenticated, "Kubernetes does not accept your credentials."
	}
	return agent.Fail(code, "%s", text).With("error", "", err.Error())
}

// Actions implements agent.Cluster.
func (d *desk) Actions(ctx context.Context, args *agent.ListActions) *agent.Answer {
	return d.at(ctx, args.Namespace, func(ctx context.Context, s *session) *agent.Answer {
		find := s.catalog
		if s.chosen {
			find = s.catalogHere
		}
		found, err := find(ctx)
		if err != nil {
			return unanswered(err)
		}
		all, err := s.offered(ctx, found)
		if err != nil {
			return unanswered(err)
		}
		if !args.All {
			all = slices.DeleteFunc(all, func(a agent.Action) bool { return a.MayRequest == "No" })
		}
		for i := range all {
			all[i].Data.InputSchema, all[i].Data.Example = nil, ""
		}
		answer := agent.Say(agent.CodeOK, "Actions: %d.%s", len(all), s.elsewhereNote(all))
		answer.Actions = all
		return answer
	})
}

// elsewhereNote tells an agent that it sees other Actions than those of the namespace that it named. Empty: it does not.
func (s *session) elsewhereNote(all []agent.Action) string {
	if !s.chosen || !slices.ContainsFunc(all, func(a agent.Action) bool { return !strings.HasPrefix(a.Name, s.namespace+"/") }) {
		return ""
	}
	return fmt.Sprintf(" You see none in namespace %s; these are of the catalogs that were named to you, and that requests in it come from.", s.namespace)
}

// Action implements agent.Cluster.
func (d *desk) Action(ctx context.Context, args *agent.DescribeAction) *agent.Answer {
	return d.at(ctx, "", func(ctx context.Context, s *session) *agent.Answer {
		namespace, name, _ := strings.Cut(args.Action, "/")
		object, err := s.objects.Resource(resourceOf(actions)).Namespace(namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			answer := unanswered(err)
			answer.Argument = "action"
			return answer
		}
		found := &table{Table: metav1.Table{Rows: []metav1.TableRow{{}}}}
		found.Rows[0].Object.Object = object
		all, err := s.offered(ctx, found)
		if err != nil {
			return unanswered(err)
		}
		answer := agent.Say(agent.CodeOK, "Action %s/%s. You may ask for it: %s.", namespace, name, all[0].MayRequest)
		answer.Actions = all
		return answer
	})
}

// mayOf are the answers to whether one may ask, as agents read them.
var mayOf = map[string]string{mayYes: "Yes", mayNo: "No", mayUnknown: "Unknown"}

// offered describes Actions.
func (s *session) offered(ctx context.Context, found *table) ([]agent.Action, error) {
	g, err := s.govern(ctx, found)
	if err != nil {
		return nil, err
	}
	all := []agent.Action{}
	for i := range found.Rows {
		action, err := typedAs[v1alpha1.Action](found.object(i))
		if err != nil {
			return nil, err
		}
		all = append(all, offer(action, g.mayRequest(action)))
	}
	return all, nil
}

func offer(action *v1alpha1.Action, may string) agent.Action {
	out := agent.Action{
		Name: action.Namespace + "/" + action.Name, Approval: action.Status.Approval, MayRequest: mayOf[may],
		Data: agent.ActionData{Untrusted: true, Title: action.Spec.Title, Description: action.Spec.Description, Example: action.Status.Example},
	}
	if out.MayRequest == "" {
		out.MayRequest, out.Data.Condition = "Conditional", strings.TrimPrefix(may, "when: ")
	}
	if ready := meta.FindStatusCondition(action.Status.Conditions, v1alpha1.ConditionReady); ready != nil {
		if out.Ready = ready.Status == metav1.ConditionTrue; !out.Ready {
			out.Data.NotReady = ready.Message
		}
	}
	if temporary := action.Spec.Temporary; temporary != nil {
		out.MaxDuration = string(temporary.MaxDuration)
	}
	if inputs := action.Spec.Inputs; inputs != nil {
		out.Data.InputSchema = inputs.OpenAPIV3Schema
	}
	return out
}

// Explain implements agent.Cluster.
func (d *desk) Explain(ctx context.Context, args *agent.Explain) *agent.Answer {
	return d.at(ctx, args.Namespace, func(ctx context.Context, s *session) *agent.Answer {
		out, err := s.explained(ctx, s.wanted(&args.Ask, ""), args.At)
		if err != nil {
			return unanswered(err)
		}
		return explanation(out, false)
	})
}

// wanted is the request that an agent asks for. Without a name it gets one.
func (s *session) wanted(ask *agent.Ask, name string) *unstructured.Unstructured {
	ref := v1alpha1.ActionReference{}
	ref.Namespace, ref.Name, _ = strings.Cut(ask.Action, "/")
	spec := map[string]any{"actionRef": map[string]any{"namespace": ref.Namespace, "name": ref.Name}}
	if len(ask.Inputs) > 0 {
		spec["inputs"] = ask.Inputs
	}
	for key, value := range map[string]string{"reason": ask.Reason, "duration": ask.Duration, "notBefore": ask.NotBefore, "expiresAt": ask.ExpiresAt} {
		if value != "" {
			spec[key] = value
		}
	}
	if ask.OnBehalfOf != "" {
		spec["onBehalfOf"] = map[string]any{"username": ask.OnBehalfOf}
	}
	return s.newRequest(ref, spec, name)
}

// explained finds out what would be decided.
func (s *session) explained(ctx context.Context, request *unstructured.Unstructured, at string) (*Explained, error) {
	client, err := s.connection.client(v1alpha1.GroupVersion)
	if err != nil {
		return nil, err
	}
	out := &Explained{Request: request.GetNamespace() + "/" + nameOf(request)}
	return out, (&asker{client: client, connection: s.connection, at: at}).ask(ctx, request, out)
}

// explanation tells an agent what would be decided, or why it was refused.
func explanation(out *Explained, refused bool) *agent.Answer {
	code, text, say := codeOf(out), "It would be admitted", agent.Say
	switch {
	case refused:
		text, say = "It was refused", agent.Fail
	case !out.Allowed:
		text = "It would be refused"
	}
	answer := say(code, "%s: %s.", text, code.Meaning())
	answer.Explanation = &agent.Explanation{Allowed: out.Allowed}
	for i := range out.Stages {
		answer.Explanation.Stages = append(answer.Explanation.Stages, out.Stages[i].Stage)
	}
	if v := out.Verdict; v != nil {
		answer.Explanation.Effect = string(v.Effect)
		if v.NextChange != nil {
			answer.Explanation.NextChange = v.NextChange.UTC().Format(time.RFC3339)
		}
	}
	if !out.Allowed {
		answer.Argument, answer.Retry.At = argumentOf(out.Errors), answer.Explanation.NextChange
	}
	return answer.WithVerdict(&out.Explanation)
}

// codeOf is the code of what would be decided.
func codeOf(out *Explained) agent.Code {
	switch {
	case out.Allowed && len(out.Stages) > 0:
		return agent.CodeWouldNeedApproval
	case out.Allowed && out.Verdict != nil && out.Verdict.Effect == v1alpha1.EffectHold:
		return agent.CodeWouldBeHeld
	case out.Allowed:
		return agent.CodeWouldRun
	case out.Reason == string(metav1.StatusReasonForbidden):
		return agent.CodeForbidden
	case out.Reason == string(metav1.StatusReasonBadRequest):
		return agent.CodeInvalidArgument
	}
	return agent.Code(out.Reason)
}

// argumentOf is the argument that the first of several errors is about, such as inputs.replicas.
func argumentOf(errors []string) string {
	for _, text := range errors {
		path, _, ok := strings.Cut(text, ":")
		if rest, isSpec := strings.CutPrefix(path, "spec."); ok && isSpec && !strings.ContainsAny(rest, " \n") {
			return strings.Replace(rest, "actionRef", "action", 1)
		}
	}
	return ""
}

// Status implements agent.Cluster.
func (d *desk) Status(ctx context.Context, args *agent.Look) *agent.Answer {
	return d.at(ctx, args.Namespace, func(ctx context.Context, s *session) *agent.Answer { return s.statusOf(ctx, args.Name) })
}

func (s *session) statusOf(ctx context.Context, name string) *agent.Answer {
	request, err := s.requestOf(ctx, name)
	if err != nil {
		answer := unanswered(err)
		answer.Argument = "name"
		return answer
	}
	return statusOf(request)
}

func (s *session) requestOf(ctx context.Context, name string) (*v1alpha1.ActionRequest, error) {
	object, err := s.objects.Resource(resourceOf(requests)).Namespace(s.namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	return typedAs[v1alpha1.ActionRequest](object)
}

// statusOf tells how far a request is.
func statusOf(request *v1alpha1.ActionRequest) *agent.Answer {
	code := stateOf(request)
	return about(agent.Say(code, "Request %s/%s: %s.", request.Namespace, request.Name, code.Meaning()), request)
}

// stateOf is the reason for which a request is where it is. What is in force and was cancelled is about to be taken back.
func stateOf(request *v1alpha1.ActionRequest) agent.Code {
	ready := meta.FindStatusCondition(request.Status.Conditions, v1alpha1.ConditionReady)
	switch {
	case ready == nil:
		return v1alpha1.ReasonPending
	case ready.Reason == v1alpha1.ReasonActive && request.Spec.Cancellation != nil:
		return agent.CodeCancelRecorded
	}
	return agent.Code(ready.Reason)
}

// about adds to an answer a request as it is now.
func about(answer *agent.Answer, request *v1alpha1.ActionRequest) *agent.Answer {
	status, spec := &request.Status, &request.Spec
	answer.Request = &agent.Request{
		Namespace: request.Namespace, Name: request.Name, UID: string(request.UID), Action: spec.ActionRef.String(),
		Phase: string(status.Phase), Over: status.Outcome != "", Outcome: string(status.Outcome), Approvals: status.Approvals, Digest: status.Digest,
	}
	if status.Phase == "" {
		answer.Request.Phase = string(v1alpha1.PhasePending)
	}
	if status.ActiveUntil != nil {
		answer.Request.ActiveUntil = status.ActiveUntil.UTC().Format(time.RFC3339)
	}
	by := ""
	if spec.Requester != nil {
		by = spec.Requester.Username
	}
	answer.With("reason", by, spec.Reason).With("waitingFor", "", status.WaitingFor)
	if spec.OnBehalfOf != nil {
		answer.With("onBehalfOf, as it says", by, spec.OnBehalfOf.Username)
	}
	if ready := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionReady); ready != nil {
		answer.With("message", "", ready.Message)
	}
	if cancelled := spec.Cancellation; cancelled != nil {
		who := ""
		if cancelled.By != nil {
			who = cancelled.By.Username
		}
		answer.With("cancellation", who, cancelled.Reason)
	}
	if spec.Inputs != nil {
		answer.WithInputs(spec.Inputs)
	}
	return done(answer, status.Steps)
}

// done adds how far each step is, and what came of it.
func done(answer *agent.Answer, steps []v1alpha1.StepStatus) *agent.Answer {
	outputs := map[string]any{}
	for i := range steps {
		step := &steps[i]
		shown := agent.Step{Name: step.Name, State: string(step.State)}
		answer.With("message of step "+step.Name, "", step.Message)
		if step.Job != nil {
			shown.ExitCode = &step.Job.ExitCode
			answer.With("message of the Job of step "+step.Name, "", step.Job.Message).With("log of step "+step.Name, "", step.Job.Log)
		}
		if step.Outputs != nil {
			outputs[step.Name] = step.Outputs
		}
		answer.Request.Steps = append(answer.Request.Steps, shown)
	}
	if len(outputs) > 0 {
		answer.WithOutputs(outputs)
	}
	return answer
}

// Wait implements agent.Cluster.
func (d *desk) Wait(ctx context.Context, args *agent.Wait, tell func(string)) *agent.Answer {
	s, err := d.session(args.Namespace)
	if err != nil {
		return unanswered(err)
	}
	if first := s.statusOf(ctx, args.Name); first.Request == nil || first.Request.Over || first.Code == v1alpha1.ReasonActive {
		return first
	}
	bounded, cancel := context.WithTimeout(ctx, time.Duration(args.TimeoutSeconds)*time.Second)
	defer cancel()
	_, err = s.follow(bounded, &following{session: s, namespace: s.namespace, request: args.Name, untilActive: true, tell: func(f *following) {
		request, err := typedAs[v1alpha1.ActionRequest](f.last)
		if err == nil {
			tell(strings.TrimSpace(fmt.Sprintf("%s %s", stateOf(request), request.Status.Approvals)))
		}
	}})
	if err != nil && bounded.Err() == nil && (errors.Is(err, errForbidden) || gate.Missing(err)) {
		return unanswered(err)
	}
	return d.Status(ctx, &args.Look)
}

// Cancel implements agent.Cluster.
func (d *desk) Cancel(ctx context.Context, args *agent.Cancel) *agent.Answer {
	return d.at(ctx, args.Namespace, func(ctx context.Context, s *session) *agent.Answer {
		now := s.statusOf(ctx, args.Name)
		if now.Request == nil || now.Request.Over {
			return now
		}
		catalog, _, _ := strings.Cut(now.Request.Action, "/")
		if unfit := s.unfit(ctx, catalog, "cancelled"); unfit != nil {
			return unfit
		}
		after, err := s.writeCancellation(ctx, s.namespace, args.Name, args.Reason, false)
		if err != nil {
			return uncancelled(err)
		}
		request, err := typedAs[v1alpha1.ActionRequest](after)
		if err != nil {
			return unanswered(err)
		}
		return about(agent.Say(agent.CodeCancelRecorded, "The cancellation of %s/%s is recorded.", request.Namespace, request.Name), request)
	})
}

// uncancelled says why a cancellation was not recorded.
func uncancelled(err error) *agent.Answer {
	text := refused(err)
	if !isRefusal(text) || apierrors.IsConflict(err) {
		return unanswered(err)
	}
	if isAbout(err, "spec.cancellation.reason") {
		return agent.WrongArgument("reason", "It says nothing, or is too long. It is read by people.").With("refusal", "", text.Error())
	}
	return agent.Fail(agent.CodeRefused, "The cancellation was refused.").With("refusal", "", text.Error())
}

// isAbout tells whether something was refused because of this field.
func isAbout(err error, field string) bool {
	var status apierrors.APIStatus
	if !errors.As(err, &status) || status.Status().Details == nil {
		return false
	}
	return slices.ContainsFunc(status.Status().Details.Causes, func(c metav1.StatusCause) bool { return c.Field == field })
}
