package notify

import (
	"bufio"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net"
	"net/http"
	netmail "net/mail"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/google/go-cmp/cmp"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/egress"
	"github.com/signoff-dev/signoff/test/receivers"
)

const hidden = "hunter2-is-hidden"

func newReceiver(t *testing.T) *receivers.HTTP {
	t.Helper()
	r := receivers.NewHTTP()
	t.Cleanup(r.Close)
	return r
}

// arrived is the one call that has arrived.
func arrived(t *testing.T, r *receivers.HTTP) receivers.Call {
	t.Helper()
	calls := r.Take()
	if len(calls) != 1 {
		t.Fatalf("%d calls have arrived: %+v", len(calls), calls)
	}
	return calls[0]
}

// loopback lets one port of this machine be called.
func loopback(port int, plain bool) *Sender {
	return &Sender{
		Egress: egress.New([]egress.Host{{Name: "127.0.0.1", Ports: []uint16{uint16(port)}, Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Plain: plain}}),
	}
}

// keys are Secrets that may be sent to anybody.
func keys(values map[string]string) Secrets {
	return func(_ context.Context, key *v1alpha1.SecretKey, host func(string) (string, error)) (string, error) {
		value := values[key.Name]
		if _, err := host(value); err != nil {
			return "", err
		}
		return value, nil
	}
}

func specOf(channel any) string {
	text, err := json.Marshal(map[string]any{
		"serviceAccountName": "teller", "channels": []any{channel},
		"routes": []any{map[string]any{"events": []string{"ApprovalNeeded"}, "to": []any{map[string]any{"channel": "c"}}}},
	})
	if err != nil {
		panic(err)
	}
	return string(text)
}

// sent sends the message that an approval is needed by a channel.
func sent(t *testing.T, s *Sender, channel any, secrets map[string]string) error {
	t.Helper()
	m := message(t, compiled(t, specOf(channel)), eventOf(t, v1alpha1.EventApprovalNeeded, nil))
	return s.Send(t.Context(), m, keys(secrets), noon)
}

func TestChats(t *testing.T) {
	r := newReceiver(t)
	s := loopback(r.Port(), false)
	for kind, want := range map[string]string{
		"slack": `{"blocks":[{"text":{"emoji":false,"text":"Approval needed: platform/note of alice (payments/sale)","type":"plain_text"},"type":"header"},{"text":{"emoji":false,"text":"TEXT","type":"plain_text"},"type":"section"}],"text":"Approval needed: platform/note of alice (payments/sale)"}`,
		"teams": `{"attachments":[{"content":{"$schema":"http://adaptivecards.io/schemas/adaptive-card.json","body":[{"inlines":[{"text":"Approval needed: platform/note of alice (payments/sale)","type":"TextRun","weight":"Bolder"}],"type":"RichTextBlock"},{"inlines":[{"text":"TEXT","type":"TextRun","weight":"Default"}],"type":"RichTextBlock"}],"type":"AdaptiveCard","version":"1.4"},"contentType":"application/vnd.microsoft.card.adaptive"}],"type":"message"}`,
	} {
		channel := map[string]any{"name": "c", kind: map[string]any{"urlSecret": map[string]any{"name": "s", "key": "url"}, "caBundle": r.Bundle()}}
		if err := sent(t, s, channel, map[string]string{"s": r.URL + "/" + hidden}); err != nil {
			t.Fatal(err)
		}
		got := arrived(t, r)
		text, _ := json.Marshal(message(t, compiled(t, specOf(channel)), eventOf(t, v1alpha1.EventApprovalNeeded, nil)).Text)
		want = strings.ReplaceAll(want, `"TEXT"`, string(text))
		if got.Path != "/"+hidden || got.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: it was sent as %+v", kind, got)
		}
		if diff := cmp.Diff(want, got.Body); diff != "" {
			t.Errorf("%s (-want +got):\n%s", kind, diff)
		}
	}
}

