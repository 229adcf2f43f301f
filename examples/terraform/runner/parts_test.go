package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	clientgotesting "k8s.io/client-go/testing"
)

func TestTakeBelievesTheDigestOnly(t *testing.T) {
	secrets := fake.NewClientset().CoreV1().Secrets("terraform-plan")
	digest, err := keep(t.Context(), secrets, []byte("plan"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if file, err := take(t.Context(), secrets, digest); err != nil || string(file) != "plan" {
		t.Errorf("got %q, %v", file, err)
	}
	secret, err := secrets.Get(t.Context(), secretOf(digest), metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if secret.Immutable == nil || !*secret.Immutable {
		t.Error("the Secret can be changed")
	}
	secret.Data[planKey] = []byte("evil")
	if _, err := secrets.Update(t.Context(), secret, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := take(t.Context(), secrets, digest); err == nil || !strings.Contains(err.Error(), "is not the one that was agreed to") {
		t.Errorf("got error %v, want that it is another plan", err)
	}
	for _, odd := range []string{"", "sha256:", "x"} {
		if _, err := take(t.Context(), secrets, odd); err == nil {
			t.Errorf("digest %q gives a plan", odd)
		}
	}
}

// call asks a state as the program does.
func call(s *state, method, body string) (int, string) {
	answer := httptest.NewRecorder()
	s.ServeHTTP(answer, httptest.NewRequest(method, "/", strings.NewReader(body)))
	content, _ := io.ReadAll(answer.Body)
	return answer.Code, string(content)
}

func TestState(t *testing.T) {
	objects := fake.NewClientset()
	reader := func() *state {
		return &state{name: "s", secrets: objects.CoreV1().Secrets("n"), leases: objects.CoordinationV1().Leases("n")}
	}
	one, two := reader(), reader()
	want := func(s *state, method, body string, status int, answer string) {
		t.Helper()
		if code, got := call(s, method, body); code != status || !strings.Contains(got, answer) {
			t.Errorf("%s %s: got %d %q, want %d %q", method, body, code, got, status, answer)
		}
	}
	want(one, http.MethodGet, "", http.StatusNoContent, "")
	want(one, "LOCK", `{"ID":"1"}`, http.StatusOK, "")
	want(two, "LOCK", `{"ID":"2"}`, http.StatusLocked, `{"ID":"1"}`)
	want(one, http.MethodPost, `{"serial":1,"lineage":"l"}`, http.StatusOK, "")
	want(one, http.MethodPost, `{"serial":2,"lineage":"l"}`, http.StatusOK, "")
	want(one, "UNLOCK", `{"ID":"1"}`, http.StatusOK, "")
	want(two, "LOCK", `{"ID":"2"}`, http.StatusOK, "")
	want(two, http.MethodGet, "", http.StatusOK, `{"serial":2,"lineage":"l"}`)
	want(two, http.MethodDelete, "", http.StatusForbidden, "the state knows no DELETE")
	if version, err := two.version(t.Context()); err != nil || version != "l serial 2" {
		t.Errorf("the version is %q, %v", version, err)
	}
	// Who has not seen that there is a state cannot write over it.
	want(reader(), http.MethodPost, `{}`, http.StatusForbidden, "failed to write the state")
	want(two, http.MethodGet, "", http.StatusOK, `{"serial":2,"lineage":"l"}`)
}

// A state that somebody else has written since is not written over.
func TestStateConflict(t *testing.T) {
	objects := fake.NewClientset()
	s := &state{name: "s", secrets: objects.CoreV1().Secrets("n")}
	if code, answer := call(s, http.MethodPost, "{}"); code != http.StatusOK {
		t.Fatal(code, answer)
	}
	objects.PrependReactor("update", "secrets", func(action clientgotesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewConflict(schema.GroupResource{Resource: "secrets"}, "s", fmt.Errorf("it was modified"))
	})
	if code, answer := call(s, http.MethodPost, `{"serial":2}`); code != http.StatusForbidden || !strings.Contains(answer, "it was modified") {
		t.Errorf("got %d %s", code, answer)
	}
}

// What was made is known to the state alone: it is not lost because the API server is away for a moment.
func TestStateIsWrittenInTheEnd(t *testing.T) {
	const before, after = `{"serial":1}`, `{"serial":2}`
	secrets := corev1.SchemeGroupVersion.WithResource("secrets")
	away := errors.New("connection refused")
	for name, tc := range map[string]struct {
		reason, first string
		// fail is what becomes of the write that is the nth, counted from 1. None: it is stored.
		fail func(nth int, store func() error) error
		want string
		took time.Duration
	}{
		"Away": {"it is tried again", before, func(nth int, _ func() error) error {
			if nth <= 2 {
				return away
			}
			return nil
		}, "", 2 * time.Second},
		"Answer lost": {"what is stored is the same, so it was this write", before, func(nth int, store func() error) error {
			if nth == 1 {
				return cmp.Or(store(), away)
			}
			return apierrors.NewConflict(secrets.GroupResource(), "s", errors.New("it was modified"))
		}, "", time.Second},
		"Answer to the first lost": {"the same of a state that was not there before", "", func(nth int, store func() error) error {
			if nth == 1 {
				return cmp.Or(store(), away)
			}
			return apierrors.NewAlreadyExists(secrets.GroupResource(), "s")
		}, "", time.Second},
		"Away for long": {"it gives up and says why", before, func(int, func() error) error { return away }, "connection refused", patience},
		"Too large": {"it is not tried again", before, func(int, func() error) error {
			return apierrors.NewRequestEntityTooLargeError("limit is 3145728")
		}, "limit is 3145728", 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				objects := fake.NewClientset()
				s := &state{name: "s", secrets: objects.CoreV1().Secrets("n")}
				if tc.first != "" {
					call(s, http.MethodPost, tc.first)
				}
				writes := 0
				objects.PrependReactor("*", "secrets", func(action clientgotesting.Action) (bool, runtime.Object, error) {
					write, ok := action.(clientgotesting.UpdateAction) // so is a creation
					if !ok {
						return false, nil, nil
					}
					writes++
					err := tc.fail(writes, func() error {
						if tc.first == "" {
							return objects.Tracker().Create(secrets, write.GetObject(), "n")
						}
						return objects.Tracker().Update(secrets, write.GetObject(), "n")
					})
					return err != nil, nil, err
				})
				start := time.Now()
				code, answer := call(s, http.MethodPost, after)
				if took := time.Since(start); took != tc.took {
					t.Errorf("%s: it took %s, want %s", tc.reason, took, tc.took)
				}
				if (code == http.StatusOK) != (tc.want == "") || !strings.Contains(answer, tc.want) {
					t.Errorf("%s: got %d %q", tc.reason, code, answer)
				}
				stored := after
				if tc.want != "" {
					stored = before
				}
				if _, got := call(s, http.MethodGet, ""); got != stored {
					t.Errorf("%s: %q is stored, want %q", tc.reason, got, stored)
				}
			})
		})
	}
}

// A state is read before the first is written, so what holds for the one holds for the other.
func TestStateIsReadInTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		objects := fake.NewClientset()
		tries := 0
		objects.PrependReactor("get", "secrets", func(clientgotesting.Action) (bool, runtime.Object, error) {
			tries++
			return tries <= 2, nil, errors.New("connection refused")
		})
		if code, answer := call(&state{name: "s", secrets: objects.CoreV1().Secrets("n")}, http.MethodGet, ""); code != http.StatusNoContent {
			t.Errorf("got %d %s", code, answer)
		}
	})
}

