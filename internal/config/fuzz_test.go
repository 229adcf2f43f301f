package config

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"sigs.k8s.io/yaml"
)

// FuzzLoad shows that no file makes Load panic, and that what it accepts is valid and means the same when written again.
func FuzzLoad(f *testing.F) {
	example, err := os.ReadFile("../../config/signoff/configuration.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(example)
	f.Add([]byte(head + "webhok: {}\nmetrics: {bindAddress: 0}\n"))
	f.Add([]byte(head + "---\n" + head))
	f.Add([]byte(head + "a: &a [*a]\n<<: {b: c}\n"))
	f.Add([]byte("? {a: b}\n: !!binary c\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		cfg, err := Load(data)
		if (cfg == nil) == (err == nil) {
			t.Fatalf("exactly one of a configuration and an error is wanted, got %v and %v", cfg, err)
		}
		if cfg == nil {
			return
		}
		if errs := cfg.Validate(); len(errs) > 0 {
			t.Fatalf("accepted, but not valid: %v", errs.ToAggregate())
		}
		again, err := yaml.Marshal(cfg)
		if err != nil {
			t.Fatal(err)
		}
		same, err := Load(again)
		if err != nil {
			t.Fatalf("%v\n%s", err, again)
		}
		if diff := cmp.Diff(cfg, same, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("written again it means something else (-first +second):\n%s", diff)
		}
	})
}
