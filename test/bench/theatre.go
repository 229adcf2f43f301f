package main

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/client-go/rest"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/config"
	"github.com/signoff-dev/signoff/internal/identity"
	"github.com/signoff-dev/signoff/internal/seal"
	"github.com/signoff-dev/signoff/test/env"
	"github.com/signoff-dev/signoff/test/system"
)

// lifePatience bounds how long one request may take.
const lifePatience = time.Minute

// startPatience bounds how long a start may take.
const startPatience = 10 * time.Minute

// everybody is how many requests of one person may be open where one person stands for many.
const everybody = 100_000

// theatre is where requests live, and where the same writes are made by hand.
type theatre struct {
	*stage
	hands
	observer *observer
	audit    auditLog
	host     *httptest.Server
	metrics  string
	scripts  map[string]*recording
	played   atomic.Int64
	executed atomic.Int64
	atStart  float64
	opened   time.Time
}

// recording is the script of one kind of request, with the names that must be replaced in it.
type recording struct {
	script                     script
	request, uid, service, tag string
}

// openTheatre starts a control plane with an audit log and Signoff on it, and waits until that knows the catalog. One person may have so many
// requests open. The caller must call close.
func openTheatre(ctx context.Context, maxOpen int) (*theatre, error) {
	dir, err := os.MkdirTemp("", "signoff-bench-")
	if err != nil {
		return nil, fmt.Errorf("failed to make a folder: %w", err)
	}
	t := &theatre{scripts: map[string]*recording{}, audit: auditLog{path: filepath.Join(dir, "audit.log")}, host: newHost()}
	serve, url, err := withMetrics()
	if err != nil {
		return nil, err
	}
	t.metrics = url
	configure := func(cfg *config.Configuration) {
		serve(cfg)
		callable(t.host, cfg)
		cfg.Requester.MaxOpen = maxOpen
	}
	if t.stage, err = raise(ctx, env.Options{AuditLog: t.audit.path}, system.Options{Configure: configure, Patience: startPatience}); err != nil {
		return nil, err
	}
	t.audit.admin = t.cluster.Admin
	if err := t.open(ctx); err != nil {
		t.close()
		return nil, err
	}
	return t, nil
}

func (t *theatre) close() {
	t.lower()
	t.host.Close()
	_ = os.RemoveAll(filepath.Dir(t.audit.path))
}

func (t *theatre) open(ctx context.Context) error {
	deployer := rest.CopyConfig(t.signoff.Operator)
	deployer.Impersonate.UserName = identity.ServiceAccountUsername(env.CatalogNamespace, "deployer")
	admin, err := as(t.cluster.Admin)
	if err != nil {
		return err
	}
	for client, config := range map[*hand]*rest.Config{
		&t.requester: t.users.Alice.Config, &t.approver: t.users.Bob.Config, &t.operator: t.signoff.Operator, &t.deployer: deployer,
	} {
		if *client, err = as(config); err != nil {
			return err
		}
	}
	for i := range throughputAtOnce {
		for _, service := range []string{serviceName(i), serviceByHand(i)} {
			for _, namespace := range []string{allowedAt, approvedAt} {
				if _, err := admin.Resource(deployments).Namespace(namespace).Create(ctx, newDeployment(service), metav1.CreateOptions{}); err != nil {
					return fmt.Errorf("failed to create a Deployment: %w", err)
				}
			}
		}
	}
	if t.observer, err = observe(ctx, admin); err != nil {
		return err
	}
	if err := t.admitted(ctx); err != nil {
		return err
	}
	t.opened = time.Now()
	return nil
}

// admitted waits until Signoff knows the catalog.
func (t *theatre) admitted(ctx context.Context) error {
	return within(ctx, time.Minute, "requests are admitted", func() (bool, error) {
		_, err := t.live(ctx, allowedAt, 0)
		return err == nil, nil
	})
}

// settle waits until no request that is new can have been taken up by a process before: until then each is looked for among the Records.
func (t *theatre) settle(ctx context.Context) error {
	tell("waiting until what is new needs no look back")
	return pause(ctx, time.Until(t.opened.Add(2*seal.MaxSkew)))
}

func serviceName(i int) string   { return fmt.Sprintf("svc-%04d", i) }
func serviceByHand(i int) string { return fmt.Sprintf("hnd-%04d", i) }

