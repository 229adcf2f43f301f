package node

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

func TestMissingCapabilities(t *testing.T) {
	for name, tc := range map[string]struct {
		reason, status string
		want           []string
		wantError      string
	}{
		"root":      {reason: "root of a machine has them all", status: "Name:\te2e\nCapPrm:\t0\nCapEff:\t000001ffffffffff\n"},
		"container": {reason: "what a container usually has", status: "CapEff:\t00000000a80425fb\n", want: []string{"CAP_SYS_ADMIN", "CAP_NET_ADMIN"}},
		"user":      {reason: "nobody", status: "CapEff:\t0000000000000000\n", want: []string{"CAP_SYS_ADMIN", "CAP_NET_ADMIN", "CAP_MKNOD"}},
		"silent":    {reason: "not a yes", status: "Name:\te2e\n", wantError: "does not say"},
		"strange":   {reason: "not a yes", status: "CapEff:\tall\n", wantError: "cannot read"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := missingCapabilities(tc.status)
			if tc.wantError == "" && err != nil || tc.wantError != "" && (err == nil || !strings.Contains(err.Error(), tc.wantError)) {
				t.Errorf("%s: got error %v, want %q", tc.reason, err, tc.wantError)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestIsReady(t *testing.T) {
	ready := func(status corev1.ConditionStatus) []corev1.NodeCondition {
		return []corev1.NodeCondition{{Type: corev1.NodeMemoryPressure}, {Type: corev1.NodeReady, Status: status, Message: "no network"}}
	}
	for name, tc := range map[string]struct {
		node      corev1.Node
		wantError string
	}{
		"ready":     {node: corev1.Node{Status: corev1.NodeStatus{Conditions: ready(corev1.ConditionTrue)}}},
		"not ready": {node: corev1.Node{Status: corev1.NodeStatus{Conditions: ready(corev1.ConditionFalse)}}, wantError: "no network"},
		"new":       {wantError: "does not say"},
		"tainted": {
			node: corev1.Node{
				Spec: corev1.NodeSpec{Taints: []corev1.Taint{{Key: corev1.TaintNodeNotReady}}}, Status: corev1.NodeStatus{Conditions: ready(corev1.ConditionTrue)},
			}, wantError: "taints",
		},
	} {
		t.Run(name, func(t *testing.T) {
			err := isReady(&tc.node)
			if tc.wantError == "" && err != nil || tc.wantError != "" && (err == nil || !strings.Contains(err.Error(), tc.wantError)) {
				t.Errorf("got error %v, want %q", err, tc.wantError)
			}
		})
	}
}

// TestFiles fills every file, and reads what comes out as far as it can be read without the program that it is for.
func TestFiles(t *testing.T) {
	n := &node{Dir: t.TempDir(), Plugins: "/plugins", Cgroup: "/pods", PauseImage: PauseImage}
	for name, parse := range map[string]func([]byte, any) error{
		"containerd.toml": func([]byte, any) error { return nil }, "kubelet.yaml": func(text []byte, into any) error { return yaml.UnmarshalStrict(text, into) },
		"network.conflist": json.Unmarshal,
	} {
		if err := n.write(name, name); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		text, err := os.ReadFile(filepath.Join(n.Dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := parse(text, &map[string]any{}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !strings.Contains(string(text), n.Dir) || strings.Contains(string(text), "{{") {
			t.Errorf("%s is not filled:\n%s", name, text)
		}
	}
}

// TestRemoveOrphans has folders in place of control groups: both are removed in the same way.
func TestRemoveOrphans(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{groupPrefix + "7/kubepods/besteffort", groupPrefix + "8/kubepods", groupPrefix + "x", "kubepods"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := removeOrphans(dir, func(pid int) bool { return pid == 8 }); err != nil {
		t.Fatal(err)
	}
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range left {
		left[i] = filepath.Base(left[i])
	}
	if diff := cmp.Diff([]string{"kubepods", groupPrefix + "8", groupPrefix + "x"}, left); diff != "" {
		t.Errorf("what is left (-want +got):\n%s", diff)
	}
}

func TestAlive(t *testing.T) {
	if !alive(os.Getpid()) || alive(1<<22+1) {
		t.Error("this process is alive, and one with an id that no process can have is not")
	}
}