// TestCloudEvent: in the structured form, with a header from a Secret, and signed as Standard Webhooks demand.
func TestCloudEvent(t *testing.T) {
	r := newReceiver(t)
	key := base64.StdEncoding.EncodeToString([]byte("0123456789abcdef"))
	channel := map[string]any{"name": "c", "cloudEvents": map[string]any{
		"url": r.URL + "/in", "caBundle": r.Bundle(), "sign": map[string]any{"name": "sign", "key": "k"},
		"headers": []any{map[string]any{"name": "Authorization", "prefix": "Bearer ", "secret": map[string]any{"name": "token", "key": "k"}}, map[string]any{"name": "X-Plain", "value": "v"}},
	}}
	if err := sent(t, loopback(r.Port(), false), channel, map[string]string{"sign": "whsec_" + key, "token": hidden}); err != nil {
		t.Fatal(err)
	}
	got := arrived(t, r)
	e := eventOf(t, v1alpha1.EventApprovalNeeded, nil)
	for header, want := range map[string]string{
		"Content-Type": "application/cloudevents+json", "Authorization": "Bearer " + hidden, "X-Plain": "v", "Idempotency-Key": e.ID, "Webhook-Id": e.ID,
		"Webhook-Timestamp": fmt.Sprint(noon.Unix()), "User-Agent": "signoff",
	} {
		if got.Header.Get(header) != want {
			t.Errorf("header %s is %q, want %q", header, got.Header.Get(header), want)
		}
	}
	mac := hmac.New(sha256.New, []byte("0123456789abcdef"))
	_, _ = fmt.Fprintf(mac, "%s.%d.%s", e.ID, noon.Unix(), got.Body)
	if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); got.Header.Get("Webhook-Signature") != want {
		t.Errorf("the signature is %q, want %q", got.Header.Get("Webhook-Signature"), want)
	}
	var event map[string]any
	if err := json.Unmarshal([]byte(got.Body), &event); err != nil {
		t.Fatal(err)
	}
	data, _ := event["data"].(map[string]any)
	delete(event, "data")
	want := map[string]any{
		"specversion": "1.0", "id": e.ID, "source": "/clusters/c", "type": "dev.signoff.notification.approvalneeded.v1", "subject": "payments/sale",
		"time": "2026-11-23T12:01:00Z", "datacontenttype": "application/json",
	}
	if diff := cmp.Diff(want, event); diff != "" {
		t.Errorf("the event (-want +got):\n%s", diff)
	}
	about, _ := data["request"].(map[string]any)
	if data["command"] != "kubectl signoff approve -n payments sale-owners --digest 9f3c1a7e" || about["onBehalfOf"] != nil {
		t.Errorf("it says to %v, on behalf of %v", data["command"], about["onBehalfOf"])
	}
	e.Request.Spec.OnBehalfOf = &v1alpha1.OnBehalfOf{Username: "carol"}
	claimed := cloudEvent(message(t, compiled(t, specOf(channel)), e), e, "/clusters/c").(map[string]any)["data"].(map[string]any)["request"].(map[string]any)
	if claimed["onBehalfOf"] != "carol" {
		t.Errorf("it is asked on behalf of %v", claimed["onBehalfOf"])
	}
	if data["requester"] != "alice" || data["event"] != "ApprovalNeeded" || strings.Contains(got.Body, "the sale") || strings.Contains(got.Body, hidden) {
		t.Errorf("its data is %s", got.Body)
	}
}

// TestWebhook sends a body of one's own, in which a whole template keeps its type.
func TestWebhook(t *testing.T) {
	r := newReceiver(t)
	channel := map[string]any{"name": "c", "webhook": map[string]any{"url": r.URL, "caBundle": r.Bundle(), "body": map[string]any{"text": "${event.title}: ${inputs.level}", "all": "${inputs}"}}}
	if err := sent(t, loopback(r.Port(), false), channel, nil); err != nil {
		t.Fatal(err)
	}
	want := `{"all":{"level":"high","text":"the sale"},"text":"Approval needed: platform/note of alice (payments/sale): high"}`
	if got := arrived(t, r); got.Body != want || got.Header.Get("Content-Type") != "application/json" {
		t.Errorf("it was sent as %+v", got)
	}
}

