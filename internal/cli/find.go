package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/gate"
	"github.com/signoff-dev/signoff/internal/suggest"
)

// isRefusal tells of an end that is a no.
func isRefusal(err error) bool {
	known := (*ending)(nil)
	return errors.As(err, &known) && known.code == exitNo
}

func isMissing(err error) bool { return apierrors.IsNotFound(err) && gate.Missing(err) }

// find gives the Action that a word names: NAMESPACE/NAME, or a name that only one Action has, each as -o name prints it too.
func (s *session) find(ctx context.Context, word string) (v1alpha1.ActionReference, error) {
	word = actionWord(word)
	namespace, name, full := strings.Cut(word, "/")
	if full {
		if namespace == "" || name == "" || strings.Contains(name, "/") {
			return v1alpha1.ActionReference{}, fmt.Errorf("failed to read %q: name the Action as NAMESPACE/NAME; see what there is: kubectl signoff actions", word)
		}
		return v1alpha1.ActionReference{Namespace: namespace, Name: name}, nil
	}
	catalog, err := s.catalog(ctx)
	if err != nil {
		return v1alpha1.ActionReference{}, err
	}
	var found, names []string
	for i := range catalog.Rows {
		action := catalog.object(i)
		names = append(names, action.GetName())
		if action.GetName() == word {
			found = append(found, action.GetNamespace()+"/"+word)
		}
	}
	switch len(found) {
	case 1:
		namespace, _, _ = strings.Cut(found[0], "/")
		s.say("Action %s", found[0])
		return v1alpha1.ActionReference{Namespace: namespace, Name: word}, nil
	case 0:
		hint := "."
		if near := suggest.Nearest(word, names); near != "" {
			hint = fmt.Sprintf("; did you mean %q?", near)
		}
		return v1alpha1.ActionReference{}, fmt.Errorf("you may see no Action %q%s  See what there is: kubectl signoff actions.  Name one that is not listed as NAMESPACE/NAME", word, hint)
	}
	return v1alpha1.ActionReference{}, fmt.Errorf("there are several Actions %q: name one of %s", word, strings.Join(found, ", "))
}

// catalog lists the Actions that one may see: all, or where that is not permitted, those beside the requests and in the namespaces that earlier
// requests name.
func (s *session) catalog(ctx context.Context) (*table, error) {
	all, forbidden := s.list(ctx, actions, "", "")
	if forbidden == nil || !errors.Is(forbidden, errForbidden) {
		return all, forbidden
	}
	some, readable, err := s.nearCatalogs(ctx)
	if err == nil && !readable {
		err = forbidden
	}
	return some, err
}

// nearCatalogs lists the Actions in the namespace that is used, and in those that earlier requests there name, as far as one may. It also says whether
// one may list any.
func (s *session) nearCatalogs(ctx context.Context) (*table, bool, error) {
	namespaces, readable := map[string]bool{s.namespace: true}, false
	for _, namespace := range s.beside {
		namespaces[namespace] = true
	}
	if earlier, err := s.list(ctx, requests, s.namespace, ""); err == nil {
		for i := range earlier.Rows {
			namespaces[catalogOf(earlier.object(i))] = true
		}
	}
	some := &table{everywhere: true}
	for _, namespace := range slices.Sorted(maps.Keys(namespaces)) {
		one, err := s.list(ctx, actions, namespace, "")
		if errors.Is(err, errForbidden) {
			continue
		}
		if err != nil {
			return nil, false, err
		}
		readable = true
		some.ColumnDefinitions = one.ColumnDefinitions
		some.Rows = append(some.Rows, one.Rows...)
	}
	return some, readable, nil
}
