package setup

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// TestNamespacesWake: what rules can see of a namespace changes too when it is deleted, and when it is made again with other labels.
func TestNamespacesWake(t *testing.T) {
	plain, labelled := &corev1.Namespace{}, &corev1.Namespace{}
	labelled.Labels = map[string]string{"tier": "critical"}
	woken := 0
	handler := namespaceHandler(func() { woken++ })
	for _, tc := range []struct {
		name string
		do   func()
		want int
	}{
		{"there at the start", func() { handler.OnAdd(plain, true) }, 0},
		{"new", func() { handler.OnAdd(plain, false) }, 1},
		{"the same", func() { handler.OnUpdate(plain, plain) }, 0},
		{"labelled", func() { handler.OnUpdate(plain, labelled) }, 1},
		{"gone", func() { handler.OnDelete(labelled) }, 1},
	} {
		woken = 0
		if tc.do(); woken != tc.want {
			t.Errorf("%s: want %d, got %d", tc.name, tc.want, woken)
		}
	}
}
