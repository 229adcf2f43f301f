// Package rights reads from docs/security/seals.md what each process of Signoff may do, so that tests compare it with what is granted.
package rights

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/signoff-dev/signoff/hack/assets"
)

// The processes, and where a right holds.
const (
	Admission   = "admission"
	Controllers = "controllers"
	// Both stands in the table for either of the two.
	Both = "both"
	// Everywhere is the whole cluster.
	Everywhere = "everywhere"
	// Own is the namespace of the operator.
	Own = "own namespace"
)

const page = "docs/security/seals.md"

// Right is one verb on one resource.
type Right struct {
	Process, Where, Group, Resource, Verb string
	// Name is that of the one object; empty: any.
	Name string
}

func (r Right) String() string {
	return fmt.Sprintf("%s may %s %s/%s %s (%s)", r.Process, r.Verb, r.Group, r.Resource, r.Name, r.Where)
}

// Of gives the single rights of rules.
func Of(process, where string, rules ...rbacv1.PolicyRule) []Right {
	var all []Right
	for _, rule := range rules {
		names := rule.ResourceNames
		if len(names) == 0 {
			names = []string{""}
		}
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				for _, verb := range rule.Verbs {
					for _, name := range names {
						all = append(all, Right{process, where, group, resource, verb, name})
					}
				}
			}
		}
	}
	return all
}

// Sorted gives each right once, as text.
func Sorted(all []Right) []string {
	var texts []string
	for _, r := range all {
		texts = append(texts, r.String())
	}
	slices.Sort(texts)
	return slices.Compact(texts)
}

// Documented gives the rights that the table names.
func Documented() ([]Right, error) {
	root, err := assets.Root()
	if err != nil {
		return nil, fmt.Errorf("failed to find the repository: %w", err)
	}
	text, err := os.ReadFile(filepath.Join(root, page))
	if err != nil {
		return nil, fmt.Errorf("failed to read the table of rights: %w", err)
	}
	_, table, found := strings.Cut(string(text), "<!-- rights -->\n")
	if !found {
		return nil, fmt.Errorf("%s has no table of rights", page)
	}
	table, _, _ = strings.Cut(table, "<!-- end -->")
	var all []Right
	// A heading and a line come first.
	for _, line := range strings.Split(strings.TrimSpace(table), "\n")[2:] {
		rights, err := row(line)
		if err != nil {
			return nil, err
		}
		all = append(all, rights...)
	}
	return all, nil
}

// row gives the rights of a line: who, where, API group, resources, verbs, names, why.
func row(line string) ([]Right, error) {
	cells := strings.Split(strings.Trim(line, "|"), "|")
	if len(cells) != 7 {
		return nil, fmt.Errorf("%s: a row has 7 cells: %s", page, line)
	}
	for i := range cells {
		cells[i] = strings.TrimSpace(cells[i])
		if cells[i] == "" {
			return nil, fmt.Errorf("%s: every cell says something: %s", page, line)
		}
	}
	rule := rbacv1.PolicyRule{APIGroups: []string{cells[2]}, Resources: list(cells[3]), Verbs: list(cells[4]), ResourceNames: list(cells[5])}
	if cells[2] == "core" {
		rule.APIGroups[0] = ""
	}
	if cells[5] == "any" {
		rule.ResourceNames = nil
	}
	if cells[0] != Both {
		return Of(cells[0], cells[1], rule), nil
	}
	return append(Of(Admission, cells[1], rule), Of(Controllers, cells[1], rule)...), nil
}

func list(cell string) []string {
	var all []string
	for _, one := range strings.Split(cell, ",") {
		all = append(all, strings.Trim(strings.TrimSpace(one), "`"))
	}
	return all
}
