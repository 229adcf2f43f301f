package notifier

import (
	"context"
	"errors"
	"fmt"
	goruntime "runtime"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/lru"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/yaml"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/config"
	"github.com/signoff-dev/signoff/internal/egress"
	"github.com/signoff-dev/signoff/internal/gate"
	"github.com/signoff-dev/signoff/internal/identity"
	"github.com/signoff-dev/signoff/internal/notify"
	"github.com/signoff-dev/signoff/internal/snapshot"
)

var (
	noon  = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	owner = types.NamespacedName{Namespace: "payments", Name: "chat"}
)

func delivery(id, channel string, state v1alpha1.DeliveryState, problem string) *notify.Delivery {
	return &notify.Delivery{
		Owner: owner, State: state, At: noon, Problem: problem, Attempts: 1,
		Message: &notify.Message{
			ID: id, Type: v1alpha1.EventVoted, Request: "payments/sale",
			Channel: &notify.Channel{NotifierChannel: &v1alpha1.NotifierChannel{Name: channel}},
		},
	}
}

// shown is a status in short.
func shown(s *v1alpha1.NotifierStatus) string {
	text := fmt.Sprintf("delivered %d failed %d", s.Delivered, s.Failed)
	if s.LastError != nil {
		text += " error " + s.LastError.Channel + " " + s.LastError.Message
	}
	for i := range s.Deliveries {
		text += fmt.Sprintf(" %s/%s=%s", s.Deliveries[i].ID, s.Deliveries[i].Channel, s.Deliveries[i].State)
	}
	return text
}

func TestBooks(t *testing.T) {
	retrying, delivered, failed := v1alpha1.DeliveryRetrying, v1alpha1.DeliveryDelivered, v1alpha1.DeliveryFailed
	for name, tc := range map[string]struct {
		reason string
		before v1alpha1.NotifierStatus
		notes  []*notify.Delivery
		want   string
	}{
		"Nothing":   {"no news change nothing", v1alpha1.NotifierStatus{Delivered: 3}, nil, "delivered 3 failed 0"},
		"Counted":   {"what was there is added to", v1alpha1.NotifierStatus{Delivered: 3, Failed: 1}, []*notify.Delivery{delivery("a", "c", delivered, "")}, "delivered 4 failed 1 a/c=Delivered"},
		"Retried":   {"a message has one entry", v1alpha1.NotifierStatus{}, []*notify.Delivery{delivery("a", "c", retrying, "down"), delivery("a", "c", delivered, "")}, "delivered 1 failed 0 a/c=Delivered"},
		"Stands":    {"an error stands until that channel works", v1alpha1.NotifierStatus{}, []*notify.Delivery{delivery("a", "c", failed, "gone"), delivery("a", "d", delivered, "")}, "delivered 1 failed 1 error c gone a/d=Delivered a/c=Failed"},
		"Mended":    {"also one of before", v1alpha1.NotifierStatus{LastError: &v1alpha1.NotifierError{Channel: "c", Message: "down"}}, []*notify.Delivery{delivery("a", "c", delivered, "")}, "delivered 1 failed 0 a/c=Delivered"},
		"Elsewhere": {"but not by another", v1alpha1.NotifierStatus{LastError: &v1alpha1.NotifierError{Channel: "c", Message: "down"}}, []*notify.Delivery{delivery("a", "d", delivered, "")}, "delivered 1 failed 0 error c down a/d=Delivered"},
		"Escaped":   {"what a receiver says does not reach a terminal", v1alpha1.NotifierStatus{}, []*notify.Delivery{delivery("a", "c", retrying, "no\x1b[2J")}, `delivered 0 failed 0 error c no\x1b[2J a/c=Retrying`},
		"Otherwise": {"what was sent in other words is no reason to forget why", v1alpha1.NotifierStatus{}, []*notify.Delivery{delivery("a", "c", delivered, "no template")}, "delivered 1 failed 0 error c no template a/c=Delivered"},
		"Older":     {"what was there comes after what is new", v1alpha1.NotifierStatus{Deliveries: []v1alpha1.NotifierDelivery{{ID: "z", Channel: "c", State: delivered}, {ID: "a", Channel: "c", State: retrying}}}, []*notify.Delivery{delivery("a", "c", delivered, "")}, "delivered 1 failed 0 a/c=Delivered z/c=Delivered"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, again := range []bool{false, true} {
				b, status := &books{}, tc.before.DeepCopy()
				for _, d := range tc.notes {
					b.note(d)
				}
				n := b.take(owner)
				if again {
					// The first write was lost.
					b.giveBack(owner, n)
					n = b.take(owner)
				}
				n.into(status)
				if diff := cmp.Diff(tc.want, shown(status)); diff != "" {
					t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
				}
				if b.take(owner).any() {
					t.Error("news are told twice")
				}
			}
		})
	}
}

