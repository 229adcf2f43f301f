package steps

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

func TestHTTPRefused(t *testing.T) {
	const at = "spec.execution.steps[0].http"
	for name, tc := range map[string]struct {
		reason, http string
		want         [][2]string
	}{
		"Host":        {"an input could name any host", `{method: POST, url: "https://${inputs.text}/a"}`, [][2]string{{at + ".url", "literal"}}},
		"HostPart":    {"also a part of it", `{method: POST, url: "https://a.${inputs.text}/a"}`, [][2]string{{at + ".url", "literal"}}},
		"Port":        {"also the port", `{method: POST, url: "https://a:${inputs.text}/a"}`, [][2]string{{at + ".url", "literal"}}},
		"HostEnd":     {"what follows the host could extend it", `{method: POST, url: "https://a.example.com${inputs.text}"}`, [][2]string{{at + ".url", "literal"}}},
		"User":        {"the host is what is behind the @", `{method: POST, url: "https://good@evil/a"}`, [][2]string{{at + ".url", "literal"}}},
		"Scheme":      {"no file is called", `{method: POST, url: "file:///etc/passwd"}`, [][2]string{{at + ".url", "literal"}}},
		"Method":      {"an unknown value is never a yes", `{method: TRACE, url: "https://a/"}`, [][2]string{{at + ".method", "supported values"}}},
		"BodyOfGet":   {"a GET carries nothing", `{method: GET, url: "https://a/", body: {a: b}}`, [][2]string{{at, "carries nothing"}}},
		"BodyAndText": {"which one is sent", `{method: POST, url: "https://a/", body: {a: b}, text: c}`, [][2]string{{at + ".text", "one of them"}}},
		"OwnHeader":   {"it tells a call from its repetition", `{method: POST, url: "https://a/", headers: [{name: idempotency-Key, value: a}]}`, [][2]string{{at + ".headers[0].name", "itself"}}},
		"SameHeader":  {"only the last one would be sent", `{method: POST, url: "https://a/", headers: [{name: Authorization, secret: {name: a, key: b}}, {name: authorization, value: x}]}`, [][2]string{{at + ".headers[1].name", "Duplicate"}}},
		"TwoValues":   {"which one is sent", `{method: POST, url: "https://a/", headers: [{name: X, value: a, secret: {name: a, key: b}}]}`, [][2]string{{at + ".headers[0]", "exactly one of"}}},
		"Prefix":      {"it would not be sent", `{method: POST, url: "https://a/", headers: [{name: X, value: a, prefix: b}]}`, [][2]string{{at + ".headers[0].prefix", "before a secret"}}},
		"PrefixLine":  {"it would be a header more", `{method: POST, url: "https://a/", headers: [{name: X, secret: {name: a, key: b}, prefix: "a\r\nb"}]}`, [][2]string{{at + ".headers[0].prefix", "in one line"}}},
		"PrefixShown": {"nothing of it is hidden", `{method: POST, url: "https://a/", headers: [{name: X, secret: {name: a, key: b}, prefix: "\u202eBearer "}]}`, [][2]string{{at + ".headers[0].prefix", "that are seen"}}},
		"PrefixPlain": {"a terminal must not obey", `{method: POST, url: "https://a/", headers: [{name: X, secret: {name: a, key: b}, prefix: "\e[2J"}]}`, [][2]string{{at + ".headers[0].prefix", "that are seen"}}},
		"Success":     {"it does not compile", `{method: POST, url: "https://a/", success: "response.code == 2"}`, [][2]string{{at + ".success", "code"}}},
		"PollHost":    {"the headers of the step are sent there", `{method: POST, url: "https://a/", poll: {url: "https://b/", until: "true"}}`, [][2]string{{at + ".poll.url", "must be on https://a"}}},
		"PollMixed":   {"it is known neither now nor later", `{method: POST, url: "https://a/", poll: {url: "https://a/${inputs.text + response.body.id}", until: "true"}}`, [][2]string{{at + ".poll.url", "write it as two"}}},
		"PollUntil":   {"it does not compile", `{method: POST, url: "https://a/", poll: {url: "https://a/", until: "object.x"}}`, [][2]string{{at + ".poll.until", "object"}}},
		"LookupValue": {"it does not compile", `{method: POST, url: "https://a/", lookup: {url: "https://a/", done: "true", response: "object.x"}}`, [][2]string{{at + ".lookup.response", "object"}}},
		"LookupGet":   {"nothing has to be looked up", `{method: GET, url: "https://a/", lookup: {url: "https://a/", done: "true"}}`, [][2]string{{at + ".lookup", "sent again"}}},
		"UnknownIn":   {"a misspelt input", `{method: POST, url: "https://a/${inputs.tekst}"}`, [][2]string{{at + ".url", "tekst"}}},
	} {
		t.Run(name, func(t *testing.T) {
			got, errs := compileSteps(t, deployment, `[{name: a, http: `+tc.http+`}]`)
			if got != nil {
				t.Errorf("%s: it was compiled all the same", tc.reason)
			}
			checkErrors(t, errs, tc.want)
		})
	}
	for name, step := range map[string]string{"WaitFor": "waitFor: {status: Current}", "FailWhen": "failWhen: object.x"} {
		if _, errs := compileSteps(t, deployment, `[{name: a, http: {method: POST, url: "https://a/"}, `+step+`}]`); len(errs) != 1 || errs[0].Field != at {
			t.Errorf("%s: there is no object: %v", name, errs)
		}
	}
}

