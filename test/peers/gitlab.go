package peers

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"sync"
)

// gitLab is the part of GitLab that makes pipelines of one project, the one with id 42: POST /projects/:id/pipeline, GET /projects/:id/pipelines
// and GET /projects/:id/pipelines/:pipeline_id. A pipeline has ended once it was asked for a second time: with success, unless it
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

func newGitLab() http.Handler {
	g, mux := &gitLab{}, http.NewServeMux()
	mux.HandleFunc("POST /api/v4/projects/42/pipeline", g.create)
	mux.HandleFunc("GET /api/v4/projects/42/pipelines", g.list)
	mux.HandleFunc("GET /api/v4/projects/42/pipelines/{id}", g.get)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// A personal, project or group access token may be sent in either header.
		if r.Header.Get("Private-Token") != gitLabToken && r.Header.Get("Authorization") != "Bearer "+gitLabToken {
			answer(w, http.StatusUnauthorized, map[string]string{"message": "401 Unauthorized"})
			return
		}
		mux.ServeHTTP(w, r)
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
	if asked.Ref != "main" {
		answer(w, http.StatusBadRequest, map[string]any{"message": map[string]any{"base": []string{"Reference not found"}}})
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	made := &pipeline{
		ID: 1001 + len(g.pipelines), ProjectID: 42, Ref: asked.Ref, SHA: "8f4e2d1c0b9a8f4e2d1c0b9a8f4e2d1c0b9a8f4e", Source: "api", Status: "created", ends: "success",
	}
	made.WebURL = fmt.Sprintf("https://%s/shop/deploy/-/pipelines/%d", gitLabHost, made.ID)
	for _, variable := range asked.Variables {
		switch {
		case variable.Key == nameVariable:
			made.Name = variable.Value
		case variable.Value == unbuildable:
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
