package facts

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	authorizationv1 "k8s.io/api/authorization/v1"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/gate"
)

// asked remembers questions, as "verb namespace/name subresource", and says yes to some.
type asked struct {
	mu        sync.Mutex
	questions []string
	yes       []string
	err       error
}

func (a *asked) ask(_ context.Context, review *authorizationv1.SubjectAccessReview) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	on := review.Spec.ResourceAttributes
	question := on.Verb + " " + on.Resource + " " + on.Namespace + "/" + on.Name
	if on.Subresource != "" {
		question += "/" + on.Subresource
	}
	a.questions = append(a.questions, question)
	review.Status.Allowed = slices.Contains(a.yes, question)
	if review.Status.Allowed {
		return nil
	}
	return a.err
}

func TestMayWrite(t *testing.T) {
	namespace := gate.Query{ObjectReference: v1alpha1.ObjectReference{APIVersion: "v1", Kind: "Namespace", Name: "production"}}
	list := limitsMap
	list.Name = ""
	broken := errors.New("the API server is away")
	for name, tc := range map[string]struct {
		reason  string
		query   gate.Query
		missing bool
		yes     []string
		err     error
		want    bool
		wantErr error
	}{
		"Nothing":       {reason: "Who has no right cannot have written it.", query: limitsMap},
		"Patch":         {reason: "Patching is writing.", query: limitsMap, yes: []string{"patch configmaps platform/limits"}, want: true},
		"Update":        {reason: "So is updating.", query: limitsMap, yes: []string{"update configmaps platform/limits"}, want: true},
		"Create":        {reason: "Who may create it may have created it.", query: limitsMap, yes: []string{"create configmaps platform/limits"}, want: true},
		"Status":        {reason: "The status is a part of it.", query: limitsMap, yes: []string{"patch configmaps platform/limits/status"}, want: true},
		"Scale":         {reason: "The scale writes spec.replicas.", query: limitsMap, yes: []string{"update configmaps platform/limits/scale"}, want: true},
		"Delete":        {reason: "Deleting gives no content.", query: limitsMap, yes: []string{"delete configmaps platform/limits"}},
		"MissingCreate": {reason: "What is not there can be made.", query: limitsMap, missing: true, yes: []string{"create configmaps platform/limits"}, want: true},
		"MissingDelete": {reason: "What is not there can have been removed.", query: limitsMap, missing: true, yes: []string{"delete configmaps platform/limits"}, want: true},
		"MissingPatch":  {reason: "What is not there cannot be patched.", query: limitsMap, missing: true, yes: []string{"patch configmaps platform/limits"}},
		"ListCreate":    {reason: "A list has what somebody adds.", query: list, yes: []string{"create configmaps platform/"}, want: true},
		"ListDelete":    {reason: "And lacks what somebody removes.", query: list, yes: []string{"delete configmaps platform/"}, want: true},
		"Namespace":     {reason: "Rights on a namespace can be given inside of it.", query: namespace, yes: []string{"patch namespaces production/production"}, want: true},
		"Finalize":      {reason: "Finalizing a namespace writes its labels.", query: namespace, yes: []string{"update namespaces production/production/finalize"}, want: true},
		"NoAnswer":      {reason: "No answer is not a no.", query: limitsMap, err: broken, wantErr: broken},
		"OneAnswer":     {reason: "One yes is enough, whatever else cannot be told.", query: limitsMap, yes: []string{"patch configmaps platform/limits"}, err: broken, want: true},
	} {
		t.Run(name, func(t *testing.T) {
			api := &asked{yes: tc.yes, err: tc.err}
			r := New(Options{Clients: newServer(), Clock: clocktesting.NewFakeClock(noon), Reviews: NewReviews(api.ask, clocktesting.NewFakeClock(noon))})
			got, err := r.MayWrite(t.Context(), &v1alpha1.Identity{Username: "alice"}, tc.missing, tc.query)
			if got != tc.want || !errors.Is(err, tc.wantErr) || (err != nil) != (tc.wantErr != nil) {
				t.Errorf("%s\nMayWrite(...): want %v, %v, got %v, %v after %q", tc.reason, tc.want, tc.wantErr, got, err, api.questions)
			}
		})
	}
}

