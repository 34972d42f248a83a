package daemon

import (
	"context"
	"log/slog"
	"reflect"
	"slices"
	"sync"

	"github.com/glimpsed/glimpsed/capture"
	"github.com/glimpsed/glimpsed/config"
	"github.com/glimpsed/glimpsed/publish"
	"github.com/glimpsed/glimpsed/publish/webhook"
)

// hooks are the webhooks in force, as one publish.Publisher.
type hooks struct {
	log *slog.Logger

	mu  sync.Mutex
	all []*hook // guarded by mu; the list itself is never changed
}

type hook struct {
	*webhook.Publisher
	cfg config.Webhook
	run *crew // nil until serve
}

// set has the webhooks be those of cfgs. What one that is gone still had to tell is given up; the others go on.
func (h *hooks) set(cfgs []config.Webhook) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var next []*hook
	for _, cfg := range cfgs {
		i := slices.IndexFunc(h.all, func(old *hook) bool {
			return reflect.DeepEqual(old.cfg, cfg) && !slices.Contains(next, old)
		})
		if i >= 0 {
			next = append(next, h.all[i])
		} else {
			next = append(next, &hook{Publisher: webhook.New(cfg.Config, h.log), cfg: cfg})
		}
	}
	for _, old := range h.all {
		if !slices.Contains(next, old) {
			h.log.Info("a webhook is not told of events any more", "webhook", capture.Redact(old.cfg.URL))
			old.run.dismiss(0)
		}
	}
	h.all = next
}

// serve has those deliver that don't yet, until ctx ends.
func (h *hooks) serve(ctx context.Context, failed func(error)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, one := range h.all {
		if one.run == nil {
			one.run = muster(ctx, failed, one.Run)
		}
	}
}

// list is the webhooks in force.
func (h *hooks) list() []*hook {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.all
}

// Publish implements publish.Publisher.
func (h *hooks) Publish(ctx context.Context, m publish.Message) (publish.Ack, error) {
	if m.Kind != publish.KindEvent {
		return publish.Completed(nil), nil
	}
	return h.fanout().Publish(ctx, m)
}

// Close implements publish.Publisher.
func (h *hooks) Close(ctx context.Context) error { return h.fanout().Close(ctx) }

func (h *hooks) fanout() publish.Fanout {
	var to publish.Fanout
	for _, one := range h.list() {
		to = append(to, one.Publisher)
	}
	return to
}

// faults are why events don't arrive.
func (h *hooks) faults() []string {
	var out []string
	for _, one := range h.list() {
		if fault := one.Fault(); fault != "" {
			out = append(out, fault)
		}
	}
	return out
}

// done has a channel for each that runs, closed when it has ended.
func (h *hooks) done() []<-chan struct{} {
	var out []<-chan struct{}
	for _, one := range h.list() {
		if one.run != nil {
			out = append(out, one.run.done)
		}
	}
	return out
}