func TestMessage(t *testing.T) {
	t.Setenv("NAMESPACE", "terraform-plan")
	t.Setenv("JOB", "a-plan-1")
	head := []string{"1 to add", "sha256:00", "none"}
	var many []string
	for i := range 500 {
		many = append(many, fmt.Sprintf("create thing[%d]", i))
	}
	long := strings.Repeat("x", maxMessage)
	for name, tc := range map[string]struct {
		reason, text string
		lines        []string
		begins, ends string
	}{
		"Whole":     {"what fits is shown", "+ bucket", nil, "1 to add\nsha256:00\nnone\n+ bucket", "+ bucket"},
		"Long":      {"what does not fit is named, and where all of it is", long, many[:2], "1 to add\nsha256:00\nnone\nThis plan is too long to be shown here. Read all of it: kubectl logs -n terraform-plan job/a-plan-1\ncreate thing[0]\n", "\ncreate thing[1]"},
		"Very long": {"what is left out is counted", long, many, "1 to add\nsha256:00\nnone\nThis plan is too long", " more"},
	} {
		t.Run(name, func(t *testing.T) {
			got := message(head, tc.text, tc.lines)
			if len(got) > maxMessage || !strings.HasPrefix(got, tc.begins) || !strings.HasSuffix(got, tc.ends) {
				t.Errorf("%s: got %d bytes:\n%s", tc.reason, len(got), got)
			}
		})
	}
}

func TestCutKeepsCharacters(t *testing.T) {
	if got := cut("aé", 2); got != "a" {
		t.Errorf("got %q", got)
	}
	if got := cut("aé", 3); got != "aé" {
		t.Errorf("got %q", got)
	}
}

func TestOutputs(t *testing.T) {
	for name, tc := range map[string]struct {
		output output
		want   string
		fails  bool
	}{
		"text":      {output{Value: []byte(`"b-1"`)}, "b-1", false},
		"number":    {output{Value: []byte(`1000000`)}, "1000000", false},
		"truth":     {output{Value: []byte(`true`)}, "true", false},
		"sensitive": {output{Sensitive: true, Value: []byte(`"b"`)}, "", true},
		"lines":     {output{Value: []byte(`"a\nb"`)}, "", true},
		"list":      {output{Value: []byte(`["a"]`)}, "", true},
		"null":      {output{Value: []byte(`null`)}, "", true},
		"missing":   {output{}, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := tc.output.line(); got != tc.want || (err != nil) != tc.fails {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

func TestEssence(t *testing.T) {
	const text = "Terraform used…\n  + create\n\nTerraform will perform the following actions:\n\n  # a will be created\n\nPlan: 1\n"
	if got, want := essence(text), "  # a will be created\n\nPlan: 1"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := essence("Changes to Outputs:\n"); got != "Changes to Outputs:" {
		t.Errorf("got %q", got)
	}
}
