package notifications

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	netmail "net/mail"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/digest"
	"github.com/signoff-dev/signoff/test/env"
	"github.com/signoff-dev/signoff/test/play"
	"github.com/signoff-dev/signoff/test/receivers"
)

// addressed are the addresses and subjects of the mails about a request, sorted.
func addressed(request *v1alpha1.ActionRequest) []string {
	var out []string
	for _, letter := range mail.Letters() {
		if strings.Contains(letter.Text, "(payments/"+request.Name+")") {
			out = append(out, strings.Join(letter.To, ",")+" "+subjectOf(letter))
		}
	}
	slices.Sort(out)
	return out
}

// subjectOf is the beginning of the subject.
func subjectOf(letter receivers.Letter) string {
	_, rest, _ := strings.Cut(letter.Text, "Subject: ")
	subject, _, _ := strings.Cut(rest, ":")
	return subject
}

// TestGuide makes what the guide shows, and follows a request through all of it.
func TestGuide(t *testing.T) {
	apply(t, marked(t, "rights"))
	apply(t, here(t, marked(t, "secrets")))
	object := notifier(t, marked(t, "notifier"))

	request := asked(t, "guide", "high")
	approval := approvalOf(t, request)
	eventually(t, "that the approvers are written to", func() (bool, string) {
		got := addressed(request)
		return slices.Equal(got, []string{"bob@example.org Approval needed", "carol@example.org Approval needed"}), fmt.Sprint(got)
	})
	eventually(t, "that the chat is told", func() (bool, string) { return len(calls.Calls(chatPath)) == 1, fmt.Sprint(calls.Calls(chatPath)) })
	var chat struct {
		Text   string
		Blocks []struct{ Text struct{ Type, Text string } }
	}
	if err := json.Unmarshal([]byte(calls.Calls(chatPath)[0].Body), &chat); err != nil {
		t.Fatal(err)
	}
	want := "A note at level high: support <!channel> must know\nkubectl signoff approve -n payments " + approval.Name + " --digest " + digest.Short(approval.Spec.Digest)
	if chat.Text != "alice needs an owner" || chat.Blocks[1].Text.Text != want || chat.Blocks[1].Text.Type != "plain_text" {
		t.Errorf("the chat shows %+v", chat)
	}

	if err := vote(t, world.Users.Bob, approval, v1alpha1.DecisionApprove, "ok"); err != nil {
		t.Fatal(err)
	}
	reaches(t, request, v1alpha1.PhaseSucceeded)
	tells(t, "/signoff", request, "requested", "approvalneeded", "voted", "approvalclosed", "approved", "executing", "succeeded")
	eventually(t, "that who was asked learns that it is decided, and who asked how it ended", func() (bool, string) {
		got := addressed(request)
		return slices.Equal(got, []string{"alice@example.org Succeeded", "bob@example.org Approval needed", "carol@example.org Already decided", "carol@example.org Approval needed"}), fmt.Sprint(got)
	})
	eventually(t, "that the status has it all", func() (bool, string) {
		status := &current(t, object).Status
		return status.Delivered == 12 && status.Failed == 0 && status.Pending == 0 && len(status.Deliveries) == 12 && status.LastError == nil && status.LastDelivery != nil, fmt.Sprintf("%+v", status)
	})
	for _, letter := range mail.Letters() {
		if !letter.Secure || letter.Login != "signoff" || strings.Contains(letter.Text, "the noon sale") {
			t.Errorf("a mail was sent as %+v", letter)
		}
	}
	for _, call := range calls.Calls("/signoff") {
		if strings.Contains(call.Body, "the noon sale") || call.Header.Get("Idempotency-Key") == "" {
			t.Errorf("an event was sent as %+v", call)
		}
	}
}

