package plan

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

func TestCall(t *testing.T) {
	secret := &v1alpha1.RecordedSecret{SecretKey: v1alpha1.SecretKey{Name: "tickets", Key: "token"}, UID: "u"}
	for name, tc := range map[string]struct {
		reason string
		call   v1alpha1.RenderedHTTP
		object string
		want   []string
	}{
		"Nothing": {"only where", v1alpha1.RenderedHTTP{Method: "GET", URL: "https://a.example.com/"}, "GET https://a.example.com/", []string{"carries nothing"}},
		"All": {"everything but the Secret", v1alpha1.RenderedHTTP{
			Method: "POST", URL: "https://a.example.com/b?c=d", Sign: secret, Body: &runtime.RawExtension{Raw: []byte(`{"a":{"b":"x\u202ey"},"late":"${steps.a.outputs.b}"}`)},
			Headers: []v1alpha1.RenderedHeader{{Name: "Authorization", Prefix: "Bearer ", Secret: secret}, {Name: "X", Value: "y z"}},
			Poll:    &v1alpha1.RenderedPoll{Until: "response.body.done"}, Late: []v1alpha1.LateValue{{Path: "/body/late"}},
		}, `POST "https://a.example.com/b?c=d"`, []string{
			"Deferred: known once earlier steps have run: body.late", "header Authorization: Bearer (from key token of Secret tickets)", `header X: "y z"`,
			"signed with key token of Secret tickets", `body a.b: (new) "x\u202ey"`, `body late: (new) "${steps.a.outputs.b}"`, `waits until "response.body.done"`,
		}},
		"Prefix": {"a terminal must not obey", v1alpha1.RenderedHTTP{
			Method: "GET", URL: "https://a.example.com/", Headers: []v1alpha1.RenderedHeader{{Name: "Authorization", Prefix: "\x1b[2J\u202eBearer ", Secret: secret}},
		}, "GET https://a.example.com/", []string{`header Authorization: \x1b[2J\u202eBearer (from key token of Secret tickets)`}},
		"Long": {"what is too long is cut", v1alpha1.RenderedHTTP{Method: "POST", URL: "https://a/" + strings.Repeat("x", 9000), Text: strings.Repeat("a b", 999)}, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			got := Describe([]v1alpha1.RenderedStep{{Name: "s", HTTP: &tc.call}}, View{})
			if len(got) != 1 || got[0].Operation != "call" || got[0].Step != "s" || len(got[0].Object) > stored.line {
				t.Fatalf("%s: %+v", tc.reason, got)
			}
			if tc.want == nil {
				return
			}
			if diff := cmp.Diff(tc.want, got[0].Fields); diff != "" || got[0].Object != tc.object {
				t.Errorf("%s: %s, -want +got:\n%s", tc.reason, got[0].Object, diff)
			}
		})
	}
}

// TestWholeCall: in full, everything that is agreed to is shown of a call.
func TestWholeCall(t *testing.T) {
	call := v1alpha1.RenderedHTTP{
		Method: "POST", URL: "https://a/", Success: "response.status == 202", Idempotent: true, CABundle: "PEM",
		Poll: &v1alpha1.RenderedPoll{
			URL: []v1alpha1.LatePart{{Text: "https://a/"}, {Expression: "response.body.id"}}, Every: "10s", Until: "response.body.done", FailWhen: "response.body.failed",
		},
		Lookup: &v1alpha1.RenderedLookup{URL: "https://a/evil?x=\u202e", Done: "response.status == 200", NotDone: "response.status == 404", Response: "response.body[0]"},
	}
	got := Describe([]v1alpha1.RenderedStep{{Name: "s", HTTP: &call}}, View{Whole: true})[0].Fields
	want := []string{
		`waits until "response.body.done"`, `has done what it should when "response.status == 202"`,
		`then asks every 10s at "https://a/${response.body.id}"`, `has failed when "response.body.failed"`,
		`whether it was made is asked after a crash at "https://a/evil?x=\u202e"`, `it was made when "response.status == 200"`, `it was not made when "response.status == 404"`, `what stands for its answer is then "response.body[0]"`,
		"may be made again where nobody knows whether it was made", "trusts the authorities that the Action names, and not those of the system",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestTooMuchInACall: what is left out of a call is counted, also where something else comes first.
func TestTooMuchInACall(t *testing.T) {
	body := map[string]string{}
	for i := range 100 {
		body[fmt.Sprintf("a%03d", i)] = "x"
	}
	raw, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	call := &v1alpha1.RenderedHTTP{Method: "POST", URL: "https://a/", Body: &runtime.RawExtension{Raw: raw}, Late: []v1alpha1.LateValue{{Path: "/body/a000"}}}
	got := Describe([]v1alpha1.RenderedStep{{Name: "s", When: "x", HTTP: call}}, View{})[0].Fields
	if len(got) != stored.lines || got[0] != `only when it holds then: "x"` || got[2] != "body a000: (new) x" || got[63] != "… and 39 more" {
		t.Errorf("got %d lines: %q", len(got), got)
	}
}