func TestMayActAs(t *testing.T) {
	broken := errors.New("the API server is away")
	for name, tc := range map[string]struct {
		reason string
		yes    []string
		err    error
		want   bool
	}{
		"Nothing":      {reason: "Who has no right cannot.", yes: nil},
		"Impersonates": {reason: "By impersonation.", yes: []string{"impersonate serviceaccounts agents/bot"}, want: true},
		"Token":        {reason: "By a token.", yes: []string{"create serviceaccounts agents/bot/token"}, want: true},
		"Runs":         {reason: "By what runs beside it.", yes: []string{"patch deployments agents/"}, want: true},
		"Exec":         {reason: "By a command in what runs.", yes: []string{"create pods agents//exec"}, want: true},
		"ExecRead":     {reason: "Older API servers let who reads it run one.", yes: []string{"get pods agents//exec"}, want: true},
		"Attach":       {reason: "By typing into what runs.", yes: []string{"create pods agents//attach"}, want: true},
		"Debug":        {reason: "By one more container.", yes: []string{"patch pods agents//ephemeralcontainers"}, want: true},
		"PortForward":  {reason: "Not by talking to what runs.", yes: []string{"create pods agents//portforward"}},
		"Secret":       {reason: "By a Secret that the control plane fills with a token.", yes: []string{"create secrets agents/", "get secrets agents/"}, want: true},
		"SecretSeen":   {reason: "Also where it is seen in a list.", yes: []string{"create secrets agents/", "watch secrets agents/"}, want: true},
		"SecretUnseen": {reason: "Not by one that they cannot read.", yes: []string{"create secrets agents/"}},
		"SecretRead":   {reason: "Nor by reading alone, as far as anybody can tell.", yes: []string{"list secrets agents/"}},
		"Binds":        {reason: "By giving themself a role that may.", yes: []string{"patch rolebindings agents/", "bind clusterroles agents/"}, want: true},
		"BindsRole":    {reason: "Also one of the namespace.", yes: []string{"create rolebindings agents/", "bind roles agents/"}, want: true},
		"BindsHeld":    {reason: "Not by giving away what they hold.", yes: []string{"create rolebindings agents/"}},
		"BindsNowhere": {reason: "Nor without a binding.", yes: []string{"bind roles agents/"}},
		"Escalates":    {reason: "By writing into a role what they do not hold.", yes: []string{"escalate roles agents/"}, want: true},
		"NoAnswer":     {reason: "No answer is not a no.", yes: []string{"create secrets agents/"}, err: broken},
	} {
		t.Run(name, func(t *testing.T) {
			api := &asked{yes: tc.yes, err: tc.err}
			got, err := NewReviews(api.ask, clocktesting.NewFakeClock(noon)).MayActAs(t.Context(), &v1alpha1.Identity{Username: "alice"}, "agents/bot")
			if got != tc.want || !errors.Is(err, tc.err) {
				t.Errorf("%s\nMayActAs(...): want %v, %v, got %v, %v after %q", tc.reason, tc.want, tc.err, got, err, api.questions)
			}
		})
	}
}

func TestAnswersAreBelievedForAWhile(t *testing.T) {
	api, clk := &asked{}, clocktesting.NewFakeClock(noon)
	r := New(Options{Clients: newServer(), Clock: clk, Reviews: NewReviews(api.ask, clk)})
	who := &v1alpha1.Identity{Username: "alice", Groups: []string{"a", "b"}}
	may := func(who *v1alpha1.Identity) {
		t.Helper()
		if yes, err := r.MayWrite(t.Context(), who, false, limitsMap); err != nil || yes {
			t.Fatalf("got %v, %v", yes, err)
		}
	}
	each := int64(len(changing))
	may(who)
	may(who)
	if diff := cmp.Diff(each, r.Reviews.Asked()); diff != "" {
		t.Errorf("the same question is asked once: -want, +got:\n%s", diff)
	}
	may(&v1alpha1.Identity{Username: "alice", Groups: []string{"ab"}})
	if diff := cmp.Diff(2*each, r.Reviews.Asked()); diff != "" {
		t.Errorf("other groups are another question: -want, +got:\n%s", diff)
	}
	clk.Step(answersFor + time.Second)
	may(who)
	if diff := cmp.Diff(3*each, r.Reviews.Asked()); diff != "" {
		t.Errorf("an old answer is asked for again: -want, +got:\n%s", diff)
	}
}

func TestNoAnswerIsNotRemembered(t *testing.T) {
	api, clk := &asked{err: errors.New("away")}, clocktesting.NewFakeClock(noon)
	r := New(Options{Clients: newServer(), Clock: clk, Reviews: NewReviews(api.ask, clk)})
	if _, err := r.MayWrite(t.Context(), &v1alpha1.Identity{}, false, limitsMap); err == nil {
		t.Fatal("want an error")
	}
	api.err = nil
	if _, err := r.MayWrite(t.Context(), &v1alpha1.Identity{}, false, limitsMap); err != nil {
		t.Errorf("the next answer counts: %v", err)
	}
}