// TestMarkupIsText gives a reason in which chats, cards, pages and mails would find something to do. Every one of them gets it as text, and where the words are
// Signoff's, as those of who asked.
func TestMarkupIsText(t *testing.T) {
	const reason = "<b>ok</b> <img src=x onerror=alert(1)> [ok](https://evil.example) <!channel> *all*\r\nBcc: evil@example.org\x1b[2J\u202e"
	const shown = `<b>ok</b> <img src=x onerror=alert(1)> [ok](https://evil.example) <!channel> *all*\r\nBcc: evil@example.org\x1b[2J\u202e`
	notifier(t, `{apiVersion: signoff.dev/v1alpha1, kind: Notifier, metadata: {namespace: payments, name: markup}, spec: {channels: [
		{name: bus, cloudEvents: {url: "https://events.example.org/markup-bus"}}, {name: words, cloudEvents: {url: "https://events.example.org/markup-words"}}, {name: mail, email: {host: smtp.example.org, from: signoff@example.org, address: "${recipient.username}@markup.example.org"}}],
		routes: [{events: [ApprovalNeeded], to: [{channel: bus}, {channel: mail, recipients: [Approvers]}], message: {title: "${request.reason}", text: "${request.reason}"}},
			{events: [ApprovalNeeded], to: [{channel: words}]}]}}`)
	request := askedFor(t, "markup", "high", reason)
	live := &v1alpha1.ActionRequest{}
	if err := admin(t).Get(t.Context(), client.ObjectKeyFromObject(request), live); err != nil || live.Spec.Reason != reason {
		t.Fatalf("the reason is stored as %q, %v", live.Spec.Reason, err)
	}
	eventually(t, "that the bus is told", func() (bool, string) {
		return len(calls.Calls("/markup-bus")) == 1, fmt.Sprint(calls.Calls("/markup-bus"))
	})
	eventually(t, "that Signoff's words are told", func() (bool, string) {
		return len(calls.Calls("/markup-words")) == 1, fmt.Sprint(calls.Calls("/markup-words"))
	})
	var words, event struct{ Data struct{ Title, Text string } }
	for path, into := range map[string]any{"/markup-bus": &event, "/markup-words": &words} {
		if err := json.Unmarshal([]byte(calls.Calls(path)[0].Body), into); err != nil {
			t.Fatal(err)
		}
	}
	if !strings.HasPrefix(words.Data.Text, `alice wrote: "`+shown+"\"\n") {
		t.Errorf("what the requester wrote is not marked as theirs: %q", words.Data.Text)
	}
	if event.Data.Title != shown || !strings.Contains(event.Data.Text, "<b>ok</b>") || strings.ContainsAny(event.Data.Text, "\x1b\u202e") {
		t.Errorf("the bus is told %+q", event.Data)
	}
	var letters []receivers.Letter
	eventually(t, "that the approvers are written to", func() (bool, string) {
		letters = slices.DeleteFunc(mail.Letters(), func(l receivers.Letter) bool { return !strings.HasSuffix(l.To[0], "@markup.example.org") })
		return len(letters) == 2, fmt.Sprint(len(letters))
	})
	for _, letter := range letters {
		read, err := netmail.ReadMessage(strings.NewReader(letter.Text))
		if err != nil {
			t.Fatal(err)
		}
		subject, err := new(mime.WordDecoder).DecodeHeader(read.Header.Get("Subject"))
		if err != nil || subject != shown || read.Header.Get("Bcc") != "" || len(letter.To) != 1 {
			t.Errorf("a mail to %v has the subject %q and is copied to %q: %v", letter.To, subject, read.Header.Get("Bcc"), err)
		}
		if kind := read.Header.Get("Content-Type"); kind != "text/plain; charset=utf-8" {
			t.Errorf("a mail is read as %s", kind)
		}
	}
}

