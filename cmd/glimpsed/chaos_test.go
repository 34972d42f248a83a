package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/glimpsed/glimpsed/publish/broker"
)

// chaosFPS is the daemon's results a second; chaosLoss is what mode offline may lose at the end of a killed run: what
// the broker had a second for, what waits for the disk, and a busy machine's delays.
const (
	chaosFPS  = 20
	chaosLoss = 4 * chaosFPS
)

// TestChaos kills and cuts what there is in a random order and looks whether every result arrives.
// GLIMPSED_TEST_CHAOS is the number of faults, GLIMPSED_TEST_SEED repeats an order.
func TestChaos(t *testing.T) {
	m := newTiny(t)
	cycles := envNumber(t, "GLIMPSED_TEST_CHAOS", 50)
	seed := envNumber(t, "GLIMPSED_TEST_SEED", uint64(time.Now().UnixNano()))
	t.Logf("GLIMPSED_TEST_SEED=%d repeats the order of faults", seed)
	for i, c := range []struct {
		name, mode string
		mosquitto  bool
		share      uint64 // of ten faults
	}{{"mosquitto, always", "always", true, 4}, {"mosquitto, offline", "offline", true, 4}, {"mochi, offline", "offline", false, 2}} {
		t.Run(c.name, func(t *testing.T) {
			w := newChaos(t, m, c.mode, c.mosquitto, rand.New(rand.NewPCG(seed, uint64(i))))
			for range max(cycles*c.share/10, 1) {
				w.fault()
			}
			w.check()
		})
	}
}

func envNumber(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	s := os.Getenv(name)
	if s == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// chaos is a daemon, a broker with a subscriber that forgets nothing, and a proxy between the two that can be spoiled.
type chaos struct {
	t      *testing.T
	rng    *rand.Rand
	m      tiny
	mode   string
	state  string // the daemon's state directory
	proxy  toxiproxy
	daemon *process
	runs   []ending
	// restart ends the broker in order and starts it again; nil where its queues would be lost.
	restart func()

	mu  sync.Mutex
	got []result // guarded by mu
}

// ending is how one process of the daemon ended.
type ending struct {
	id      string
	results uint64 // that it printed
	killed  bool
}

func newChaos(t *testing.T, m tiny, mode string, mosquitto bool, rng *rand.Rand) *chaos {
	t.Helper()
	w := &chaos{t: t, rng: rng, m: m, mode: mode, state: t.TempDir()}
	url := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	if mosquitto {
		w.restart = startDurableMosquitto(t, url)
	} else {
		b, err := broker.Start(broker.Config{Listen: url}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { b.Close() })
	}
	w.subscribe("tcp://" + url)
	w.proxy = startToxiproxy(t, url)
	w.start()
	return w
}

// startDurableMosquitto runs a broker that keeps its queues over a restart.
func startDurableMosquitto(t *testing.T, address string) (restart func()) {
	t.Helper()
	bin := mosquitto(t)
	dir := t.TempDir()
	conf := filepath.Join(dir, "mosquitto.conf")
	_, port, _ := strings.Cut(address, ":")
	write(t, conf, fmt.Appendf(nil, "listener %s 127.0.0.1\nallow_anonymous true\nuser root\nmax_queued_messages 0\n"+
		"persistence true\npersistence_location %s/\n", port, dir))
	var cmd *exec.Cmd
	begin := func() {
		cmd = exec.Command(bin, "-c", conf)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
	}
	begin()
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		begin()
	}
}

