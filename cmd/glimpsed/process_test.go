package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/glimpsed/glimpsed/infer/infertest"
	"github.com/glimpsed/glimpsed/infer/litert"
)

// tiny is a model file with its labels, small enough to be built in the test.
type tiny struct{ model, labels, library string }

func newTiny(t *testing.T) tiny {
	t.Helper()
	if !litert.Built {
		t.Skip("needs LiteRT: this binary was built without cgo")
	}
	dir := t.TempDir()
	m := tiny{
		model: filepath.Join(dir, "tiny.tflite"), labels: filepath.Join(dir, "labels.txt"),
		library: infertest.Library(t, "LITERT", "libLiteRt.so"),
	}
	write(t, m.model, infertest.TinyClassifier(infertest.TypeInt8).Build())
	var labels strings.Builder
	for i := range infertest.TinyLabels {
		fmt.Fprintf(&labels, "label %d\n", i)
	}
	write(t, m.labels, []byte(labels.String()))
	return m
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// settings are the flags that make a command use m.
func (m tiny) settings() []string {
	return []string{"--set", "model=" + m.model, "--set", "labels=" + m.labels, "--set", "infer.library=" + m.library, "--set", "infer.threads=1"}
}

// process is glimpsed as a process of its own.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	mu     sync.Mutex
	stdout bytes.Buffer // guarded by mu
	stderr bytes.Buffer // guarded by mu
	ended  chan struct{}
}

type locked struct {
	mu *sync.Mutex
	w  io.Writer
}

func (l locked) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}

func start(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(os.Args[0], args...), ended: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), append([]string{"GLIMPSED_TEST_PROGRAM=1", "STATE_DIRECTORY=" + t.TempDir()}, env...)...)
	p.cmd.Stdout, p.cmd.Stderr = locked{&p.mu, &p.stdout}, locked{&p.mu, &p.stderr}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait() // its status is in ProcessState
		close(p.ended)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.ended
		if t.Failed() {
			t.Logf("glimpsed %s\nstdout:\n%s\nstderr:\n%s", strings.Join(args, " "), p.out(), p.log())
		}
	})
	return p
}

func (p *process) out() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stdout.String()
}

func (p *process) log() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stderr.String()
}

// patience is how long a test waits for what must happen: long, since machines are shared.
const patience = 60 * time.Second

// wait returns the exit code.
func (p *process) wait() int {
	p.t.Helper()
	select {
	case <-p.ended:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		p.t.Fatal("glimpsed did not end")
		return 0
	}
}

// find waits until what the process printed matches, and returns the match's first group.
func (p *process) find(where func() string, expr string) string {
	p.t.Helper()
	re := regexp.MustCompile(expr)
	var m []string
	eventually(p.t, "the output to match "+expr, func() bool {
		m = re.FindStringSubmatch(where())
		return m != nil
	})
	return m[len(m)-1]
}

