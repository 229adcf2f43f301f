package schema

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// column is a column of kubectl get with what it shows for the sample of its kind.
type column struct{ Name, Cell string }

func columns() map[string][]column {
	return map[string][]column{
		"action": {
			{"Title", "Deploy a service"}, {"Inputs", "namespace,name"}, {"Approval", "sometimes"}, {"Ready", "True"},
		},
		"actionpolicy": {{"Effect", "Deny"}, {"Active", "True"}, {"Until", "Mon 4 Jan 2027 23:59"}, {"Holding", "3"}, {"Ready", "True"}},
		"actionrequest": {
			{"Action", "deploy"}, {"Phase", "Cancelled"}, {"Waiting For", "owners: 1 of payments (bob, carol +1)"},
			{"Approvals", "1/2"}, {"Requester", "alice"},
		},
		"approval": {
			{"Action", "deploy"}, {"Requester", "alice"}, {"Stage", "owners"}, {"State", "Open"}, {"Needs", "2 of payments"},
			{"For", "fixes the rounding error"}, {"Expires", "24 Nov 17:10Z"}, {"Waiting For", "1 more of payments"}, {"Policy", "christmas-freeze"},
		},
		"calendar": {{"Zone", "Europe/London"}, {"Ready", "True"}},
		"delegation": {
			{"Principal", "bob"}, {"To", `["carol"]`}, {"State", "Active"}, {"Until", "2026-12-20T00:00:00Z"}, {"Actions", `["restart","deploy"]`},
		},
		"notifier": {{"Ready", "True"}, {"Delivered", "7"}, {"Failed", "1"}, {"Pending", "2"}, {"Last Error", "the mail server is down"}},
		"record": {
			{"Request Namespace", "payments"}, {"Request", "checkout-1-42"}, {"Action", "deploy"}, {"Outcome", "Succeeded"},
		},
		"role": {{"Members", "user alice, group developers"}, {"Permissions", "request, cancel on deploy"}, {"Ready", "True"}},
		"team": {{"Parent", "engineering"}, {"Contact", "#payments on Slack"}, {"Ready", "True"}},
	}
}

// wide are the columns that only kubectl get -o wide shows.
var wide = map[string]bool{"actionrequest/Approvals": true, "approval/Waiting For": true, "notifier/Last Error": true, "approval/Policy": true, "delegation/Actions": true}

// TestColumns reads each kind as kubectl get does and compares names, order and cells of the columns.
func TestColumns(t *testing.T) {
	t.Parallel()
	sameSet(t, "kinds with columns", sortedKeys(columns()), sortedKeys(kinds))
	for kind, want := range columns() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			stored := withStatus(t, sample(t, kind))
			table := tableOf(t, kind, stored)
			want := append(append([]column{{"Name", stored.GetName()}}, want...), column{Name: "Age"})
			var got []column
			for i, definition := range table.ColumnDefinitions {
				c := column{Name: definition.Name, Cell: fmt.Sprint(table.Rows[0].Cells[i])}
				if c.Name == "Age" {
					c.Cell = ""
				}
				got = append(got, c)
				if isWide := definition.Priority > 0; isWide != wide[kind+"/"+c.Name] {
					t.Errorf("column %s: want it only with -o wide: %t, got %t", c.Name, !isWide, isWide)
				}
				if definition.Type == "date" && c.Name != "Age" {
					t.Errorf("column %s has type date, which kubectl shows as <invalid> for a time in the future", c.Name)
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("columns: -want, +got:\n%s", diff)
			}
		})
	}
}

// tableOf asks for an object in the form that kubectl get prints.
func tableOf(t *testing.T, kind string, object *unstructured.Unstructured) *metav1.Table {
	t.Helper()
	config := rest.CopyConfig(server.config)
	config.GroupVersion, config.APIPath = &v1alpha1.GroupVersion, "/apis"
	config.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
	client, err := rest.RESTClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	table := &metav1.Table{}
	err = client.Get().NamespaceIfScoped(object.GetNamespace(), object.GetNamespace() != "").Resource(kinds[kind]).
		Name(object.GetName()).SetHeader("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io").Do(t.Context()).Into(table)
	if err != nil {
		t.Fatalf("failed to read %s as a table: %v", kind, err)
	}
	return table
}
