package integration

import (
	"bytes"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/test/env"
	"github.com/signoff-dev/signoff/test/play"
)

// tool is what a tool that applies what is in a repository does, with kubectl itself.
type tool struct {
	name string
	// meta is what the tool adds to the metadata.
	meta string
	// apply, and again where the request is already there.
	apply, again []string
}

var tools = []tool{
	{"Flux", "labels: {kustomize.toolkit.fluxcd.io/name: apps, kustomize.toolkit.fluxcd.io/namespace: flux-system}",
		[]string{"apply", "--server-side", "--field-manager=kustomize-controller", "--force-conflicts"}, nil},
	{"ArgoCD", "annotations: {argocd.argoproj.io/tracking-id: \"apps:signoff.dev/ActionRequest:payments/x\"}", []string{"apply"}, nil},
	{"ArgoCDServerSide", "annotations: {argocd.argoproj.io/tracking-id: \"apps:signoff.dev/ActionRequest:payments/x\"}",
		[]string{"apply", "--server-side", "--field-manager=argocd-controller", "--force-conflicts"}, nil},
	{"ArgoCDReplace", "annotations: {argocd.argoproj.io/tracking-id: \"apps:signoff.dev/ActionRequest:payments/x\"}", []string{"create"}, []string{"replace"}},
	{"ArgoCDLabel", "labels: {app.kubernetes.io/instance: apps}", []string{"apply", "--field-manager=argocd-controller"}, nil},
	{"Plain", "labels: {a: b}", []string{"apply"}, []string{"replace", "--force"}},
}

// kubectl runs kubectl as somebody, with a manifest.
func kubectl(t *testing.T, who env.Person, manifest string, args ...string) (string, error) {
	t.Helper()
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	if err := cluster.Kubeconfig(kubeconfig, who.Config); err != nil {
		t.Fatal(err)
	}
	if manifest != "" {
		args = append(args, "-f", "-")
	}
	var out bytes.Buffer
	command := exec.CommandContext(t.Context(), cluster.Kubectl(), append([]string{"--kubeconfig=" + kubeconfig}, args...)...)
	command.Stdin, command.Stdout, command.Stderr = strings.NewReader(manifest), &out, &out
	err := command.Run()
	return out.String(), err
}

func (s *tool) sync(t *testing.T, who env.Person, manifest string, args []string) {
	t.Helper()
	eventually(t, s.name+" applies it", func() (bool, string) {
		out, err := kubectl(t, who, manifest, args...)
		if err != nil && !strings.Contains(out, "there is no") && !strings.Contains(out, "may not") {
			t.Fatalf("%s: %v\n%s", args, err, out)
		}
		return err == nil, out
	})
}

// pruned waits until a request is gone.
func pruned(t *testing.T, name string) {
	t.Helper()
	eventually(t, name+" is gone", func() (bool, string) {
		err := admin(t).Get(t.Context(), types.NamespacedName{Namespace: env.WorkNamespace, Name: name}, &v1alpha1.ActionRequest{})
		return client.IgnoreNotFound(err) == nil && err != nil, fmt.Sprint(err)
	})
}

