package chart

import (
	"regexp"
	"strings"
	"testing"
)

const readme = "charts/signoff/README.md"

// TestLint lets helm judge the chart with all values that make a difference, and take no warning lightly. Without the two that nobody can guess it says so.
func TestLint(t *testing.T) {
	lint := func(values ...string) error {
		_, err := helm(t.Context(), t, "", append([]string{"lint", "charts/signoff", "--strict", "--namespace=" + namespace}, valuesFiles(t, values...)...)...)
		return err
	}
	for name, values := range combinations {
		if err := lint(needed, values); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := lint(file(t, "charts/signoff/ci/default-values.yaml")); err != nil {
		t.Errorf("what chart-testing uses: %v", err)
	}
	if err := lint("image: {tag: latest}"); err == nil {
		t.Error("there is an image after all: the README says that there is none")
	}
}

// TestReadme shows it as helm does, and installs what it shows.
func TestReadme(t *testing.T) {
	shown, err := helm(t.Context(), t, "", "show", "readme", "charts/signoff")
	if err != nil {
		t.Fatal(err)
	}
	if strings.TrimSpace(shown) != strings.TrimSpace(file(t, readme)) {
		t.Errorf("helm shows %q", shown)
	}
	oldest := regexp.MustCompile(`kubeVersion: ">=([0-9]+\.[0-9]+)\.`).FindStringSubmatch(file(t, "charts/signoff/Chart.yaml"))
	if oldest == nil || !strings.Contains(shown, "Kubernetes "+oldest[1]+" or newer") {
		t.Errorf("it names another version of Kubernetes than the chart: %s", oldest)
	}
	_, values, found := strings.Cut(shown, "<!-- values -->\n```yaml\n")
	if !found {
		t.Fatal("it shows no values")
	}
	values, _, _ = strings.Cut(values, "```")
	pods(t, render(t, values))
}
