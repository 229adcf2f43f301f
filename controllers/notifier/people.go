package notifier

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/execution"
	"github.com/signoff-dev/signoff/internal/gate"
	"github.com/signoff-dev/signoff/internal/notify"
	"github.com/signoff-dev/signoff/internal/snapshot"
	"github.com/signoff-dev/signoff/internal/steps"
)

// people finds out who is who in a snapshot, at a time.
type people struct {
	*snapshot.Snapshot

	gate *gate.Gate
	now  time.Time
}

// Labels implements notify.People.
func (p people) Labels(ref v1alpha1.ActionReference) map[string]string {
	action, _ := p.Action(ref)
	if action == nil {
		return nil
	}
	return action.Object.Labels
}

// Approvers implements notify.People. Members of groups are known to nobody but the identity provider. Whoever may vote for one of them is told too. As in
// what the Approval says itself, nobody can approve what they ask for, with whichever login, or what is asked for them.
func (p people) Approvers(request *v1alpha1.ActionRequest, a *v1alpha1.Approval) (users, addresses []string) {
	asked := []*v1alpha1.Approvers{}
	for i := range a.Spec.Requirements {
		asked = append(asked, &a.Spec.Requirements[i].Approvers)
	}
	if e := a.Spec.Escalation; e != nil && a.Status.Escalated {
		asked = append(asked, &e.Approvers)
	}
	action := p.action(a.Spec.ActionRef)
	for _, who := range asked {
		for subjects := range gate.NamedBy(p.Snapshot, action, who) {
			for _, team := range subjects.Teams {
				if t := p.Team(team); t != nil && t.Spec.Contact != nil && t.Spec.Contact.Email != "" {
					addresses = append(addresses, notify.TeamAddress(t.Spec.Contact.Email))
				}
			}
			known, _ := p.PeopleOf(subjects)
			users = append(users, known...)
			users = append(users, p.StandIns(a.Spec.ActionRef, subjects, p.now)...)
		}
	}
	claimed := ""
	if claim := request.Spec.OnBehalfOf; claim != nil {
		claimed = claim.Username
	}
	users = slices.DeleteFunc(users, p.gate.Asking(&a.Spec.Requester, claimed))
	slices.Sort(users)
	slices.Sort(addresses)
	return slices.Compact(users), slices.Compact(addresses)
}

// action gives an Action as it is stored, or its name alone where it is gone.
func (p people) action(ref v1alpha1.ActionReference) *v1alpha1.Action {
	if stored := p.ActionObject(ref); stored != nil {
		return stored
	}
	return &v1alpha1.Action{ObjectMeta: metav1.ObjectMeta{Namespace: ref.Namespace, Name: ref.Name}}
}

// secrets reads Secrets as the ServiceAccount of a Notifier.
type secrets struct {
	clients            *execution.Clients
	namespace, account string
}

func (s *secrets) read(ctx context.Context, key *v1alpha1.SecretKey, host func(string) (string, error)) (string, error) {
	if s.account == "" {
		return "", errors.New("spec.serviceAccountName is missing")
	}
	object, err := s.clients.Get(ctx, s.namespace, s.account, steps.SecretRef(s.namespace, key.Name))
	if err != nil {
		return "", err
	}
	secret := &corev1.Secret{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, secret); err != nil {
		return "", fmt.Errorf("failed to decode Secret %s: %w", key.Name, err)
	}
	value := steps.SecretValue(secret.Data[key.Key])
	if value == "" {
		return "", fmt.Errorf("there is no key %q in Secret %s", key.Key, key.Name)
	}
	to, err := host(value)
	if err == nil {
		err = steps.AllowedFor(secret.Annotations, to)
	}
	if err != nil {
		return "", fmt.Errorf("not with Secret %s: %w", key.Name, err)
	}
	return value, nil
}
