package plugin

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/test/env"
)

// printed runs a command with -o name, and gives the one word that it prints.
func printed(t *testing.T, who env.Person, args ...string) string {
	t.Helper()
	answer := kubectl(t, who, "", append(args, "-o", "name")...)
	answer.says(t, 0)
	lines := strings.Split(strings.TrimSuffix(answer.stdout, "\n"), "\n")
	if len(lines) != 1 {
		t.Fatalf("it prints %q", answer.stdout)
	}
	return lines[0]
}

// TestNamesAsPrinted gives every verb that takes names what -o name prints.
func TestNamesAsPrinted(t *testing.T) {
	catalogReaders(t)
	inForce(t)
	in := func(args ...string) []string { return append(args, "-n", "payments") }
	request := printed(t, users.Alice, in("request", "action.signoff.dev/platform/note", "text=a", "level=high", "--name", "names")...)
	if request != "actionrequest.signoff.dev/names" {
		t.Errorf("a request is called %q", request)
	}
	reaches(t, "names", v1alpha1.PhaseAwaitingApproval)
	approval := "approval.signoff.dev/" + approvalOf(t, "names", "owners").Name
	says := func(exit int, words string, who env.Person, args ...string) {
		t.Helper()
		t.Run(args[0], func(t *testing.T) { kubectl(t, who, "", in(args...)...).says(t, exit, words) })
	}
	says(0, "payments/names: AwaitingApproval", users.Alice, "show", request)
	says(0, "payments/names: AwaitingApproval", users.Alice, "show", approval)
	says(0, "created (server dry run)", users.Alice, "request", "--from", request, "--dry-run")
	says(1, "there is nothing to decide about payments/names: it is AwaitingApproval", users.Bob, "resolve", request, "--outcome", "failed", "-m", "c")
	says(5, "payments/names: not over yet: AwaitingApproval", users.Alice, "wait", request, "--timeout", "1s")
	says(0, approval+" denied (server dry run)", users.Bob, "deny", approval, "-m", "c", "--dry-run")
	says(0, approval+" approved (server dry run)", users.Bob, "approve", approval, "--dry-run")
	says(1, "refused: ", users.Bob, "withdraw", approval)
	says(0, approval+" approved (server dry run)", users.Bob, "approve", request, "--dry-run=server")
	says(0, approval+" denied (server dry run)", users.Bob, "deny", "names", "--reason", "c", "--dry-run")
	says(2, "that names Action, and Approval is wanted", users.Bob, "approve", approval, "action/names")
	says(5, "payments/names: not over yet: AwaitingApproval", users.Alice, "wait", request, "--timeout", "0")
	says(2, "that names Approval, and ActionRequest is wanted", users.Alice, "wait", approval)
	says(0, request+" cancelled", users.Alice, "cancel", request, "--reason", "c")
	says(4, "payments/names Cancelled", users.Alice, "wait", request, "--timeout", "20s")
	for _, word := range strings.Fields(kubectl(t, users.Ada, "", "actions", "-A", "--all", "-o", "name").stdout) {
		if !strings.HasPrefix(word, "action.signoff.dev/") || strings.Count(word, "/") != 2 {
			t.Errorf("an Action of many namespaces is called %q", word)
		}
	}
	says(0, "platform/note: Write a note", users.Alice, "actions", "action.signoff.dev/platform/note")
	says(0, "yes (Role platform/developer)", users.Alice, "can-i", "request", "action.signoff.dev/platform/note")
	says(0, "developer ", users.Alice, "who-can", "request", "action.signoff.dev/platform/note")
}

// everywhere lets Carol look and decide everywhere, until the test is over, and makes a second namespace in which Alice asks.
func everywhere(t *testing.T, namespace string) {
	t.Helper()
	apply(t, `{apiVersion: v1, kind: Namespace, metadata: {name: `+namespace+`}}`)
	if err := cluster.Grant(t.Context(), env.RoleRequester, namespace, env.ToUser(users.Alice.Name)); err != nil {
		t.Fatal(err)
	}
	binding := `{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: names-carol}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: signoff-approver},
  subjects: [{kind: User, apiGroup: rbac.authorization.k8s.io, name: carol}]}`
	apply(t, binding)
	t.Cleanup(func() { takenBack(t, binding) })
	eventually(t, "the rights of Carol", func() (bool, string) {
		answer := kubectl(t, users.Carol, "", "inbox", "--all")
		return answer.exit == 0 && !strings.Contains(answer.stderr, "note: "), answer.stderr
	})
}

// objectsIn reads all documents of an output.
func objectsIn(t *testing.T, text string) []*unstructured.Unstructured {
	t.Helper()
	decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(text), 64)
	var all []*unstructured.Unstructured
	for {
		one := &unstructured.Unstructured{}
		err := decoder.Decode(&one.Object)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("%v:\n%s", err, text)
		}
		all = append(all, one)
	}
}

// namesIn are the names of all documents of an output, with their namespaces.
func namesIn(t *testing.T, text string) []string {
	t.Helper()
	var names []string
	for _, object := range objectsIn(t, text) {
		names = append(names, object.GetNamespace()+"/"+object.GetName())
	}
	return names
}

