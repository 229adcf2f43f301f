package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"
	watchtools "k8s.io/client-go/tools/watch"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// waitOptions are the flags of `wait`.
type waitOptions struct {
	timeout     time.Duration
	untilActive bool
	// once says not to wait, but to look once.
	once    bool
	outputs *outputs
}

// timeoutFlag adds the flag that bounds a wait. Zero means what it means to kubectl wait.
func timeoutFlag(command *cobra.Command, to *time.Duration, most string) {
	command.Flags().DurationVar(to, "timeout", 0, most+"; 0 looks once, and less than 0 waits for ever, as without it")
}

// looksOnce tells whether somebody gave a timeout of nothing.
func looksOnce(command *cobra.Command, timeout time.Duration) bool {
	return timeout == 0 && command.Flags().Changed("timeout")
}

func (p *Program) wait() *cobra.Command {
	o := &waitOptions{}
	command := &cobra.Command{
		Use:   "wait REQUEST...",
		Short: "Wait until requests are over",
		Long: `Waits until requests are over, however they end, and says on the way what they wait for. The answer goes to the standard output, all else to
the standard error.

A temporary Action is over when what it did has been taken back. With --until-active the wait ends as soon as it is in force, with exit code 0.

The exit code is 0 if all succeeded, or were taken back as planned; 3 if one was denied; 4 if one ended otherwise: it failed, expired or was
cancelled; 5 if one is not over after --timeout, which with 0 is at once; 2 if there is no answer. With several requests it is the highest.`,
		Example: `  kubectl signoff wait -n payments checkout-1-42
  kubectl signoff wait -n payments checkout-1-42 checkout-1-43 --timeout 24h`,
		Args: takes(1, many),
	}
	c := p.connect(command)
	command.RunE = func(cmd *cobra.Command, args []string) error { return p.runWait(cmd, c, args, o) }
	command.ValidArgsFunction = p.completes(c, (*session).openRequests)
	timeoutFlag(command, &o.timeout, "how long to wait at most for all of them")
	command.Flags().BoolVar(&o.untilActive, "until-active", false, "also end when what a temporary Action does is in force")
	o.outputs = outputFlags(command, "")
	return command
}

func (p *Program) runWait(command *cobra.Command, c *connection, words []string, o *waitOptions) error {
	if err := o.outputs.check(true); err != nil {
		return err
	}
	s, err := p.session(command, c)
	if err != nil {
		return err
	}
	o.once = looksOnce(command, o.timeout)
	ctx, cancel := bounded(command.Context(), o.timeout)
	defer cancel()
	names, err := s.allNamed(words, requests)
	if err != nil {
		return err
	}
	// All at once: each is told when it ends, whatever the others do.
	all, watching := &worst{}, sync.WaitGroup{}
	for _, name := range names {
		watching.Go(func() {
			object, err := s.followAloud(ctx, name.namespace, name.name, o)
			s.speaking.Lock()
			defer s.speaking.Unlock()
			if err == nil {
				err = s.tellEnd(object, o.outputs)
			}
			all.of(p, name.String(), err)
		})
	}
	watching.Wait()
	return all.end()
}

func bounded(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	if timeout <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, timeout)
}

// await waits until a request is over, and prints how it ended.
func (s *session) await(ctx context.Context, namespace, name string, o *waitOptions) error {
	ctx, cancel := bounded(ctx, o.timeout)
	defer cancel()
	object, err := s.followAloud(ctx, namespace, name, o)
	if err != nil {
		return err
	}
	return s.tellEnd(object, o.outputs)
}

// followAloud watches a request until it is over, and says on the way what it waits for.
func (s *session) followAloud(ctx context.Context, namespace, name string, o *waitOptions) (*unstructured.Unstructured, error) {
	return s.follow(ctx, &following{session: s, namespace: namespace, request: name, untilActive: o.untilActive, once: o.once, tell: func(f *following) {
		s.speaking.Lock()
		defer s.speaking.Unlock()
		s.say("%s/%s %s", namespace, name, f.state())
	}})
}

// tellEnd prints how a request ended, and gives the exit code that belongs to it.
func (s *session) tellEnd(object *unstructured.Unstructured, o *outputs) error {
	request, err := typedAs[v1alpha1.ActionRequest](object)
	if err != nil {
		return err
	}
	if !o.forPeople() {
		err = s.printObject(o, object, "%s")
	} else {
		err = s.print(outputText, 0, nil, func() string { return endText(request) + "\n" })
	}
	if err != nil {
		return err
	}
	return outcomeOf(request)
}

// endText says how a request ended.
func endText(request *v1alpha1.ActionRequest) string {
	if request.Status.Outcome == "" {
		return strings.TrimSuffix(fmt.Sprintf("%s/%s %s: %s", request.Namespace, request.Name, request.Status.Phase, request.Status.WaitingFor), ": ")
	}
	text := fmt.Sprintf("%s/%s %s", request.Namespace, request.Name, request.Status.Outcome)
	if finished := meta.FindStatusCondition(request.Status.Conditions, v1alpha1.ConditionFinished); finished != nil && finished.Message != "" {
		text += ": " + finished.Message
	}
	return text
}

