package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"

	"github.com/signoff-dev/signoff/internal/identity"

	"github.com/signoff-dev/signoff/internal/config"
)

// calls is what the API server was asked in a time, by the people of a request and by the operator.
type calls struct{ writes, reads, lists, watches, conflicts int }

// auditLog is the file to which the API server writes one line per answered request.
type auditLog struct {
	path   string
	offset int64
	admin  *rest.Config
	marks  int
}

// between gives what was asked since the last call of it.
func (l *auditLog) between(ctx context.Context) (calls, error) {
	text, err := l.read(ctx)
	if err != nil {
		return calls{}, err
	}
	return tally(text)
}

// read gives the new lines. A line is written at the end of a request, which may be after its answer has arrived: the log is
// complete when it holds a request that was sent later, and has not grown for a while.
func (l *auditLog) read(ctx context.Context) ([]byte, error) {
	mark, err := l.mark(ctx)
	if err != nil {
		return nil, err
	}
	var text []byte
	size := -1
	err = within(ctx, 30*time.Second, "the audit log is complete", func() (bool, error) {
		if text, err = l.rest(); err != nil {
			return false, err
		}
		grown := len(text) != size
		size = len(text)
		if grown || !bytes.Contains(text, []byte(mark)) {
			return false, pause(ctx, 500*time.Millisecond)
		}
		return true, nil
	})
	l.offset += int64(len(text))
	return text, err
}

// mark sends a request that can be found in the log.
func (l *auditLog) mark(ctx context.Context) (string, error) {
	l.marks++
	mark := fmt.Sprintf("bench-mark-%d", l.marks)
	client, err := discovery.NewDiscoveryClientForConfig(l.admin)
	if err != nil {
		return "", fmt.Errorf("failed to make a client: %w", err)
	}
	_, err = client.RESTClient().Get().AbsPath("/version").Param("mark", mark).DoRaw(ctx)
	return mark, err
}

func (l *auditLog) rest() ([]byte, error) {
	file, err := os.Open(l.path)
	if err != nil {
		return nil, fmt.Errorf("failed to open the audit log: %w", err)
	}
	defer func() { _ = file.Close() }()
	if _, err := file.Seek(l.offset, io.SeekStart); err != nil {
		return nil, fmt.Errorf("failed to read the audit log: %w", err)
	}
	return io.ReadAll(file)
}

// counted are the users whose requests count. The administrator only prepares and watches.
var counted = []string{
	"alice", "bob", identity.ServiceAccountUsername(config.DefaultNamespace, config.DefaultServiceAccount),
}

// uncounted are resources that cost the same whether there are requests or not, or that are told and forgotten.
var uncounted = []string{"events", "leases"}

// tally counts the requests in a piece of the log.
func tally(text []byte) (calls, error) {
	var c calls
	scanner := bufio.NewScanner(bytes.NewReader(text))
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		event := &auditv1.Event{}
		if err := json.Unmarshal(scanner.Bytes(), event); err != nil {
			return c, fmt.Errorf("failed to decode the audit log: %w", err)
		}
		if event.ObjectRef != nil && slices.Contains(counted, event.User.Username) && !slices.Contains(uncounted, event.ObjectRef.Resource) {
			c.add(event)
		}
	}
	return c, scanner.Err()
}

func (c *calls) add(event *auditv1.Event) {
	if event.ObjectRef.APIGroup == "authorization.k8s.io" || strings.Contains(event.RequestURI, "dryRun=All") {
		// A review or a dry run is a question: nothing is stored.
		c.reads++
		return
	}
	switch event.Verb {
	case "create", "update", "patch", "delete", "deletecollection":
		c.writes++
	case "get":
		c.reads++
	case "list":
		c.lists++
	case "watch":
		c.watches++
	}
	if event.ResponseStatus != nil && event.ResponseStatus.Code == http.StatusConflict {
		c.conflicts++
	}
}

// results gives the calls per request.
func (c calls) results(kind string, requests int) []Result {
	var results []Result
	for _, item := range []struct {
		name  string
		count int
	}{{"writes", c.writes}, {"reads", c.reads}, {"lists", c.lists}, {"watches", c.watches}, {"conflicts", c.conflicts}} {
		results = append(results, Result{strings.Join([]string{"lifecycle/", item.name, "-", kind}, ""), float64(item.count) / float64(requests), count})
	}
	return results
}
