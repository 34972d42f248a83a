package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/glimpsed/glimpsed/infer/infertest"
)

// household is a daemon with a configuration file that the test edits.
type household struct {
	t             *testing.T
	m             tiny
	file, state   string
	broker, model string // URL, file
	*process
	s *subscriber
}

// config writes the file: cameras by name with their keys, then more of it.
func (h *household) config(more string, cameras ...string) {
	h.t.Helper()
	text := fmt.Sprintf("device: porch\nmqtt: {broker: %q, commands: all}\nmodel: %s\nlabels: %s\ninfer: {library: %s, threads: 1}\n%s\ncameras:\n",
		h.broker, h.model, h.m.labels, h.m.library, more)
	for _, c := range cameras {
		text += "  - {" + c + "}\n"
	}
	write(h.t, h.file, []byte(text))
}

const (
	front = "name: front, source: 'pattern:320x240', fps: 20"
	back  = "name: back, source: 'pattern:160x120', fps: 20"
)

func newHousehold(t *testing.T) *household {
	t.Helper()
	h := &household{t: t, m: newTiny(t)}
	dir := t.TempDir()
	h.file, h.state, h.model = filepath.Join(dir, "glimpsed.yaml"), filepath.Join(dir, "state"), h.m.model
	h.broker, _ = startMosquitto(t, 0)
	h.s = subscribe(t, h.broker)
	return h
}

func (h *household) start(args ...string) {
	h.t.Helper()
	h.process = start(h.t, []string{"STATE_DIRECTORY=" + h.state}, append([]string{"run", "-c", h.file}, args...)...)
}

// reload has the daemon take the file on, by the command, and returns what that printed and its exit code.
func (h *household) reload() (string, int) {
	h.t.Helper()
	p := start(h.t, []string{"STATE_DIRECTORY=" + h.state}, "config", "reload", "-c", h.file)
	code := p.wait()
	return p.out() + p.log(), code
}

// more waits for a result of a camera after those that there are.
func (h *household) more(camera string) result {
	h.t.Helper()
	topic := "glimpsed/porch/" + camera + "/result"
	before := len(h.s.on(topic))
	eventually(h.t, "a result of "+camera, func() bool { return len(h.s.on(topic)) > before+1 })
	rs := results(h.t, h.s.on(topic))
	return rs[len(rs)-1]
}

// diagnostics are the newest problems.
func (h *household) diagnostics() string {
	all := h.s.on("glimpsed/porch/diagnostics")
	if len(all) == 0 {
		return ""
	}
	var d struct {
		Problems []struct{ What string }
	}
	if err := json.Unmarshal([]byte(all[len(all)-1]), &d); err != nil {
		h.t.Fatal(err)
	}
	var out []string
	for _, p := range d.Problems {
		out = append(out, p.What)
	}
	return strings.Join(out, "\n")
}

func (h *household) problem(want string) {
	h.t.Helper()
	eventually(h.t, "a problem with "+want, func() bool { return strings.Contains(h.diagnostics(), want) })
}