// counted applies an Action that calls the host, and lets Nora ask for it.
func counted(t *testing.T) env.Person {
	t.Helper()
	if err := cluster.Apply(t.Context(), []byte(strings.NewReplacer("URL", host.URL, "BUNDLE", host.bundle()).Replace(`
apiVersion: signoff.dev/v1alpha1
kind: Role
metadata: {namespace: platform, name: gitops}
spec: {members: {users: [nora]}, permissions: [{verbs: [request], actions: {names: [counted, fails, long]}}]}
---
apiVersion: signoff.dev/v1alpha1
kind: Action
metadata: {namespace: platform, name: counted}
spec:
  title: Call a host that counts
  inputs: {openAPIV3Schema: {type: object, required: [path], properties: {path: {type: string, maxLength: 63}}}}
  default: {effect: Allow}
  execution:
    serviceAccountName: deployer
    steps:
    - name: call
      http:
        method: POST
        url: URL/counted/${inputs.path}
        body: {a: b}
        caBundle: |
          BUNDLE
---
apiVersion: signoff.dev/v1alpha1
kind: Action
metadata: {namespace: platform, name: fails}
spec:
  title: Call a host that does not do it
  inputs: {openAPIV3Schema: {type: object, required: [path], properties: {path: {type: string, maxLength: 63}}}}
  default: {effect: Allow}
  execution:
    serviceAccountName: deployer
    steps:
    - name: call
      http:
        method: POST
        url: URL/counted/${inputs.path}
        body: {a: b}
        caBundle: |
          BUNDLE
        success: "false"
---
apiVersion: signoff.dev/v1alpha1
kind: Action
metadata: {namespace: platform, name: long}
spec:
  title: Run a Job that does not end
  inputs: {openAPIV3Schema: {type: object, properties: {}}}
  default: {effect: Allow}
  execution:
    serviceAccountName: deployer
    timeout: 6s
    steps:
    - name: run
      job:
        namespace: staging
        template: {metadata: {annotations: {test.signoff.dev/pod: runs}}, spec: {restartPolicy: Never, containers: [{name: a, image: a}]}}
`))); err != nil {
		t.Fatal(err)
	}
	return nora(t)
}

func manifestOf(name, metadata, action, inputs, reason string, expiresAt time.Time) string {
	ends := ""
	if !expiresAt.IsZero() {
		ends = fmt.Sprintf("\n  expiresAt: %q", expiresAt.UTC().Format(time.RFC3339))
	}
	return fmt.Sprintf(`
apiVersion: signoff.dev/v1alpha1
kind: ActionRequest
metadata: {namespace: payments, name: %s, %s}
spec:
  actionRef: {namespace: platform, name: %s}
  inputs: %s
  reason: %s%s
`, name, metadata, action, inputs, reason, ends)
}

func named(name string) *v1alpha1.ActionRequest {
	r := &v1alpha1.ActionRequest{}
	r.Namespace, r.Name = env.WorkNamespace, name
	return r
}

func calledFor(path string) int {
	calls := 0
	for _, call := range host.made("/counted/" + path) {
		if strings.HasPrefix(call, http.MethodPost+" /counted/"+path+" ") {
			calls++
		}
	}
	return calls
}

// TestGitOpsNeverTwice applies, prunes and applies again, as tools do that keep a cluster like a repository.
func TestGitOpsNeverTwice(t *testing.T) {
	who, end := counted(t), time.Now().Add(time.Hour)
	for _, tool := range tools {
		t.Run(tool.name, func(t *testing.T) {
			name := "gitops-" + strings.ToLower(tool.name)
			manifest := func(reason string) string {
				return manifestOf(name, tool.meta, "counted", `{path: `+name+`}`, reason, end)
			}
			tool.sync(t, who, manifest("first"), tool.apply)
			first := reaches(t, named(name), v1alpha1.PhaseSucceeded)
			again := tool.again
			if again == nil {
				again = tool.apply
			}
			tool.sync(t, who, manifest("first"), again)
			if tool.name == "Plain" {
				other := reaches(t, named(name), v1alpha1.PhaseSucceeded)
				if other.UID == first.UID {
					t.Error("it must have been made again")
				}
			} else if now := reaches(t, named(name), v1alpha1.PhaseSucceeded); now.UID != first.UID {
				t.Error("it must be the same object")
			}
			if out, err := kubectl(t, who, "", "delete", "actionrequest", "-n", "payments", name, "--wait=false"); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			pruned(t, name)
			tool.sync(t, who, manifest("first"), tool.apply)
			second := reaches(t, named(name), v1alpha1.PhaseSucceeded)
			finished := meta.FindStatusCondition(second.Status.Conditions, v1alpha1.ConditionFinished)
			if second.UID == first.UID || finished.Reason != v1alpha1.ReasonAlreadyExecuted ||
				!strings.HasPrefix(finished.Message, "Already executed on ") || !strings.Contains(finished.Message, " as request uid "+string(first.UID)+": Succeeded.") ||
				!strings.Contains(finished.Message, "change its reason, its inputs or its name") {
				t.Errorf("it must say that it was done: %+v", finished)
			}
			if made := calledFor(name); made != 1 {
				t.Errorf("it was executed %d times", made)
			}
			if second.Status.Digest != first.Status.Digest || len(second.Status.Steps) != 1 || second.Status.Steps[0].State != v1alpha1.StepDone {
				t.Errorf("it must show what was done: %+v", second.Status)
			}
			// Something else in the repository is something else to do.
			if out, err := kubectl(t, who, "", "delete", "actionrequest", "-n", "payments", name, "--wait=false"); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			pruned(t, name)
			tool.sync(t, who, manifest("second"), tool.apply)
			eventually(t, "it is executed again", func() (bool, string) { n := calledFor(name); return n == 2, fmt.Sprint(n) })
			reaches(t, named(name), v1alpha1.PhaseSucceeded)
		})
	}
}