// outcomeOf gives the exit code that belongs to the end of a request.
func outcomeOf(request *v1alpha1.ActionRequest) error {
	see := fmt.Sprintf("see: kubectl signoff show -n %s %s", request.Namespace, request.Name)
	switch request.Status.Outcome {
	case v1alpha1.OutcomeSucceeded, v1alpha1.OutcomeReverted, "": // one that is active, if that was waited for
		return nil
	case v1alpha1.OutcomeDenied:
		return &ending{exitDenied, see}
	case v1alpha1.OutcomeFailed, v1alpha1.OutcomeExpired, v1alpha1.OutcomeCancelled:
		return &ending{exitEnded, see}
	}
	return fmt.Errorf("the request ended as %q, which this version does not know; %s", request.Status.Outcome, see)
}

// follow watches a request until it is over, and tells on the way whenever its state is news.
func (s *session) follow(ctx context.Context, f *following) (*unstructured.Unstructured, error) {
	for {
		version, err := f.look(ctx)
		if err == nil && !f.over && !f.once {
			err = f.watch(ctx, version)
		}
		switch {
		case err == nil && !f.over:
			return nil, f.notYet()
		case err == nil:
			return f.last, nil
		case apierrors.IsGone(err) || apierrors.IsResourceExpired(err):
			// It was cut off for so long that events are gone: look anew.
			continue
		}
		return nil, f.late(ctx, err)
	}
}

// following is a request that is waited for.
type following struct {
	*session
	namespace, request string
	last               *unstructured.Unstructured
	over               bool
	// untilActive says that what a temporary Action does need not be taken back.
	untilActive bool
	// once says to look, and not to wait.
	once bool
	// told is the state that was told last.
	told string
	tell func(*following)
}

// look reads the request, and gives the version from which on to watch: that of the list, since that of an object may be long gone.
func (f *following) look(ctx context.Context) (string, error) {
	list, err := f.objects.Resource(resourceOf(requests)).Namespace(f.namespace).List(ctx, metav1.ListOptions{FieldSelector: f.selector()})
	if err != nil {
		return "", f.unread(ctx, err, requests, f.namespace, "")
	}
	if len(list.Items) == 0 {
		_, err := f.get(ctx, requests, f.namespace, f.request)
		return list.GetResourceVersion(), err
	}
	f.take(&list.Items[0])
	return list.GetResourceVersion(), nil
}

func (f *following) selector() string {
	return fields.OneTermEqualSelector(metav1.ObjectNameField, f.request).String()
}

// watch looks at every change from a version on, until the request is over.
func (f *following) watch(ctx context.Context, version string) error {
	watcher, err := watchtools.NewRetryWatcherWithContext(ctx, version, f)
	if err != nil {
		return fmt.Errorf("failed to watch: %w", err)
	}
	_, err = watchtools.UntilWithoutRetry(ctx, watcher, f.see)
	return err
}

// WatchWithContext implements cache.WatcherWithContext.
func (f *following) WatchWithContext(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	options.FieldSelector = f.selector()
	return f.objects.Resource(resourceOf(requests)).Namespace(f.namespace).Watch(ctx, options)
}

// listener hears whether watches are answered. The client takes some of those that are not for watches on which nothing happens.
type listener struct {
	*session
	next http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (l *listener) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := l.next.RoundTrip(request)
	if request.URL.Query().Has("watch") && request.Context().Err() == nil {
		l.heard(err == nil && response.StatusCode < http.StatusInternalServerError)
	}
	return response, err
}

// heard says when nobody answers any more, once: what goes on trying says nothing, and people must not take that for a request that waits.
func (s *session) heard(answer bool) {
	s.speaking.Lock()
	defer s.speaking.Unlock()
	if !answer && !s.away {
		s.say("no answer from the API server; still trying")
	}
	s.away = !answer
}

func (f *following) see(event watch.Event) (bool, error) {
	object, ok := event.Object.(*unstructured.Unstructured)
	switch {
	case event.Type == watch.Error:
		return false, fmt.Errorf("failed to watch: %w", apierrors.FromObject(event.Object))
	case event.Type == watch.Deleted:
		return false, errors.New("it was deleted")
	case !ok:
		return false, nil
	}
	f.take(object)
	return f.over, nil
}

// take takes what the request is now, and tells what it waits for when that is news.
func (f *following) take(object *unstructured.Unstructured) {
	f.last = object
	outcome, _, _ := unstructured.NestedString(object.Object, "status", "outcome")
	_, cancelled, _ := unstructured.NestedFieldNoCopy(object.Object, "spec", "cancellation")
	f.over = outcome != "" || f.untilActive && !cancelled && f.phase() == string(v1alpha1.PhaseActive)
	if text := f.state(); !f.over && text != f.told {
		f.told = text
		f.tell(f)
	}
}

// state says in a few words how far the request is.
func (f *following) state() string {
	waiting, _, _ := unstructured.NestedString(f.last.Object, "status", "waitingFor")
	return strings.TrimSuffix(f.phase()+": "+waiting, ": ")
}

func (f *following) phase() string {
	phase, _, _ := unstructured.NestedString(f.last.Object, "status", "phase")
	if phase == "" {
		return string(v1alpha1.PhasePending)
	}
	return phase
}

// notYet says that the request is not over.
func (f *following) notYet() error {
	return &ending{exitTimeout, fmt.Sprintf("not over yet: %s.  Go on: kubectl signoff wait -n %s %s", f.state(), f.last.GetNamespace(), f.last.GetName())}
}

// late says that time ran out, where it did.
func (f *following) late(ctx context.Context, err error) error {
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded) && f.last != nil:
		return f.notYet()
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return &ending{exitTimeout, "there was no time left to look"}
	case ctx.Err() != nil:
		return fmt.Errorf("interrupted; the request goes on")
	}
	return err
}
