package execution

import (
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

const limits = `{apiVersion: v1, kind: ConfigMap, metadata: {namespace: NS, name: c}, data: {x: v}}`

// newDeletion is a play of a step that deletes the ConfigMap that is there now.
func newDeletion(t testing.TB, manifest string) *play {
	t.Helper()
	p := newPlay(t, `{name: clean, timeout: 10m, writes: [{operation: Delete, object: {apiVersion: v1, kind: ConfigMap, namespace: NS, name: c}, fieldManager: m,
		body: {apiVersion: v1, kind: DeleteOptions, preconditions: {uid: UID}, propagationPolicy: Background}}]}`)
	p.apply(manifest)
	p.step.Writes[0].Body.Raw = []byte(strings.ReplaceAll(string(p.step.Writes[0].Body.Raw), "UID", string(p.uid())))
	return p
}

func (p *play) uid() types.UID {
	p.t.Helper()
	got, err := admin.CoreV1().ConfigMaps(p.namespace).Get(p.t.Context(), "c", metav1.GetOptions{})
	if err != nil {
		p.t.Fatal(err)
	}
	return got.UID
}

func (p *play) isGone() bool {
	p.t.Helper()
	_, err := admin.CoreV1().ConfigMaps(p.namespace).Get(p.t.Context(), "c", metav1.GetOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		p.t.Fatal(err)
	}
	return err != nil
}

func TestDelete(t *testing.T) {
	p := newDeletion(t, limits)
	p.want(v1alpha1.StepDone)
	if !p.isGone() {
		t.Error("the object is still there")
	}
}

// TestDeleteInterrupted is about a crash after the deletion was sent, and what somebody else does meanwhile.
func TestDeleteInterrupted(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		before func(*play)
		words  string
		gone   bool
	}{
		"Sent":      {"it was sent, but that was not stored", func(p *play) { p.next(); p.status = v1alpha1.StepStatus{}; p.restart() }, "was gone already", true},
		"Gone":      {"somebody deleted it", func(p *play) { p.deleteConfigMap() }, "was gone already", true},
		"Replaced":  {"another one of its name was not agreed to", func(p *play) { p.deleteConfigMap(); p.apply(limits) }, "is another one, and stays", false},
		"Unplanned": {"there was nothing when it was planned", func(p *play) { p.deleteConfigMap(); p.unplanned() }, "nothing was deleted", true},
	} {
		t.Run(name, func(t *testing.T) {
			p := newDeletion(t, limits)
			tc.before(p)
			p.want(v1alpha1.StepDone, tc.words)
			if p.isGone() != tc.gone {
				t.Errorf("%s: gone is %v", tc.reason, p.isGone())
			}
		})
	}
}

// unplanned makes the deletion one of an object that did not exist when it was planned.
func (p *play) unplanned() {
	p.step.Writes[0].Body.Raw = []byte(`{"apiVersion":"v1","kind":"DeleteOptions","propagationPolicy":"Background"}`)
}

