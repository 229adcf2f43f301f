package setup

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/webhook"
)

// drained is a server of webhooks that goes on for a while when its process is told to end. Until then whoever sends the API server here has
// noticed, and each answer closes its connection: one that stays open can be closed by the end of the process just when the API server sends a
// request by it, and that request would be refused.
type drained struct {
	webhook.Server
	ending atomic.Bool
}

// Register implements webhook.Server.
func (d *drained) Register(path string, hook http.Handler) {
	d.Server.Register(path, http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		if d.ending.Load() {
			w.Header().Set("Connection", "close")
		}
		hook.ServeHTTP(w, request)
	}))
}

// drains gives the context of the manager. Whoever asks the manager for its server of webhooks makes it start.
func (p *Process) drains(ctx context.Context) context.Context {
	if !p.parts.Admission {
		return ctx
	}
	server, is := p.Manager.GetWebhookServer().(*drained)
	if !is {
		return ctx
	}
	return server.after(ctx, p.cfg.Webhook.Drain.Duration)
}

// after gives a context that ends a while after another one.
func (d *drained) after(ctx context.Context, while time.Duration) context.Context {
	later, end := context.WithCancelCause(context.WithoutCancel(ctx))
	context.AfterFunc(ctx, func() {
		d.ending.Store(true)
		time.AfterFunc(while, func() { end(context.Cause(ctx)) })
	})
	return later
}
