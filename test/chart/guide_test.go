package chart

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/signoff-dev/signoff/hack/assets"
)

const (
	guide        = "docs/guides/install.md"
	upgradeGuide = "docs/guides/upgrade.md"
)

// block gives what is between the fences after the mark of a file in the guide.
func block(t *testing.T, name string) string {
	t.Helper()
	return blockOf(t, guide, name)
}

func blockOf(t *testing.T, page, name string) string {
	t.Helper()
	_, rest, found := strings.Cut(file(t, page), "<!-- file: "+name+" -->\n```")
	if !found {
		t.Fatalf("%s does not show %s", page, name)
	}
	_, rest, _ = strings.Cut(rest, "\n")
	text, _, _ := strings.Cut(rest, "\n```")
	return text
}

// TestValuesOfTheGuide renders each set of values that the guide and an example show.
func TestValuesOfTheGuide(t *testing.T) {
	for page, want := range map[string]int{guide: 3, "examples/gitlab-servicenow/README.md": 1} {
		found := regexp.MustCompile("(?s)<!-- values -->\n```yaml\n(.*?)```").FindAllStringSubmatch(file(t, page), -1)
		if len(found) != want {
			t.Errorf("%s shows %d sets of values", page, len(found))
		}
		for _, match := range found {
			pods(t, render(t, match[1]))
		}
	}
}

// TestLogsOfTheGuides: the commands for logs select Pods that there are, and show all of what they wrote: of several Pods kubectl shows ten lines, and of a
// Deployment one Pod.
func TestLogsOfTheGuides(t *testing.T) {
	root, err := assets.Root()
	if err != nil {
		t.Fatal(err)
	}
	pages, err := filepath.Glob(filepath.Join(root, "docs/guides/*.md"))
	if err != nil {
		t.Fatal(err)
	}
	labels := map[string]bool{}
	for _, pod := range pods(t, render(t)) {
		labels[pod.Labels["app.kubernetes.io/component"]] = true
	}
	found := 0
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, command := range regexp.MustCompile("`kubectl logs -n signoff-system [^`]*`").FindAllString(string(text), -1) {
			found++
			parts := regexp.MustCompile(` -l app\.kubernetes\.io/component=(\w+) --tail=-1(?: \| grep .*)?.$`).FindStringSubmatch(command)
			if parts == nil || !labels[parts[1]] {
				t.Errorf("%s says %s, and the Pods are %v", filepath.Base(page), command, labels)
			}
		}
	}
	if found != 2 {
		t.Errorf("%d commands were found", found)
	}
}

// TestHooksOfTheGuide: helm removes nothing that a hook has left, so that the guide must name all of it, in every namespace that it is in and in no other.
func TestHooksOfTheGuide(t *testing.T) {
	var want []string
	for _, object := range render(t) {
		if isHook(object) {
			line := "kubectl delete"
			if object.GetNamespace() != "" {
				line += " -n signoff-system"
			}
			want = append(want, line+" "+strings.ToLower(object.GetKind())+" "+object.GetName())
		}
	}
	var got []string
	for line := range strings.Lines(block(t, "hooks")) {
		parts := regexp.MustCompile(`^(kubectl delete.*) (\S+) (\S+) --ignore-not-found\n?$`).FindStringSubmatch(line)
		if parts == nil {
			t.Fatalf("the guide says %q", line)
		}
		for kind := range strings.SplitSeq(parts[2], ",") {
			got = append(got, parts[1]+" "+kind+" "+parts[3])
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what hooks make (-want +guide):\n%s", diff)
	}
}

// TestAPIServerOfTheGuide runs the commands by which the API server gets its certificate, and looks at it as the webhooks would.
func TestAPIServerOfTheGuide(t *testing.T) {
	i := &installation{T: t, dir: t.TempDir()}
	i.shell(block(t, "api-server"))
	made, err := clientcmd.LoadFromFile(filepath.Join(i.dir, "webhooks.kubeconfig"))
	if err != nil {
		t.Fatal(err)
	}
	user, known := made.AuthInfos["signoff-webhook."+namespace+".svc"]
	if !known || len(user.ClientKeyData) == 0 {
		t.Fatalf("no user is for the address of the webhooks: %v", made.AuthInfos)
	}
	der, _ := pem.Decode(user.ClientCertificateData)
	certificate, err := x509.ParseCertificate(der.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	authorities := x509.NewCertPool()
	text, err := os.ReadFile(filepath.Join(i.dir, "client-ca.crt"))
	if err != nil || !authorities.AppendCertsFromPEM(text) {
		t.Fatalf("there is no authority: %v", err)
	}
	if _, err := certificate.Verify(x509.VerifyOptions{Roots: authorities, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		t.Errorf("the webhooks would cut the API server off: %v", err)
	}
	if _, err := helm(t.Context(), t, "", append([]string{"template", release, "charts/signoff", "--namespace=" + namespace, "--set-file=clientCA.certificate=" + filepath.Join(i.dir, "client-ca.crt")},
		valuesFiles(t, "image: {repository: registry.example.org/signoff}")...)...); err != nil {
		t.Errorf("the chart does not take the authority: %v", err)
	}
}

// TestAdmissionOfTheGuide compares the file for the API server with the one that the tests run it with.
func TestAdmissionOfTheGuide(t *testing.T) {
	shown := block(t, "admission.yaml")
	used := strings.ReplaceAll(file(t, "test/env/files/admission.yaml"), "%[1]q", "/etc/kubernetes/signoff/webhooks.kubeconfig")
	if shown != strings.TrimSpace(used) {
		t.Errorf("the guide shows\n%s\nand the tests use\n%s", shown, used)
	}
}
