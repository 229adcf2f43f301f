// Package notifications plays what Notifiers tell, on a real API server with real receivers: the operator has only its own rights, and Secrets are
// read as the ServiceAccount of the Notifier.
package notifications

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/config"
	"github.com/signoff-dev/signoff/test/env"
	"github.com/signoff-dev/signoff/test/play"
	"github.com/signoff-dev/signoff/test/receivers"
	"github.com/signoff-dev/signoff/test/system"
)

const (
	guide = "../../docs/guides/notifications.md"
	// chatPath and password must be in nothing but the Secrets and what is sent with them.
	chatPath = "/services/T000/hidden-in-the-address"
	password = "hidden-password-of-the-mail"
	// pagerKey is sent inside a body, to pagerPath only.
	pagerKey  = "hidden-key-of-the-pager"
	pagerPath = "/v2/enqueue"
)

var (
	world = &play.Play{}
	// calls takes what goes over HTTP, mail what goes by SMTP.
	calls *receivers.HTTP
	mail  *receivers.Mail
	// logged is what the operator logs, and stored what was in Notifiers when they were removed.
	logged = &log{}
	stored strings.Builder
)

// As in other packages of tests.
var as, eventually, vote = play.As, play.Eventually, play.Vote

// log keeps everything that is logged, however unimportant.
type log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *log) write(prefix, args string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = fmt.Fprintln(&l.text, prefix, args)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	ctrl.SetLogger(logr.New(funcr.New(logged.write, funcr.Options{Verbosity: 10}).GetSink()))
	calls = receivers.NewHTTP()
	defer calls.Close()
	var err error
	if mail, err = receivers.NewMail(calls.TLS.Certificates[0], false, password); err == nil {
		defer mail.Close()
		err = world.Start(context.Background(), &play.Options{
			Env: env.Options{CRDs: true}, System: system.Options{Configure: configure},
			Accounts: []string{"deployer"}, World: "test/notifications/testdata/world.yaml",
		})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer world.Stop()
	return m.Run()
}

func configure(cfg *config.Configuration) {
	cfg.Egress.Hosts = []config.EgressHost{{Host: "127.0.0.1", Ports: []int{calls.Port(), mail.Port}, Networks: []string{"127.0.0.0/8"}}}
}

// marked gives the block of the guide after a mark.
func marked(t *testing.T, mark string) string {
	t.Helper()
	return play.Marked(t, guide, mark)
}

// here replaces the hosts of the guide by those of the test.
func here(t *testing.T, manifests string) string {
	t.Helper()
	var out []string
	for _, manifest := range strings.Split(manifests, "\n---\n") {
		object := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(manifest), &object.Object); err != nil {
			t.Fatal(err)
		}
		switch object.GetKind() {
		case "Secret":
			object.SetAnnotations(map[string]string{"signoff.dev/allowed-hosts": "127.0.0.1"})
			object.Object["stringData"] = map[string]any{"url": calls.URL + chatPath, "password": password}
		case "Notifier":
			channels, _, _ := unstructured.NestedSlice(object.Object, "spec", "channels")
			for i := range channels {
				toHere(channels[i].(map[string]any))
			}
			if err := unstructured.SetNestedSlice(object.Object, channels, "spec", "channels"); err != nil {
				t.Fatal(err)
			}
		}
		text, err := yaml.Marshal(object.Object)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, string(text))
	}
	return strings.Join(out, "\n---\n")
}

func toHere(channel map[string]any) {
	for kind, value := range channel {
		settings, ok := value.(map[string]any)
		if !ok {
			continue
		}
		settings["caBundle"] = calls.Bundle()
		switch kind {
		case "email":
			settings["host"], settings["port"] = "127.0.0.1", int64(mail.Port)
		case "cloudEvents", "webhook":
			_, path, _ := strings.Cut(strings.TrimPrefix(settings["url"].(string), "https://"), "/")
			settings["url"] = calls.URL + "/" + path
		}
	}
}

// apply applies objects as whoever may do everything; the webhook judges them all the same.
func apply(t *testing.T, manifests string) {
	t.Helper()
	if err := world.Cluster.Apply(t.Context(), []byte(manifests)); err != nil {
		t.Fatal(err)
	}
}