// TestInboxOfManyNamespaces is voted on at once.
func TestInboxOfManyNamespaces(t *testing.T) {
	inForce(t)
	everywhere(t, "harbour")
	for _, namespace := range []string{"payments", "harbour"} {
		eventually(t, "a request in namespace "+namespace, func() (bool, string) {
			answer := kubectl(t, users.Alice, "", "request", "platform/note", "text=a", "level=high", "-n", namespace, "--name", "many-"+namespace)
			return answer.exit == 0, answer.stderr
		})
	}
	here, there := approvalIn(t, "payments", "many-payments", "owners").Name, approvalIn(t, "harbour", "many-harbour", "owners").Name
	lines := func(args ...string) []string {
		t.Helper()
		answer := kubectl(t, users.Carol, "", append([]string{"inbox", "-o", "name"}, args...)...)
		answer.says(t, 0)
		var mine []string
		for line := range strings.Lines(answer.stdout) {
			if line = strings.TrimSpace(line); strings.HasSuffix(line, "/"+here) || strings.HasSuffix(line, "/"+there) {
				mine = append(mine, line)
			}
		}
		return mine
	}
	all := []string{"approval.signoff.dev/harbour/" + there, "approval.signoff.dev/payments/" + here}
	for _, args := range [][]string{nil, {"-A"}, {"-A", "-n", "payments"}, {"--all"}} {
		if diff := cmp.Diff(all, lines(args...)); diff != "" {
			t.Errorf("inbox %v (-want +got):\n%s", args, diff)
		}
	}
	// In one namespace it is what kubectl takes.
	one := lines("-n", "payments")
	if diff := cmp.Diff([]string{"approval.signoff.dev/" + here}, one); diff != "" {
		t.Fatalf("in one namespace (-want +got):\n%s", diff)
	}
	plain(t, users.Carol, "", append([]string{"get", "-n", "payments"}, one...)...).says(t, 0, here)
	kubectl(t, users.Carol, "", "show", all[0]).says(t, 0, "harbour/many-harbour: AwaitingApproval\n")
	kubectl(t, users.Carol, "", "show", "harbour/many-harbour", "-n", "payments").says(t, 2, `"harbour/many-harbour": it names namespace harbour, and -n names payments: leave one of them out`)
	kubectl(t, users.Carol, "", "withdraw", "harbour/"+there).says(t, 1, "harbour/"+there+": refused: ")

	answer := kubectl(t, users.Carol, "", append([]string{"approve", "-o", "yaml"}, all...)...)
	answer.says(t, 0)
	if diff := cmp.Diff([]string{"harbour/" + there, "payments/" + here}, namesIn(t, answer.stdout)); diff != "" {
		t.Errorf("what was approved, as YAML (-want +got):\n%s\n%s", diff, answer.stdout)
	}
	answer = kubectl(t, users.Alice, "", "wait", "harbour/many-harbour", "payments/many-payments", "--timeout", "20s", "-o", "yaml")
	answer.says(t, 0)
	if got := namesIn(t, answer.stdout); len(got) != 2 {
		t.Errorf("what is over, as YAML, is %v:\n%s", got, answer.stdout)
	}
}

// TestSeveralAtOnce: several requests of several namespaces are ended at once, and printed so that programs can read them.
func TestSeveralAtOnce(t *testing.T) {
	inForce(t)
	everywhere(t, "quay")
	var words []string
	for _, namespace := range []string{"payments", "quay"} {
		eventually(t, "a request in namespace "+namespace, func() (bool, string) {
			answer := kubectl(t, users.Alice, "", "request", "platform/note", "text=a", "level=high", "-n", namespace, "--name", "ended")
			return answer.exit == 0, answer.stderr
		})
		words = append(words, namespace+"/ended")
	}
	answer := kubectl(t, users.Alice, "", append([]string{"cancel", "--reason", "c", "-o", "yaml"}, words...)...)
	answer.says(t, 0)
	if diff := cmp.Diff(words, namesIn(t, answer.stdout)); diff != "" {
		t.Errorf("what was cancelled, as YAML (-want +got):\n%s\n%s", diff, answer.stdout)
	}
	answer = kubectl(t, users.Alice, "", append([]string{"wait", "--timeout", "20s", "-o", "json"}, words...)...)
	answer.says(t, 4)
	if got := namesIn(t, answer.stdout); len(got) != 2 {
		t.Errorf("what is over, as JSON, is %v:\n%s", got, answer.stdout)
	}
	kubectl(t, users.Alice, "", "request", "--from", "quay/ended", "-n", "payments", "--dry-run").says(t, 0, "created (server dry run)")
	kubectl(t, users.Alice, "", "resolve", "quay/ended", "--outcome", "failed", "-m", "c").says(t, 1, "there is nothing to decide about quay/ended: it is Cancelled")
	everyone := kubectl(t, users.Audrey, "", "list", "-A", "--all", "-o", "name")
	everyone.says(t, 0, "actionrequest.signoff.dev/quay/ended\n", "actionrequest.signoff.dev/payments/ended\n")
}