// TestCancelled: who was asked learns that nobody needs them any more, and who said so. Nobody is asked to decide on what was not requested yet.
func TestCancelled(t *testing.T) {
	notifier(t, `{apiVersion: signoff.dev/v1alpha1, kind: Notifier, metadata: {namespace: payments, name: cancelled}, spec: {channels: [
		{name: bus, cloudEvents: {url: "https://events.example.org/cancelled"}}], routes: [{events: [Requested, ApprovalNeeded, ApprovalClosed, Cancelled], to: [{channel: bus}]}]}}`)
	request := asked(t, "cancelled", "high")
	tells(t, "/cancelled", request, "requested", "approvalneeded")
	if got := eventsAt(t, "/cancelled", request); got[0] != "requested" {
		t.Errorf("it is told as %q", got)
	}
	patch := client.RawPatch(types.MergePatchType, []byte(`{"spec":{"cancellation":{"reason":"not today"}}}`))
	if err := as(t, world.Users.Alice).Patch(t.Context(), request.DeepCopy(), patch); err != nil {
		t.Fatal(err)
	}
	tells(t, "/cancelled", request, "requested", "approvalneeded", "approvalclosed", "cancelled")
	var told []string
	for _, call := range calls.Calls("/cancelled") {
		var event struct{ Data struct{ Event, Title string } }
		if err := json.Unmarshal([]byte(call.Body), &event); err != nil {
			t.Fatal(err)
		}
		if event.Data.Event == string(v1alpha1.EventApprovalClosed) {
			told = append(told, event.Data.Title)
		}
	}
	want := []string{"Cancelled by alice, so stage owners needs nobody any more: platform/note of alice (payments/" + request.Name + ")"}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("who was asked (-want +got):\n%s", diff)
	}
}

func bus(namespace, name, path string, events ...string) string {
	return fmt.Sprintf(`{apiVersion: signoff.dev/v1alpha1, kind: Notifier, metadata: {namespace: %s, name: %s}, spec: {channels: [{name: bus, cloudEvents: {url: "https://events.example.org%s"}}],
		routes: [{events: [%s], to: [{channel: bus}]}]}}`, namespace, name, path, strings.Join(events, ", "))
}

// TestScope: a Notifier sees its own namespace, and in that of the operator everything.
func TestScope(t *testing.T) {
	notifier(t, bus("signoff-system", "all", "/all", "Requested", "Succeeded"))
	notifier(t, bus("payments", "own", "/own", "Succeeded"))
	notifier(t, bus("search", "others", "/others", "Requested", "Succeeded"))
	request := asked(t, "scope", "low")
	tells(t, "/all", request, "requested", "succeeded")
	tells(t, "/own", request, "succeeded")
	if got := calls.Calls("/others"); len(got) > 0 {
		t.Errorf("a Notifier of another namespace was told: %+v", got)
	}
	late := notifier(t, bus("payments", "late", "/late", "Requested", "Succeeded"))
	other := asked(t, "scope-later", "low")
	tells(t, "/late", other, "requested", "succeeded")
	if got := eventsAt(t, "/late", request); len(got) > 0 {
		t.Errorf("what happened before the Notifier %s was told: %q", late.Name, got)
	}
}

// TestReviewAskedForAgain: who breaks the glass, and then takes the request and its review away by force, keeps nobody from learning that the review is
// asked for again, and how it ends: neither those who see all requests nor those who see the namespace of the request, and nobody else learns it.
func TestReviewAskedForAgain(t *testing.T) {
	world.Namespace(t, "escaping")
	events := []string{"Requested", "ReviewNeeded", "Voted", "ReviewClosed"}
	notifier(t, bus("signoff-system", "reviews", "/reviews", events...))
	notifier(t, bus("escaping", "reviews", "/escaping", events...))
	notifier(t, bus("search", "reviews", "/unconcerned", events...))
	request := world.EmergencyIn(t, "escaping")
	tells(t, "/reviews", request, "requested", "reviewneeded")
	review := world.Review(t, request)
	world.Unguarded(t, func() {
		for _, object := range []client.Object{request, review} {
			play.Written(t, func() error { return client.IgnoreNotFound(admin(t).Delete(t.Context(), object)) })
		}
	})
	eventually(t, "that the request is gone", func() (bool, string) {
		err := admin(t).Get(t.Context(), client.ObjectKeyFromObject(request), &v1alpha1.ActionRequest{})
		return apierrors.IsNotFound(err), fmt.Sprint(err)
	})
	eventually(t, "that the review is asked for again", func() (bool, string) { return len(world.Successors(t, request)) == 1, "it is not" })
	tells(t, "/reviews", request, "requested", "reviewneeded", "reviewneeded")
	if err := vote(t, world.Users.Erin, &world.Successors(t, request)[0], "Deny", "nobody needed that"); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/reviews", "/escaping"} {
		tells(t, path, request, "requested", "reviewneeded", "reviewneeded", "voted", "reviewclosed")
	}
	if got := calls.Calls("/unconcerned"); len(got) > 0 {
		t.Errorf("a Notifier of another namespace was told: %+v", got)
	}
}

