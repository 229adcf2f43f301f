package steps

import (
	"strconv"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/crdschema"
)

// recordErrors says why the API server would not store a Record with these steps.
func recordErrors(t *testing.T, steps []v1alpha1.RenderedStep) field.ErrorList {
	t.Helper()
	record, err := runtime.DefaultUnstructuredConverter.ToUnstructured(decode[v1alpha1.Record](t, `
apiVersion: signoff.dev/v1alpha1
kind: Record
metadata: {namespace: signoff-system, name: r}
spec:
  requestRef: {namespace: payments, name: checkout-1-42, uid: "1"}
  actionRef: {namespace: platform, name: deploy}
  requester: {username: alice}
  serviceAccountName: deployer
  digest: "sha256:9f3c1a7e9f3c1a7e9f3c1a7e9f3c1a7e9f3c1a7e9f3c1a7e9f3c1a7e9f3c1a7e"
  claimedAt: "2026-11-23T10:00:00.000001Z"
  timeout: 30m
  steps: []
`))
	if err != nil {
		t.Fatal(err)
	}
	list := make([]any, len(steps))
	for i := range steps {
		if list[i], err = runtime.DefaultUnstructuredConverter.ToUnstructured(&steps[i]); err != nil {
			t.Fatal(err)
		}
	}
	record["spec"].(map[string]any)["steps"] = list
	kind, refused := crdschema.Find(v1alpha1.GroupVersion.String(), "Record")
	if refused != nil {
		t.Fatal(refused)
	}
	unknown, errs := kind.Check(t.Context(), record)
	return append(unknown, errs...)
}

// many writes something often, with a number in the place of N.
func many(n int, text, between string) string {
	all := make([]string, n)
	for i := range all {
		all[i] = strings.ReplaceAll(text, "N", strconv.Itoa(i))
	}
	return strings.Join(all, between)
}

// An expression of 4096 characters, as long as one may be.
var longest = "steps.first.outputs.url + '" + strings.Repeat("a", maxLateExpression-len("steps.first.outputs.url + ''")) + "'"

