package evidence

import (
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

const otherDigest = "sha256:b20d44c1b20d44c1b20d44c1b20d44c1b20d44c1b20d44c1b20d44c1b20d44c1"

// edited makes an Action that ada has made and bob has changed.
func edited(t *testing.T, b *Book) *v1alpha1.Action {
	t.Helper()
	a := &v1alpha1.Action{ObjectMeta: metav1.ObjectMeta{Namespace: "platform", Name: "restart"}}
	change(t, b, a, nil, "", "ada", noon, digest)
	a.UID, a.CreationTimestamp = "a-1", metav1.NewTime(noon.Truncate(time.Second))
	change(t, b, a, a.DeepCopy(), digest, "bob", noon.Add(time.Hour), otherDigest)
	return a
}

func change(t *testing.T, b *Book, a, before *v1alpha1.Action, was, who string, at time.Time, is string) {
	t.Helper()
	text, err := b.SealEdit(a, before, was, Edit{Username: who, Person: who, At: Instant(at), Spec: is})
	ok(t, err)
	a.Annotations = map[string]string{v1alpha1.AnnotationEdits: text}
}

func names(e *Edits) string {
	var all []string
	for _, one := range e.List {
		all = append(all, one.Username)
	}
	return strings.Join(all, " ")
}

// TestEdits names each person once, the last one last.
func TestEdits(t *testing.T) {
	b := NewBook(cluster, newKeys(t, "one"))
	a := edited(t, b)
	change(t, b, a, a.DeepCopy(), otherDigest, "ada", noon.Add(2*time.Hour), digest)
	got, err := b.Edits(a, digest)
	ok(t, err)
	if names(got) != "bob ada" || got.Since != nil || got.Created {
		t.Errorf("got %+v", got)
	}
	change(t, b, a, a.DeepCopy(), digest, "carol", noon.Add(MaxAge+90*time.Minute), digest)
	got, err = b.Edits(a, digest)
	ok(t, err)
	if names(got) != "ada carol" || !got.Since.Equal(&metav1.MicroTime{Time: Instant(noon.Add(time.Hour)).Time}) {
		t.Errorf("what is older than any request is left out: %+v", got)
	}
	for i := range maxEdits + 3 {
		change(t, b, a, a.DeepCopy(), digest, fmt.Sprint("user-", i), noon.Add(MaxAge+2*time.Hour+time.Duration(i)*time.Second), digest)
	}
	got, err = b.Edits(a, digest)
	ok(t, err)
	if len(got.List) != maxEdits || !got.Since.Time.Equal(Instant(noon.Add(MaxAge+2*time.Hour+2*time.Second)).Time) {
		t.Errorf("the list has a bound, and says from when on it is whole: %d since %s", len(got.List), got.Since)
	}
}

// TestEditsThatDoNotHold plays what somebody does to an Action while the webhook is away, and to what is noted on it.
func TestEditsThatDoNotHold(t *testing.T) {
	b := NewBook(cluster, newKeys(t, "one"))
	note := func(change func(text string) string) func(*v1alpha1.Action) {
		return func(a *v1alpha1.Action) {
			a.Annotations[v1alpha1.AnnotationEdits] = change(a.Annotations[v1alpha1.AnnotationEdits])
		}
	}
	for name, tc := range map[string]struct {
		reason string
		change func(*v1alpha1.Action)
		is     string
		words  string
	}{
		"Spec":    {"A change that nobody noted.", func(*v1alpha1.Action) {}, digest, "Action platform/restart was changed without Signoff's admission webhook"},
		"Removed": {"Without the note nobody is known.", func(a *v1alpha1.Action) { a.Annotations = nil }, otherDigest, "was changed without"},
		"Garbage": {"A note that is no note.", note(func(string) string { return "{" }), otherDigest, "cannot be read"},
		"Empty":   {"Nobody named is nobody known.", note(func(string) string { return `{"edits":[],"seal":""}` }), otherDigest, "cannot be read"},
		"Somebody": {"The editor is another one.", note(func(text string) string { return strings.ReplaceAll(text, "bob", "eve") }), otherDigest,
			"was changed, or made, without Signoff's admission webhook"},
		"TakenOut": {"One who edited before is taken out.", note(func(text string) string { return text[:10] + text[strings.Index(text, `,{"username":"bob"`)+1:] }), otherDigest,
			"was changed, or made, without Signoff's admission webhook"},
		"Recreated": {"The note is that of an Action that is gone.", func(a *v1alpha1.Action) { a.UID = "a-2" }, otherDigest, "was changed, or made, without"},
		"Copied":    {"Or of another one.", func(a *v1alpha1.Action) { a.Name = "other" }, otherDigest, "was changed, or made, without"},
	} {
		t.Run(name, func(t *testing.T) {
			a := edited(t, b)
			tc.change(a)
			got, err := b.Edits(a, tc.is)
			if err == nil || !strings.Contains(Of(err).Message, tc.words) {
				t.Errorf("%s\ngot %+v, %v, want %q", tc.reason, got, err, tc.words)
			}
			// Whoever changes it next begins the list anew.
			change(t, b, a, a.DeepCopy(), tc.is, "carol", noon.Add(2*time.Hour), digest)
			got, err = b.Edits(a, digest)
			ok(t, err)
			if names(got) != "carol" || got.Since == nil || !got.Since.Time.Equal(got.List[0].At.Time) {
				t.Errorf("%s\nafter it was applied again: %+v", tc.reason, got)
			}
		})
	}
	t.Run("RecreatedAsMade", func(t *testing.T) {
		a := &v1alpha1.Action{ObjectMeta: metav1.ObjectMeta{Namespace: "platform", Name: "restart"}}
		change(t, b, a, nil, "", "ada", noon, digest)
		a.UID, a.CreationTimestamp = "a-1", metav1.NewTime(noon.Truncate(time.Second))
		_, err := b.Edits(a, digest)
		ok(t, err)
		a.UID, a.CreationTimestamp = "a-2", metav1.NewTime(noon.Add(time.Hour))
		if _, err := b.Edits(a, digest); err == nil {
			t.Error("an Action that is made again later is not what ada made")
		}
	})
}
