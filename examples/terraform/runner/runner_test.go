package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/signoff-dev/signoff/hack/assets"
)

// bench is where a runner runs the real program on the module of the example. Only the cluster is not real.
type bench struct {
	t       *testing.T
	objects *fake.Clientset
}

func newBench(t *testing.T) *bench {
	t.Helper()
	t.Setenv("TF_VAR_name", "assets")
	t.Setenv("TF_VAR_region", "eu-north")
	t.Setenv("TF_VAR_size_gb", "20")
	return &bench{t: t, objects: fake.NewClientset()}
}

// runner is that of one Job.
func (b *bench) runner() *runner {
	b.t.Helper()
	root, err := assets.Root()
	if err != nil {
		b.t.Fatal(err)
	}
	program, err := assets.FindTerraform(root)
	if err != nil {
		b.t.Fatal(err)
	}
	r := &runner{
		terraform: terraform{program: program, module: filepath.Join(root, "examples", "terraform", "bucket"), work: b.t.TempDir()},
		plans:     b.objects.CoreV1().Secrets("terraform-plan"), lockTimeout: "0s",
	}
	r.state.name, r.state.secrets, r.state.leases = "bucket-assets", b.objects.CoreV1().Secrets("terraform-apply"), b.objects.CoordinationV1().Leases("terraform-apply")
	server, variables := r.state.serve()
	b.t.Cleanup(server.Close)
	r.terraform.variables = variables
	return r
}