// TestIdempotentLookup: a call that the host does once can be looked up, since its time can be over before it is known whether it was made.
func TestIdempotentLookup(t *testing.T) {
	mustCompile(t, `[{name: a, http: {method: POST, url: "https://a/", idempotent: true, lookup: {url: "https://a/", done: "true"}}}]`)
}

func httpInput(inputs map[string]any) Input {
	in := input(inputs)
	in.Objects = map[v1alpha1.ObjectReference]*unstructured.Unstructured{
		SecretRef("platform", "token"): {Object: map[string]any{"metadata": map[string]any{"uid": "u-1"}}},
	}
	return in
}

func TestRenderHTTP(t *testing.T) {
	s := mustCompile(t, `[`+first+`, {name: call, http: {method: POST, url: "https://hooks.example.com/a/${inputs.text}/b?x=${inputs.text}&y=1",
		headers: [{name: Authorization, prefix: "Bearer ", secret: {name: token, key: t}}, {name: X-Who, value: "${requester.username}"}], sign: {name: token, key: s},
		body: {who: "${requester.username}", number: "${inputs.number}", url: "at ${steps.first.outputs.url}"},
		poll: {url: "https://hooks.example.com/jobs/${inputs.text}/${response.body.id}", until: response.body.done},
		lookup: {url: "https://hooks.example.com/find?key=${idempotencyKey}", done: response.status == 200, notDone: response.status == 404, response: "response.body[0]"}}}]`)
	if got := s.Secrets(); len(got) != 1 || got[0] != "token" {
		t.Errorf("Secrets: %v", got)
	}
	rendered, err := s.Render(t.Context(), httpInput(map[string]any{"text": "w/x y&z=1#", "number": int64(3)}))
	if err != nil {
		t.Fatal(err)
	}
	const key = "6f1d2c1e-96a7-4e0f-8f0f-6f0a3f3f9002-call"
	secret := func(name string) *v1alpha1.RecordedSecret {
		return &v1alpha1.RecordedSecret{SecretKey: v1alpha1.SecretKey{Name: "token", Key: name}, UID: "u-1"}
	}
	want := &v1alpha1.RenderedHTTP{
		Method: "POST", URL: "https://hooks.example.com/a/w%2Fx%20y%26z%3D1%23/b?x=w%2Fx%20y%26z%3D1%23&y=1", IdempotencyKey: key,
		Headers: []v1alpha1.RenderedHeader{{Name: "Authorization", Prefix: "Bearer ", Secret: secret("t")}, {Name: "X-Who", Value: "alice"}},
		Sign:    secret("s"),
		Late:    []v1alpha1.LateValue{{Path: "/body/url", Parts: []v1alpha1.LatePart{{Text: "at "}, {Expression: "steps.first.outputs.url"}}}},
		Poll: &v1alpha1.RenderedPoll{
			URL:   []v1alpha1.LatePart{{Text: "https://hooks.example.com/jobs/w%2Fx%20y%26z%3D1%23/"}, {Expression: "response.body.id"}},
			Every: "10s", Until: "response.body.done",
		},
		Lookup: &v1alpha1.RenderedLookup{URL: "https://hooks.example.com/find?key=" + key, Done: "response.status == 200", NotDone: "response.status == 404", Response: "response.body[0]"},
	}
	body := `{"number":3,"url":"at ${steps.first.outputs.url}","who":"alice"}`
	got := rendered[1].HTTP.DeepCopy()
	if string(got.Body.Raw) != body {
		t.Errorf("body: %s", got.Body.Raw)
	}
	got.Body = nil
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	earlier, err := NewEarlier(rendered[:1], []v1alpha1.StepStatus{status(v1alpha1.StepDone, `{"url":"a\"b","count":7}`)}, "")
	if err != nil {
		t.Fatal(err)
	}
	filled, err := earlier.FillIn(t.Context(), &rendered[1], nil)
	if err != nil || compact(t, filled.HTTP.Body.Raw) != `{"number":3,"url":"at a\"b","who":"alice"}` {
		t.Errorf("filled in: %v, %s", err, filled.HTTP.Body.Raw)
	}
	url, err := PollURL(t.Context(), rendered[1].HTTP.Poll, map[string]any{"body": map[string]any{"id": "1/2?"}}, nil)
	if err != nil || url != "https://hooks.example.com/jobs/w%2Fx%20y%26z%3D1%23/1%2F2%3F" {
		t.Errorf("the URL that is polled: %v, %s", err, url)
	}
	if url, err := PollURL(t.Context(), rendered[1].HTTP.Poll, map[string]any{"body": map[string]any{"id": ".."}}, nil); err == nil {
		t.Errorf("an answer leads elsewhere: %s", url)
	}
}

