package peers

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestGitLab makes pipelines in both ways that GitLab has: as somebody, and by the token of a trigger.
func TestGitLab(t *testing.T) {
	const (
		pipelines, trigger = "/api/v4/projects/42/pipeline", "/api/v4/projects/42/trigger/pipeline"
		form, asJSON       = "application/x-www-form-urlencoded", "application/json"
	)
	type answered struct {
		Code         int
		Source, Name string
	}
	for name, tc := range map[string]struct {
		reason, path, kind, token, body string
		want                            answered
	}{
		"Somebody":        {"a list of variables", pipelines, asJSON, gitLabToken, `{"ref":"main","variables":[{"key":"SIGNOFF_REQUEST","value":"u-1"}]}`, answered{201, "api", "u-1"}},
		"Nobody":          {"it asks who that is", pipelines, asJSON, "", `{"ref":"main"}`, answered{Code: 401}},
		"Form":            {"as curl sends it", trigger, form, "", "token=" + gitLabTrigger + "&ref=main&variables[SIGNOFF_REQUEST]=u-1", answered{201, "trigger", "u-1"}},
		"JSON":            {"the variables are an object", trigger, asJSON, "", `{"token":"` + gitLabTrigger + `","ref":"main","variables":{"SIGNOFF_REQUEST":"u-1"}}`, answered{201, "trigger", "u-1"}},
		"Query":           {"all of it can stand in the URL", trigger + "?token=" + gitLabTrigger + "&ref=main", form, "", "", answered{201, "trigger", ""}},
		"TokenInHeader":   {"the token of somebody is not that of a trigger", trigger, asJSON, gitLabToken, `{"ref":"main"}`, answered{Code: 400}},
		"TokenOfSomebody": {"nor beside what is asked for", trigger, asJSON, "", `{"token":"` + gitLabToken + `","ref":"main"}`, answered{Code: 404}},
		"NoRef":           {"of what", trigger, form, "", "token=" + gitLabTrigger, answered{Code: 400}},
		"OtherRef":        {"there is no such branch", trigger, form, "", "token=" + gitLabTrigger + "&ref=other", answered{Code: 400}},
		"List":            {"that is the form of the other call", trigger, asJSON, "", `{"token":"` + gitLabTrigger + `","ref":"main","variables":[{"key":"A","value":"b"}]}`, answered{Code: 400}},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, tc.path, strings.NewReader(tc.body))
			r.Header.Set("Content-Type", tc.kind)
			if tc.token != "" {
				r.Header.Set("Private-Token", tc.token)
			}
			w := httptest.NewRecorder()
			newGitLab().ServeHTTP(w, r)
			made := pipeline{}
			if err := json.Unmarshal(w.Body.Bytes(), &made); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, answered{w.Code, made.Source, made.Name}); diff != "" {
				t.Errorf("%s: %s, -want +got:\n%s", tc.reason, w.Body, diff)
			}
		})
	}
}