// TestBodySecrets: what is in a Secret stands in the body that is sent, as text whatever it holds, under the signature, and nowhere else.
func TestBodySecrets(t *testing.T) {
	r := newReceiver(t)
	s := loopback(r.Port(), false)
	key := base64.StdEncoding.EncodeToString([]byte("0123456789abcdef"))
	awkward := hidden + `"},"event_action":"resolve&a=b`
	for kind, want := range map[string]struct{ header, body string }{
		"JSON": {"application/json", `{"event_action":"trigger","payload":{"summary":"Approval needed: platform/note of alice (payments/sale)"},"routing_key":"` + hidden + `\"},\"event_action\":\"resolve\u0026a=b"}`},
		"Form": {"application/x-www-form-urlencoded", "event_action=trigger&payload=" + url.QueryEscape(`{"summary":"Approval needed: platform/note of alice (payments/sale)"}`) + "&routing_key=" + url.QueryEscape(awkward)},
	} {
		channel := map[string]any{"name": "c", "webhook": map[string]any{
			"url": r.URL + "/v2/enqueue", "caBundle": r.Bundle(), "contentType": kind, "sign": map[string]any{"name": "sign", "key": "k"},
			"body":        map[string]any{"event_action": "trigger", "payload": map[string]any{"summary": "${event.title}"}},
			"bodySecrets": []any{map[string]any{"field": "routing_key", "secret": map[string]any{"name": "pager", "key": "k"}}},
		}}
		m := message(t, compiled(t, specOf(channel)), eventOf(t, v1alpha1.EventApprovalNeeded, nil))
		values := map[string]string{"pager": awkward, "sign": key}
		if err := s.Send(t.Context(), m, keys(values), noon); err != nil {
			t.Fatal(err)
		}
		got := arrived(t, r)
		if diff := cmp.Diff(want.body, got.Body); diff != "" || got.Header.Get("Content-Type") != want.header {
			t.Errorf("%s: it was sent as %s (-want +got):\n%s", kind, got.Header.Get("Content-Type"), diff)
		}
		mac := hmac.New(sha256.New, []byte("0123456789abcdef"))
		_, _ = fmt.Fprintf(mac, "%s.%d.%s", m.ID, noon.Unix(), got.Body)
		if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); got.Header.Get("Webhook-Signature") != want {
			t.Errorf("%s: the signature is %q, want %q", kind, got.Header.Get("Webhook-Signature"), want)
		}
		if strings.Contains(fmt.Sprintf("%+v %s", m, m.Content), hidden) {
			t.Errorf("%s: what waits, and may be tried again, has the secret", kind)
		}
		r.Answers(func(w http.ResponseWriter) { http.Error(w, got.Body, http.StatusBadRequest) })
		if err := s.Send(t.Context(), m, keys(values), noon); err == nil || strings.Contains(err.Error(), hidden) {
			t.Errorf("%s: the error says too much, or there is none: %v", kind, err)
		}
		arrived(t, r)
		r.Answers(func(http.ResponseWriter) {})
	}
}

// TestBodySecretStays: a Secret that does not allow the host, or holds no text, is not sent.
func TestBodySecretStays(t *testing.T) {
	r := newReceiver(t)
	channel := map[string]any{"name": "c", "webhook": map[string]any{
		"url": r.URL, "caBundle": r.Bundle(), "body": map[string]any{}, "bodySecrets": []any{map[string]any{"field": "token", "secret": map[string]any{"name": "pager", "key": "k"}}},
	}}
	m := message(t, compiled(t, specOf(channel)), eventOf(t, v1alpha1.EventApprovalNeeded, nil))
	refused := errors.New("not to that host")
	for name, secrets := range map[string]Secrets{
		"not to that host": func(_ context.Context, _ *v1alpha1.SecretKey, host func(string) (string, error)) (string, error) {
			if to, err := host(hidden); err != nil || to != "127.0.0.1" {
				t.Errorf("it is asked about %q: %v", to, err)
			}
			return "", refused
		},
		`what is in key "k" of Secret pager is no text`: keys(map[string]string{"pager": hidden + "\xff"}),
	} {
		if err := loopback(r.Port(), false).Send(t.Context(), m, secrets, noon); err == nil || err.Error() != name {
			t.Errorf("it says %v, want %s", err, name)
		}
		if calls := r.Take(); len(calls) > 0 {
			t.Errorf("it arrived: %+v", calls)
		}
	}
}