// TestGatherKeepsNoContent: of a Secret nothing is kept but which keys have a value, and that changes nothing of what people agree to.
func TestGatherKeepsNoContent(t *testing.T) {
	s := mustCompile(t, `[{name: call, http: {method: POST, url: "https://hooks.example.com/a", sign: {name: token, key: s}}}]`)
	var calls []*v1alpha1.RenderedHTTP
	for _, data := range []string{"", `, data: {s: aHVudGVyMg==, empty: "", line: DQoK}`} {
		in := input(nil)
		in.Objects = map[v1alpha1.ObjectReference]*unstructured.Unstructured{}
		_, unread, err := s.Gather(t.Context(), &in, func(v1alpha1.ObjectReference) (*unstructured.Unstructured, error) {
			return object(t, `{apiVersion: v1, kind: Secret, metadata: {namespace: platform, name: token, uid: u-1}`+data+`}`), nil
		})
		if err != nil || len(unread) > 0 {
			t.Fatal(unread, err)
		}
		read := in.Objects[SecretRef("platform", "token")]
		if text := fmt.Sprint(read); strings.Contains(text, "aHVudGVyMg") {
			t.Errorf("what is in the Secret is kept: %s", text)
		}
		for key, want := range map[string]bool{"s": data != "", "empty": false, "line": false, "other": false} {
			if HasKey(read, key) != want {
				t.Errorf("with data %q, key %s: want %t", data, key, want)
			}
		}
		rendered, err := s.Render(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		calls = append(calls, rendered[0].HTTP)
	}
	if diff := cmp.Diff(calls[0], calls[1]); diff != "" {
		t.Errorf("people would be asked again: %s", diff)
	}
}

// TestKeyOfEachRun: a host that does a call with the same key once must do that of each run of a plan step, and each attempt of one run is the same call.
func TestKeyOfEachRun(t *testing.T) {
	s := mustCompile(t, `[{name: look, http: {method: POST, url: "https://hooks.example.com/a", lookup: {url: "https://hooks.example.com/find?key=${idempotencyKey}", done: "true"}}},
		{name: look-2, http: {method: POST, url: "https://hooks.example.com/a"}}]`)
	const uid = "6f1d2c1e-96a7-4e0f-8f0f-6f0a3f3f9002"
	for round, want := range map[int32][]string{
		0: {uid + "-look", uid + "-look-2"}, 1: {uid + "-look", uid + "-look-2"}, 2: {uid + "-look_2", uid + "-look-2_2"}, 31: {uid + "-look_31", uid + "-look-2_31"},
	} {
		in := httpInput(nil)
		in.Round = round
		rendered, err := s.Render(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, []string{rendered[0].HTTP.IdempotencyKey, rendered[1].HTTP.IdempotencyKey}); diff != "" {
			t.Errorf("run %d: -want +got:\n%s", round, diff)
		}
		if url := rendered[0].HTTP.Lookup.URL; url != "https://hooks.example.com/find?key="+want[0] {
			t.Errorf("run %d: the call is looked up at %s", round, url)
		}
	}
}

func TestRenderHTTPRefuses(t *testing.T) {
	for name, tc := range map[string]struct{ reason, http, text, want string }{
		"Dots":      {"it would be another path", `{method: POST, url: "https://a/p/${inputs.text}/q"}`, "..", "can be a part of a path"},
		"Dot":       {"as above", `{method: POST, url: "https://a/p/${inputs.text}"}`, ".", "can be a part of a path"},
		"Backslash": {"some servers take it for a slash", `{method: POST, url: "https://a/p/${inputs.text}/q"}`, `..\\..`, "can be a part of a path"},
		"Empty":     {"it would be all of them", `{method: DELETE, url: "https://a/projects/${inputs.text}"}`, "", "a part of the path would be empty"},
		"Between":   {"it would be another resource", `{method: DELETE, url: "https://a/projects/${inputs.text}/hooks?a=b"}`, "", "a part of the path would be empty"},
		"Blank":     {"as above", `{method: DELETE, url: "https://a/projects/${inputs.text}/"}`, " \t", "a part of the path would be empty"},
		"Header":    {"it would be another header", `{method: POST, url: "https://a/", headers: [{name: X, value: "a${inputs.text}"}]}`, "\r\nY: z", "one line"},
		"Secret":    {"nobody has agreed to it", `{method: POST, url: "https://a/", sign: {name: other, key: a}}`, "", "Secret platform/other was not read"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := mustCompile(t, `[{name: a, http: `+tc.http+`}]`).Render(t.Context(), httpInput(map[string]any{"text": tc.text}))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s: got %v", tc.reason, err)
			}
		})
	}
	// A value that is known later is bound in the same way.
	rendered, err := mustCompile(t, `[`+first+`, {name: a, http: {method: POST, url: "https://a/${steps.first.outputs.url}/b"}}]`).Render(t.Context(), httpInput(nil))
	if err != nil {
		t.Fatal(err)
	}
	for output, want := range map[string]string{"..": "", "": "", " ": "", "x/y": "https://a/x%2Fy/b"} {
		earlier, err := NewEarlier(rendered[:1], []v1alpha1.StepStatus{status(v1alpha1.StepDone, `{"url":"`+output+`","count":1}`)}, "")
		if err != nil {
			t.Fatal(err)
		}
		filled, err := earlier.FillIn(t.Context(), &rendered[1], nil)
		if (err != nil) != (want == "") || err == nil && filled.HTTP.URL != want {
			t.Errorf("%s: %v, %v", output, err, filled)
		}
	}
}