// TestRefused: what cannot work is refused where it is written, and nobody lends themself a ServiceAccount.
func TestRefused(t *testing.T) {
	text := strings.Replace(here(t, marked(t, "notifier")), "channel: mail", "channel: chatt", 1)
	object := &v1alpha1.Notifier{}
	if err := yaml.Unmarshal([]byte(text), object); err != nil {
		t.Fatal(err)
	}
	object.Name = "refused"
	err := admin(t).Create(t.Context(), object.DeepCopy())
	status := apierrors.APIStatus(nil)
	if !errors.As(err, &status) || !apierrors.IsInvalid(err) {
		t.Fatal(err)
	}
	var causes []string
	for _, cause := range status.Status().Details.Causes {
		causes = append(causes, cause.Field+": "+cause.Message)
	}
	if diff := cmp.Diff([]string{strings.TrimSpace(marked(t, "refused"))}, causes); diff != "" {
		t.Errorf("the causes (-guide +got):\n%s", diff)
	}
	apply(t, `{apiVersion: v1, kind: ServiceAccount, metadata: {namespace: platform, name: teller}}`)
	borrowed := &v1alpha1.Notifier{}
	if err := yaml.Unmarshal([]byte(here(t, marked(t, "notifier"))), borrowed); err != nil {
		t.Fatal(err)
	}
	borrowed.Namespace = "platform"
	if err := as(t, world.Users.Frank).Create(t.Context(), borrowed); !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "you (frank) may not let Notifiers run as ServiceAccount platform/teller") {
		t.Errorf("an author used a ServiceAccount that is not theirs: %v", err)
	}
	if err := as(t, world.Users.Alice).Create(t.Context(), &v1alpha1.Notifier{ObjectMeta: object.ObjectMeta, Spec: object.Spec}); !apierrors.IsForbidden(err) {
		t.Errorf("a requester made a Notifier: %v", err)
	}
}

