package daemon

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/glimpsed/glimpsed/config"
	"github.com/glimpsed/glimpsed/infer/infertest"
	"github.com/glimpsed/glimpsed/models"
	"github.com/glimpsed/glimpsed/vision"
)

// live is a daemon that runs until the test's end.
type live struct {
	*App
	t *testing.T

	mu      sync.Mutex
	results []vision.Result // guarded by mu
}

// installed puts tiny models into a folder for cfg, which begins with the first.
func installed(t *testing.T, cfg *config.Config, names ...string) {
	t.Helper()
	cfg.Models.Dir = t.TempDir()
	store := models.NewStore(cfg.Models.Dir)
	store.Prove = func(m vision.Model) ([]vision.Golden, error) { return Prove(m, cfg.Infer) }
	for i, name := range names {
		tiny := infertest.TinyClassifier(infertest.TypeUint8)
		tiny.Weights[0] += float32(i) // another file
		path := filepath.Join(t.TempDir(), name+".tflite")
		if err := os.WriteFile(path, tiny.Build(), 0o600); err != nil {
			t.Fatal(err)
		}
		m, err := store.Add(path, name, cfg.Labels)
		if err != nil {
			t.Fatal(err)
		}
		if len(m.Golden) == 0 {
			t.Errorf("model %s was installed without golden answers", name)
		}
	}
	cfg.Model, cfg.Labels = names[0], ""
}

func goLive(t *testing.T, cfg config.Config) *live {
	t.Helper()
	l := &live{t: t}
	app, err := New(cfg, Options{Log: slog.New(slog.DiscardHandler), OnResult: func(r vision.Result) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.results = append(l.results, r)
	}})
	if err != nil {
		t.Fatal(err)
	}
	l.App = app
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- app.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	l.next("")
	return l
}

// next waits for a result that came after the call, with that model if one is named.
func (l *live) next(model string) {
	l.t.Helper()
	l.mu.Lock()
	from := len(l.results)
	l.mu.Unlock()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(time.Millisecond) {
		l.mu.Lock()
		all := l.results
		l.mu.Unlock()
		if len(all) > from+1 && (model == "" || all[len(all)-1].Model.Name == model) {
			return
		}
	}
	l.t.Fatalf("no result with model %q", model)
}

func (l *live) command(name, request string) string {
	return string(l.local.Do(l.t.Context(), name, []byte(request)))
}

// Models change between two frames: no result is missing, none names a model that isn't its own, and nothing of the
// old ones is left behind.
func TestChangingModels(t *testing.T) {
	cfg := tinyConfig(t)
	installed(t, &cfg, "one", "two")
	cfg.Cameras[0].FPS = 200
	cfg.Health.Every = 50 * time.Millisecond
	l := goLive(t, cfg)
	const swaps = 200
	var before usage
	for i := range swaps {
		if i == swaps/4 {
			before = measure(t)
		}
		name := []string{"two", "one"}[i%2]
		if got := l.command("model", `{"model": "`+name+`"}`); got != `{"id":null,"ok":true}` {
			t.Fatal(got)
		}
		l.next(name)
	}
	after := measure(t)
	if grown := after.resident - before.resident; grown > 16<<20 {
		t.Errorf("%d changes took %d MiB", swaps*3/4, grown>>20)
	}
	// Each result on its way to the broker has one: a few more or less. A leak would be one a change, at least.
	if after.goroutines > before.goroutines+swaps/10 || after.openFiles > before.openFiles {
		t.Errorf("from %+v to %+v", before, after)
	}
	l.changing.Lock()
	if len(l.models) != 2 { // the one in use, and health's
		t.Errorf("%d models are open", len(l.models))
	}
	l.changing.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	// OnResult is called by many.
	slices.SortFunc(l.results, func(a, b vision.Result) int { return cmp.Compare(a.Seq, b.Seq) })
	for i, r := range l.results {
		if r.Seq != uint64(i+1) {
			t.Fatalf("result %d has seq %d", i+1, r.Seq)
		}
	}
}