// TestBooksAreBounded: the newest stay.
func TestBooksAreBounded(t *testing.T) {
	b, status := &books{}, &v1alpha1.NotifierStatus{}
	for i := range 2 * maxDeliveries {
		b.note(delivery(fmt.Sprint(i), "c", v1alpha1.DeliveryDelivered, ""))
	}
	b.take(owner).into(status)
	if len(status.Deliveries) != maxDeliveries || status.Deliveries[0].ID != fmt.Sprint(2*maxDeliveries-1) || status.Delivered != 2*maxDeliveries {
		t.Errorf("the status is %s", shown(status))
	}
}

func TestThrough(t *testing.T) {
	at := func(minutes int) *metav1.Time {
		return &metav1.Time{Time: noon.Add(time.Duration(minutes) * time.Minute)}
	}
	for name, tc := range map[string]struct {
		reason string
		known  *metav1.Time
		oldest time.Time
		want   *metav1.Time
	}{
		"Quiet":    {"what has just happened may not have been found out", nil, time.Time{}, at(-1)},
		"Waiting":  {"what waits is not delivered", nil, at(-30).Time, at(-30)},
		"Recent":   {"what waits and is newer than that is no matter", nil, noon, at(-1)},
		"Backward": {"what was delivered stays so", at(-10), at(-30).Time, at(-10)},
		"Forward":  {"time goes on", at(-10), time.Time{}, at(-1)},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, through(tc.known, noon, tc.oldest)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestIsNews(t *testing.T) {
	at := func(minutes int) time.Time { return noon.Add(time.Duration(minutes) * time.Minute) }
	for name, tc := range map[string]struct {
		reason              string
		happened, late, end time.Time
		want                bool
	}{
		"New":       {"a new Notifier tells what happens after it was made", at(0), at(0), time.Time{}, true},
		"Before":    {"and nothing of before", at(-1), time.Time{}, time.Time{}, false},
		"Delivered": {"what is delivered is not told again", at(1), at(1), at(2), false},
		"After":     {"what came after that is", at(3), at(3), at(2), true},
		"Late":      {"also where it happened before, but could not be found out", at(1), at(3), at(2), true},
		"Standing":  {"or where nobody knows when it could", at(1), time.Time{}, at(2), true},
	} {
		t.Run(name, func(t *testing.T) {
			object := &v1alpha1.Notifier{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: metav1.NewTime(noon)}}
			if !tc.end.IsZero() {
				object.Status.DeliveredThrough = &metav1.Time{Time: tc.end}
			}
			if got := isNews(object, &notify.Event{Time: tc.happened, Late: tc.late}); got != tc.want {
				t.Errorf("%s: %t", tc.reason, got)
			}
		})
	}
}

// TestHostNotAllowed: who writes a Notifier sees that nothing goes by a channel, before something should.
func TestHostNotAllowed(t *testing.T) {
	policy := egress.New([]egress.Host{{Name: "events.example.org", Ports: []uint16{443}}, {Name: "smtp.example.org", Ports: []uint16{587}}})
	for name, tc := range map[string]struct {
		reason, channel, want string
	}{
		"Allowed":   {"what is allowed is in force", "cloudEvents: {url: 'https://events.example.org/in'}", "True Ready in force"},
		"Unknown":   {"a host that nobody has allowed", "cloudEvents: {url: 'https://events.example.com'}", "False HostNotAllowed in force, but nothing goes by channel c: the configuration of Signoff does not allow it: host events.example.com is not in egress.hosts"},
		"Port":      {"or not with this port", "webhook: {url: 'https://events.example.org:8443', body: {}}", "False HostNotAllowed in force, but nothing goes by channel c: the configuration of Signoff does not allow it: host events.example.org is in egress.hosts, but not with https and port 8443"},
		"Mail":      {"mail has a port, too", "email: {host: smtp.example.org, port: 587, from: a@b, to: [c@d]}", "True Ready in force"},
		"OtherMail": {"and a host", "email: {host: mail.example.org, port: 587, from: a@b, to: [c@d]}", "False HostNotAllowed in force, but nothing goes by channel c: the configuration of Signoff does not allow it: host mail.example.org is not in egress.hosts"},
		"PlainMail": {"and may have to speak TLS", "email: {host: smtp.example.org, port: 587, security: None, from: a@b, to: [c@d]}", "False HostNotAllowed in force, but nothing goes by channel c: the configuration of Signoff does not allow it: host smtp.example.org is in egress.hosts, but not with no TLS and port 587"},
		"Secret":    {"what is a secret is not known yet", "slack: {urlSecret: {name: s, key: url}}", "True Ready in force"},
		"Invalid":   {"what does not compile says that first", "cloudEvents: {url: 'https://${x}'}", "False Invalid spec.channels[0].cloudEvents.url: Invalid value: \"https://${x}\": must be such as https://events.example.com/path, without a login and without templates"},
	} {
		t.Run(name, func(t *testing.T) {
			object := &v1alpha1.Notifier{ObjectMeta: metav1.ObjectMeta{Namespace: owner.Namespace, Name: owner.Name}}
			if err := yaml.UnmarshalStrict([]byte("{serviceAccountName: teller, channels: [{name: c, "+tc.channel+"}], routes: [{events: [Requested], to: [{channel: c}]}]}"), &object.Spec); err != nil {
				t.Fatal(err)
			}
			r := &Reconciler{Clock: clocktesting.NewFakeClock(noon), Sender: &notify.Sender{Egress: policy}, outbox: notify.NewOutbox(clocktesting.NewFakeClock(noon))}
			got := r.status(object, &news{}).Conditions[0]
			if diff := cmp.Diff(tc.want, fmt.Sprintf("%s %s %s", got.Status, got.Reason, got.Message)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// TestMissed: what could not be found out is looked for again, and before all is, nothing counts as delivered.
func TestMissed(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	object := &v1alpha1.Notifier{
		ObjectMeta: metav1.ObjectMeta{Namespace: owner.Namespace, Name: owner.Name, UID: "n", CreationTimestamp: metav1.NewTime(noon.Add(-time.Hour))},
		Spec: v1alpha1.NotifierSpec{
			Channels: []v1alpha1.NotifierChannel{{Name: "bus", CloudEvents: &v1alpha1.HTTPChannel{URL: "https://events.example.org"}}},
			Routes:   []v1alpha1.NotifierRoute{{Events: []v1alpha1.NotificationEvent{v1alpha1.EventSucceeded}, To: []v1alpha1.NotifierTarget{{Channel: "bus"}}}},
		},
	}
	ended := &v1alpha1.ActionRequest{ObjectMeta: metav1.ObjectMeta{Namespace: owner.Namespace, Name: "sale", UID: "r"}, Status: v1alpha1.ActionRequestStatus{
		Phase: v1alpha1.PhaseSucceeded, Outcome: v1alpha1.OutcomeSucceeded,
		Conditions: []metav1.Condition{{Type: v1alpha1.ConditionFinished, Reason: "Succeeded", LastTransitionTime: metav1.NewTime(noon.Add(-30 * time.Minute))}},
	}}
	server := fake.NewClientBuilder().WithScheme(scheme).WithObjects(object, ended).Build()
	refused := false
	reader := interceptor.NewClient(server, interceptor.Funcs{List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, _ ...client.ListOption) error {
		if _, requests := list.(*v1alpha1.ActionRequestList); requests && !refused {
			refused = true
			return errors.New("the API server is away")
		}
		return c.List(ctx, list) // it knows no such selectors
	}})
	// The cache has nothing that has ended.
	cache := interceptor.NewClient(server, interceptor.Funcs{List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
		if _, requests := list.(*v1alpha1.ActionRequestList); requests {
			return nil
		}
		return c.List(ctx, list, options...)
	}})
	store := snapshot.NewStore(nil)
	store.MarkSynced()
	store.Rebuild()
	clk := clocktesting.NewFakeClock(noon)
	r := &Reconciler{
		Client: cache, Reader: reader, Store: store, Clock: clk, Sender: &notify.Sender{Egress: egress.New(nil)}, outbox: notify.NewOutbox(clocktesting.NewFakeClock(noon)), compiled: lru.New(16), told: lru.New(16),
	}
	done := make(chan error)
	go func() { done <- (&missed{r}).Start(t.Context()) }()
	for !clk.HasWaiters() {
		if t.Context().Err() != nil {
			t.Fatal("it is not tried again")
		}
		goruntime.Gosched()
	}
	news := &news{settled: true}
	if through := r.status(object, news).DeliveredThrough; through != nil {
		t.Errorf("before it was looked, all is delivered until %s", through)
	}
	clk.Step(retryDelay)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if waiting, _ := r.outbox.Waiting(owner); waiting != 1 {
		t.Errorf("%d messages wait", waiting)
	}
	if through := r.status(object, news).DeliveredThrough; through == nil || !through.Time.Equal(noon.Add(-30*time.Minute)) {
		t.Errorf("then it is delivered until %s", through)
	}
}

// TestApprovers: everybody who is known by name, and the addresses of Teams.
func TestApprovers(t *testing.T) {
	store := snapshot.NewStore(nil)
	store.Put(&v1alpha1.Team{ObjectMeta: metav1.ObjectMeta{Name: "payments"}, Spec: v1alpha1.TeamSpec{
		Members: &v1alpha1.Subjects{Users: []string{"bob"}}, Leads: &v1alpha1.Subjects{Users: []string{"dave"}}, Contact: &v1alpha1.Contact{Email: "payments@example.org"},
	}})
	store.Put(&v1alpha1.Team{ObjectMeta: metav1.ObjectMeta{Name: "cards"}, Spec: v1alpha1.TeamSpec{Parent: "payments", Members: &v1alpha1.Subjects{Users: []string{"carol"}}}})
	store.Put(&v1alpha1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: "platform", Name: "chief"}, Spec: v1alpha1.RoleSpec{
		Members: v1alpha1.Subjects{Users: []string{"frank"}}, Permissions: []v1alpha1.Permission{{Verbs: []v1alpha1.Verb{v1alpha1.VerbApprove}, Actions: v1alpha1.ActionSelector{Names: []string{"*"}}}},
	}})
	store.MarkSynced()
	store.Rebuild()
	approval := &v1alpha1.Approval{Spec: v1alpha1.ApprovalSpec{
		ActionRef: v1alpha1.ActionReference{Namespace: "platform", Name: "note"},
		Requirements: []v1alpha1.Requirement{
			{Approvers: v1alpha1.Approvers{Teams: []string{"payments"}, Users: []string{"erin"}, Groups: []string{"security"}}}, {Approvers: v1alpha1.Approvers{Roles: []string{"chief", "none"}}},
		},
		Escalation: &v1alpha1.ApprovalEscalation{Approvers: v1alpha1.Approvers{LeadsOf: []string{"payments", "none"}, Users: []string{"grace"}}},
	}}
	store.Put(&v1alpha1.Delegation{ObjectMeta: metav1.ObjectMeta{Namespace: "platform", Name: "away", UID: "away"}, Spec: v1alpha1.DelegationSpec{
		Principal: &v1alpha1.Identity{Username: "heidi", Groups: []string{"security"}}, To: v1alpha1.Delegates{Users: []string{"zoe"}}, Until: metav1.NewTime(noon.Add(time.Hour)),
	}, Status: v1alpha1.DelegationStatus{State: v1alpha1.DelegationActive}})
	store.Rebuild()
	cfg := config.Default()
	cfg.Person.Expression = "user.username.split('@')[0]"
	rules, err := identity.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	judge, request := gate.New(store, rules, nil, "signoff-system", clocktesting.NewFakeClock(noon)), &v1alpha1.ActionRequest{}
	if users, _ := (people{store.Current(), judge, noon}).Approvers(request, approval); !slices.Contains(users, "zoe") {
		t.Errorf("who may vote for an approver is told too: %q", users)
	}
	who := people{store.Current(), judge, noon.Add(time.Hour)}
	users, addresses := who.Approvers(request, approval)
	if diff := cmp.Diff([]string{"bob", "carol", "dave", "erin", "frank"}, users); diff != "" {
		t.Errorf("before the escalation (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{notify.TeamAddress("payments@example.org")}, addresses); diff != "" {
		t.Errorf("the addresses (-want +got):\n%s", diff)
	}
	approval.Status.Escalated = true
	if users, _ = who.Approvers(request, approval); len(users) != 6 || users[5] != "grace" {
		t.Errorf("after it: %q", users)
	}
	for name, tc := range map[string]struct {
		reason, requester, claim string
		want                     []string
	}{
		"Requester":  {"who asks cannot approve", "bob", "", []string{"carol", "dave", "erin", "frank", "grace"}},
		"OtherLogin": {"nor can they with another login", "bob@laptop", "", []string{"carol", "dave", "erin", "frank", "grace"}},
		"OnBehalf":   {"nor can the person for whom it is asked", "sre-bot", "carol", []string{"bob", "dave", "erin", "frank", "grace"}},
		"Loosely":    {"however they are named", "sre-bot", " CAROL@phone", []string{"bob", "dave", "erin", "frank", "grace"}},
	} {
		approval.Spec.Requester, request.Spec.OnBehalfOf = v1alpha1.Identity{Username: tc.requester}, nil
		if tc.claim != "" {
			request.Spec.OnBehalfOf = &v1alpha1.OnBehalfOf{Username: tc.claim}
		}
		users, _ := who.Approvers(request, approval)
		if diff := cmp.Diff(tc.want, users); diff != "" {
			t.Errorf("%s: %s (-want +got):\n%s", name, tc.reason, diff)
		}
	}
	if labels := who.Labels(v1alpha1.ActionReference{Namespace: "platform", Name: "none"}); labels != nil {
		t.Errorf("an Action that is not there has labels %v", labels)
	}
}

// TestApproversByRole: whom the gate lets approve by a Role is told, too.
func TestApproversByRole(t *testing.T) {
	store := snapshot.NewStore(nil)
	may := func(actions v1alpha1.ActionSelector) []v1alpha1.Permission {
		return []v1alpha1.Permission{{Verbs: []v1alpha1.Verb{v1alpha1.VerbApprove}, Actions: actions}}
	}
	careful := v1alpha1.ActionSelector{Selector: &v1alpha1.LabelSelector{MatchLabels: map[string]v1alpha1.LabelValue{"tier": "high"}}}
	for name, spec := range map[string]v1alpha1.RoleSpec{
		"base":    {Members: v1alpha1.Subjects{Users: []string{"bob"}}, Permissions: may(v1alpha1.ActionSelector{Names: []string{"note"}})},
		"heir":    {Members: v1alpha1.Subjects{Users: []string{"carol"}}, Inherits: []string{"base"}},
		"careful": {Members: v1alpha1.Subjects{Users: []string{"dave"}}, Permissions: may(careful)},
		"other":   {Members: v1alpha1.Subjects{Users: []string{"erin"}}, Permissions: may(v1alpha1.ActionSelector{Names: []string{"other"}})},
	} {
		store.Put(&v1alpha1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: "platform", Name: name}, Spec: spec})
	}
	// It does not compile: who may approve it is known nevertheless.
	store.Put(&v1alpha1.Action{ObjectMeta: metav1.ObjectMeta{Namespace: "platform", Name: "note", Labels: map[string]string{"tier": "high"}}})
	store.MarkSynced()
	store.Rebuild()
	rules, err := identity.New(config.Default())
	if err != nil {
		t.Fatal(err)
	}
	who := people{store.Current(), gate.New(store, rules, nil, "signoff-system", clocktesting.NewFakeClock(noon)), noon}
	for name, tc := range map[string]struct {
		reason, action, role string
		want                 []string
	}{
		"Heir":  {"members of a Role that inherits one hold it", "note", "base", []string{"bob", "carol"}},
		"Any":   {"where no stage is written, whoever a Role lets approve", "note", gate.AnyRole, []string{"bob", "carol", "dave"}},
		"Gone":  {"an Action that is gone has no labels, and still a name", "other", gate.AnyRole, []string{"erin"}},
		"Wrong": {"a Role of which there is none has no members", "note", "none", nil},
	} {
		asked := v1alpha1.Approvers{Roles: []string{tc.role}}
		stage := v1alpha1.ApprovalSpec{ActionRef: v1alpha1.ActionReference{Namespace: "platform", Name: tc.action}, Requirements: []v1alpha1.Requirement{{Approvers: asked}}}
		further := v1alpha1.ApprovalSpec{ActionRef: stage.ActionRef, Escalation: &v1alpha1.ApprovalEscalation{Approvers: asked}}
		for _, spec := range []v1alpha1.ApprovalSpec{stage, further} {
			users, _ := who.Approvers(&v1alpha1.ActionRequest{}, &v1alpha1.Approval{Spec: spec, Status: v1alpha1.ApprovalStatus{Escalated: true}})
			if diff := cmp.Diff(tc.want, users); diff != "" {
				t.Errorf("%s: %s (-want +got):\n%s", name, tc.reason, diff)
			}
		}
	}
}

// TestIsCurrent: what was written for another Notifier, channel or ServiceAccount is not sent.
func TestIsCurrent(t *testing.T) {
	object := &v1alpha1.Notifier{ObjectMeta: metav1.ObjectMeta{UID: "n"}, Spec: v1alpha1.NotifierSpec{
		ServiceAccountName: "teller", Channels: []v1alpha1.NotifierChannel{{Name: "other"}, {Name: "c", CloudEvents: &v1alpha1.HTTPChannel{URL: "https://events.example.org"}}},
	}}
	d := delivery("a", "c", v1alpha1.DeliveryRetrying, "")
	d.UID, d.Account, d.Message.Channel.NotifierChannel = "n", "teller", object.Spec.Channels[1].DeepCopy()
	for name, tc := range map[string]struct {
		change func(*v1alpha1.Notifier)
		want   bool
	}{
		"Same":     {func(*v1alpha1.Notifier) {}, true},
		"Another":  {func(n *v1alpha1.Notifier) { n.Spec.Channels[0].Name = "changed" }, true},
		"Made":     {func(n *v1alpha1.Notifier) { n.UID = "m" }, false},
		"Account":  {func(n *v1alpha1.Notifier) { n.Spec.ServiceAccountName = "other" }, false},
		"Target":   {func(n *v1alpha1.Notifier) { n.Spec.Channels[1].CloudEvents.URL = "https://elsewhere.example.org" }, false},
		"NotThere": {func(n *v1alpha1.Notifier) { n.Spec.Channels = n.Spec.Channels[:1] }, false},
	} {
		now := object.DeepCopy()
		tc.change(now)
		if got := isCurrent(now, d); got != tc.want {
			t.Errorf("%s: it is sent: %t", name, got)
		}
	}
}

// TestNoAccount: without a ServiceAccount no Secret is read.
func TestNoAccount(t *testing.T) {
	_, err := (&secrets{namespace: "payments"}).read(t.Context(), &v1alpha1.SecretKey{Name: "a", Key: "b"}, func(string) (string, error) { return "", errors.New("not reached") })
	if err == nil || err.Error() != "spec.serviceAccountName is missing" {
		t.Errorf("it says %v", err)
	}
}