// TestRenderHTTPEmpty: what is only a part of a segment, or stands behind the question mark, may be empty.
func TestRenderHTTPEmpty(t *testing.T) {
	for url, want := range map[string]string{
		"https://a/p${inputs.text}":                         "https://a/p",
		"https://a/v${inputs.text}/?q=${inputs.text}&r=/":   "https://a/v/?q=&r=/",
		"https://a/${inputs.text}${request.name}":           "https://a/some",
		"https://a//b/${inputs.text}x/?q=${request.name}//": "https://a//b/x/?q=some//",
	} {
		in := httpInput(map[string]any{"text": ""})
		rendered, err := mustCompile(t, `[{name: a, http: {method: POST, url: "`+url+`", lookup: {url: "`+url+`", done: "true"}}}]`).Render(t.Context(), in)
		if err != nil {
			t.Errorf("%s: %v", url, err)
			continue
		}
		name, _ := in.Vars.Values["request"].(map[string]any)["name"].(string)
		want = strings.ReplaceAll(want, "some", name)
		if got := rendered[0].HTTP; got.URL != want || got.Lookup.URL != want {
			t.Errorf("got %q and %q, want %q", got.URL, got.Lookup.URL, want)
		}
	}
}

func TestAllowedHosts(t *testing.T) {
	for annotation, allowed := range map[string]bool{
		"": false, "hooks.example.com": true, "other.example.com, hooks.example.com": true, "*.example.com": true, "example.com": false, "*": false,
	} {
		if err := AllowedFor(map[string]string{AnnotationAllowedHosts: annotation}, "Hooks.example.com"); (err == nil) != allowed {
			t.Errorf("%q: %v", annotation, err)
		}
	}
}
