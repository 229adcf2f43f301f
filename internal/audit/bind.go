package audit

import (
	"errors"
	"fmt"
	"time"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/canonical"
	"github.com/signoff-dev/signoff/internal/seal"
)

// bind tells whether a payload proves what an event says. Otherwise a valid seal could be put beside any words.
func bind(payload seal.Payload, l *line, d *Data) error {
	switch p := payload.(type) {
	case *seal.Request:
		return first(cluster(p.Cluster, l), is("request", d.Request, p.Namespace, p.Name, ""), is("action", d.Action, p.Action.Namespace, p.Action.Name, ""))
	case *seal.Adoption:
		return first(cluster(p.Cluster, l), is("request", d.Request, p.Namespace, p.Name, p.UID))
	case *seal.Approval:
		return first(cluster(p.Cluster, l), ofApprovalPayload(p, l, d))
	case *seal.Vote:
		return first(cluster(p.Cluster, l), same("request", d.Request, p.Namespace, p.Request), same("approval", d.Approval, p.Namespace, p.Approval),
			inStage(d, p.Stage, p.Digest), at(l, p.IssuedAt))
	case *seal.Act:
		switch l.Type {
		case TypeActionEdited:
			return first(cluster(p.Cluster, l), is("action", d.Action, p.Namespace, p.Name, p.UID), edited(p, l, d))
		case TypeDelegated:
			return first(cluster(p.Cluster, l), is("Delegation", &d.Delegation.Reference, p.Namespace, p.Name, p.UID), delegated(p, l, d))
		}
		return first(cluster(p.Cluster, l), is("request", d.Request, p.Namespace, p.Name, p.UID), content(p, l, d))
	case *seal.Record:
		return first(cluster(p.Cluster, l), ofRecordPayload(p, l, d))
	case *seal.Checkpoint:
		return first(cluster(p.Cluster, l), at(l, p.IssuedAt))
	default:
		return errors.New("it has no place in a log")
	}
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func cluster(uid string, l *line) error {
	if uid != l.cluster() {
		return errors.New("it is from another cluster")
	}
	return nil
}

// is compares a reference with what was sealed. An empty uid was not known when it was.
func is(what string, ref *seal.Reference, namespace, name, uid string) error {
	if ref == nil || ref.Namespace != namespace || ref.Name != name || (uid != "" && ref.UID != uid) {
		return fmt.Errorf("another %s was sealed: %s/%s", what, namespace, name)
	}
	return nil
}

// same is is for a payload that does not name the object.
func same(what string, ref *seal.Reference, namespace, uid string) error {
	if ref == nil || ref.Namespace != namespace || ref.UID != uid {
		return fmt.Errorf("another %s was sealed: %s", what, uid)
	}
	return nil
}

func at(l *line, millis int64) error {
	if l.at.UnixMilli() != millis {
		return errors.New("another time was sealed")
	}
	return nil
}

func inStage(d *Data, stage seal.Stage, digest string) error {
	if d.Stage == nil || *d.Stage != stage || d.Digest != digest {
		return errors.New("another stage or digest was sealed")
	}
	return nil
}

func ofApprovalPayload(p *seal.Approval, l *line, d *Data) error {
	if until := time.UnixMilli(p.ClosesAt).UTC().Format(time.RFC3339); until != d.Until || p.Review != (l.Type == TypeReviewOpened) {
		return errors.New("another end, or another kind of Approval, was sealed")
	}
	return first(at(l, p.IssuedAt), is("approval", d.Approval, p.Namespace, p.Name, ""), is("request", d.Request, p.Namespace, p.Request.Name, p.Request.UID),
		is("action", d.Action, p.Action.Namespace, p.Action.Name, ""), inStage(d, p.Stage, p.Digest))
}

func ofRecordPayload(p *seal.Record, l *line, d *Data) error {
	want, known := map[string]v1alpha1.Outcome{
		TypeStarted: "", TypeSucceeded: v1alpha1.OutcomeSucceeded, TypeFailed: v1alpha1.OutcomeFailed, TypeReverted: v1alpha1.OutcomeReverted, TypeCancelled: v1alpha1.OutcomeCancelled,
	}[l.Type]
	if !known || p.Outcome != string(want) || p.Digest != d.Digest {
		return fmt.Errorf("another outcome or digest was sealed: %q, %.15s", p.Outcome, p.Digest)
	}
	return first(is("request", d.Request, p.Request.Namespace, p.Request.Name, p.Request.UID), is("action", d.Action, p.Action.Namespace, p.Action.Name, ""))
}

// content compares what somebody did with the words beside it.
func content(p *seal.Act, l *line, d *Data) error {
	var words any = seal.Cancellation{Reason: d.Reason}
	want := seal.TypeCancel
	if l.Type == TypeResolved {
		words, want = seal.Resolution{Step: d.Step, Outcome: d.State, Comment: d.Reason}, seal.TypeResolve
	}
	sum, err := canonical.SumOf(words)
	if err != nil || p.Type() != want || p.Content != sum {
		return errors.New("other words were sealed")
	}
	if want == seal.TypeResolve {
		return at(l, p.IssuedAt)
	}
	return nil
}

// edited compares who has changed an Action with what was sealed.
func edited(p *seal.Act, l *line, d *Data) error {
	edits := seal.Edits{}
	var errs []error
	if d.Edits.Since != "" {
		edits.Since = instant(&errs, d.Edits.Since)
	}
	for _, e := range d.Edits.List {
		edits.List = append(edits.List, seal.Edit{Username: e.Username, Person: e.Person, At: instant(&errs, e.At), Spec: e.Digest})
	}
	sum, err := edits.Sum()
	if last := edits.List[len(edits.List)-1]; first(append(errs, err)...) != nil || p.Type() != seal.TypeEdit || p.Content != sum ||
		p.Actor.Username != last.Username || p.Actor.Person != last.Person {
		return errors.New("other edits were sealed")
	}
	return at(l, p.IssuedAt)
}

// delegated compares who may vote for whom with what was sealed.
func delegated(p *seal.Act, l *line, d *Data) error {
	var errs []error
	said := seal.Delegated{Users: d.Delegation.Users, Actions: d.Delegation.Actions, Until: instant(&errs, d.Until).UnixMilli(), Reason: d.Reason}
	if d.Delegation.From != "" {
		if said.From = instant(&errs, d.Delegation.From).UnixMilli(); said.From == 0 {
			errs = append(errs, errors.New("none is written by leaving it out"))
		}
	}
	if d.Delegation.Actions != nil && len(d.Delegation.Actions) == 0 {
		errs = append(errs, errors.New("none is written by leaving it out"))
	}
	sum, err := canonical.SumOf(said)
	if first(append(errs, err)...) != nil || p.Type() != seal.TypeDelegation || p.Content != sum {
		return errors.New("another Delegation was sealed")
	}
	return at(l, p.IssuedAt)
}

// instant reads a time, and notes where it is none, or not written as it is sealed: in milliseconds, and in one way.
func instant(errs *[]error, text string) time.Time {
	at, err := time.Parse(time.RFC3339Nano, text)
	if err == nil && exactly(at.Truncate(time.Millisecond)) != text {
		err = errors.New("it is written in another way")
	}
	*errs = append(*errs, err)
	return at
}