// TestRecordable renders what became empty, and what is as long as it may be: what people agree to must be what a Record can hold. Where more is refused, it is
// refused here.
func TestRecordable(t *testing.T) {
	const call, job = `http: {method: POST, url: "https://a/", body: {BODY}}`, `job: {namespace: x, template: {spec: {containers: [{name: a, image: b, args: [ARGS]}]}}}`
	for name, tc := range map[string]struct {
		reason, step, text string
		// refused is why the Action is refused, and unrendered why what is asked for.
		refused, unrendered string
	}{
		"Header":         {reason: "it is not sent", step: `http: {method: POST, url: "https://a/", headers: [{name: X-Ticket, value: "${inputs.text}"}, {name: Authorization, secret: {name: token, key: t}}]}`},
		"Suffix":         {reason: "nothing is no part", step: `http: {method: POST, url: "https://a/${steps.first.outputs.url}${inputs.text}", poll: {url: "https://a/${response.body.id}${inputs.text}", until: "true"}}`},
		"Between":        {reason: "as above", step: `http: {method: POST, url: "https://a/${steps.first.outputs.url}${inputs.text}${steps.first.outputs.url}"}`},
		"LongURL":        {reason: "percent-encoded, it is three times as long", text: strings.Repeat("/", 2710), step: `http: {method: POST, url: "https://a/${steps.first.outputs.url}${inputs.text}"}`},
		"TooLongURL":     {reason: "as above", text: strings.Repeat("/", 2731), step: `http: {method: POST, url: "https://a/${steps.first.outputs.url}${inputs.text}"}`, unrendered: "http.url: more than 8192 characters"},
		"TooLongPoll":    {reason: "as above", text: strings.Repeat("/", 2731), step: `http: {method: POST, url: "https://a/", poll: {url: "https://a/${response.body.id}${inputs.text}", until: "true"}}`, unrendered: "http.poll.url: more than 8192 characters"},
		"Parts":          {reason: "as many as there may be", step: `patch: {merge: {a: "` + many(16, "${steps.first.outputs.url}", " ") + ` "}}`},
		"TooManyParts":   {reason: "a block text ends with the end of a line", step: `patch: {merge: {a: "` + many(16, "a: ${steps.first.outputs.url}", " ") + `\n"}}`, refused: "it has 33 parts"},
		"EmptyParts":     {reason: "of an input it is not known whether it is empty", step: `patch: {merge: {a: "` + many(17, "${inputs.text}${steps.first.outputs.url}", "") + `"}}`, refused: "it has 34 parts"},
		"PartsOfURL":     {reason: "as in bodies", step: `http: {method: POST, url: "https://a/` + many(17, "${steps.first.outputs.url}", "/") + `"}`, refused: "it has 34 parts"},
		"PartsOfPoll":    {reason: "as in bodies", step: `http: {method: POST, url: "https://a/", poll: {url: "https://a/` + many(17, "${response.body.id}", "/") + `", until: "true"}}`, refused: "it has 34 parts"},
		"Places":         {reason: "as many as there may be", step: `patch: {merge: {` + many(64, `aN: "${steps.first.outputs.url}"`, ", ") + `}}`},
		"TooManyPlaces":  {reason: "one more", step: `patch: {merge: {` + many(65, `aN: "${steps.first.outputs.url}"`, ", ") + `}}`, refused: "at most 64 places"},
		"PlacesOfCall":   {reason: "the URL is one of them", step: strings.Replace(strings.Replace(call, "BODY", many(64, `aN: "${steps.first.outputs.url}"`, ", "), 1), "https://a/", "https://a/${steps.first.outputs.url}", 1), refused: "at most 64 places"},
		"PlacesOfJob":    {reason: "arguments are places", step: strings.Replace(job, "ARGS", many(65, `"${steps.first.outputs.url}"`, ", "), 1), refused: "at most 64 places"},
		"PlacesOfTwo":    {reason: "they are counted for each object", step: `apply: {manifests: [` + many(2, `{apiVersion: v1, kind: ConfigMap, metadata: {name: aN}, data: {DATA}}`, ", ") + `]}`},
		"Expression":     {reason: "as long as it may be", step: `patch: {merge: {a: "${` + longest + `}"}}`},
		"LongExpression": {reason: "one more", step: `patch: {merge: {a: "${` + longest + ` }"}}`, refused: "at most 4096 characters"},
		"Text":           {reason: "characters count, not bytes", step: `patch: {merge: {a: "` + strings.Repeat("é", maxLateText) + `${steps.first.outputs.url}"}}`},
		"LongText":       {reason: "one more", step: `patch: {merge: {a: "` + strings.Repeat("é", maxLateText+1) + `${steps.first.outputs.url}"}}`, refused: "at most 65536 characters"},
		"LongInput":      {reason: "nobody knew how long it would be", text: strings.Repeat("é", maxLateText), step: `patch: {merge: {a: "a${inputs.text}${steps.first.outputs.url}"}}`, unrendered: "at most 65536 characters"},
		"Path":           {reason: "as long as it may be", step: `patch: {merge: {` + strings.Repeat("a", maxLatePath-1) + `: "${steps.first.outputs.url}"}}`},
		"LongPath":       {reason: "one more", step: `patch: {merge: {` + strings.Repeat("a", maxLatePath) + `: "${steps.first.outputs.url}"}}`, unrendered: "at most 1024 characters"},
		"LongPathOfCall": {reason: "as above", step: strings.Replace(call, "BODY", strings.Repeat("a", maxLatePath)+`: "${steps.first.outputs.url}"`, 1), unrendered: "at most 1024 characters"},
	} {
		t.Run(name, func(t *testing.T) {
			step := strings.ReplaceAll(tc.step, "DATA", many(40, `aN: "${steps.first.outputs.url}"`, ", "))
			s, errs := compileSteps(t, deployment, `[`+first+`, {name: b, `+step+`}]`)
			if tc.refused != "" || len(errs) > 0 {
				if tc.refused == "" || len(errs) != 1 || !strings.Contains(errs[0].Error(), tc.refused) {
					t.Errorf("%s: %v", tc.reason, errs.ToAggregate())
				}
				return
			}
			rendered, err := s.Render(t.Context(), httpInput(map[string]any{"text": tc.text}))
			if tc.unrendered != "" || err != nil {
				if tc.unrendered == "" || err == nil || !strings.Contains(err.Error(), tc.unrendered) {
					t.Errorf("%s: %v", tc.reason, err)
				}
				return
			}
			if errs := recordErrors(t, rendered); len(errs) > 0 {
				t.Errorf("%s: %.500s", tc.reason, errs.ToAggregate())
			}
		})
	}
}