// subscribe collects results with a session that outlives connections.
func (w *chaos) subscribe(url string) {
	w.t.Helper()
	o := paho.NewClientOptions().AddBroker(url).SetClientID("shelf").SetCleanSession(false).SetResumeSubs(true).
		SetConnectRetry(true).SetConnectRetryInterval(50 * time.Millisecond).SetMaxReconnectInterval(200 * time.Millisecond)
	o.SetDefaultPublishHandler(func(_ paho.Client, m paho.Message) {
		var r result
		if err := json.Unmarshal(m.Payload(), &r); err != nil {
			w.t.Errorf("%s: %q: %v", m.Topic(), m.Payload(), err)
			return
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		w.got = append(w.got, r)
	})
	c := paho.NewClient(o)
	if token := c.Connect(); !token.WaitTimeout(patience) || token.Error() != nil {
		w.t.Fatal(token.Error())
	}
	if token := c.Subscribe("glimpsed/porch/front/result", 1, nil); !token.WaitTimeout(patience) || token.Error() != nil {
		w.t.Fatal(token.Error())
	}
	w.t.Cleanup(func() { c.Disconnect(100) })
}

// start starts a daemon.
func (w *chaos) start() {
	w.t.Helper()
	w.daemon = start(w.t, []string{"STATE_DIRECTORY=" + w.state}, append([]string{"run", "--print", "--set", "device=porch",
		"--set", "mqtt.broker=tcp://" + w.proxy.listen, "--set", "mqtt.outbox.mode=" + w.mode,
		"--set", "mqtt.outbox.sync=" + map[string]string{"always": "0s", "offline": "500ms"}[w.mode],
		"--set", "mqtt.keep_alive=1s", "--set", "mqtt.connect_timeout=1s", "--set", "mqtt.retry_max=200ms",
		"--set", "cameras[0].name=front", "--set", "cameras[0].source=pattern:64x48", "--set", fmt.Sprintf("cameras[0].fps=%d", chaosFPS)},
		w.m.settings()...)...)
	w.daemon.find(w.daemon.out, `(  invoke )`) // the first result
}

// end ends the daemon and notes what it had done.
func (w *chaos) end(s syscall.Signal) {
	w.t.Helper()
	if err := w.daemon.cmd.Process.Signal(s); err != nil {
		w.t.Fatal(err)
	}
	w.daemon.wait()
	w.runs = append(w.runs, ending{
		id:      w.daemon.find(w.daemon.log, `run_id=(\w+)`),
		results: uint64(strings.Count(w.daemon.out(), "  invoke ")),
		killed:  s == syscall.SIGKILL,
	})
}

func (w *chaos) pause(least, most time.Duration) {
	time.Sleep(least + time.Duration(w.rng.Int64N(int64(most-least))))
}

// fault does one thing that goes wrong in the world.
func (w *chaos) fault() {
	w.t.Helper()
	const ms = time.Millisecond
	w.pause(0, 400*ms)
	switch w.rng.IntN(6) {
	case 0: // the network is gone
		w.proxy.set(map[string]any{"enabled": false})
		w.pause(50*ms, 1500*ms)
		w.proxy.set(map[string]any{"enabled": true})
	case 1: // it swallows everything
		w.proxy.spoil("timeout", map[string]any{"timeout": 0})
		w.pause(500*ms, 3000*ms)
		w.proxy.mend()
	case 2: // it is slow
		w.proxy.spoil("latency", map[string]any{"latency": 100 + w.rng.IntN(900), "jitter": 100})
		w.pause(200*ms, 1500*ms)
		w.proxy.mend()
	case 3:
		if w.restart != nil {
			w.restart()
		}
	case 4:
		w.end(syscall.SIGKILL)
		w.start()
	case 5:
		w.end(syscall.SIGTERM)
		w.start()
	}
}

// check looks whether everything arrived that had to, and in which order.
func (w *chaos) check() {
	w.t.Helper()
	w.end(syscall.SIGTERM)
	w.start() // for what waits
	var missing []string
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		if missing = w.missing(); len(missing) == 0 {
			break
		}
		if time.Now().After(end) {
			w.t.Fatalf("never arrived: %s", strings.Join(missing, "; "))
		}
	}
	total := uint64(0)
	for _, r := range w.runs {
		total += r.results
		w.checkOrder(r.id)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.t.Logf("%d processes printed %d results; %d messages arrived", len(w.runs), total, len(w.got))
}

// missing says which results are not there that must be.
func (w *chaos) missing() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	arrived := map[string]map[uint64]bool{}
	for _, r := range w.got {
		if arrived[r.RunID] == nil {
			arrived[r.RunID] = map[uint64]bool{}
		}
		arrived[r.RunID][r.Seq] = true
	}
	var out []string
	for _, r := range w.runs {
		must := r.results
		if r.killed && w.mode != "always" {
			must = max(must, chaosLoss) - chaosLoss
		}
		var gaps []uint64
		for seq := uint64(1); seq <= must; seq++ {
			if !arrived[r.id][seq] {
				gaps = append(gaps, seq)
			}
		}
		if len(gaps) > 0 {
			out = append(out, fmt.Sprintf("%d of %d of run %s (killed: %v), from %d to %d", len(gaps), r.results, r.id, r.killed, gaps[0], gaps[len(gaps)-1]))
		}
	}
	return out
}