// A changed configuration is taken on while the broker sees one daemon that is never gone, and no result is missing.
func TestReload(t *testing.T) {
	h := newHousehold(t)
	h.config("", front)
	h.start()
	first := h.more("front")

	h.config("", front, back)
	if out, code := h.reload(); code != exitDone || !strings.Contains(out, "the configuration is in force") {
		t.Fatalf("exit code %d: %s", code, out)
	}
	h.more("back")
	h.more("front")
	h.s.last(t, "glimpsed/porch/back/status", "online")

	// By the signal; what the camera looks at has changed, and its thresholds.
	h.config("stats: {every: 1s}", strings.Replace(front, "320x240", "400x300", 1)+", events: {enter: 0.35}", back)
	if err := h.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a result of the other picture", func() bool {
		rs := h.s.on("glimpsed/porch/front/result")
		return strings.Contains(rs[len(rs)-1], `"width":400`)
	})
	eventually(t, "stats", func() bool { return len(h.s.on("glimpsed/porch/stats")) > 0 })
	eventually(t, "the settings", func() bool {
		all := h.s.on("glimpsed/porch/front/settings")
		return strings.Contains(all[len(all)-1], `"enter":0.35`)
	})

	// A camera that is gone leaves nothing behind.
	h.config("", front)
	if out, code := h.reload(); code != exitDone {
		t.Fatalf("exit code %d: %s", code, out)
	}
	h.s.last(t, "glimpsed/porch/back/status", "")
	late := subscribe(t, h.broker)
	late.last(t, "glimpsed/porch/status", "online")
	last := h.more("front")
	for _, kind := range []string{"status", "diagnostics", "state", "settings"} {
		if got := late.on("glimpsed/porch/back/" + kind); len(got) > 0 {
			t.Errorf("the broker still has back/%s: %s", kind, got)
		}
	}
	if first.RunID != last.RunID {
		t.Error("the daemon was started anew")
	}
	rs := results(t, h.s.on("glimpsed/porch/front/result"))
	consecutive(t, rs)
	if got := h.s.on("glimpsed/porch/status"); !slices.Equal(slices.Compact(got), []string{"online"}) {
		t.Errorf("the daemon's status was %s", got)
	}
}

// A camera that went while the daemon was away leaves nothing behind either.
func TestCameraGoneBetweenRuns(t *testing.T) {
	h := newHousehold(t)
	h.config("", front, back)
	h.start()
	h.more("back")
	_ = h.cmd.Process.Kill()
	<-h.ended
	h.config("", front)
	h.start()
	h.s.last(t, "glimpsed/porch/back/status", "")
	h.s.last(t, "glimpsed/porch/back/settings", "")
	h.more("front")
	h.s.last(t, "glimpsed/porch/front/status", "online")
}

// What can't be used is refused with its reasons, and everything goes on.
func TestReloadRefused(t *testing.T) {
	h := newHousehold(t)
	h.config("", front)
	h.start()
	first := h.more("front")
	refused := func(wantCode int, want string) {
		t.Helper()
		out, code := h.reload()
		if code != wantCode || !strings.Contains(out, want) {
			t.Errorf("exit code %d, want %d, and %q in: %s", code, wantCode, want, out)
		}
		h.more("front")
	}
	// The command finds some itself.
	h.config("", front+", rotate: 45")
	refused(exitConfig, "cameras[0].rotate: must be 0, 90, 180 or 270")
	// The daemon meets them when nobody asked before.
	if err := h.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	h.problem("configuration: refused: " + h.file)
	h.problem("cameras[0].rotate: must be 0, 90, 180 or 270")
	h.problem("the one before is in force")
	// Others show only when they are tried.
	h.model = filepath.Join(t.TempDir(), "gone.tflite")
	h.config("", front, back)
	refused(exitFailed, "gone.tflite: there is no such file")
	h.problem("gone.tflite: there is no such file")
	h.model = filepath.Join(t.TempDir(), "constant.tflite")
	write(t, h.model, constantModel())
	h.config("", front)
	refused(exitFailed, "it says the same of every picture")

	h.model = h.m.model
	h.config("", front)
	refused(exitDone, "the configuration is in force")
	eventually(t, "the problem to be gone", func() bool { return h.diagnostics() == "" })
	rs := results(t, h.s.on("glimpsed/porch/front/result"))
	consecutive(t, rs)
	if rs[len(rs)-1].RunID != first.RunID {
		t.Error("the daemon was started anew")
	}
}

