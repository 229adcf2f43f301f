package security

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// hostile is the namespace of an Action whose rules cost as much as rules can.
const hostile = "hostile"

func hostileRequest(t *testing.T) *v1alpha1.ActionRequest {
	t.Helper()
	words := make([]string, 60)
	for i := range words {
		words[i] = fmt.Sprintf("word-%d", i)
	}
	inputs, err := json.Marshal(map[string]any{"words": words})
	if err != nil {
		t.Fatal(err)
	}
	r := request("burn", string(inputs))
	r.Spec.ActionRef.Namespace = hostile
	return r
}

// TestCase52HostileAction: whoever asks for an Action whose rules are dear is told so after a while, and others are answered all the time.
func TestCase52HostileAction(t *testing.T) {
	namespace(t, hostile)
	if _, err := cluster.ServiceAccount(t.Context(), hostile, "writer"); err != nil {
		t.Fatal(err)
	}
	if err := signoff.Grant(t.Context(), hostile, "writer"); err != nil {
		t.Fatal(err)
	}
	if err := cluster.ApplyFile(t.Context(), "test/security/testdata/hostile.yaml"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the first answer of the hostile Action", func() (bool, string) {
		err := as(t, users.Erin).Create(t.Context(), hostileRequest(t))
		return err == nil || strings.Contains(err.Error(), "rule"), fmt.Sprint(err)
	})
	stop, refused := make(chan struct{}), make(chan string, 1)
	var flood sync.WaitGroup
	for range 4 {
		client, r := as(t, users.Erin), hostileRequest(t)
		flood.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := client.Create(t.Context(), r.DeepCopy()); err != nil && strings.Contains(err.Error(), "take too much time") {
					select {
					case refused <- err.Error():
					default:
					}
				}
			}
		})
	}
	for range 10 {
		ask(t, users.Alice, request("two-stages", `{}`))
	}
	eventually(t, "the refusal of the flood", func() (bool, string) { return len(refused) > 0, "none was refused" })
	close(stop)
	flood.Wait()
	if text := <-refused; !strings.Contains(text, "the expressions for Actions in namespace hostile take too much time") || !strings.Contains(text, "Nothing was stored.") {
		t.Errorf("the refusal says what is wrong and what helps:\n%s", text)
	}
}