func eventually(t *testing.T, what string, happened func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !happened(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// subscriber keeps every message below a topic.
type subscriber struct {
	mu       sync.Mutex
	messages []message // guarded by mu
}

type message struct {
	topic, payload string
	retained       bool
}

func subscribe(t *testing.T, broker string) *subscriber {
	t.Helper()
	s := &subscriber{}
	o := paho.NewClientOptions().AddBroker(broker).SetClientID("subscriber-" + fmt.Sprint(time.Now().UnixNano())).SetConnectRetry(true).
		SetConnectRetryInterval(50 * time.Millisecond)
	o.SetOnConnectHandler(func(c paho.Client) {
		c.Subscribe("#", 1, func(_ paho.Client, m paho.Message) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.messages = append(s.messages, message{m.Topic(), string(m.Payload()), m.Retained()})
		})
	})
	c := paho.NewClient(o)
	if token := c.Connect(); !token.WaitTimeout(patience) || token.Error() != nil {
		t.Fatalf("subscribing at %s: %v", broker, token.Error())
	}
	t.Cleanup(func() { c.Disconnect(100) })
	return s
}

// on returns the payloads of a topic so far.
func (s *subscriber) on(topic string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, m := range s.messages {
		if m.topic == topic {
			out = append(out, m.payload)
		}
	}
	return out
}

// last waits until the newest payload of a topic is want.
func (s *subscriber) last(t *testing.T, topic, want string) {
	t.Helper()
	eventually(t, topic+" to be "+want, func() bool {
		p := s.on(topic)
		return len(p) > 0 && p[len(p)-1] == want
	})
}

// mosquitto is the path of Debian's broker.
func mosquitto(t *testing.T) string {
	t.Helper()
	bin, err := exec.LookPath("mosquitto")
	if err != nil {
		if bin = "/usr/sbin/mosquitto"; !exists(bin) {
			t.Skip("needs mosquitto: run `make test`, or apt-get install mosquitto")
		}
	}
	return bin
}

// startMosquitto runs Debian's broker until the test's end; port 0 is a free one.
func startMosquitto(t *testing.T, port int) (url string, stop func()) {
	t.Helper()
	bin := mosquitto(t)
	if port == 0 {
		port = freePort(t)
	}
	conf := filepath.Join(t.TempDir(), "mosquitto.conf")
	write(t, conf, fmt.Appendf(nil, "listener %d 127.0.0.1\nallow_anonymous true\nuser root\n", port))
	cmd := exec.Command(bin, "-c", conf)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	t.Cleanup(stop)
	return fmt.Sprintf("tcp://127.0.0.1:%d", port), stop
}

func exists(path string) bool { _, err := os.Stat(path); return err == nil }

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// result is what the tests read of <camera>/result.
type result struct {
	RunID string `json:"run_id"`
	Seq   uint64 `json:"seq"`
	Top   []struct {
		Label string  `json:"label"`
		Score float64 `json:"score"`
	} `json:"top"`
}

func results(t *testing.T, payloads []string) []result {
	t.Helper()
	out := make([]result, len(payloads))
	for i, p := range payloads {
		if err := json.Unmarshal([]byte(p), &out[i]); err != nil {
			t.Fatalf("result %q: %v", p, err)
		}
	}
	return out
}

// consecutive checks that results are numbered from the first on without gaps; a number may
// come again (delivery is at least once).
func consecutive(t *testing.T, rs []result) (last uint64) {
	t.Helper()
	for i, r := range rs {
		if r.Seq > last+1 && i > 0 {
			t.Errorf("seq goes from %d to %d", last, r.Seq)
		}
		last = max(last, r.Seq)
	}
	return last
}

func TestRunPublishesUntilToldToStop(t *testing.T) {
	m := newTiny(t)
	p := start(t, nil, append([]string{"run", "--print",
		"--set", "device=porch", "--set", "broker.listen=127.0.0.1:0", "--set", "cameras[0].name=front",
		"--set", "cameras[0].source=pattern:320x240", "--set", "cameras[0].fps=20", "--set", "stats.every=1s"}, m.settings()...)...)
	s := subscribe(t, p.find(p.out, `Publishing on (tcp://\S+)\.`))
	eventually(t, "20 results and stats", func() bool {
		return len(s.on("glimpsed/porch/front/result")) >= 20 && len(s.on("glimpsed/porch/stats")) > 0
	})
	s.last(t, "glimpsed/porch/status", "online")
	s.last(t, "glimpsed/porch/front/status", "online")

	stopped := time.Now()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := p.wait(); code != exitDone {
		t.Errorf("after SIGTERM the exit code is %d", code)
	}
	if took := time.Since(stopped); took > 5*time.Second {
		t.Errorf("stopping took %v", took)
	}
	s.last(t, "glimpsed/porch/front/status", "offline")
	s.last(t, "glimpsed/porch/status", "offline")
	rs := results(t, s.on("glimpsed/porch/front/result"))
	last := consecutive(t, rs)
	if len(rs[0].Top) != 3 || rs[0].RunID == "" {
		t.Errorf("the first result is %+v", rs[0])
	}
	if lines := uint64(strings.Count(p.out(), "  invoke ")); lines != last {
		t.Errorf("%d results were printed, the last one published has seq %d", lines, last)
	}
	for _, want := range []string{"glimpsed/porch/diagnostics", "glimpsed/porch/front/diagnostics", "glimpsed/porch/front/settings"} {
		if len(s.on(want)) == 0 {
			t.Errorf("nothing was published on %s", want)
		}
	}
}

func TestFramesEndsTheRunWithEveryResultDelivered(t *testing.T) {
	m := newTiny(t)
	url, _ := startMosquitto(t, 0)
	s := subscribe(t, url)
	p := start(t, nil, append([]string{"run", "--frames", "25", "--set", "device=porch", "--set", "mqtt.broker=" + url,
		"--set", "cameras[0].name=front", "--set", "cameras[0].source=pattern:64x48", "--set", "cameras[0].fps=0"}, m.settings()...)...)
	if code := p.wait(); code != exitDone {
		t.Errorf("exit code %d", code)
	}
	s.last(t, "glimpsed/porch/status", "offline")
	if n := consecutive(t, results(t, s.on("glimpsed/porch/front/result"))); n != 25 {
		t.Errorf("the last result is number %d", n)
	}
}

func TestBrokerThatVanishesCostsNoResult(t *testing.T) {
	m := newTiny(t)
	port := freePort(t)
	url, stop := startMosquitto(t, port)
	before := subscribe(t, url)
	p := start(t, nil, append([]string{"run", "--set", "device=porch", "--set", "mqtt.broker=" + url, "--set", "mqtt.retry_max=1s",
		"--set", "cameras[0].name=front", "--set", "cameras[0].source=pattern:64x48", "--set", "cameras[0].fps=20"}, m.settings()...)...)
	const topic = "glimpsed/porch/front/result"
	eventually(t, "results", func() bool { return len(before.on(topic)) > 5 })
	stop()
	p.find(p.log, `msg="(lost the connection|no connection)`)
	time.Sleep(time.Second) // results go on meanwhile
	startMosquitto(t, port)
	after := subscribe(t, url)
	eventually(t, "results again", func() bool { return len(after.on(topic)) > 30 })
	after.last(t, "glimpsed/porch/front/status", "online") // retained, though this broker had forgotten it
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := p.wait(); code != exitDone {
		t.Errorf("exit code %d", code)
	}
	after.last(t, "glimpsed/porch/status", "offline")

	// The subscriber came after the daemon, perhaps; what it got must have no gaps, and what
	// the first one didn't get was not acknowledged and has to be among it.
	first, second := results(t, before.on(topic)), results(t, after.on(topic))
	consecutive(t, first)
	// Results of now go ahead of those that waited.
	slices.SortStableFunc(second, func(a, b result) int { return cmp.Compare(a.Seq, b.Seq) })
	consecutive(t, second)
	if n := strings.Count(p.log(), "lost the connection to the MQTT broker"); n > 1 {
		t.Errorf("the loss was logged %d times", n)
	}
}

func TestOneCameraThatFailsNeverSlowsAnother(t *testing.T) {
	m := newTiny(t)
	silent, err := net.Listen("tcp", "127.0.0.1:0") // accepts and never answers
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	conf := filepath.Join(t.TempDir(), "glimpsed.yaml")
	write(t, conf, fmt.Appendf(nil, `
device: porch
broker: {listen: "127.0.0.1:0"}
cameras:
  - {name: good, source: "pattern:64x48", fps: 20}
  - {name: silent, source: "rtsp://me:hunter2@%s/x", open_timeout: 1s, retry_min: 100ms, retry_max: 200ms}
  - {name: absent, source: /nowhere/at/all.mp4, retry_min: 100ms, retry_max: 200ms}
`, silent.Addr()))
	p := start(t, nil, append([]string{"run", "--print", "-c", conf}, m.settings()...)...)
	s := subscribe(t, p.find(p.out, `Publishing on (tcp://\S+)\.`))
	eventually(t, "40 results of the good camera", func() bool { return len(s.on("glimpsed/porch/good/result")) > 40 })
	s.last(t, "glimpsed/porch/good/status", "online")
	for _, camera := range []string{"silent", "absent"} {
		s.last(t, "glimpsed/porch/"+camera+"/status", "offline")
		eventually(t, "the reason of camera "+camera, func() bool {
			d := s.on("glimpsed/porch/" + camera + "/diagnostics")
			return len(d) > 0 && !strings.Contains(d[len(d)-1], `"reason":""`)
		})
		if n := strings.Count(p.log(), "camera="+camera); n > 3 {
			t.Errorf("camera %s fills the log:\n%s", camera, p.log())
		}
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := p.wait(); code != exitDone {
		t.Errorf("exit code %d", code)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if all := fmt.Sprint(s.messages) + p.log() + p.out(); strings.Contains(all, "hunter2") {
		t.Error("the camera's password is shown")
	}
}

func TestFolderThatDoesNotLoopEndsTheRun(t *testing.T) {
	m := newTiny(t)
	dir := t.TempDir()
	for i := range 5 {
		picture(t, filepath.Join(dir, fmt.Sprintf("%d.png", i)), 40+i, 30)
	}
	write(t, filepath.Join(dir, "notes.txt"), []byte("no picture"))
	write(t, filepath.Join(dir, "empty.jpg"), nil)
	p := start(t, nil, append([]string{"run", "--print", "--set", "broker.listen=127.0.0.1:0", "--set", "cameras[0].loop=false",
		"--set", "cameras[0].pace=fast", "--set", "cameras[0].source=" + dir}, m.settings()...)...)
	if code := p.wait(); code != exitDone {
		t.Errorf("exit code %d", code)
	}
	if n := strings.Count(p.out(), "  invoke "); n != 5 {
		t.Errorf("%d results of 5 pictures", n)
	}
	if n := strings.Count(p.log(), "empty.jpg"); n != 1 {
		t.Errorf("the picture that can't be read is named %d times", n)
	}
}

func picture(t *testing.T, path string, width, height int) {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			img.Set(x, y, color.RGBA{uint8(x * 5), uint8(y * 7), uint8(x * y), 255})
		}
	}
	var buf bytes.Buffer
	if err := png.Encode(&buf, img); err != nil {
		t.Fatal(err)
	}
	write(t, path, buf.Bytes())
}

func TestExitCodes(t *testing.T) {
	m := newTiny(t)
	bad := filepath.Join(t.TempDir(), "bad.yaml")
	write(t, bad, []byte("cameras: [{name: front, fps: -3, fsp: 1}]\n"))
	cut := filepath.Join(t.TempDir(), "cut.tflite")
	data, err := os.ReadFile(m.model)
	if err != nil {
		t.Fatal(err)
	}
	write(t, cut, data[:len(data)/2])
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	free := []string{"--set", "broker.listen=127.0.0.1:0", "--set", "cameras[0].source=pattern:"}
	for name, c := range map[string]struct {
		args []string
		code int
		say  []string
	}{
		"nonsense":         {[]string{"nonsense"}, exitUsage, []string{"nonsense"}},
		"unknown flag":     {[]string{"run", "--nonsense"}, exitUsage, []string{"--nonsense", "--help"}},
		"argument":         {[]string{"run", "x"}, exitUsage, []string{"x"}},
		"no picture":       {[]string{"classify"}, exitUsage, []string{"at least 1"}},
		"bad format":       {[]string{"classify", "--format", "xml", "x.png"}, exitUsage, []string{"xml", "json"}},
		"bad set":          {[]string{"run", "--set", "device"}, exitUsage, []string{"device"}},
		"bad config":       {[]string{"run", "-c", bad}, exitConfig, []string{"cameras[0].fps: must be 0 or above, got -3", "cameras[0].fsp: unknown key", "fps"}},
		"no config":        {[]string{"run", "-c", "/nowhere.yaml"}, exitConfig, []string{"/nowhere.yaml"}},
		"model cut":        {append(append([]string{"run"}, free...), "--set", "model="+cut, "--set", "labels="+m.labels, "--set", "infer.library="+m.library), exitConfig, []string{cut}},
		"model absent":     {append(append([]string{"run"}, free...), "--set", "model=/nowhere.tflite"), exitConfig, []string{"/nowhere.tflite"}},
		"model unknown":    {append(append([]string{"run"}, free...), "--set", "model=resnet81"), exitConfig, []string{"resnet81", "resnet18"}},
		"runtime absent":   {append(append([]string{"run"}, free...), append(m.settings(), "--set", "infer.library=/nowhere.so")...), exitConfig, []string{"/nowhere.so"}},
		"labels too short": {append(append(append([]string{"run"}, free...), m.settings()...), "--set", "labels="+bad), exitConfig, []string{"label"}},
		"port taken":       {append(append([]string{"run"}, m.settings()...), "--set", "broker.listen="+taken.Addr().String()), exitConfig, []string{"broker.listen", taken.Addr().String()}},
	} {
		t.Run(name, func(t *testing.T) {
			p := start(t, nil, c.args...)
			if code := p.wait(); code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
			for _, want := range c.say {
				if !strings.Contains(p.log(), want) {
					t.Errorf("the message doesn't mention %q:\n%s", want, p.log())
				}
			}
		})
	}
}

func TestClassifySaysWhatItCanAndNamesTheRest(t *testing.T) {
	m := newTiny(t)
	dir := t.TempDir()
	good, bad := filepath.Join(dir, "good.png"), filepath.Join(dir, "bad.png")
	picture(t, good, 33, 21)
	write(t, bad, []byte("text"))
	args := append([]string{"classify", "--format", "json", "--top", "2", bad, good}, m.settings()...)
	p := start(t, nil, args...)
	if code := p.wait(); code != exitFailed {
		t.Errorf("exit code %d", code)
	}
	if !strings.Contains(p.log(), bad) {
		t.Errorf("the bad picture isn't named: %s", p.log())
	}
	var got []struct {
		File   string
		Top    []struct{ Label string }
		Timing map[string]float64 `json:"timing_ms"`
	}
	if err := json.Unmarshal([]byte(p.out()), &got); err != nil {
		t.Fatalf("%v: %s", err, p.out())
	}
	if len(got) != 1 || got[0].File != good || len(got[0].Top) != 2 || got[0].Timing["invoke"] <= 0 {
		t.Errorf("got %+v", got)
	}
}

// systemd is the other end of sd_notify(3).
type systemd struct {
	socket string
	mu     sync.Mutex
	told   []string // guarded by mu
}

func newSystemd(t *testing.T) *systemd {
	t.Helper()
	s := &systemd{socket: filepath.Join(t.TempDir(), "notify")}
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: s.socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := conn.Read(buf)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			s.mu.Lock()
			s.told = append(s.told, string(buf[:n]))
			s.mu.Unlock()
		}
	}()
	return s
}

