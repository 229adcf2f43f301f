package peers

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// table is one behind the Table API of ServiceNow: POST and GET /api/now/table/<name>, and GET, PATCH and PUT of one record. Every value is text, as
// there.
type table struct {
	mu      sync.Mutex
	records []record
	// fresh is what a record has that is made: its number is a format, and its sys_id is added.
	fresh record
	// first is the number before that of the first one.
	first int
	// closed is the first state of a record that is over.
	closed int
}

// record is one of a table.
type record map[string]string

// newServiceNow serves the tables change_request and incident.
func newServiceNow() http.Handler {
	mux := http.NewServeMux()
	for name, t := range map[string]*table{
		// After closed comes canceled.
		"change_request": {first: 30000, closed: 3, fresh: record{
			"number": "CHG%07d", "approval": "not requested", "state": "-5", "correlation_id": "", "correlation_display": "",
		}},
		"incident": {first: 10000, closed: 7, fresh: record{"number": "INC%07d", "state": "1"}},
	} {
		mux.HandleFunc("POST /api/now/table/"+name, t.create)
		mux.HandleFunc("GET /api/now/table/"+name, t.list)
		mux.HandleFunc("/api/now/table/"+name+"/{id}", t.one)
	}
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

// fill takes over the fields that a call carries. What is over is no longer active.
func (t *table) fill(c record, r *http.Request) error {
	var fields record
	if err := json.NewDecoder(r.Body).Decode(&fields); err != nil {
		return fmt.Errorf("failed to read the fields: %w", err)
	}
	maps.Copy(c, fields)
	state, err := strconv.Atoi(c["state"])
	c["active"] = strconv.FormatBool(err == nil && state < t.closed)
	return nil
}

func (t *table) create(w http.ResponseWriter, r *http.Request) {
	t.mu.Lock()
	defer t.mu.Unlock()
	made, n := maps.Clone(t.fresh), len(t.records)+1
	made["number"], made["sys_id"] = fmt.Sprintf(t.fresh["number"], t.first+n), fmt.Sprintf("%032x", 0xc0ffee00+t.first+n)
	made["sys_created_on"] = time.Date(2026, time.November, 23, 12, 0, n, 0, time.UTC).Format(time.DateTime)
	if err := t.fill(made, r); err != nil {
		failure(w, http.StatusBadRequest, "Exception while reading request", err.Error())
		return
	}
	t.records = append(t.records, made)
	answer(w, http.StatusCreated, map[string]any{"result": made})
}

func (t *table) list(w http.ResponseWriter, r *http.Request) {
	t.mu.Lock()
	defer t.mu.Unlock()
	query := r.URL.Query()
	found := []record{}
	// Nobody may rely on an order that they do not ask for.
	for _, c := range slices.Backward(t.records) {
		if c.matches(query.Get("sysparm_query")) {
			found = append(found, c)
		}
	}
	if _, field, ordered := strings.Cut(query.Get("sysparm_query"), orderBy); ordered {
		slices.SortStableFunc(found, func(a, b record) int { return strings.Compare(a[field], b[field]) })
	}
	if limit, err := strconv.Atoi(query.Get("sysparm_limit")); err == nil && len(found) > limit {
		found = found[:limit]
	}
	for i, c := range found {
		found[i] = c.only(query.Get("sysparm_fields"))
	}
	answer(w, http.StatusOK, map[string]any{"result": found})
}

// orderBy is what comes before the field by which a list is ordered, as the last condition of a query.
const orderBy = "ORDERBY"

// matches tells whether an encoded query selects a record: conditions joined by ^, each field=value or fieldINvalue,value.
func (c record) matches(query string) bool {
	for condition := range strings.SplitSeq(query, "^") {
		field, value, equals := strings.Cut(condition, "=")
		among, values, in := strings.Cut(condition, "IN")
		switch {
		case condition == "", strings.HasPrefix(condition, orderBy):
		case equals && c[field] != value, !equals && !in, !equals && !slices.Contains(strings.Split(values, ","), c[among]):
			return false
		}
	}
	return true
}

// only keeps some fields, or all where none is named.
func (c record) only(fields string) record {
	if fields == "" {
		return maps.Clone(c)
	}
	out := record{}
	for field := range strings.SplitSeq(fields, ",") {
		out[field] = c[field]
	}
	return out
}

func (t *table) one(w http.ResponseWriter, r *http.Request) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range t.records {
		if c["sys_id"] != r.PathValue("id") {
			continue
		}
		if r.Method == http.MethodPatch || r.Method == http.MethodPut {
			if err := t.fill(c, r); err != nil {
				failure(w, http.StatusBadRequest, "Exception while reading request", err.Error())
				return
			}
		}
		answer(w, http.StatusOK, map[string]any{"result": c})
		return
	}
	failure(w, http.StatusNotFound, "No Record found", "Record doesn't exist or ACL restricts the record retrieval")
}