// notifier applies a Notifier, waits until it is in force, and removes it after the test.
func notifier(t *testing.T, manifest string) *v1alpha1.Notifier {
	t.Helper()
	manifest = here(t, manifest)
	apply(t, manifest)
	object := &v1alpha1.Notifier{}
	if err := yaml.Unmarshal([]byte(manifest), object); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		fmt.Fprintf(&stored, "%+v\n", current(t, object))
		if err := admin(t).Delete(context.WithoutCancel(t.Context()), object.DeepCopy()); err != nil {
			t.Error(err)
		}
	})
	eventually(t, "that "+object.Name+" is in force", func() (bool, string) {
		live := current(t, object)
		return len(live.Status.Conditions) > 0 && live.Status.Conditions[0].Status == "True", fmt.Sprintf("%+v", live.Status)
	})
	return object
}

func admin(t *testing.T) client.Client {
	t.Helper()
	return as(t, env.Person{Name: "admin", Config: world.Cluster.Admin})
}

func current(t *testing.T, object *v1alpha1.Notifier) *v1alpha1.Notifier {
	t.Helper()
	live := &v1alpha1.Notifier{}
	if err := admin(t).Get(context.WithoutCancel(t.Context()), client.ObjectKeyFromObject(object), live); err != nil {
		t.Fatal(err)
	}
	return live
}

// asked makes a request of Alice.
func asked(t *testing.T, name, level string) *v1alpha1.ActionRequest {
	t.Helper()
	return askedFor(t, name, level, "support <!channel> must know")
}

// askedFor makes a request of Alice for some reason.
func askedFor(t *testing.T, name, level, reason string) *v1alpha1.ActionRequest {
	t.Helper()
	request := &v1alpha1.ActionRequest{}
	text := fmt.Sprintf(`{metadata: {namespace: payments, name: %s}, spec: {actionRef: {namespace: platform, name: note}, inputs: {text: the noon sale, level: %s}, reason: %q}}`, name, level, reason)
	if err := yaml.Unmarshal([]byte(text), request); err != nil {
		t.Fatal(err)
	}
	eventually(t, "that Alice may ask", func() (bool, string) {
		err := as(t, world.Users.Alice).Create(t.Context(), request)
		return err == nil, fmt.Sprint(err)
	})
	return request
}

func approvalOf(t *testing.T, request *v1alpha1.ActionRequest) *v1alpha1.Approval {
	t.Helper()
	found := &v1alpha1.ApprovalList{}
	eventually(t, "the Approval of "+request.Name, func() (bool, string) {
		if err := admin(t).List(t.Context(), found, client.InNamespace("payments"), client.MatchingFields{"spec.requestRef.name": request.Name}); err != nil {
			t.Fatal(err)
		}
		return len(found.Items) == 1, fmt.Sprint(len(found.Items))
	})
	return &found.Items[0]
}

func reaches(t *testing.T, request *v1alpha1.ActionRequest, phase v1alpha1.Phase) {
	t.Helper()
	eventually(t, fmt.Sprintf("%s of %s", phase, request.Name), func() (bool, string) {
		live := &v1alpha1.ActionRequest{}
		err := admin(t).Get(t.Context(), client.ObjectKeyFromObject(request), live)
		return err == nil && live.Status.Phase == phase, fmt.Sprint(live.Status.Phase, err)
	})
}

// eventsAt are the types of the CloudEvents that have arrived at a path about a request, without their ends.
func eventsAt(t *testing.T, path string, request *v1alpha1.ActionRequest) []string {
	t.Helper()
	var types []string
	for _, call := range calls.Calls(path) {
		var event struct{ Type, Subject, ID string }
		if err := yaml.Unmarshal([]byte(call.Body), &event); err != nil {
			t.Fatal(err)
		}
		if event.Subject == request.Namespace+"/"+request.Name {
			types = append(types, strings.TrimSuffix(strings.TrimPrefix(event.Type, "dev.signoff.notification."), ".v1"))
		}
	}
	return types
}

// tells waits until exactly these events have arrived about a request, in any order.
func tells(t *testing.T, path string, request *v1alpha1.ActionRequest, want ...string) {
	t.Helper()
	slices.Sort(want)
	eventually(t, "that all is told about "+request.Name, func() (bool, string) {
		got := eventsAt(t, path, request)
		slices.Sort(got)
		return slices.Equal(got, want), fmt.Sprint(got)
	})
}