// count is how often a message with part was sent.
func (s *systemd) count(part string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.told {
		if strings.Contains(m, part) {
			n++
		}
	}
	return n
}

func TestSystemdIsToldOfStartWatchdogAndStop(t *testing.T) {
	m := newTiny(t)
	manager := newSystemd(t)
	heard := func(part string) func() bool { return func() bool { return manager.count(part) > 0 } }
	p := start(t, []string{"NOTIFY_SOCKET=" + manager.socket, "WATCHDOG_USEC=2000000", "JOURNAL_STREAM=1:2"}, append([]string{"run",
		"--set", "broker.listen=127.0.0.1:0", "--set", "cameras[0].name=front", "--set", "cameras[0].source=pattern:"}, m.settings()...)...)
	eventually(t, "READY=1", heard("READY=1"))
	eventually(t, "WATCHDOG=1", heard("WATCHDOG=1"))
	eventually(t, "a status", heard("STATUS=front online, broker connected"))
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	p.wait()
	eventually(t, "STOPPING=1", heard("STOPPING=1"))
	for line := range strings.Lines(p.log()) {
		if !strings.HasPrefix(line, "<6>level=INFO ") && !strings.HasPrefix(line, "<4>level=WARN ") {
			t.Errorf("under journald a line should have a priority and no time: %s", line)
		}
	}
}