func TestRefusedModels(t *testing.T) {
	cfg := tinyConfig(t)
	installed(t, &cfg, "one", "two")
	l := goLive(t, cfg)
	// A model that is not what it was when it was installed.
	store := models.NewStore(cfg.Models.Dir)
	store.Prove = func(vision.Model) ([]vision.Golden, error) {
		return []vision.Golden{{Picture: "rings", Index: 1, Score: 0.987}}, nil
	}
	if _, err := store.Add(filepath.Join(cfg.Models.Dir, "two.tflite"), "changed", filepath.Join(filepath.Dir(tinyConfig(t).Model), "labels.txt")); err != nil {
		t.Fatal(err)
	}
	for request, want := range map[string]string{
		`{"model": "gone"}`:                    "gone",
		`{"model": "../two.tflite"}`:           `model must be auto or the name of an installed model, got \"../two.tflite\"`,
		`{"model": "/etc/passwd"}`:             "model must be auto or the name of an installed model",
		`{"model": "two", "camera": "cellar"}`: `there is no camera \"cellar\"; there are camera`,
		`{}`:                                   "no model is named",
		`{"model": "changed"}`:                 "of the golden picture rings it says label",
	} {
		if got := l.command("model", request); !strings.Contains(got, want) || !strings.Contains(got, `"ok":false`) {
			t.Errorf("%s: %s", request, got)
		}
	}
	l.next("one")
	if len(l.models) != 1 {
		t.Errorf("%d models are open", len(l.models))
	}
}

// What hasn't changed notices nothing of a reload.
func TestReloadLeavesOthersAlone(t *testing.T) {
	cfg := tinyConfig(t)
	cfg.Cameras[0].FPS = 50
	l := goLive(t, cfg)
	was := l.all()[0].source()
	changed := cfg
	second := cfg.Cameras[0]
	second.Name = "second"
	changed.Cameras = append([]config.Camera{second}, cfg.Cameras...)
	changed.Cameras[1].FPS = 25
	changed.Stats.Every = time.Minute
	changed.Webhooks = []config.Webhook{{}}
	changed.Webhooks[0].URL, changed.Webhooks[0].Types, changed.Webhooks[0].Timeout = "http://127.0.0.1:9", []string{"start"}, time.Second
	if err := l.Reload(t.Context(), changed); err != nil {
		t.Fatal(err)
	}
	all := l.all()
	if len(all) != 2 || all[1].source() != was || was.FPS() != 25 {
		t.Errorf("%d cameras, the old one at %v", len(all), was.FPS())
	}
	l.next("")
	if err := l.Reload(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	if all := l.all(); len(all) != 1 || all[0].source() != was || len(l.webhooks.list()) != 0 {
		t.Errorf("%d cameras, %d webhooks", len(all), len(l.webhooks.list()))
	}
	// A command's change lasts until the configuration says otherwise.
	if got := l.command("set", `{"fps": 10}`); !strings.Contains(got, `"ok":true`) {
		t.Error(got)
	}
	if err := l.Reload(t.Context(), cfg); err != nil || was.FPS() != 10 {
		t.Errorf("%v, fps %v", err, was.FPS())
	}
	l.next("")
	for _, change := range []func(*config.Config){
		func(c *config.Config) { c.Device = "hall" },
		func(c *config.Config) { c.MQTT.QoS = 2 },
		func(c *config.Config) { c.MQTT.Commands = "off" },
		func(c *config.Config) { c.HomeAssistant.Enabled = true },
		func(c *config.Config) { c.Broker.Username = "me" },
	} {
		other := cfg
		change(&other)
		if err := l.Reload(t.Context(), other); err == nil || !strings.Contains(fmt.Sprint(err), "a new connection is needed") {
			t.Errorf("got %v", err)
		}
	}
}