// TestSecretMustAllow: a Secret that does not name the host is not sent there, which the status says, and is once it does.
func TestSecretMustAllow(t *testing.T) {
	apply(t, marked(t, "rights"))
	apply(t, here(t, marked(t, "secrets")))
	secret := &corev1.Secret{}
	if err := admin(t).Get(t.Context(), types.NamespacedName{Namespace: "payments", Name: "chat"}, secret); err != nil {
		t.Fatal(err)
	}
	secret.Annotations = map[string]string{"signoff.dev/allowed-hosts": "hooks.slack.com"}
	secret.Data["url"] = []byte(calls.URL + "/chat/hidden-in-another-address")
	if err := admin(t).Update(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	object := notifier(t, `{apiVersion: signoff.dev/v1alpha1, kind: Notifier, metadata: {namespace: payments, name: guarded}, spec: {serviceAccountName: teller,
		channels: [{name: chat, slack: {urlSecret: {name: chat, key: url}}}], routes: [{events: [Succeeded], to: [{channel: chat}]}]}}`)
	request := asked(t, "guarded", "low")
	reaches(t, request, v1alpha1.PhaseSucceeded)
	eventually(t, "that the status says why nothing was sent", func() (bool, string) {
		status := &current(t, object).Status
		return status.Pending == 1 && status.LastError != nil && strings.Contains(status.LastError.Message, "it may not be sent to 127.0.0.1") &&
			!strings.Contains(status.LastError.Message, "hidden"), fmt.Sprintf("%+v", status)
	})
	fmt.Fprintf(&stored, "%+v\n", current(t, object).Status)
	if got := calls.Calls("/chat/hidden-in-another-address"); len(got) > 0 {
		t.Fatalf("it was sent: %+v", got)
	}
	secret.Annotations["signoff.dev/allowed-hosts"] = "127.0.0.1"
	if err := admin(t).Update(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	eventually(t, "that it is delivered", func() (bool, string) {
		status := &current(t, object).Status
		return status.Delivered == 1 && status.Pending == 0 && status.LastError == nil && status.Deliveries[0].Attempts > 1, fmt.Sprintf("%+v", status)
	})
}

// TestPagers makes what the guide shows of services that want a key in the body, a form, or a call for each person.
func TestPagers(t *testing.T) {
	apply(t, marked(t, "rights"))
	apply(t, `{apiVersion: v1, kind: Secret, metadata: {namespace: payments, name: pager, annotations: {signoff.dev/allowed-hosts: 127.0.0.1}}, stringData: {routing-key: `+pagerKey+`, zulip: Ym90OmtleQ}}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {namespace: payments, name: pager}, rules: [{apiGroups: [""], resources: [secrets], resourceNames: [pager], verbs: [get]}]}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {namespace: payments, name: pager}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: pager}, subjects: [{kind: ServiceAccount, namespace: payments, name: teller}]}`)
	shown := marked(t, "pagers")
	object := notifier(t, strings.Replace(shown, "events: [OutcomeUnknown, Unsatisfiable, ReviewOverdue]", "events: [ApprovalNeeded]", 1))
	request := asked(t, "pagers", "high")
	eventually(t, "that all is delivered", func() (bool, string) {
		status := &current(t, object).Status
		return status.Delivered == 3 && status.Pending == 0 && status.Failed == 0, fmt.Sprintf("%+v", status)
	})
	pages := calls.Calls(pagerPath)
	if len(pages) != 1 {
		t.Fatalf("the pager is told %+v", pages)
	}
	var page map[string]any
	if err := json.Unmarshal([]byte(pages[0].Body), &page); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"routing_key": pagerKey, "event_action": "trigger", "dedup_key": pages[0].Header.Get("Idempotency-Key"),
		"payload": map[string]any{"summary": "Approval needed: platform/note of alice (payments/" + request.Name + ")", "source": "payments/" + request.Name, "severity": "error"},
	}
	if diff := cmp.Diff(want, page); diff != "" {
		t.Errorf("the pager (-want +got):\n%s", diff)
	}
	var people []string
	for _, call := range calls.Calls("/api/v1/messages") {
		form, err := url.ParseQuery(call.Body)
		if err != nil || form.Get("type") != "direct" || call.Header.Get("Authorization") != "Basic Ym90OmtleQ" {
			t.Errorf("a person is told %+v: %v", call, err)
		}
		people = append(people, form.Get("to"))
	}
	slices.Sort(people)
	if diff := cmp.Diff([]string{`["bob@example.org"]`, `["carol@example.org"]`}, people); diff != "" {
		t.Errorf("who is written to (-want +got):\n%s", diff)
	}
}

// TestOutage: a receiver that is down holds up no request, and learns everything once it is back, also after Signoff was started anew; with the same
// ids.
func TestOutage(t *testing.T) {
	calls.Answers(func(w http.ResponseWriter) { w.WriteHeader(http.StatusInternalServerError) })
	t.Cleanup(func() { calls.Answers(func(http.ResponseWriter) {}) })
	object := notifier(t, bus("payments", "broken", "/broken", "Requested", "Executing", "Succeeded"))
	request := asked(t, "outage", "low")
	reaches(t, request, v1alpha1.PhaseSucceeded)
	eventually(t, "that all three are tried", func() (bool, string) {
		status := &current(t, object).Status
		return status.Pending == 3 && status.Delivered == 0 && status.LastError != nil && strings.Contains(status.LastError.Message, "500"), fmt.Sprintf("%+v", status)
	})
	before := idsOf(t, "/broken", request)
	if err := world.Signoff.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	calls.Answers(func(http.ResponseWriter) {})
	tried := len(calls.Calls("/broken"))
	eventually(t, "that all three are delivered", func() (bool, string) {
		status := &current(t, object).Status
		return status.Delivered == 3 && status.Pending == 0 && status.LastError == nil && status.Failed == 0, fmt.Sprintf("%+v", status)
	})
	if len(calls.Calls("/broken")) < tried+3 {
		t.Error("nothing was sent after the start")
	}
	if diff := cmp.Diff(before, idsOf(t, "/broken", request)); diff != "" || len(before) != 3 {
		t.Errorf("the ids (-before +after):\n%s", diff)
	}
	if err := world.Signoff.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	sent := len(calls.Calls("/broken"))
	tells(t, "/broken", asked(t, "after-outage", "low"), "requested", "executing", "succeeded")
	if got := len(calls.Calls("/broken")); got != sent+3 {
		t.Errorf("what was delivered was sent again: %d calls, want %d", got, sent+3)
	}
}

// idsOf are the ids of the events about a request, each once, sorted.
func idsOf(t *testing.T, path string, request *v1alpha1.ActionRequest) []string {
	t.Helper()
	var ids []string
	for _, call := range calls.Calls(path) {
		var event struct{ ID, Subject string }
		if err := json.Unmarshal([]byte(call.Body), &event); err != nil {
			t.Fatal(err)
		}
		if event.Subject == "payments/"+request.Name {
			ids = append(ids, event.ID)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// TestRights: the operator reads no Secret itself, and writes no Notifier but its status.
func TestRights(t *testing.T) {
	operator := as(t, env.Person{Name: "operator", Config: world.Signoff.Operator})
	apply(t, here(t, marked(t, "secrets")))
	if err := operator.Get(t.Context(), types.NamespacedName{Namespace: "payments", Name: "chat"}, &corev1.Secret{}); !apierrors.IsForbidden(err) {
		t.Errorf("the operator reads a Secret: %v", err)
	}
	object := notifier(t, bus("payments", "kept", "/kept", "Requested"))
	live := current(t, object)
	live.Spec.Routes[0].Events = []v1alpha1.NotificationEvent{v1alpha1.EventFailed}
	if err := operator.Update(t.Context(), live); !apierrors.IsForbidden(err) {
		t.Errorf("the operator writes a Notifier: %v", err)
	}
	live = current(t, object)
	live.Status.Delivered = 7
	if err := as(t, world.Users.Ada).Status().Update(t.Context(), live, &client.SubResourceUpdateOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("somebody writes the status of a Notifier: %v", err)
	}
}

// TestNothingHidden greps everything that was written in all tests for what is in Secrets. It stands last.
func TestNothingHidden(t *testing.T) {
	text := stored.String() + logged.String()
	for _, letter := range mail.Letters() {
		text += letter.Text
	}
	for _, call := range calls.Calls("") {
		if call.Path != pagerPath {
			text += call.Body
		}
	}
	for _, hidden := range []string{"hidden-in-the-address", "hidden-in-another-address", password, pagerKey} {
		if strings.Contains(text, hidden) {
			t.Errorf("%q is written somewhere", hidden)
		}
	}
	if len(logged.String()) == 0 || !strings.Contains(stored.String(), "may not be sent to") {
		t.Error("nothing was searched")
	}
}