// plan gives the digest of a plan, and of which state it is.
func (b *bench) plan(size string) (digest, of string) {
	b.t.Helper()
	b.t.Setenv("TF_VAR_size_gb", size)
	message, err := b.runner().plan(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	lines := strings.Split(message, "\n")
	return lines[1], lines[2]
}

func (b *bench) apply(digest, of string) (string, error) {
	b.t.Helper()
	r := b.runner()
	r.digest, r.of, r.outputs = digest, of, "size_gb"
	return r.apply(b.t.Context())
}

// version is the state as it is.
func (b *bench) version() string {
	b.t.Helper()
	version, err := b.runner().state.version(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	return version
}

func (b *bench) refused(before string, err error, words string) {
	b.t.Helper()
	if err == nil || !strings.Contains(err.Error(), words) {
		b.t.Errorf("got error %v, want one that says %q", err, words)
	}
	if now := b.version(); now != before {
		b.t.Errorf("the state was changed: from %s to %s", before, now)
	}
}

func TestPlanAndApply(t *testing.T) {
	b := newBench(t)
	message, err := b.runner().plan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(message, "\n")
	if lines[0] != "1 to add, 0 to change, 0 to destroy" || !strings.HasPrefix(lines[1], "sha256:") || lines[2] != "none" || !strings.Contains(lines[3], "# terraform_data.bucket will be created") {
		t.Errorf("the message of the plan is\n%s", message)
	}
	if now := b.version(); now != "none" {
		t.Errorf("the plan wrote a state: %s", now)
	}
	told, err := b.apply(lines[1], lines[2])
	if err != nil || told != "20" {
		t.Errorf("got %q and %v, want the size", told, err)
	}
	if now := b.version(); !strings.HasSuffix(now, " serial 1") {
		t.Errorf("the state is %s", now)
	}
	if leases, err := b.objects.CoordinationV1().Leases("terraform-apply").List(t.Context(), metav1.ListOptions{}); err != nil || len(leases.Items) != 0 {
		t.Errorf("the state is still locked: %v, %v", leases.Items, err)
	}
	_, err = b.runner().plan(t.Context())
	b.refused(b.version(), err, "there is nothing to do")
}

func TestApplyRefuses(t *testing.T) {
	b := newBench(t)
	digest, of := b.plan("20")
	t.Run("other inputs", func(t *testing.T) {
		t.Setenv("TF_VAR_size_gb", "21")
		_, err := b.apply(digest, of)
		b.refused("none", err, "nothing was applied: the plan was made with another input size_gb")
	})
	t.Run("a locked state", func(t *testing.T) {
		leases := b.objects.CoordinationV1().Leases("terraform-apply")
		held := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: "bucket-assets", Annotations: map[string]string{lockInfo: `{"ID":"17","Who":"another Job"}`}}}
		if _, err := leases.Create(t.Context(), held, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		_, err := b.apply(digest, of)
		b.refused("none", err, "nothing was applied")
		b.refused("none", err, "already locked: ID=17")
		if err := leases.Delete(t.Context(), "bucket-assets", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("a plan that is gone", func(t *testing.T) {
		_, err := b.apply("sha256:00", of)
		b.refused("none", err, "nothing was applied: the plan is gone")
	})
	other, _ := b.plan("30")
	if _, err := b.apply(other, of); err != nil {
		t.Fatal(err)
	}
	before := b.version()
	t.Setenv("TF_VAR_size_gb", "20")
	t.Run("another state", func(t *testing.T) {
		_, err := b.apply(digest, of)
		b.refused(before, err, "nothing was applied: the state has changed since the plan was made: it was none, and it is ")
	})
	t.Run("another state that is told to be the same", func(t *testing.T) {
		_, err := b.apply(digest, before)
		b.refused(before, err, "nothing was applied")
		b.refused(before, err, "Saved plan is stale")
	})
}

func TestOnlyDestroyDestroys(t *testing.T) {
	b := newBench(t)
	digest, of := b.plan("20")
	if _, err := b.apply(digest, of); err != nil {
		t.Fatal(err)
	}
	before := b.version()
	t.Setenv("TF_VAR_region", "eu-west")
	_, err := b.runner().plan(t.Context())
	b.refused(before, err, "this would destroy 1 of what is there, and only an Action for that may: delete and create terraform_data.bucket")
	r := b.runner()
	r.destroy = true
	message, err := r.plan(t.Context())
	if err != nil || !strings.HasPrefix(message, "0 to add, 0 to change, 1 to destroy\n") {
		t.Errorf("got %v and\n%s", err, message)
	}
}

// What has failed half-way is in the state, and nobody says that nothing was done.
func TestApplyFailsHalfWay(t *testing.T) {
	b := newBench(t)
	module := t.TempDir()
	const bad = "variable \"name\" {}\nresource \"terraform_data\" \"bad\" {\n  provisioner \"local-exec\" {\n    command = \"exit 3\"\n  }\n}\n"
	if err := os.WriteFile(filepath.Join(module, "main.tf"), []byte(bad), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"TF_VAR_region", "TF_VAR_size_gb"} {
		if err := os.Unsetenv(name); err != nil {
			t.Fatal(err)
		}
	}
	r := b.runner()
	r.terraform.module = module
	message, err := r.plan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r = b.runner()
	r.terraform.module, r.digest, r.of = module, strings.Split(message, "\n")[1], "none"
	_, err = r.apply(t.Context())
	if err == nil || !strings.Contains(err.Error(), "apply failed: Error: local-exec provisioner error") || strings.Contains(err.Error(), "nothing was applied") {
		t.Errorf("got error %v", err)
	}
	if now := b.version(); now == "none" {
		t.Error("what was done is not in the state")
	}
}

// A failed run says why in one line, without the frame that the program draws.
func TestProblemIsTold(t *testing.T) {
	b := newBench(t)
	t.Setenv("TF_VAR_size_gb", "much")
	_, err := b.runner().plan(t.Context())
	b.refused("none", err, "the plan failed: Error: Invalid value for input variable")
}

func TestArguments(t *testing.T) {
	for name, args := range map[string][]string{
		"none": nil, "no state": {"plan"}, "unknown": {"plan", "--state=a", "--force"}, "more": {"plan", "--state=a", "b"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := run(t.Context(), args); err == nil || !strings.Contains(err.Error(), "usage: runner plan") {
				t.Errorf("got error %v, want the usage", err)
			}
		})
	}
}

func TestMain(m *testing.M) {
	// Nothing of whoever runs the tests changes what the program does.
	for _, variable := range os.Environ() {
		if strings.HasPrefix(variable, "TF_") {
			name, _, _ := strings.Cut(variable, "=")
			_ = os.Unsetenv(name) // fails only for a malformed name
		}
	}
	os.Exit(m.Run())
}