// checkOrder checks that first arrivals are what is new, in order, mixed with what has waited, in order:
// then no three of them go down.
func (w *chaos) checkOrder(id string) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	seen := map[uint64]bool{}
	var newest, waited uint64
	for _, r := range w.got {
		if r.RunID != id || seen[r.Seq] {
			continue
		}
		seen[r.Seq] = true
		switch {
		case r.Seq > newest:
			newest = r.Seq
		case r.Seq > waited:
			waited = r.Seq
		default:
			w.t.Errorf("run %s: result %d arrived first after %d of what had waited and %d of what was new", id, r.Seq, waited, newest)
			return
		}
	}
}

// toxiproxy is a proxy of that name, run as a process and told what to do by its API.
type toxiproxy struct {
	t      *testing.T
	api    string
	listen string
}

func startToxiproxy(t *testing.T, upstream string) toxiproxy {
	t.Helper()
	path, err := exec.Command("go", "tool", "-modfile=../../tools/toxiproxy/go.mod", "-n", "server").Output()
	if err != nil {
		t.Fatalf("getting toxiproxy: %v", err)
	}
	port := freePort(t)
	cmd := exec.Command(strings.TrimSpace(string(path)), "-host", "127.0.0.1", "-port", fmt.Sprint(port))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	p := toxiproxy{t: t, api: fmt.Sprintf("http://127.0.0.1:%d", port), listen: "127.0.0.1:0"}
	eventually(t, "toxiproxy", func() bool {
		r, err := http.Get(p.api + "/version")
		if err != nil {
			return false
		}
		r.Body.Close()
		return true
	})
	var made struct{ Listen string }
	if err := json.Unmarshal(p.post("/proxies", map[string]any{"name": "mqtt", "listen": p.listen, "upstream": upstream, "enabled": true}), &made); err != nil {
		t.Fatal(err)
	}
	p.listen = made.Listen
	return p
}

// post asks for something, again if toxiproxy is too busy, and returns the answer.
func (p toxiproxy) post(path string, body any) []byte {
	p.t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		p.t.Fatal(err)
	}
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		r, err := http.Post(p.api+path, "application/json", bytes.NewReader(b))
		if err != nil {
			p.t.Fatal(err)
		}
		answer, err := io.ReadAll(r.Body)
		r.Body.Close()
		switch {
		case err == nil && (r.StatusCode < 300 || r.StatusCode == http.StatusConflict): // done now, or by an attempt before
			return answer
		case r.StatusCode >= 500 && time.Now().Before(end): // also where somebody has the port for a moment
		default:
			p.t.Fatalf("toxiproxy %s: %s %s (%v)", path, r.Status, answer, err)
		}
	}
}

func (p toxiproxy) set(state map[string]any) { p.t.Helper(); p.post("/proxies/mqtt", state) }

// spoil lets a toxic loose on both directions.
func (p toxiproxy) spoil(kind string, attributes map[string]any) {
	p.t.Helper()
	for _, stream := range []string{"upstream", "downstream"} {
		p.post("/proxies/mqtt/toxics", map[string]any{"name": stream, "type": kind, "stream": stream, "attributes": attributes})
	}
}

// mend takes all toxics away.
func (p toxiproxy) mend() { p.t.Helper(); p.post("/reset", map[string]any{}) }
