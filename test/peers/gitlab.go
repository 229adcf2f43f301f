package peers

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// gitLab is the part of GitLab that makes pipelines of one project, the one with id 42: POST /projects/:id/pipeline, POST /projects/:id/trigger/pipeline,
// GET /projects/:id/pipelines and GET /projects/:id/pipelines/:pipeline_id. A pipeline has ended once it was asked for a second time: with success, unless it
// is of a commit that cannot be built.
type gitLab struct {
	mu        sync.Mutex
	pipelines []*pipeline
}

// pipeline has the attributes of the documentation that clients here look at, and those that say how it was made.
type pipeline struct {
	ID        int    `json:"id"`
	ProjectID int    `json:"project_id"`
	Name      string `json:"name"`
	Ref       string `json:"ref"`
	SHA       string `json:"sha"`
	Source    string `json:"source"`
	Status    string `json:"status"`
	WebURL    string `json:"web_url"`

	ends string
}

// unbuildable is the COMMIT of which every pipeline fails.
const unbuildable = "00000000000000000000000000000000deadbeef"

// nameVariable gives its pipelines their names, by `workflow: {name: "$SIGNOFF_REQUEST"}` in the .gitlab-ci.yml that the example describes.
const nameVariable = "SIGNOFF_REQUEST"

// gitLabTrigger is the token of a trigger of the project. It makes pipelines, and nothing else.
const gitLabTrigger = "glptt-of-the-example"

func newGitLab() http.Handler {
	g, all, mux := &gitLab{}, http.NewServeMux(), http.NewServeMux()
	all.HandleFunc("POST /api/v4/projects/42/trigger/pipeline", g.trigger)
	all.Handle("/", signedIn(mux))
	mux.HandleFunc("POST /api/v4/projects/42/pipeline", g.create)
	mux.HandleFunc("GET /api/v4/projects/42/pipelines", g.list)
	mux.HandleFunc("GET /api/v4/projects/42/pipelines/{id}", g.get)
	return all
}

// signedIn asks for the token of somebody.
func signedIn(then http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// A personal, project or group access token may be sent in either header.
		if r.Header.Get("Private-Token") != gitLabToken && r.Header.Get("Authorization") != "Bearer "+gitLabToken {
			answer(w, http.StatusUnauthorized, map[string]string{"message": "401 Unauthorized"})
			return
		}
		then.ServeHTTP(w, r)
	})
}

func (g *gitLab) create(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		Ref       string `json:"ref"`
		Variables []struct{ Key, Value string }
	}
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil || asked.Ref == "" {
		answer(w, http.StatusBadRequest, map[string]string{"error": "ref is missing"})
		return
	}
	variables := map[string]string{}
	for _, variable := range asked.Variables {
		variables[variable.Key] = variable.Value
	}
	g.start(w, asked.Ref, variables, "api")
}

// trigger is asked without a header of anybody: the token of a trigger stands beside what is asked for, in a form or in JSON.
func (g *gitLab) trigger(w http.ResponseWriter, r *http.Request) {
	ref, token, variables, err := triggered(r)
	switch {
	case err != nil:
		answer(w, http.StatusBadRequest, map[string]string{"error": "variables is invalid"})
	case ref == "":
		answer(w, http.StatusBadRequest, map[string]string{"error": "ref is missing"})
	case token == "":
		answer(w, http.StatusBadRequest, map[string]string{"error": "token is missing"})
	case token != gitLabTrigger:
		answer(w, http.StatusNotFound, map[string]string{"message": "404 Not Found"})
	default:
		g.start(w, ref, variables, "trigger")
	}
}

// triggered reads what a trigger is asked for. In a form, each variable is a field variables[NAME]; in JSON, all of them are an object.
func triggered(r *http.Request) (ref, token string, variables map[string]string, err error) {
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind == "application/json" {
		var asked struct {
			Ref, Token string
			Variables  map[string]string
		}
		err = json.NewDecoder(r.Body).Decode(&asked)
		return asked.Ref, asked.Token, asked.Variables, err
	}
	ref, token, variables = r.FormValue("ref"), r.FormValue("token"), map[string]string{}
	for field, values := range r.Form {
		name, is := strings.CutPrefix(field, "variables[")
		if name, closed := strings.CutSuffix(name, "]"); is && closed {
			variables[name] = values[0]
		}
	}
	return ref, token, variables, nil
}

// start makes a pipeline. Source says how it was asked for.
func (g *gitLab) start(w http.ResponseWriter, ref string, variables map[string]string, source string) {
	if ref != "main" {
		answer(w, http.StatusBadRequest, map[string]any{"message": map[string]any{"base": []string{"Reference not found"}}})
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	made := &pipeline{
		ID: 1001 + len(g.pipelines), ProjectID: 42, Ref: ref, SHA: "8f4e2d1c0b9a8f4e2d1c0b9a8f4e2d1c0b9a8f4e", Source: source, Status: "created", ends: "success",
	}
	made.WebURL = fmt.Sprintf("https://%s/shop/deploy/-/pipelines/%d", gitLabHost, made.ID)
	made.Name = variables[nameVariable]
	for _, value := range variables {
		if value == unbuildable {
			made.ends = "failed"
		}
	}
	g.pipelines = append(g.pipelines, made)
	answer(w, http.StatusCreated, made)
}

func (g *gitLab) list(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	name := r.URL.Query().Get("name")
	found := []*pipeline{}
	for _, p := range g.pipelines {
		if name == "" || p.Name == name {
			found = append(found, p)
		}
	}
	answer(w, http.StatusOK, found)
}

func (g *gitLab) get(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	id, err := strconv.Atoi(r.PathValue("id"))
	at := id - 1001
	if err != nil || at < 0 || at >= len(g.pipelines) {
		answer(w, http.StatusNotFound, map[string]string{"message": "404 Not found"})
		return
	}
	p := g.pipelines[at]
	if p.Status == "running" {
		p.Status = p.ends
	}
	if p.Status == "created" {
		p.Status = "running"
	}
	answer(w, http.StatusOK, p)
}