func TestBenchMeasuresEveryStage(t *testing.T) {
	m := newTiny(t)
	p := start(t, nil, append([]string{"bench", "--format", "json", "--frames", "20", "--source", "pattern:320x240"}, m.settings()...)...)
	if code := p.wait(); code != exitDone {
		t.Fatalf("exit code %d", code)
	}
	var got struct {
		Stages      map[string]struct{ P50, P95, P99 float64 }
		CPU         float64 `json:"cpu_ms_per_frame"`
		FPS         float64 `json:"fps"`
		RSS         float64 `json:"rss_mb"`
		FirstResult float64 `json:"first_result_ms"`
		Frames      int
		Runtime     string
	}
	if err := json.Unmarshal([]byte(p.out()), &got); err != nil {
		t.Fatalf("%v: %s", err, p.out())
	}
	for _, stage := range []string{"capture", "decode", "queue", "preprocess", "invoke", "postprocess", "total", "publish"} {
		if s, ok := got.Stages[stage]; !ok || s.P50 > s.P95 || s.P95 > s.P99 {
			t.Errorf("stage %s: %+v, %v", stage, s, ok)
		}
	}
	if got.CPU <= 0 || got.FPS <= 0 || got.RSS <= 1 || got.FirstResult <= 0 || got.Frames != 20 || got.Runtime != "litert" {
		t.Errorf("got %+v", got)
	}
}
