package integration

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/test/env"
)

// TestFlood asks a thousand times at once under two logins of one person, after as many dry runs. Both limits hold to the last one, other people are
// not concerned while it lasts, and whoever cancels may ask again.
func TestFlood(t *testing.T) {
	flood := make([]env.Person, 2)
	for i, name := range []string{"flora", "flora@laptop"} {
		login, err := cluster.User(name, env.GroupEngineering, env.GroupPayments)
		if err != nil {
			t.Fatal(err)
		}
		flood[i] = env.Person{Name: name, Config: login}
	}
	first := ask(t, flood[0], request("crowd", `{}`))
	defer calm(t, flood[0])

	const tries, hands, others = 1000, 8, 60
	defer calm(t, users.Erin)
	var beside sync.WaitGroup
	beside.Go(func() {
		for n := range others {
			if err := as(t, users.Erin).Create(t.Context(), request("crowd", `{}`), client.DryRunAll); err != nil {
				t.Errorf("dry run %d of somebody else is refused: %v", n, err)
			}
			if err := as(t, users.Erin).Create(t.Context(), request("crowd", `{}`)); err != nil {
				t.Errorf("request %d of somebody else is refused: %v", n, err)
			}
		}
	})
	var stored, judged atomic.Int32
	stored.Add(1)
	var refusal, unjudged atomic.Value
	var wait, dried sync.WaitGroup
	dried.Add(hands)
	var took atomic.Int64
	begin := time.Now()
	for hand := range hands {
		wait.Go(func() {
			who := as(t, flood[hand%len(flood)])
			// A slow machine takes longer to meet the limit.
			for n := 0; n < tries/hands || n < 10*tries/hands && unjudged.Load() == nil; n++ {
				switch err := who.Create(t.Context(), request("crowd", `{}`), client.DryRunAll); {
				case err == nil:
					judged.Add(1)
				case apierrors.IsTooManyRequests(err):
					unjudged.Store(err.Error())
				default:
					t.Errorf("a dry run is refused for another reason than that there are so many: %v", err)
				}
			}
			dried.Done()
			dried.Wait()
			took.Store(int64(time.Since(begin)))
			for range tries / hands {
				err := who.Create(t.Context(), request("crowd", `{}`))
				if err == nil {
					stored.Add(1)
					continue
				}
				refusal.Store(err.Error())
			}
		})
	}
	beside.Wait()
	wait.Wait()
	// Two replicas of the webhook would each let a few more through; here there is one.
	if n := stored.Load(); n != maxOpen {
		t.Errorf("%d requests were stored, and %d are allowed", n, maxOpen)
	}
	if most := maxDryRuns + int32(maxDryRuns*time.Duration(took.Load()).Seconds()/10) + 1; judged.Load() < maxDryRuns || judged.Load() > most {
		t.Errorf("%d dry runs were judged, and in %s from %d to %d are allowed", judged.Load(), time.Duration(took.Load()), maxDryRuns, most)
	}
	text, _ := unjudged.Load().(string)
	for _, words := range []string{"makes too many dry runs: 300 at once, and then 30 a second (requester.maxDryRuns", "Nothing was judged.", "Try again in a few seconds."} {
		if !strings.Contains(text, words) {
			t.Errorf("the refusal of a dry run does not say %q: %s", words, text)
		}
	}
	text, _ = refusal.Load().(string)
	for _, words := range []string{"may have 150 (requester.maxOpen", "Nothing was stored.", "kubectl get actionrequests -n "} {
		if !strings.Contains(text, words) {
			t.Errorf("the refusal does not say %q: %s", words, text)
		}
	}

	if n := len(openOf(t, users.Erin.Name)); n != others {
		t.Errorf("%d requests of somebody else are open, and %d were made during the flood", n, others)
	}
	var err error
	eventually(t, "some dry runs are back", func() (bool, string) {
		err = as(t, flood[0]).Create(t.Context(), request("crowd", `{}`), client.DryRunAll)
		return !apierrors.IsTooManyRequests(err), fmt.Sprint(err)
	})
	refused(t, err, "Forbidden", "requester.maxOpen")
	if status := (apierrors.APIStatus)(nil); !errors.As(err, &status) || !strings.Contains(fmt.Sprint(status.Status().Details), `"reason":"TooManyOpen"`) {
		t.Errorf("programs are not told why: %v", err)
	}

	calm(t, flood[0])
	reaches(t, first, v1alpha1.PhaseCancelled)
	eventually(t, "who has cancelled may ask again", func() (bool, string) {
		err := as(t, flood[1]).Create(t.Context(), request("crowd", `{}`))
		return err == nil, fmt.Sprint(err)
	})
}

// openOf are the requests for a crowd of a person that have not ended.
func openOf(t *testing.T, person string) []v1alpha1.ActionRequest {
	t.Helper()
	list := &v1alpha1.ActionRequestList{}
	if err := admin(t).List(t.Context(), list, client.InNamespace(env.WorkNamespace)); err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(list.Items, func(r v1alpha1.ActionRequest) bool {
		return r.Spec.Requester == nil || r.Spec.Requester.Person != person || r.Spec.ActionRef.Name != "crowd" || r.Status.Outcome != "" || r.Spec.Cancellation != nil
	})
}

// calm cancels what a person has asked for beside, or in, the flood.
func calm(t *testing.T, who env.Person) {
	t.Helper()
	for _, r := range openOf(t, who.Name) {
		if err := patch(t, who, &r, `{"spec":{"cancellation":{"reason":"calm"}}}`); err != nil {
			t.Fatal(err)
		}
	}
}
