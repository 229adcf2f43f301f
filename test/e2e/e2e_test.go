package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/test/story"
)

func TestStoriesCanBePlayed(t *testing.T) {
	for _, name := range []string{"people", "trouble"} {
		if _, err := story.Load(filepath.Join("stories", name)); err != nil {
			t.Error(err)
		}
	}
}

// complains compares an error with a part of its text, or with none.
func complains(t *testing.T, err error, want string) {
	t.Helper()
	if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
		t.Errorf("got error %v, want %q", err, want)
	}
}

func TestRanAsOften(t *testing.T) {
	job := func(succeeded, failed int32) batchv1.Job {
		return batchv1.Job{Status: batchv1.JobStatus{Succeeded: succeeded, Failed: failed}}
	}
	for name, tc := range map[string]struct {
		action string
		jobs   []batchv1.Job
		want   string
	}{
		"no Pod":         {action: "note"},
		"a Pod":          {action: withPod, jobs: []batchv1.Job{job(1, 0)}},
		"lost":           {action: withPod, want: "0 Jobs were made, want 1"},
		"doubled":        {action: withPod, jobs: []batchv1.Job{job(1, 0), job(1, 0)}, want: "2 Jobs were made, want 1"},
		"nobody's":       {action: "note", jobs: []batchv1.Job{job(1, 0)}, want: "1 Jobs were made, want 0"},
		"one Pod failed": {action: withPod, jobs: []batchv1.Job{job(1, 1)}, want: "1 succeeded and 1 failed"},
		"not done":       {action: withPod, jobs: []batchv1.Job{job(0, 0)}, want: "0 succeeded and 0 failed"},
	} {
		t.Run(name, func(t *testing.T) { complains(t, ranAsOften(&v1alpha1.ActionRequest{}, tc.action, tc.jobs), tc.want) })
	}
}

func TestDoneOnce(t *testing.T) {
	for name, tc := range map[string]struct {
		outcome, recorded v1alpha1.Outcome
		args              []string
		want              string
	}{
		"once":         {outcome: v1alpha1.OutcomeSucceeded, recorded: v1alpha1.OutcomeSucceeded, args: []string{"first", "uid"}},
		"failed":       {outcome: v1alpha1.OutcomeFailed, recorded: v1alpha1.OutcomeFailed, args: []string{"first"}, want: `ended as "Failed"`},
		"open":         {args: []string{"first"}, want: `ended as ""`},
		"not at all":   {outcome: v1alpha1.OutcomeSucceeded, recorded: v1alpha1.OutcomeSucceeded, args: []string{"first"}, want: "once: [first]"},
		"twice":        {outcome: v1alpha1.OutcomeSucceeded, recorded: v1alpha1.OutcomeSucceeded, args: []string{"first", "uid", "uid"}, want: "once: [first uid uid]"},
		"not recorded": {outcome: v1alpha1.OutcomeSucceeded, args: []string{"first", "uid"}, want: `the Record says ""`},
	} {
		t.Run(name, func(t *testing.T) {
			request, record := &v1alpha1.ActionRequest{}, &v1alpha1.Record{}
			request.UID, request.Status.Outcome, record.Status.Outcome = "uid", tc.outcome, tc.recorded
			written := &appsv1.Deployment{Spec: ledger("one").Spec}
			written.Spec.Template.Spec.Containers[0].Args = tc.args
			complains(t, doneOnce(request, written, record), tc.want)
		})
	}
}

func TestTallies(t *testing.T) {
	all := &tallies{dir: t.TempDir()}
	read := func(name string) string {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(all.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	accepted, refusal := func() error { return nil }, errors.New("no:\nnot now")
	all.begin("it rains")
	_ = all.attempt(accepted)
	_ = all.attempt(accepted)
	if got := read("accepted"); got != "2\n" {
		t.Errorf("those who type read that so many were accepted: %q", got)
	}
	// What is begun in a scene belongs to it, however long it takes.
	begun, answer := make(chan struct{}), make(chan struct{})
	go func() {
		_ = all.attempt(func() error { close(begun); <-answer; return refusal })
	}()
	<-begun
	next := make(chan struct{})
	go func() { defer close(next); all.begin("it snows") }()
	close(answer)
	<-next
	if err := all.attempt(func() error { return refusal }); !errors.Is(err, refusal) {
		t.Errorf("who asked is told %v", err)
	}
	if got := read("refused"); got != "no: not now\n" {
		t.Errorf("those who type read %q", got)
	}
	all.end()
	for _, tally := range all.all {
		tally.took, tally.longest = 3*time.Second, 20*time.Millisecond // this machine may be busy
	}
	complains(t, all.asked(), `nothing was accepted while "it snows"`)
	want := strings.Join([]string{
		"While     for  accepted  refused  longest wait",
		"it rains  3s   2         1        20ms",
		"it snows  3s   0         1        20ms",
		"Together       2         2",
	}, "\n") + "\n"
	if diff := cmp.Diff(want, all.table()); diff != "" {
		t.Errorf("the table (-want +got):\n%s", diff)
	}
	all.begin("the sun shines")
	if got := read("refused"); got != "" {
		t.Errorf("a new scene begins with %q", got)
	}
}

func TestNarratorCounts(t *testing.T) {
	var out strings.Builder
	n := newNarrator(&out)
	n.Scene(1, &story.Scene{Title: "a story"})
	var began []string
	n.began = func(title string) { began = append(began, title) }
	n.Scene(1, &story.Scene{Title: "another"})
	if diff := cmp.Diff([]string{"another"}, began); diff != "" {
		t.Errorf("who was told (-want +got):\n%s", diff)
	}
	if !strings.Contains(out.String(), "== 2. another") {
		t.Errorf("it is the second scene of all: %q", out.String())
	}
}