// Another broker is another connection: the daemon says goodbye here and goes on there.
func TestReloadWithAnotherBroker(t *testing.T) {
	h := newHousehold(t)
	h.config("", front)
	h.start()
	h.more("front")
	old := h.s
	h.broker, _ = startMosquitto(t, 0)
	h.s = subscribe(t, h.broker)
	h.config("", front)
	if out, code := h.reload(); code != exitDone || !strings.Contains(out, "a new connection is needed: mqtt changed") {
		t.Fatalf("exit code %d: %s", code, out)
	}
	old.last(t, "glimpsed/porch/status", "offline")
	h.more("front")
	h.s.last(t, "glimpsed/porch/status", "online")

	// What can't be had is given up for what there was.
	blocked, _ := startMosquitto(t, 0)
	port := blocked[strings.LastIndex(blocked, ":")+1:]
	before := h.broker
	h.broker = ""
	h.config("broker: {listen: '127.0.0.1:"+port+"'}", front)
	if out, code := h.reload(); code != exitDone {
		t.Fatalf("exit code %d: %s", code, out)
	}
	h.broker = before
	h.problem("the one before is in force")
	h.problem(port)
	h.more("front")
}

// A file that is watched is taken on by itself.
func TestReloadByWatching(t *testing.T) {
	h := newHousehold(t)
	h.config("reload: {watch: true}", front)
	h.start()
	h.more("front")
	h.config("reload: {watch: true}", front, back)
	h.more("back")
}

// The last configuration that worked is what a broken one is replaced by, at a start too.
func TestLastGood(t *testing.T) {
	h := newHousehold(t)
	write(t, filepath.Join(filepath.Dir(h.file), "secret"), []byte("s3cret\n"))
	h.config("broker: {password_file: secret, username: me}\nwebhooks: [{url: 'http://127.0.0.1:9/', secret: inline}]", front)
	h.start("--last-good", "--set", "cameras[0].fps=15")
	h.more("front")
	kept := filepath.Join(h.state, "last-good.yaml")
	eventually(t, "the configuration to be kept", func() bool { return exists(kept) })
	data, err := os.ReadFile(kept)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(data), "s3cret") || !strings.Contains(string(data), "inline") {
		t.Errorf("secrets from files stay there, others are kept:\n%s", data)
	}
	if info, err := os.Stat(kept); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("it is %v, %v", info.Mode(), err)
	}
	_ = h.cmd.Process.Signal(syscall.SIGTERM)
	h.wait()

	write(t, h.file, []byte("cameras: [{name: front, fps: fast}]\n"))
	h.start()
	if code := h.wait(); code != exitConfig || !strings.Contains(h.process.log(), "cameras[0].fps") {
		t.Errorf("without --last-good the exit code is %d: %s", code, h.process.log())
	}
	h.start("--last-good")
	h.more("front")
	h.problem("cameras[0].fps")
	h.problem("the last one that worked is in force, of 20")
	settings := h.s.on("glimpsed/porch/front/settings")
	if last := settings[len(settings)-1]; !strings.Contains(last, `"fps":15`) {
		t.Errorf("what the command line said was lost: %s", last)
	}

	h.config("", front)
	if out, code := h.reload(); code != exitDone {
		t.Fatalf("exit code %d: %s", code, out)
	}
	eventually(t, "the problem to be gone", func() bool { return h.diagnostics() == "" })
	_ = h.cmd.Process.Signal(syscall.SIGTERM)
	if code := h.wait(); code != exitDone {
		t.Errorf("exit code %d", code)
	}

	// Without one that worked there is nothing to fall back on.
	write(t, h.file, []byte("cameras: [{name: front, fps: fast}]\n"))
	if err := os.Remove(kept); err != nil {
		t.Fatal(err)
	}
	h.start("--last-good")
	if code := h.wait(); code != exitConfig || !strings.Contains(h.process.log(), "there is none yet") {
		t.Errorf("exit code %d: %s", code, h.process.log())
	}
}

