package peers

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// serviceNow is the table change_request behind the Table API: POST and GET /api/now/table/change_request, and GET, PATCH and PUT of one record.
// Every value is text, as there.
type serviceNow struct {
	mu      sync.Mutex
	changes []change
}

// change is a record.
type change map[string]string

func newServiceNow() http.Handler {
	s, mux := &serviceNow{}, http.NewServeMux()
	mux.HandleFunc("POST /api/now/table/change_request", s.create)
	mux.HandleFunc("GET /api/now/table/change_request", s.list)
	mux.HandleFunc("/api/now/table/change_request/{id}", s.one)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+serviceNowToken {
			failure(w, http.StatusUnauthorized, "User Not Authenticated", "Required to provide Auth information")
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func failure(w http.ResponseWriter, status int, message, detail string) {
	answer(w, status, map[string]any{"error": map[string]string{"message": message, "detail": detail}, "status": "failure"})
}

// fill takes over the fields that a call carries. A closed or cancelled change is no longer active.
func (c change) fill(r *http.Request) error {
	var fields change
	if err := json.NewDecoder(r.Body).Decode(&fields); err != nil {
		return fmt.Errorf("failed to read the fields: %w", err)
	}
	maps.Copy(c, fields)
	state, err := strconv.Atoi(c["state"])
	c["active"] = strconv.FormatBool(err == nil && state < closed)
	return nil
}

// closed is the first state of a change that is over; the next one is canceled.
const closed = 3

func (s *serviceNow) create(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	number := len(s.changes) + 1
	made := change{
		"sys_id": fmt.Sprintf("%032x", 0xc0ffee00+number), "number": fmt.Sprintf("CHG%07d", 30000+number),
		"approval": "not requested", "state": "-5", "correlation_id": "", "correlation_display": "",
	}
	if err := made.fill(r); err != nil {
		failure(w, http.StatusBadRequest, "Exception while reading request", err.Error())
		return
	}
	s.changes = append(s.changes, made)
	answer(w, http.StatusCreated, map[string]any{"result": made})
}

func (s *serviceNow) list(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	query := r.URL.Query()
	found := []change{}
	for _, c := range s.changes {
		if c.matches(query.Get("sysparm_query")) {
			found = append(found, c.only(query.Get("sysparm_fields")))
		}
	}
	if limit, err := strconv.Atoi(query.Get("sysparm_limit")); err == nil && len(found) > limit {
		found = found[:limit]
	}
	answer(w, http.StatusOK, map[string]any{"result": found})
}

// matches tells whether an encoded query selects a record: conditions joined by ^, each field=value or fieldISNOTEMPTY.
func (c change) matches(query string) bool {
	for condition := range strings.SplitSeq(query, "^") {
		field, value, equals := strings.Cut(condition, "=")
		name, present := strings.CutSuffix(condition, "ISNOTEMPTY")
		switch {
		case condition == "":
		case equals && c[field] != value, !equals && !present, !equals && c[name] == "":
			return false
		}
	}
	return true
}

// only keeps some fields, or all where none is named.
func (c change) only(fields string) change {
	if fields == "" {
		return maps.Clone(c)
	}
	out := change{}
	for field := range strings.SplitSeq(fields, ",") {
		out[field] = c[field]
	}
	return out
}

func (s *serviceNow) one(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.changes {
		if c["sys_id"] != r.PathValue("id") {
			continue
		}
		if r.Method == http.MethodPatch || r.Method == http.MethodPut {
			if err := c.fill(r); err != nil {
				failure(w, http.StatusBadRequest, "Exception while reading request", err.Error())
				return
			}
		}
		answer(w, http.StatusOK, map[string]any{"result": c})
		return
	}
	failure(w, http.StatusNotFound, "No Record found", "Record doesn't exist or ACL restricts the record retrieval")
}
