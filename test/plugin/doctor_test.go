package plugin

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"k8s.io/cli-runtime/pkg/genericiooptions"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/signoff-dev/signoff/internal/cli"
	"github.com/signoff-dev/signoff/internal/cli/doctor"
)

// TestDoctor examines the cluster of these tests, as who may see everything and as who may not.
func TestDoctor(t *testing.T) {
	asked(t, users.Alice, "examined", "text=a", "level=high")
	approvalOf(t, "examined", "owners")
	answer := kubectl(t, users.Ada, "", "doctor", "-n", "payments")
	answer.says(t, 0, "ok      definitions   10 CustomResourceDefinitions are as this version has them\n", "ok      protection    14 webhook configurations and admission policies are",
		"ok      webhooks      the API server asks them, and they answer\n", "ok      mutation      no mutating webhook or admission policy of others is asked ", "ok      certificate   the API server trusts the authority ", "ok      readiness     replicas of Signoff that have reported within 2m0s: 1\n",
		"judge   secrets       who can read the keys of Signoff, and so seal in its name, by RBAC: group cluster-administrators, group system:masters, ", "serviceaccount signoff-system/signoff",
		"judge   pods          ", "judge   impersonate   ", " votes in all namespaces are sealed.", "ok      clock         this machine and the API server agree about the time\n")
	answer = kubectl(t, users.Bob, "", "doctor", "-n", "payments")
	answer.says(t, 0, "unknown   definitions   you may not read 10 of 10 CustomResourceDefinitions: ask for the right to get customresourcedefinitions.apiextensions.k8s.io\n",
		"unknown   protection    you may not read 14 of 14 webhook configurations and admission policies: ask for the right to get mutatingwebhookconfigurations.admissionregistration.k8s.io, ", "ok        webhooks      the API server asks them", "unknown   mutation      you may not read mutating webhook configurations: ask for the right to list mutatingwebhookconfigurations.admissionregistration.k8s.io\n", "unknown   certificate   you may not read the webhook configurations", "unknown   readiness     you may not read Leases in namespace signoff-system",
		"unknown   rights        you may not read who holds which rights: ask for the right to list roles", " votes in namespace payments are sealed.", "ok        clock")
	if lines := strings.Count(answer.stdout, "unknown "); lines != 6 {
		t.Errorf("%d lines say what may not be read, want one for each group", lines)
	}
	answer = kubectl(t, users.Grace, "", "doctor", "-n", "payments")
	answer.says(t, 0, "unknown   webhooks      you may not create actionrequests.signoff.dev in namespace payments", "unknown   seals         you may not read Approvals in namespace payments")
}

// TestDoctorFindsWhatIsWrong where it looks for another operator than the one that runs.
func TestDoctorFindsWhatIsWrong(t *testing.T) {
	inForce(t)
	answer := kubectl(t, users.Ada, "", "doctor", "-n", "payments", "--operator-namespace", "elsewhere", "-o", "json")
	answer.says(t, 1)
	var findings []doctor.Finding
	if err := json.Unmarshal([]byte(answer.stdout), &findings); err != nil {
		t.Fatal(err)
	}
	wrong := map[string]string{}
	for _, f := range findings {
		if f.State == doctor.Wrong {
			wrong[f.About] += f.Message + "\n"
		}
	}
	for about, words := range map[string]string{
		"protection": "system:serviceaccount:elsewhere:signoff", "readiness": "no replica of Signoff reports in namespace elsewhere",
	} {
		if !strings.Contains(wrong[about], words) {
			t.Errorf("about %s it does not say %q: %q", about, words, wrong[about])
		}
	}
	kubectl(t, users.Ada, "", "doctor", "-n", "payments", "--operator-service-account", "signoff-controller").says(t, 1, "WRONG   protection    ", "system:serviceaccount:signoff-system:signoff-controller")
	kubectl(t, users.Ada, "", "doctor", "-o", "xml").says(t, 2, "failed to read -o")
}

// TestDoctorComparesClocks on a machine whose clock is more than an hour off.
func TestDoctorComparesClocks(t *testing.T) {
	inForce(t)
	login(t, users.Ada)
	var stdout, stderr bytes.Buffer
	program := &cli.Program{
		IO: genericiooptions.IOStreams{In: strings.NewReader(""), Out: &stdout, ErrOut: &stderr}, Clock: clocktesting.NewFakePassiveClock(time.Now().Add(-time.Hour - 30*time.Second)),
	}
	answer := result{exit: program.Run(t.Context(), []string{"doctor", "-n", "payments"})}
	answer.stdout, answer.stderr = stdout.String(), stderr.String()
	answer.says(t, 1, "WRONG   clock", "the API server is 1h0m", "replicas of Signoff that have reported within 2m0s: 1")
}