// TestGitOpsFailedNeverTwice is about a first one that failed: the end is the same, and it is not tried again.
func TestGitOpsFailedNeverTwice(t *testing.T) {
	who := counted(t)
	manifest := manifestOf("gitops-failed", "labels: {a: b}", "fails", `{path: gitops-failed}`, "x", time.Now().Add(time.Hour))
	tools[0].sync(t, who, manifest, tools[0].apply)
	reaches(t, named("gitops-failed"), v1alpha1.PhaseFailed)
	if out, err := kubectl(t, who, "", "delete", "actionrequest", "-n", "payments", "gitops-failed", "--wait=false"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	pruned(t, "gitops-failed")
	tools[0].sync(t, who, manifest, tools[0].apply)
	second := reaches(t, named("gitops-failed"), v1alpha1.PhaseFailed)
	if ready := meta.FindStatusCondition(second.Status.Conditions, v1alpha1.ConditionReady); ready.Reason != v1alpha1.ReasonAlreadyExecuted || calledFor("gitops-failed") != 1 {
		t.Errorf("it was executed %d times: %+v", calledFor("gitops-failed"), ready)
	}
}

// TestGitOpsMustEnd refuses what a tool makes without an end, or after it.
func TestGitOpsMustEnd(t *testing.T) {
	who := counted(t)
	reaches(t, ask(t, who, request("counted", `{"path":"must-end"}`)), v1alpha1.PhaseSucceeded)
	for _, tool := range tools[:5] {
		manifest := manifestOf("gitops-endless", tool.meta, "counted", `{path: endless}`, "x", time.Time{})
		if out, err := kubectl(t, who, manifest, tool.apply...); err == nil || !strings.Contains(out, "spec.expiresAt: Required value") || !strings.Contains(out, "docs/guides/gitops.md") {
			t.Errorf("%s without an end: %v %s", tool.name, err, out)
		}
	}
	// The label that Argo CD can track by is put by Helm and by people as well.
	helm := manifestOf("gitops-helm", "labels: {app.kubernetes.io/instance: apps}", "counted", `{path: helm}`, "x", time.Time{})
	if out, err := kubectl(t, who, helm, "create"); err != nil {
		t.Errorf("a label alone tells nothing: %v %s", err, out)
	}
	manifest := manifestOf("gitops-late", tools[0].meta, "counted", `{path: late}`, "x", time.Now().Add(-time.Minute))
	if out, err := kubectl(t, who, manifest, tools[0].apply...); err == nil || !strings.Contains(out, "spec.expiresAt") || !strings.Contains(out, "is in the past") {
		t.Errorf("after its end: %v %s", err, out)
	}
	if calledFor("endless")+calledFor("late") != 0 {
		t.Error("it was executed")
	}
}

// byForce takes a request away while nothing protects it.
func byForce(t *testing.T, who env.Person, r *v1alpha1.ActionRequest) {
	t.Helper()
	unguarded(t, func() {
		written(t, func() error {
			live := &v1alpha1.ActionRequest{}
			if err := as(t, who).Get(t.Context(), client.ObjectKeyFromObject(r), live); err != nil {
				return client.IgnoreNotFound(err)
			}
			base := live.DeepCopy()
			live.Finalizers = nil
			if err := as(t, who).Patch(t.Context(), live, client.MergeFromWithOptions(base, client.MergeFromWithOptimisticLock{})); err != nil {
				return err
			}
			return client.IgnoreNotFound(as(t, who).Delete(t.Context(), live))
		})
	})
}

// TestForcedAway takes a request away by force while it is executing: its execution stops where it safely can, and its Record says so.
func TestForcedAway(t *testing.T) {
	who := nora(t)
	r := reaches(t, ask(t, users.Alice, request("slow", "{}")), v1alpha1.PhaseExecuting)
	byForce(t, who, r)
	eventually(t, "the execution ends", func() (bool, string) {
		record := &v1alpha1.Record{}
		err := admin(t).Get(t.Context(), types.NamespacedName{Namespace: "signoff-system", Name: string(r.UID)}, record)
		return err == nil && record.Status.Outcome == v1alpha1.OutcomeCancelled && strings.HasPrefix(record.Status.Message, "Deleted."), fmt.Sprintf("%+v %v", record.Status, err)
	})
}

// TestGitOpsForce takes a request away by force while it is executing, and makes it again: nothing is executed twice, and it waits for the end of
// the first.
func TestGitOpsForce(t *testing.T) {
	who := counted(t)
	manifest := manifestOf("gitops-force", tools[0].meta, "long", `{}`, "x", time.Now().Add(time.Hour))
	tools[0].sync(t, who, manifest, tools[0].apply)
	first := reaches(t, named("gitops-force"), v1alpha1.PhaseExecuting)
	byForce(t, who, first)
	pruned(t, "gitops-force")
	tools[0].sync(t, who, manifest, tools[0].apply)
	live := named("gitops-force")
	eventually(t, "the end of the first becomes that of the second", func() (bool, string) {
		if err := admin(t).Get(t.Context(), client.ObjectKeyFromObject(live), live); err != nil {
			return false, err.Error()
		}
		if live.Status.Phase == v1alpha1.PhaseExecuting && live.Status.WaitingFor != "the end of request uid "+string(first.UID) {
			t.Errorf("it must say what it waits for: %q", live.Status.WaitingFor)
		}
		return live.Status.Outcome != "", fmt.Sprintf("%s %+v", live.Status.Phase, live.Status.Conditions)
	})
	finished := meta.FindStatusCondition(live.Status.Conditions, v1alpha1.ConditionFinished)
	if live.UID == first.UID || live.Status.Outcome != v1alpha1.OutcomeFailed || finished.Reason != v1alpha1.ReasonAlreadyExecuted || !strings.Contains(finished.Message, string(first.UID)) {
		t.Errorf("got %s, %+v", live.Status.Outcome, finished)
	}
	jobs := &batchv1.JobList{}
	if err := admin(t).List(t.Context(), jobs, client.InNamespace("staging")); err != nil {
		t.Fatal(err)
	}
	made := 0
	for i := range jobs.Items {
		if strings.Contains(fmt.Sprintf("%+v %+v", jobs.Items[i].Labels, jobs.Items[i].Annotations), string(first.UID)) || strings.Contains(fmt.Sprintf("%+v %+v", jobs.Items[i].Labels, jobs.Items[i].Annotations), string(live.UID)) {
			made++
		}
	}
	if made != 1 {
		t.Errorf("there are %d Jobs of it", made)
	}
	record := &v1alpha1.RecordList{}
	if err := admin(t).List(t.Context(), record, client.InNamespace("signoff-system")); err != nil {
		t.Fatal(err)
	}
	for i := range record.Items {
		if record.Items[i].Spec.RequestRef.UID == live.UID {
			t.Error("the second must have no Record")
		}
	}
}

// TestGitOpsGuide applies what the guide shows: the first request as Flux would for a person, and the one for the author of a commit as the tool itself, by
// the Role that the guide shows. TestHealth is about what it says of health.
func TestGitOpsGuide(t *testing.T) {
	behalf := play.Marked(t, gitOpsGuide, "behalf")
	if out, err := kubectl(t, users.Alice, behalf, tools[0].apply...); err == nil || !strings.Contains(out, `"request-on-behalf"`) {
		t.Errorf("who does not hold the verb may not name anybody: %v, %s", err, out)
	}
	apps := appliesApps(t)
	if out, err := kubectl(t, apps, behalf, tools[0].apply...); err == nil || !strings.Contains(out, "you ("+apps.Name+") may not request platform/deploy") {
		t.Errorf("nor does the tool without the Role: %v, %s", err, out)
	}
	apply(t, play.Marked(t, gitOpsGuide, "role"))
	out, err := kubectl(t, users.Alice, play.Marked(t, gitOpsGuide, "request"), tools[0].apply...)
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	reaches(t, named("checkout-1-42"), v1alpha1.PhaseAwaitingApproval)
	tools[0].sync(t, apps, behalf, tools[0].apply)
	r := reaches(t, named("checkout-1-43"), v1alpha1.PhaseAwaitingApproval)
	if r.Spec.Requester.Username != apps.Name || r.Spec.OnBehalfOf.Username != "alice" {
		t.Errorf("the tool asks, and says for whom: %+v, %+v", r.Spec.Requester, r.Spec.OnBehalfOf)
	}
	approval := approvalsOf(t, r, 1)[0]
	if summary := strings.Join(approval.Spec.Summary, "\n"); !strings.Contains(summary, ", as it says on behalf of alice.") || !strings.Contains(summary, " Not "+apps.Name+" or alice.") {
		t.Errorf("it must be shown as a claim:\n%s", summary)
	}
	for _, who := range []env.Person{users.Alice, users.AliceAgain} {
		refused(t, vote(t, who, &approval, v1alpha1.DecisionApprove, ""), metav1.StatusReasonForbidden, "it was asked on your behalf, as "+apps.Name+" says")
	}
	noDrift(t, &tools[0], apps, behalf, "checkout-1-43")
	replacesAndPrunes(t, apps, behalf, "checkout-1-43")
}

// replacesAndPrunes does as the tool what takes more than the ClusterRole gives, before and after it has what the guide shows.
func replacesAndPrunes(t *testing.T, apps env.Person, manifest, name string) {
	t.Helper()
	prune := []string{"delete", "actionrequest", "-n", env.WorkNamespace, name, "--wait=false"}
	for verb, try := range map[string]func() (string, error){
		"update": func() (string, error) { return kubectl(t, apps, manifest, "replace") },
		"delete": func() (string, error) { return kubectl(t, apps, "", prune...) },
	} {
		if out, err := try(); err == nil || !strings.Contains(out, "cannot "+verb+" resource") {
			t.Errorf("the ClusterRole gives %s, so that the guide need not: %v, %s", verb, err, out)
		}
	}
	apply(t, play.Marked(t, gitOpsGuide, "tool"))
	eventually(t, "that the tool replaces", func() (bool, string) {
		out, err := kubectl(t, apps, manifest, "replace")
		return err == nil, out
	})
	if out, err := kubectl(t, apps, "", prune...); err != nil {
		t.Errorf("it prunes nothing: %v, %s", err, out)
	}
	pruned(t, name)
}

// appliesApps is the ServiceAccount of the tool as the guide has it, with no more than the ClusterRole that the guide names.
func appliesApps(t *testing.T) env.Person {
	t.Helper()
	apply(t, "{apiVersion: v1, kind: Namespace, metadata: {name: flux-system}}")
	login, err := cluster.ServiceAccount(t.Context(), "flux-system", "apps")
	if err != nil {
		t.Fatal(err)
	}
	apps := env.Person{Name: "system:serviceaccount:flux-system:apps", Config: login}
	if err := cluster.Grant(t.Context(), env.RoleRequester, env.WorkNamespace, env.ToServiceAccount("flux-system", "apps")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "RBAC lets the tool write", func() (bool, string) {
		err := as(t, apps).Get(t.Context(), types.NamespacedName{Namespace: env.WorkNamespace, Name: "none"}, &v1alpha1.ActionRequest{})
		return apierrors.IsNotFound(err), errText(err)
	})
	return apps
}
