package audit

import (
	"encoding/json"
	"flag"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signoff-dev/signoff/internal/seal"
)

const (
	sample    = "../../docs/reference/audit-sample.jsonl"
	described = "../../docs/reference/audit-events.md"
)

var update = flag.Bool("update", false, "write the sample anew")

// TestSample holds the sample in the documentation to what is written today. Logs are kept for years, so a change must have a new type.
func TestSample(t *testing.T) {
	keys := newKeyring(t)
	l := newFullLog(t, keys)
	if *update {
		if err := os.WriteFile(sample, l.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	content, err := os.ReadFile(sample)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(content), "\n"), strings.Split(l.String(), "\n")); diff != "" {
		t.Errorf("the form of lines changed; logs that are kept could not be read (-want +got):\n%s", diff)
	}
	if got := verify(t, []string{string(content)}, publishedKeys(t)); got.Err() != nil {
		t.Error(got.Err())
	}
}

// publishedKeys are the keys of the test vectors, with which readers verify the sample.
func publishedKeys(t *testing.T) *seal.Keyring {
	t.Helper()
	content, err := os.ReadFile("../../docs/design/seal/keys.json")
	if err != nil {
		t.Fatal(err)
	}
	var listed []struct {
		Purpose   seal.Purpose
		PublicKey []byte
		NotBefore int64
	}
	if err := json.Unmarshal(content, &listed); err != nil {
		t.Fatal(err)
	}
	var keys []seal.PublicKey
	for _, k := range listed {
		keys = append(keys, seal.PublicKey{Key: k.PublicKey, Purpose: k.Purpose, NotBefore: time.UnixMilli(k.NotBefore)})
	}
	return must[*seal.Keyring](t)(seal.NewKeyring(keys...))
}

// TestReference holds the documentation of events to the types and members that there are.
func TestReference(t *testing.T) {
	content, err := os.ReadFile(described)
	if err != nil {
		t.Fatal(err)
	}
	text := string(content)
	for of, members := range needs {
		section := regexp.MustCompile("(?m)^\\| `" + regexp.QuoteMeta(strings.TrimPrefix(of, "dev.signoff.")) + "` \\|.*$").FindString(text)
		if section == "" {
			t.Errorf("%s is not documented", of)
		}
		for _, m := range members {
			for _, name := range strings.Split(m.name, " or ") {
				if !strings.Contains(section, "`"+name+"`") {
					t.Errorf("%s needs %s, which its documentation does not say: %s", of, name, section)
				}
			}
		}
	}
	documented := regexp.MustCompile("(?m)^\\| `([a-z]+\\.[a-z]+\\.v1)` \\|").FindAllStringSubmatch(text, -1)
	if len(documented) != len(needs) {
		t.Errorf("%d types are documented, and there are %d", len(documented), len(needs))
	}
	for _, kind := range []GapKind{
		GapMalformed, GapChanged, GapRemoved, GapReordered, GapRepeated, GapRewritten, GapTruncated, GapForeign, GapSeal, GapUnknownKey, GapVotes,
	} {
		if !strings.Contains(text, "| `"+string(kind)+"` |") {
			t.Errorf("the gap %s is not documented", kind)
		}
	}
}
