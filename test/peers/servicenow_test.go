package peers

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestServiceNowList gives what an encoded query selects, in the order that it asks for.
func TestServiceNowList(t *testing.T) {
	now := newServiceNow()
	call := func(method, query, body string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), method, "/api/now/table/change_request?"+query, strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+serviceNowToken)
		w := httptest.NewRecorder()
		now.ServeHTTP(w, r)
		return w
	}
	for _, uid := range []string{"u-1", "u-2", "u-1"} {
		call(http.MethodPost, "", `{"correlation_id":"`+uid+`"}`)
	}
	for name, tc := range map[string]struct {
		query, limit string
		want         []string
	}{
		"Unordered": {"correlation_id=u-1", "", []string{"CHG0030003", "CHG0030001"}},
		"Ordered":   {"correlation_id=u-1^ORDERBYsys_created_on", "", []string{"CHG0030001", "CHG0030003"}},
		"Oldest":    {"correlation_id=u-1^ORDERBYsys_created_on", "1", []string{"CHG0030001"}},
		"Several":   {"correlation_idINu-1,u-2^ORDERBYnumber", "", []string{"CHG0030001", "CHG0030002", "CHG0030003"}},
		"Nothing":   {"correlation_id=u-3^ORDERBYnumber", "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			query := url.Values{"sysparm_query": {tc.query}, "sysparm_limit": {tc.limit}, "sysparm_fields": {"number"}}
			answered := struct{ Result []record }{}
			if err := json.Unmarshal(call(http.MethodGet, query.Encode(), "").Body.Bytes(), &answered); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, c := range answered.Result {
				got = append(got, c["number"])
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}
