package facts

import (
	"context"
	"maps"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/signoff-dev/signoff/internal/gate"
)

const (
	// leastRoom is how many requests are remembered before it is looked which of them still wait.
	leastRoom = 1024
	// mostNamespaces is how many namespaces are remembered of one request. Beyond them it rests on all.
	mostNamespaces = 64
)

// namespaces remembers on which namespaces the requests rest that wait: the operator watches all of them, and tells itself what has changed.
type namespaces struct {
	waits func(types.NamespacedName) bool

	mu   sync.Mutex
	read map[types.NamespacedName][]string
	// room is how many requests are remembered until those that are over are forgotten.
	room int
}

func newNamespaces(waits func(types.NamespacedName) bool) *namespaces {
	return &namespaces{waits: waits, read: map[types.NamespacedName][]string{}, room: leastRoom}
}

// note says that a request rests on a namespace, whether there is one or not. It comes before the namespace is read: whatever changes afterwards is
// told to the request.
func (n *namespaces) note(request types.NamespacedName, name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	read := n.read[request]
	if len(read) > mostNamespaces || slices.Contains(read, name) {
		return
	}
	n.read[request] = append(read, name)
	if len(n.read) > n.room {
		maps.DeleteFunc(n.read, func(request types.NamespacedName, _ []string) bool { return !n.waits(request) })
		n.room = max(leastRoom, 2*len(n.read))
	}
}

// Namespace reads the name, the labels, the annotations and the version of a namespace, and remembers for whom.
func (r *Reader) Namespace(ctx context.Context, name string, request types.NamespacedName) (map[string]any, error) {
	if request.Name != "" {
		r.namespaces.note(request, name)
	}
	namespace := &corev1.Namespace{}
	if err := r.Namespaces.Get(ctx, types.NamespacedName{Name: name}, namespace); err != nil {
		return nil, err
	}
	return gate.NamespaceMetadata(namespace), nil
}

// RestsOn tells whether a request may have been judged on what a namespace says, or on that there is none.
func (r *Reader) RestsOn(request types.NamespacedName, namespace string) bool {
	n := r.namespaces
	n.mu.Lock()
	defer n.mu.Unlock()
	read := n.read[request]
	return len(read) > mostNamespaces || slices.Contains(read, namespace)
}
