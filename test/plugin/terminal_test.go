package plugin

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/utils/clock"

	"github.com/signoff-dev/signoff/internal/cli"
	"github.com/signoff-dev/signoff/test/env"
)

// terminal gives the two ends of a pseudo-terminal: what a person has, and what a program has.
func terminal(t *testing.T) (person, program *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = person.Close() })
	if err := unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(person.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return person, program
}

// onTerminal runs `kubectl signoff` on a terminal, and types lines as a person would. It gives all that the person sees.
func onTerminal(t *testing.T, who env.Person, lines string, args ...string) result {
	t.Helper()
	login(t, who)
	person, program := terminal(t)
	if _, err := io.WriteString(person, lines); err != nil {
		t.Fatal(err)
	}
	seen := make(chan string)
	go func() {
		var screen bytes.Buffer
		// A terminal whose other end was closed ends with an error.
		_, _ = io.Copy(&screen, person)
		seen <- screen.String()
	}()
	command := &cli.Program{IO: genericiooptions.IOStreams{In: program, Out: program, ErrOut: program}, Clock: clock.RealClock{}}
	exit := command.Run(t.Context(), args)
	if err := program.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case screen := <-seen:
		return result{stdout: strings.ReplaceAll(screen, "\r\n", "\n"), exit: exit}
	case <-time.After(10 * time.Second):
		t.Fatal("the terminal did not end")
		return result{}
	}
}

// TestAskedOnATerminal asks only for what is missing, and only a person.
func TestAskedOnATerminal(t *testing.T) {
	inForce(t)
	answer := onTerminal(t, users.Alice, "hello there\n", "request", "platform/note", "level=high", "-n", "payments", "--name", "typed")
	answer.says(t, 0, "what others must know\ntext (string): ", "actionrequest.signoff.dev/typed created")
	if got := inputsOf(t, stored(t, "typed")); got["text"] != "hello there" {
		t.Errorf("it was stored with %v", got)
	}
	// What the schema does not take is asked for again.
	answer = onTerminal(t, users.Alice, strings.Repeat("x", 500)+"\nshorter\n", "request", "platform/note", "level=high", "-n", "payments", "--name", "typed-again")
	answer.says(t, 0, "text: Too long", "actionrequest.signoff.dev/typed-again created")
	if got := inputsOf(t, stored(t, "typed-again")); got["text"] != "shorter" {
		t.Errorf("it was stored with %v", got)
	}
	// In a pipe nobody is asked, and the cluster says what is missing.
	kubectl(t, users.Alice, "hello\n", "request", "platform/note", "-n", "payments").says(t, 1, "spec.inputs.text: Required value")
	answer = onTerminal(t, users.Alice, "no more\n", "cancel", "-n", "payments", "typed")
	answer.says(t, 0, "reason: ", "actionrequest.signoff.dev/typed cancelled")
}

// TestConfirmedOnATerminal asks whether it is what was meant, unless the digest was named.
func TestConfirmedOnATerminal(t *testing.T) {
	asked(t, users.Alice, "confirmed", "text=a", "level=high")
	name := approvalOf(t, "confirmed", "owners").Name
	onTerminal(t, users.Bob, "n\n", "approve", "-n", "payments", name).says(t, 1, "Approve this? [y/N] ", "not confirmed: you did not vote")
	if votes := approvalOf(t, "confirmed", "owners").Spec.Votes; len(votes) > 0 {
		t.Errorf("there are votes: %v", votes)
	}
	onTerminal(t, users.Bob, "y\n", "approve", "-n", "payments", name).says(t, 0, "Approve this? [y/N] ", "approved")
}

// TestDenialOnATerminal asks for the words that the requester reads, as a cancellation does.
func TestDenialOnATerminal(t *testing.T) {
	asked(t, users.Alice, "denied-typed", "text=a", "level=high")
	name := approvalOf(t, "denied-typed", "owners").Name
	onTerminal(t, users.Bob, "\n", "deny", "-n", "payments", name).says(t, 2, "comment: ", "say why with --comment")
	onTerminal(t, users.Bob, "wrong image\nn\n", "deny", "-n", "payments", name).says(t, 1, "Deny this? [y/N] ", "not confirmed: you did not vote")
	onTerminal(t, users.Bob, "wrong image\ny\n", "deny", "-n", "payments", name).says(t, 0, "comment: ", "Deny this? [y/N] ", "approval.signoff.dev/"+name+" denied")
	if votes := approvalOf(t, "denied-typed", "owners").Spec.Votes; len(votes) != 1 || votes[0].Comment != "wrong image" {
		t.Errorf("the votes are %+v", votes)
	}
}

// TestColours are for people who want them.
func TestColours(t *testing.T) {
	asked(t, users.Alice, "colours", "text=a", "level=high")
	show := []string{"show", "-n", "payments", "colours"}
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "")
	onTerminal(t, users.Alice, "", show...).says(t, 0, "payments/colours: \x1b[33m")
	t.Setenv("NO_COLOR", "1")
	plainly := onTerminal(t, users.Alice, "", show...)
	piped := kubectl(t, users.Alice, "", show...)
	if strings.Contains(plainly.stdout+piped.stdout, "\x1b") {
		t.Error("there are colours with NO_COLOR, or in a pipe")
	}
}

// TestInterruptedOnATerminal: whoever interrupts at a question sends nothing.
func TestInterruptedOnATerminal(t *testing.T) {
	asked(t, users.Alice, "not-cancelled", "text=a", "level=high")
	login(t, users.Alice)
	person, program := terminal(t)
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	seen := make(chan string)
	go func() {
		var screen strings.Builder
		part := make([]byte, 256)
		for {
			n, err := person.Read(part)
			if screen.Write(part[:n]); strings.HasSuffix(screen.String(), "reason: ") {
				interrupt()
			}
			if err != nil || strings.HasSuffix(screen.String(), "sent\r\n") {
				seen <- strings.ReplaceAll(screen.String(), "\r\n", "\n")
				return
			}
		}
	}()
	command := &cli.Program{IO: genericiooptions.IOStreams{In: program, Out: program, ErrOut: program}, Clock: clock.RealClock{}}
	ended := make(chan int, 1)
	go func() { ended <- command.Run(ctx, []string{"cancel", "-n", "payments", "not-cancelled"}) }()
	select {
	case exit := <-ended:
		result{stdout: <-seen, exit: exit}.says(t, 2, "reason: \nerror: interrupted: nothing was sent\n")
	case <-time.After(20 * time.Second):
		t.Fatal("it still asks")
	}
	if stored(t, "not-cancelled").Spec.Cancellation != nil {
		t.Error("it was cancelled")
	}
}
