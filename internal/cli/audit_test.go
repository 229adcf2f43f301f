package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signoff-dev/signoff/internal/keys"
	"github.com/signoff-dev/signoff/internal/seal"
)

const (
	sampleLog  = "../../docs/reference/audit-sample.jsonl"
	sampleKeys = "../../docs/reference/audit-keys.json"
)

// TestSampleKeys holds the public keys of the sample to those of the test vectors.
func TestSampleKeys(t *testing.T) {
	raw, err := os.ReadFile("../../docs/design/seal/keys.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []struct {
		Name      string       `json:"name"`
		Purpose   seal.Purpose `json:"purpose"`
		PublicKey []byte       `json:"publicKey"`
		NotBefore int64        `json:"notBefore"`
	}
	if err := json.Unmarshal(raw, &vectors); err != nil {
		t.Fatal(err)
	}
	document := &keys.Document{}
	for _, v := range vectors {
		if v.Name == "admission" || v.Name == "controller" {
			document.Keys = append(document.Keys, seal.PublicKey{Key: v.PublicKey, Purpose: v.Purpose, NotBefore: time.UnixMilli(v.NotBefore).UTC()})
		}
	}
	want, err := document.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(sampleKeys)
	if err != nil || !bytes.Equal(bytes.TrimSpace(got), bytes.TrimSpace(want)) {
		t.Errorf("%v\n got %s\nwant %s", err, got, want)
	}
}

// sample gives the lines of the sample, and writes some of them to a file.
func sample(t *testing.T) (lines []string, write func(name string, lines []string) string) {
	t.Helper()
	raw, err := os.ReadFile(sampleLog)
	if err != nil {
		t.Fatal(err)
	}
	lines = strings.SplitAfter(string(raw), "\n")
	dir := t.TempDir()
	return lines[:len(lines)-1], func(name string, lines []string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(strings.Join(lines, "")), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
}

// TestAuditVerify is about logs that are whole, and about a cut, a changed and a removed line.
func TestAuditVerify(t *testing.T) {
	lines, write := sample(t)
	changed := slices.Clone(lines)
	changed[5] = strings.Replace(changed[5], "restart-1", "restart-2", 1)
	cut := slices.Clone(lines)
	cut[15] = cut[15][:40]
	whole := run(t, "", "audit", "verify", "--keys", sampleKeys, sampleLog)
	_, end, _ := strings.Cut(whole.stdout, "End: ")
	end = strings.TrimSpace(end)
	first, second := write("first.jsonl", lines[:8]), write("second.jsonl", lines[8:])
	_, middle, _ := strings.Cut(run(t, "", "audit", "verify", "--keys", sampleKeys, first).stdout, "End: ")
	middle = strings.TrimSpace(middle)

	for name, tc := range map[string]struct {
		reason string
		args   []string
		exit   int
		words  []string
	}{
		"Whole":       {"nothing is wrong", []string{sampleLog}, 0, []string{"no gap in 16 lines", "signed up to line 14", "2 lines after that are signed by nobody yet", "/16/sha256:"}},
		"Parts":       {"a log that is cut into files", []string{first, second}, 0, []string{"no gap in 16 lines"}},
		"After":       {"only what came since", []string{"--after", middle, second}, 0, []string{"no gap in 8 lines"}},
		"Reaches":     {"what is known to be there is there", []string{"--reaches", end, sampleLog}, 0, []string{"no gap in 16 lines"}},
		"Changed":     {"a line was changed", []string{write("changed.jsonl", changed)}, 1, []string{"GAP in ", "changed.jsonl, line 6", "Until that was found, "}},
		"Removed":     {"a line is missing", []string{write("removed.jsonl", slices.Delete(slices.Clone(lines), 6, 7))}, 1, []string{"line 7", "Removed: number 7 of log"}},
		"Cut":         {"a line is not complete", []string{write("cut.jsonl", cut)}, 1, []string{"cut.jsonl, line 16: Truncated"}},
		"CutEnd":      {"the end was cut off, back to a checkpoint", []string{"--reaches", end, write("end.jsonl", lines[:14])}, 1, []string{"Truncated", "ends after 14 lines, and was known to have 16"}},
		"SecondOf":    {"the line is counted in its file", []string{first, write("bad.jsonl", slices.Delete(slices.Clone(lines[8:]), 2, 3))}, 1, []string{"bad.jsonl, line 3", "Removed: number 11 of log"}},
		"Order":       {"files in another order", []string{second, first}, 1, []string{"second.jsonl, line 1", "Removed"}},
		"NoFile":      {"a file that is not there", []string{"nowhere.jsonl"}, 2, []string{"failed to read the audit log"}},
		"BadEnd":      {"a place that is none", []string{"--after", "x/1", sampleLog}, 2, []string{"failed to read --after", "LOG/COUNT/HASH"}},
		"ForPrograms": {"the answer in JSON", []string{"-o", "json", sampleLog}, 0, []string{`"lines": 16`, `"end": "`}},
	} {
		t.Run(name, func(t *testing.T) {
			got := run(t, "", append([]string{"audit", "verify", "--keys", sampleKeys}, tc.args...)...)
			if got.exit != tc.exit {
				t.Errorf("%s: the exit code is %d, want %d:\n%s%s", tc.reason, got.exit, tc.exit, got.stdout, got.stderr)
			}
			for _, word := range tc.words {
				if !strings.Contains(got.stdout+got.stderr, word) {
					t.Errorf("%s: it does not say %q:\n%s%s", tc.reason, word, got.stdout, got.stderr)
				}
			}
		})
	}
}

// TestAuditGuide holds the guide to what is said.
func TestAuditGuide(t *testing.T) {
	guide, err := os.ReadFile("../../docs/guides/audit.md")
	if err != nil {
		t.Fatal(err)
	}
	said, _, _ := strings.Cut(run(t, "", "audit", "verify", "--keys", sampleKeys, sampleLog).stdout, "sha256:")
	if said = strings.ReplaceAll(said, sampleLog, "audit.jsonl"); !strings.Contains(string(guide), said) {
		t.Errorf("docs/guides/audit.md does not show\n%s", said)
	}
}

// TestAuditShow is about a line for each fact, with who did it.
func TestAuditShow(t *testing.T) {
	got := run(t, "", "audit", "show", sampleLog)
	if got.exit != 0 || strings.Count(got.stdout, "\n") != 16 {
		t.Errorf("got %d, %s\n%s", got.exit, got.stderr, got.stdout)
	}
	for _, words := range []string{`request.requested  payments/`, `alice asks for platform/restart: "leak"`, `stage.voted  `, `Approve by bob: "because"`} {
		if !strings.Contains(got.stdout, words) {
			t.Errorf("it does not say %q:\n%s", words, got.stdout)
		}
	}
	if one := run(t, "", "audit", "show", "--request", "payments/nothing", sampleLog); one.stdout != "" || one.exit != 0 {
		t.Errorf("got %s", one.stdout)
	}
}