// restart starts the process anew under its own number, and what was set with keep is still set.
func TestRestartKeepsSettings(t *testing.T) {
	h := newHousehold(t)
	h.config("", front, back)
	h.start()
	first := h.more("front")
	a := newAsker(t, h.broker, h.s)
	for name, args := range map[string]string{"set": `"camera": "front", "fps": 7, "enter": 0.6, "keep": true`, "pause": `"camera": "back"`} {
		if got := a.ask(name, args); !got.OK {
			t.Fatalf("%s: %+v", name, got)
		}
	}
	if got := a.ask("restart", ""); !got.OK {
		t.Fatalf("%+v", got)
	}
	eventually(t, "another run", func() bool {
		rs := results(t, h.s.on("glimpsed/porch/front/result"))
		return rs[len(rs)-1].RunID != first.RunID
	})
	h.s.last(t, "glimpsed/porch/status", "online")
	settings := h.s.on("glimpsed/porch/front/settings")
	if last := settings[len(settings)-1]; !strings.Contains(last, `"fps":7,"enter":0.6`) {
		t.Errorf("the settings are %s", last)
	}
	h.more("back") // it was paused without keep
	select {
	case <-h.ended:
		t.Error("the process ended")
	default:
	}
	if got := a.ask("reload", ""); !got.OK {
		t.Errorf("%+v", got)
	}
}

// A reload and a restart are no end: after STOPPING=1 systemd would wait for the process to go, and kill it.
func TestSystemdIsToldOfReloads(t *testing.T) {
	h := newHousehold(t)
	manager := newSystemd(t)
	h.config("", front)
	h.process = start(t, []string{"STATE_DIRECTORY=" + h.state, "NOTIFY_SOCKET=" + manager.socket}, "run", "-c", h.file)
	h.more("front")
	ready := func(n int) {
		t.Helper()
		eventually(t, fmt.Sprintf("READY=1 the %d. time", n), func() bool { return manager.count("READY=1") >= n })
	}
	h.config("", front, back)
	if out, code := h.reload(); code != exitDone { // in place
		t.Fatalf("exit code %d: %s", code, out)
	}
	ready(2)
	h.config("homeassistant: {enabled: true}", front)
	if out, code := h.reload(); code != exitDone { // another connection
		t.Fatalf("exit code %d: %s", code, out)
	}
	ready(3)
	h.more("front")
	newAsker(t, h.broker, h.s).ask("restart", "")
	ready(4)
	h.more("front")
	if n := manager.count("STOPPING=1"); n != 0 {
		t.Errorf("STOPPING=1 was sent %d times", n)
	}
	if n := manager.count("RELOADING=1\nMONOTONIC_USEC="); n != 4 { // the second kind says so when it begins, and before it goes over
		t.Errorf("RELOADING=1 was sent %d times", n)
	}
	_ = h.cmd.Process.Signal(syscall.SIGTERM)
	if code := h.wait(); code != exitDone {
		t.Errorf("exit code %d", code)
	}
	eventually(t, "STOPPING=1", func() bool { return manager.count("STOPPING=1") == 1 })
}

// Two daemons can't share a state directory's socket; the second says so and does its work.
func TestReloadWithoutADaemon(t *testing.T) {
	h := newHousehold(t)
	h.config("", front)
	if out, code := h.reload(); code != exitFailed || !strings.Contains(out, "no glimpsed is running with the state directory "+h.state) {
		t.Errorf("exit code %d: %s", code, out)
	}
	h.start()
	h.more("front")
	_ = h.cmd.Process.Kill()
	<-h.ended
	if out, code := h.reload(); code != exitFailed || !strings.Contains(out, "no glimpsed is running") {
		t.Errorf("after a kill the exit code is %d: %s", code, out)
	}
	h.start()
	h.more("front")
	if out, code := h.reload(); code != exitDone {
		t.Errorf("exit code %d: %s", code, out)
	}
}

// constantModel says the same of every picture.
func constantModel() []byte {
	m := infertest.TinyClassifier(infertest.TypeInt8)
	clear(m.Weights)
	return m.Build()
}
