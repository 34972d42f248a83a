package daemon

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/glimpsed/glimpsed/config"
	"github.com/glimpsed/glimpsed/publish/webhook"
)

// Whoever measures a configuration doesn't want those who listen to the daemon to be told of it.
func TestBenchPostsNoEvents(t *testing.T) {
	var posted atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { posted.Add(1) }))
	defer server.Close()
	cfg := tinyConfig(t)
	hook := webhook.DefaultConfig()
	hook.URL = server.URL
	cfg.Webhooks = []config.Webhook{{Config: hook}}
	e := &cfg.Cameras[0].Events
	e.Enter, e.Leave, e.Margin, e.After = 0, 0, 0, 0
	if _, err := Bench(t.Context(), cfg, 20, time.Minute); err != nil {
		t.Fatal(err)
	}
	if n := posted.Load(); n != 0 {
		t.Errorf("%d events were posted", n)
	}
}