// newDeployment is a target. No controller makes anything of it.
func newDeployment(name string) *unstructured.Unstructured {
	labels := map[string]any{"app": name}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{"name": name},
		"spec": map[string]any{
			"selector": map[string]any{"matchLabels": labels},
			"template": map[string]any{
				"metadata": map[string]any{"labels": labels},
				"spec": map[string]any{"containers": []any{
					map[string]any{"name": "app", "image": "registry/" + name + ":1", "ports": []any{map[string]any{"containerPort": int64(8080)}}},
					map[string]any{"name": "sidecar", "image": "registry/proxy:1"},
				}},
			},
		},
	}}
}

// live plays the life of one request to deploy, and gives how long it took from its creation until the end was seen.
func (t *theatre) live(ctx context.Context, environment string, target int) (time.Duration, error) {
	name, tag := t.next("request")
	return t.follow(ctx, newRequest(v1alpha1.GroupVersion.Group, name, serviceName(target), environment, tag), environment == approvedAt)
}

// follow creates a request, agrees to it where that is needed, and gives how long it took from its creation until the end was seen.
func (t *theatre) follow(ctx context.Context, request *unstructured.Unstructured, asks bool) (time.Duration, error) {
	name := request.GetName()
	life := t.observer.expect(name)
	ctx, cancel := context.WithTimeout(ctx, lifePatience)
	defer cancel()
	begin := time.Now()
	if _, err := t.requester.Resource(ours("actionrequests")).Namespace(env.WorkNamespace).Create(ctx, request, metav1.CreateOptions{}); err != nil {
		return 0, fmt.Errorf("failed to create request %s: %w", name, err)
	}
	if asks {
		if err := t.vote(ctx, life); err != nil {
			return 0, fmt.Errorf("failed to approve request %s: %w", name, err)
		}
	}
	select {
	case <-ctx.Done():
		return 0, fmt.Errorf("request %s did not end: %w: %s", name, ctx.Err(), t.stands(context.WithoutCancel(ctx), name))
	case end := <-life.finished:
		if end.outcome != v1alpha1.OutcomeSucceeded && end.outcome != v1alpha1.OutcomeReverted {
			return 0, fmt.Errorf("request %s ended as %s", name, end.outcome)
		}
		t.executed.Add(1)
		return end.at.Sub(begin), nil
	}
}

// stands tells how a request stands.
func (t *theatre) stands(ctx context.Context, name string) string {
	request, err := t.requester.Resource(ours("actionrequests")).Namespace(env.WorkNamespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return err.Error()
	}
	return text(request.Object["status"])
}

func (t *theatre) vote(ctx context.Context, life *life) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case approval := <-life.approval:
		body := []byte(`{"spec":{"vote":{"decision":"Approve"}}}`)
		_, err := t.approver.Resource(ours("approvals")).Namespace(env.WorkNamespace).Patch(ctx, approval, types.MergePatchType, body, metav1.PatchOptions{})
		return err
	}
}

// next gives names that were not used before: of a request, and of the version to deploy.
func (t *theatre) next(prefix string) (name, tag string) {
	n := t.played.Add(1)
	return fmt.Sprintf("%s-%06d", prefix, n), fmt.Sprintf("1.%06d", n)
}

// byHand makes the writes of the life of one request by hand, and gives how long they took.
func (t *theatre) byHand(ctx context.Context, environment string, target int) (time.Duration, error) {
	r := t.scripts[environment]
	name, tag := t.next("by-hand")
	performance, err := t.prepare(r.script, strings.NewReplacer(
		r.request, name, r.uid, string(uuid.NewUUID()), r.service, serviceByHand(target), r.tag, tag,
		v1alpha1.GroupVersion.String(), theirs("").GroupVersion().String(),
	))
	if err != nil {
		return 0, err
	}
	begin := time.Now()
	err = performance.play(ctx)
	return time.Since(begin), err
}

// rehearse records the script of one kind of request.
func (t *theatre) rehearse(ctx context.Context, environment string) error {
	r := &recording{service: serviceName(0)}
	versions, err := t.observer.record(ctx, func() error {
		_, err := t.live(ctx, environment, 0)
		return err
	})
	if err != nil {
		return err
	}
	for i := range versions {
		if object := versions[i].object; versions[i].added && versions[i].resource == ours("actionrequests") {
			r.request, r.uid = object.GetName(), string(object.GetUID())
			r.tag = "1." + strings.TrimPrefix(r.request, "request-")
		}
	}
	r.script, err = scriptOf(versions)
	t.scripts[environment] = r
	return err
}