// TestOneByOne: each person gets a call of their own, which a receiver does not take for that of another, nor for another when it comes again.
func TestOneByOne(t *testing.T) {
	r := newReceiver(t)
	key := "whsec_" + base64.StdEncoding.EncodeToString([]byte("0123456789abcdef"))
	text, err := json.Marshal(map[string]any{
		"serviceAccountName": "teller",
		"channels": []any{
			map[string]any{"name": "bus", "cloudEvents": map[string]any{"url": r.URL + "/bus", "caBundle": r.Bundle(), "sign": map[string]any{"name": "sign", "key": "k"}}},
			map[string]any{"name": "chat", "webhook": map[string]any{"url": r.URL + "/chat", "caBundle": r.Bundle(), "body": map[string]any{"channel": "@${recipient.username}", "text": "${event.id}"}}},
		},
		"routes": []any{map[string]any{"events": []string{"ApprovalNeeded"}, "to": []any{
			map[string]any{"channel": "bus", "recipients": []string{"Requester", "Approvers"}}, map[string]any{"channel": "chat", "recipients": []string{"Requester", "Approvers"}},
		}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	e, s, ids := eventOf(t, v1alpha1.EventApprovalNeeded, nil), loopback(r.Port(), false), map[string]int{}
	var got []string
	for _, m := range compiled(t, string(text)).Messages(t.Context(), e, telling()) {
		for range 2 {
			if err := s.Send(t.Context(), m, keys(map[string]string{"sign": key}), noon); err != nil {
				t.Fatal(err)
			}
			call := arrived(t, r)
			id := call.Header.Get("Idempotency-Key")
			ids[call.Path+id]++
			var body struct {
				ID, Channel, Text string
				Data              struct{ Recipient string }
			}
			if err := json.Unmarshal([]byte(call.Body), &body); err != nil {
				t.Fatal(err)
			}
			if call.Path == "/bus" && (body.ID != id || call.Header.Get("Webhook-Id") != id) || call.Path == "/chat" && body.Text != e.ID {
				t.Errorf("a call with the key %s says %s", id, call.Body)
			}
			got = append(got, call.Path+" "+body.Channel+body.Data.Recipient)
		}
	}
	want := []string{"/bus alice", "/bus bob", "/bus carol@example.org", "/chat @alice", "/chat @bob", "/chat @carol@example.org"}
	if diff := cmp.Diff(want, slices.Compact(got)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if len(ids) != len(want) {
		t.Errorf("%d calls have the keys %v", len(want), ids)
	}
}

// TestSecretAddress: a body of one's own, and an event, go to an address that is a secret as those of chats do.
func TestSecretAddress(t *testing.T) {
	r := newReceiver(t)
	at := map[string]any{"urlSecret": map[string]any{"name": "s", "key": "url"}, "caBundle": r.Bundle()}
	hook := map[string]any{"body": map[string]any{"content": "${event.title}"}}
	maps.Copy(hook, at)
	for _, channel := range []map[string]any{{"name": "c", "webhook": hook}, {"name": "c", "cloudEvents": at}} {
		if err := sent(t, loopback(r.Port(), false), channel, map[string]string{"s": r.URL + "/" + hidden}); err != nil {
			t.Fatal(err)
		}
		if got := arrived(t, r); got.Path != "/"+hidden || strings.Contains(got.Body, hidden) {
			t.Errorf("it was sent as %+v", got)
		}
		r.Answers(func(w http.ResponseWriter) { w.WriteHeader(http.StatusNotFound) })
		if err := sent(t, loopback(r.Port(), false), channel, map[string]string{"s": r.URL + "/" + hidden}); err == nil || strings.Contains(err.Error(), hidden) {
			t.Errorf("the error says too much, or there is none: %v", err)
		}
		arrived(t, r)
		r.Answers(func(http.ResponseWriter) {})
	}
}

// TestAnswers: what a receiver answers says whether it helps to try again.
func TestAnswers(t *testing.T) {
	r := newReceiver(t)
	s := loopback(r.Port(), false)
	channel := map[string]any{"name": "c", "slack": map[string]any{"urlSecret": map[string]any{"name": "s", "key": "url"}, "caBundle": r.Bundle()}}
	for code, want := range map[int]string{200: "delivered", 204: "delivered", 302: "final", 400: "final", 404: "final", 408: "again", 429: "busy", 500: "again", 503: "busy"} {
		r.Answers(func(w http.ResponseWriter) {
			w.Header().Set("Retry-After", "7")
			w.Header().Set("Location", "https://127.0.0.1/elsewhere")
			w.WriteHeader(code)
			_, _ = io.WriteString(w, hidden)
		})
		err := sent(t, s, channel, map[string]string{"s": r.URL + "/" + hidden})
		arrived(t, r)
		got := "again"
		var final *FinalError
		var busy *BusyError
		switch {
		case err == nil:
			got = "delivered"
		case errors.As(err, &final):
			got = "final"
		case errors.As(err, &busy):
			if got = "busy"; busy.After.Seconds() != 7 {
				t.Errorf("%d: it wants to rest for %s", code, busy.After)
			}
		}
		if got != want || err != nil && strings.Contains(err.Error(), hidden) {
			t.Errorf("%d means %s, want %s: %v", code, got, want, err)
		}
	}
}

// TestRetryAfter: a receiver says in seconds, or until when, that it wants to be left alone.
func TestRetryAfter(t *testing.T) {
	for name, tc := range map[string]struct {
		reason, header string
		want           time.Duration
	}{
		"Seconds": {"a number", "7", 7 * time.Second},
		"Date":    {"a date counts from now", "Mon, 23 Nov 2026 12:01:30 GMT", 90 * time.Second},
		"OldDate": {"also in an old form", "Monday, 23-Nov-26 12:00:09 GMT", 9 * time.Second},
		"Past":    {"what is over is no pause", "Mon, 23 Nov 2026 11:00:00 GMT", 0},
		"Minus":   {"nor is less than nothing", "-7", 0},
		"Long":    {"nobody is left alone for ever", "9223372036854775807", longestPause},
		"FarDate": {"not until some date either", "Tue, 23 Nov 2027 12:00:00 GMT", longestPause},
		"Nothing": {"what says nothing asks for nothing", "", 0},
		"Words":   {"nor does what nobody can read", "later", 0},
	} {
		t.Run(name, func(t *testing.T) {
			busy, ok := errors.AsType[*BusyError](judged("x.example.com", &http.Response{StatusCode: 429, Header: http.Header{"Retry-After": {tc.header}}}, noon))
			if !ok || busy.After != tc.want {
				t.Errorf("%s: %+v, want %s", tc.reason, busy, tc.want)
			}
		})
	}
}

// TestLongSubject: no line of a mail is longer than a server takes, whatever people write, and it is read as it was written.
func TestLongSubject(t *testing.T) {
	for name, title := range map[string]string{
		"Short": "Approval needed: platform/note", "Latin": strings.Repeat("a", maxTitle), "Other": strings.Repeat("承", maxTitle), "Words": strings.Repeat("é ", maxTitle/2),
	} {
		c := &call{now: noon, message: &Message{ID: "id", Address: "b@example.org", Title: title, Text: "text", Channel: &Channel{NotifierChannel: &v1alpha1.NotifierChannel{Name: "c"}}}}
		letter, err := c.letter(&v1alpha1.EmailChannel{From: "\"" + strings.Repeat("承", 100) + "\" <signoff@example.org>"})
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.SplitSeq(string(letter.text), "\r\n") {
			if len(line) > 998 {
				t.Errorf("%s: a line has %d octets: %s", name, len(line), line)
			}
		}
		read, err := netmail.ReadMessage(strings.NewReader(string(letter.text)))
		if err != nil {
			t.Fatal(err)
		}
		subject, err := new(mime.WordDecoder).DecodeHeader(read.Header.Get("Subject"))
		if err != nil || subject != title {
			t.Errorf("%s: it is read as %q: %v", name, subject, err)
		}
		if from, err := read.Header.AddressList("From"); err != nil || from[0].Name != strings.Repeat("承", 100) {
			t.Errorf("%s: it is from %v: %v", name, from, err)
		}
	}
}

// TestEgressHolds: no channel calls what the configuration does not allow, whatever a Secret or a name says.
func TestEgressHolds(t *testing.T) {
	r := newReceiver(t)
	port := r.Port()
	closed := loopback(port, false)
	closed.Egress = egress.New(nil)
	public := loopback(port, false)
	// The name is allowed, the address is not: it is inside.
	public.Egress = egress.New([]egress.Host{{Name: "localhost", Ports: []uint16{uint16(port)}}, {Name: "127.0.0.1", Ports: []uint16{uint16(port)}}})
	secret := map[string]any{"name": "s", "key": "url"}
	named := fmt.Sprintf("https://localhost:%d/%s", port, hidden)
	for name, tc := range map[string]struct {
		sender  *Sender
		channel map[string]any
		secrets map[string]string
	}{
		"slack":        {closed, map[string]any{"slack": map[string]any{"urlSecret": secret}}, map[string]string{"s": named}},
		"teams":        {closed, map[string]any{"teams": map[string]any{"urlSecret": secret}}, map[string]string{"s": named}},
		"cloudEvents":  {closed, map[string]any{"cloudEvents": map[string]any{"url": named}}, nil},
		"webhook":      {closed, map[string]any{"webhook": map[string]any{"url": named, "body": map[string]any{}}}, nil},
		"email":        {closed, map[string]any{"email": map[string]any{"host": "localhost", "port": port, "security": "TLS", "from": "a@b", "to": []string{"c@d"}}}, nil},
		"hook secret":  {closed, map[string]any{"webhook": map[string]any{"urlSecret": secret, "body": map[string]any{}}}, map[string]string{"s": named}},
		"bus secret":   {public, map[string]any{"cloudEvents": map[string]any{"urlSecret": secret}}, map[string]string{"s": named}},
		"slack name":   {public, map[string]any{"slack": map[string]any{"urlSecret": secret}}, map[string]string{"s": named}},
		"slack IP":     {public, map[string]any{"slack": map[string]any{"urlSecret": secret}}, map[string]string{"s": r.URL + "/" + hidden}},
		"slack plain":  {loopback(port, false), map[string]any{"slack": map[string]any{"urlSecret": secret}}, map[string]string{"s": fmt.Sprintf("http://127.0.0.1:%d/%s", port, hidden)}},
		"slack port":   {loopback(port+1, false), map[string]any{"slack": map[string]any{"urlSecret": secret}}, map[string]string{"s": r.URL + "/" + hidden}},
		"events name":  {public, map[string]any{"cloudEvents": map[string]any{"url": named}}, nil},
		"email name":   {public, map[string]any{"email": map[string]any{"host": "localhost", "port": port, "security": "TLS", "from": "a@b", "to": []string{"c@d"}}}, nil},
		"email plain":  {loopback(port, false), map[string]any{"email": map[string]any{"host": "127.0.0.1", "port": port, "security": "None", "from": "a@b", "to": []string{"c@d"}}}, nil},
		"email port":   {loopback(port+1, false), map[string]any{"email": map[string]any{"host": "127.0.0.1", "port": port, "security": "TLS", "from": "a@b", "to": []string{"c@d"}}}, nil},
		"email prefix": {public, map[string]any{"email": map[string]any{"host": "127.0.0.1", "port": port, "security": "StartTLS", "from": "a@b", "to": []string{"c@d"}}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			tc.channel["name"] = "c"
			err := sent(t, tc.sender, tc.channel, tc.secrets)
			if !errors.Is(err, egress.ErrRefused) || strings.Contains(err.Error(), hidden) {
				t.Errorf("it was not refused, or says too much: %v", err)
			}
			if calls := r.Take(); len(calls) > 0 {
				t.Errorf("it arrived: %+v", calls)
			}
		})
	}
}

// openOffice is a mail server.
func openOffice(t *testing.T, certificate tls.Certificate, implicit bool) *receivers.Mail {
	t.Helper()
	office, err := receivers.NewMail(certificate, implicit, hidden)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(office.Close)
	return office
}

func TestMail(t *testing.T) {
	r := newReceiver(t)
	certificate := r.TLS.Certificates[0]
	for name, tc := range map[string]struct {
		reason, security string
		implicit, login  bool
		want             string
	}{
		"StartTLS": {"TLS is turned on before anything is said", "StartTLS", false, true, "login=signoff tls=true from=signoff@example.org to=[b@example.org]"},
		"TLS":      {"or spoken from the beginning", "TLS", true, true, "login=signoff tls=true from=signoff@example.org to=[b@example.org]"},
		"None":     {"or not at all, where that is allowed", "None", false, false, "login= tls=false from=signoff@example.org to=[b@example.org]"},
	} {
		t.Run(name, func(t *testing.T) {
			office := openOffice(t, certificate, tc.implicit)
			port := office.Port
			email := map[string]any{
				"host": "127.0.0.1", "port": port, "security": tc.security, "from": "signoff@example.org", "to": []string{"b@example.org"}, "caBundle": r.Bundle(),
			}
			if tc.login {
				email["username"], email["passwordSecret"] = "signoff", map[string]any{"name": "s", "key": "k"}
			}
			if err := sent(t, loopback(port, !tc.login), map[string]any{"name": "c", "email": email}, map[string]string{"s": hidden}); err != nil {
				t.Fatal(err)
			}
			letters := office.Letters()
			if len(letters) != 1 {
				t.Fatalf("%s: the office has %+v", tc.reason, letters)
			}
			letter := letters[0]
			if got := fmt.Sprintf("login=%s tls=%t from=%s to=%v", letter.Login, letter.Secure, letter.From, letter.To); got != tc.want {
				t.Errorf("%s: it was sent with %s", tc.reason, got)
			}
			for _, line := range []string{
				"Subject: Approval needed: platform/note of alice (payments/sale)\r\n", "Auto-Submitted: auto-generated\r\n", "From: <signoff@example.org>\r\n",
				"Message-ID: <" + eventOf(t, v1alpha1.EventApprovalNeeded, nil).ID + ".c@signoff>\r\n", "Date: Mon, 23 Nov 2026 12:00:00 +0000\r\n",
				"Approve: kubectl signoff approve -n payments sale-owners --digest 9f3c1a7e",
			} {
				if !strings.Contains(letter.Text, line) {
					t.Errorf("%s: %q is not in\n%s", tc.reason, line, letter.Text)
				}
			}
			if strings.Contains(letter.Text, hidden) {
				t.Error("the password is in the mail")
			}
		})
	}
}

// TestMailFails: a server without TLS is not used, and one that does not know a recipient is not asked again.
func TestMailFails(t *testing.T) {
	r := newReceiver(t)
	office := openOffice(t, r.TLS.Certificates[0], false)
	port := office.Port
	channel := func(security, bundle string) map[string]any {
		return map[string]any{"name": "c", "email": map[string]any{
			"host": "127.0.0.1", "port": port, "security": security, "from": "signoff@example.org", "to": []string{"b@example.org"}, "caBundle": bundle,
			"username": "signoff", "passwordSecret": map[string]any{"name": "s", "key": "k"},
		}}
	}
	var final *FinalError
	other := r.Bundle()
	if err := sent(t, loopback(port, false), channel("StartTLS", other), map[string]string{"s": "wrong-" + hidden}); err == nil || strings.Contains(err.Error(), hidden) {
		t.Errorf("a wrong password is refused, and not repeated: %v", err)
	}
	if err := sent(t, loopback(port, false), channel("TLS", other), map[string]string{"s": hidden}); err == nil {
		t.Error("a server that does not speak TLS was used with TLS")
	}
	office.Refuses(&smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such person"})
	if err := sent(t, loopback(port, false), channel("StartTLS", other), map[string]string{"s": hidden}); !errors.As(err, &final) {
		t.Errorf("somebody who is not known is not written to again: %v", err)
	}
	office.Refuses(&smtp.SMTPError{Code: 450, EnhancedCode: smtp.EnhancedCode{4, 2, 0}, Message: "try later"})
	if err := sent(t, loopback(port, false), channel("StartTLS", other), map[string]string{"s": hidden}); err == nil || errors.As(err, &final) {
		t.Errorf("somebody whose mailbox is busy is: %v", err)
	}
	if letters := office.Letters(); len(letters) > 0 {
		t.Errorf("something was sent: %+v", letters)
	}
}

// clerk is a mail server without TLS that does as it is told: it answers each line of a client, until it returns false.
func clerk(t *testing.T, answers func(line string, say func(string)) bool) (channel map[string]any, s *Sender) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			say := func(text string) { _, _ = io.WriteString(connection, text+"\r\n") }
			lines := bufio.NewScanner(connection)
			for on := answers("", say); on && lines.Scan(); {
				on = answers(lines.Text(), say)
			}
			_ = connection.Close()
		}
	}()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	number, _ := strconv.Atoi(port)
	return map[string]any{"name": "c", "email": map[string]any{
		"host": "127.0.0.1", "port": number, "security": "None", "from": "signoff@example.org", "to": []string{"b@example.org"},
	}}, loopback(number, true)
}

// polite answers as a mail server does. What is between DATA and a dot is none of its lines.
func polite(line string, say func(string)) {
	switch verb, _, _ := strings.Cut(line, " "); verb {
	case "":
		say("220 mail")
	case "DATA":
		say("354 go on")
	case "EHLO", "MAIL", "RCPT", "NOOP", "RSET", ".":
		say("250 ok")
	}
}

// TestMailTaken: a server that hangs up once it has the mail has it.
func TestMailTaken(t *testing.T) {
	taken, data := 0, false
	channel, s := clerk(t, func(line string, say func(string)) bool {
		switch {
		case line == ".":
			taken++
			data = false
		case line == "RSET":
			return false
		case data:
			return true
		}
		data = data || line == "DATA"
		polite(line, say)
		return true
	})
	if err := sent(t, s, channel, nil); err != nil {
		t.Errorf("it is to be sent again: %v", err)
	}
	if taken != 1 {
		t.Errorf("it was taken %d times", taken)
	}
}

// TestMailIsBounded: a server can neither fill the memory nor keep a worker.
func TestMailIsBounded(t *testing.T) {
	channel, s := clerk(t, func(_ string, say func(string)) bool {
		for range 4 * maxMail / 1024 {
			say("220-" + strings.Repeat("x", 1024))
		}
		say("220 at last")
		return true
	})
	if err := sent(t, s, channel, nil); err == nil || !strings.Contains(err.Error(), "it said more than 262144 bytes") {
		t.Errorf("a server that says too much: %v", err)
	}
	silent := make(chan struct{}, 1)
	channel, s = clerk(t, func(line string, say func(string)) bool {
		if strings.HasPrefix(line, "MAIL") {
			silent <- struct{}{}
			return true
		}
		polite(line, say)
		return true
	})
	ctx, cancel := context.WithCancel(t.Context())
	m, done := message(t, compiled(t, specOf(channel)), eventOf(t, v1alpha1.EventApprovalNeeded, nil)), make(chan error, 1)
	go func() { done <- s.Send(ctx, m, keys(nil), noon) }()
	<-silent
	cancel()
	select {
	case err := <-done:
		if err == nil {
			t.Error("it was sent")
		}
	case <-time.After(sendTimeout / 2):
		t.Error("a server that is silent is waited for although time is over")
	}
}

// TestMailOneByOne: an address that is refused keeps nothing from the others.
func TestMailOneByOne(t *testing.T) {
	channel, _ := clerk(t, func(string, func(string)) bool { return false })
	channel["email"].(map[string]any)["to"] = []string{"b@example.org", "c@example.org"}
	got := told(t, compiled(t, specOf(channel)), eventOf(t, v1alpha1.EventApprovalNeeded, nil))
	if diff := cmp.Diff([]string{"c mailto:b@example.org b@example.org", "c mailto:c@example.org c@example.org"}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestWebhookShows: what does not show in what people wrote is escaped, also deep in a body.
func TestWebhookShows(t *testing.T) {
	n := compiled(t, specOf(map[string]any{"name": "c", "webhook": map[string]any{"url": "https://x.example.com", "body": map[string]any{"a": []any{"${request.reason}"}, "all": "${inputs}"}}}))
	e := eventOf(t, v1alpha1.EventApprovalNeeded, nil)
	e.Request.Spec.Reason, e.Request.Spec.Inputs.Raw = "a\u202eb\nc", []byte(`{"text":"x\u200by","level":1}`)
	want := `{"a":["a\\u202eb\nc"],"all":{"level":1,"text":"x\\u200by"}}`
	if got := string(message(t, n, e).Content); got != want {
		t.Errorf("it sends %s, want %s", got, want)
	}
}