// TestDeleteMadeSince finds an object that did not exist when it was planned: nobody agreed to its deletion, and the step says that it stays.
func TestDeleteMadeSince(t *testing.T) {
	p := newDeletion(t, limits)
	p.unplanned()
	p.want(v1alpha1.StepFailed, "ConfigMap "+p.namespace+"/c stays", "nobody agreed to delete what was made since", "Delete it by hand")
	if p.isGone() {
		t.Error("the object was deleted all the same")
	}
	p = newDeletion(t, limits)
	p.unplanned()
	p.record.Spec.ServiceAccountName = "jobs-only"
	p.want(v1alpha1.StepFailed, "failed to read ConfigMap")

	p = newDeletion(t, `{apiVersion: v1, kind: ConfigMap, metadata: {namespace: NS, name: c, finalizers: [example.com/hold]}}`)
	p.unplanned()
	maps := admin.CoreV1().ConfigMaps(p.namespace)
	if err := maps.Delete(t.Context(), "c", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	p.want(v1alpha1.StepStarted, "waiting until ConfigMap "+p.namespace+"/c is gone: it is held by example.com/hold")
	if _, err := maps.Patch(t.Context(), "c", types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	p.want(v1alpha1.StepDone, "nothing was deleted")
}

// TestDeleteWaits waits for somebody who holds the object back.
func TestDeleteWaits(t *testing.T) {
	p := newDeletion(t, `{apiVersion: v1, kind: ConfigMap, metadata: {namespace: NS, name: c, finalizers: [example.com/hold]}}`)
	out := p.want(v1alpha1.StepStarted, "waiting until ConfigMap "+p.namespace+"/c is gone: it is held by example.com/hold")
	if len(out.Waiting) != 1 || !OnlyWaits(&p.status) {
		t.Errorf("it is to be watched, and may stop here: %+v", out)
	}
	before := p.status
	p.clock.SetTime(p.clock.Now().Add(11 * time.Minute))
	p.want(v1alpha1.StepFailed, "the timeout of the step (10m0s) is over", "still there: it is held by example.com/hold")
	p.status = before
	p.restart()
	if _, err := admin.CoreV1().ConfigMaps(p.namespace).Patch(t.Context(), "c", types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	p.want(v1alpha1.StepDone)
}

func TestDeleteForbidden(t *testing.T) {
	p := newDeletion(t, limits)
	p.record.Spec.ServiceAccountName = "blind"
	p.want(v1alpha1.StepFailed, "failed to delete ConfigMap", "Grant it to the ServiceAccount")
	if p.isGone() {
		t.Error("the object was deleted all the same")
	}
}

// TestDeleteOfKinds deletes an object of a kind that is served in another version since it was planned, or no more at all.
func TestDeleteOfKinds(t *testing.T) {
	const held = `{apiVersion: lent.example.com/v1, kind: Team, metadata: {namespace: NS, name: l, finalizers: [example.com/hold]}}`
	planned := func(t *testing.T) *play {
		t.Helper()
		defines(t, "true")
		p := newDeletion(t, limits)
		p.apply(held)
		uid, _ := p.teamIs("v2")
		object := &p.step.Writes[0].Object
		object.APIVersion, object.Kind, object.Name = "lent.example.com/v1", "Team", "l"
		p.step.Writes[0].Body.Raw = []byte(`{"apiVersion":"v1","kind":"DeleteOptions","preconditions":{"uid":"` + string(uid) + `"}}`)
		return p
	}
	for name, tc := range map[string]struct {
		reason string
		before func(*play)
	}{
		"Known": {"this process has read it in that version", func(p *play) {
			_, _ = p.runner.clients.Get(p.t.Context(), "platform", "deployer", p.step.Writes[0].Object)
			defines(t, "false")
		}},
		"Unknown": {"another process has not", func(p *play) { defines(t, "false"); p.restart() }},
		"Waits":   {"it was deleted before", func(p *play) { p.want(v1alpha1.StepStarted); defines(t, "false") }},
	} {
		t.Run(name, func(t *testing.T) {
			p := planned(t)
			tc.before(p)
			p.want(v1alpha1.StepStarted, "is gone: it is held by example.com/hold")
			if _, deleted := p.teamIs("v2"); !deleted {
				t.Errorf("%s: it is not being deleted", tc.reason)
			}
			p.release("v2")
			p.want(v1alpha1.StepDone)
			if p.status.Message != "" {
				t.Errorf("%s: %s", tc.reason, p.status.Message)
			}
		})
	}
	t.Run("Nowhere", func(t *testing.T) {
		p := planned(t)
		p.release("v1")
		undefines(t)
		p.want(v1alpha1.StepDone, "was gone already")
	})
}

func (p *play) teams(version string) dynamic.ResourceInterface {
	p.t.Helper()
	client, err := dynamic.NewForConfig(cluster.Admin)
	if err != nil {
		p.t.Fatal(err)
	}
	return client.Resource(schema.GroupVersionResource{Group: "lent.example.com", Version: version, Resource: "teams"}).Namespace(p.namespace)
}

// teamIs tells which Team is there, and whether it is being deleted.
func (p *play) teamIs(version string) (types.UID, bool) {
	p.t.Helper()
	live, err := p.teams(version).Get(p.t.Context(), "l", metav1.GetOptions{})
	if err != nil {
		p.t.Fatal(err)
	}
	return live.GetUID(), live.GetDeletionTimestamp() != nil
}

// release lets go what holds the Team back.
func (p *play) release(version string) {
	p.t.Helper()
	if _, err := p.teams(version).Patch(p.t.Context(), "l", types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{}); err != nil {
		p.t.Fatal(err)
	}
}

// TestWaitForUnserved waits for an object that is still there, in a version that is not served any more: nobody has deleted it.
func TestWaitForUnserved(t *testing.T) {
	defines(t, "true")
	p := newPlay(t, `{name: a, waitFor: {expression: "false"}, writes: [{operation: MergePatch, object: {apiVersion: lent.example.com/v1, kind: Team, namespace: NS, name: l}, fieldManager: m, body: {metadata: {labels: {a: b}}}}]}`)
	p.apply(team)
	p.want(v1alpha1.StepStarted)
	defines(t, "false")
	p.want(v1alpha1.StepFailed, "failed to read Team "+p.namespace+"/l: the API server does not serve this kind in this version")
}
