package evidence

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// TestDelegation: a Delegation is what its principal made, when they made it.
func TestDelegation(t *testing.T) {
	for name, tc := range map[string]struct {
		reason, want string
		change       func(*v1alpha1.Delegation)
	}{
		"Same":      {reason: "nothing was changed", change: func(*v1alpha1.Delegation) {}},
		"Skew":      {reason: "clocks may differ", change: func(d *v1alpha1.Delegation) { d.CreationTimestamp.Time = d.CreationTimestamp.Add(-time.Minute) }},
		"Restored":  {reason: "it was taken back", want: v1alpha1.ReasonReplayed, change: func(d *v1alpha1.Delegation) { d.CreationTimestamp.Time = d.CreationTimestamp.Add(2 * time.Minute) }},
		"Delegate":  {reason: "others were named", want: v1alpha1.ReasonSealInvalid, change: func(d *v1alpha1.Delegation) { d.Spec.To.Users = []string{"eve"} }},
		"Principal": {reason: "somebody else did", want: v1alpha1.ReasonSealInvalid, change: func(d *v1alpha1.Delegation) { d.Spec.Principal.Username = "eve" }},
		"Groups":    {reason: "they had other groups", want: v1alpha1.ReasonSealInvalid, change: func(d *v1alpha1.Delegation) { d.Spec.Principal.Groups = []string{"admins"} }},
		"Moved":     {reason: "another catalog was meant", want: v1alpha1.ReasonSealInvalid, change: func(d *v1alpha1.Delegation) { d.Namespace = "other" }},
		"Unsealed":  {reason: "nobody sealed it", want: v1alpha1.ReasonNotStamped, change: func(d *v1alpha1.Delegation) { d.Spec.Seal = nil }},
		"Nobodys":   {reason: "nobody made it", want: v1alpha1.ReasonNotStamped, change: func(d *v1alpha1.Delegation) { d.Spec.Principal = nil }},
	} {
		t.Run(name, func(t *testing.T) {
			book := newWorld(t).book
			d := &v1alpha1.Delegation{ObjectMeta: metav1.ObjectMeta{Namespace: "platform", Name: "bob", CreationTimestamp: metav1.NewTime(noon.Truncate(time.Second))}}
			d.Spec = v1alpha1.DelegationSpec{
				Principal: &v1alpha1.Identity{Username: "bob", Groups: []string{"sre"}}, To: v1alpha1.Delegates{Users: []string{"carol"}}, Until: metav1.NewTime(noon.Truncate(time.Second).Add(time.Hour)),
			}
			if err := book.SealDelegation(d, noon); err != nil {
				t.Fatal(err)
			}
			tc.change(d)
			_, err := book.Delegation(d)
			if got := reasonOf(err); got != tc.want {
				t.Errorf("%s: got %q (%v), want %q", tc.reason, got, err, tc.want)
			}
		})
	}
}

func reasonOf(err error) string {
	if err == nil {
		return ""
	}
	return Of(err).Reason
}
