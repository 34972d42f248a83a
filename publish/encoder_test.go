package publish

import (
	"bytes"
	"encoding/json"
	"flag"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/glimpsed/glimpsed/vision"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var update = flag.Bool("update", false, "write the golden files")

var captured = time.Date(2025, 3, 30, 14, 5, 6, 123_987_654, time.FixedZone("CEST", 2*3600))

func testEncoder() *Encoder {
	return &Encoder{
		Device: "porch", RunID: "01HZX3V8Q4", BootID: "5f0c3c7e-6f0e-4a57-9d4e-0d6f3a1c2b9a",
		ClockSynced: func() bool { return true }, Deliveries: DefaultDeliveries(1),
	}
}

func testResult() *vision.Result {
	return &vision.Result{
		Camera: "front", RunID: "01HZX3V8Q4", Seq: 42, CapturedAt: captured,
		Model: vision.ModelRef{Name: "resnet18", SHA256: strings.Repeat("0123456789abcdef", 4), Runtime: "litert"},
		Top: []vision.Classification{
			{Label: "tabby", Index: 281, Score: 0.62}, {Label: "tiger cat", Index: 282, Score: 0.21484375}, {Label: "Egyptian cat", Index: 285, Score: 0.08},
		},
		Timing: vision.Timing{
			Capture: 199_876_543, Decode: 3_456_789, Queue: 12_345, Preprocess: 1_234_567,
			Invoke: 23_100_000, Postprocess: 98_765, Total: 31 * time.Millisecond,
		},
		Width: 1280, Height: 720,
	}
}

func testCamera() vision.CameraStatus {
	return vision.CameraStatus{
		Camera: "front", State: vision.CameraOffline, Reason: "opening rtsp://cam.lan/1: connection refused", Since: captured,
		Source: "rtsp://cam.lan/1", Frames: 1000, Dropped: 12, Stale: 1, Reconnects: 3, Abandoned: 1,
	}
}

// The golden files are the examples of the documentation.
func TestPayloads(t *testing.T) {
	celsius, throttled := 48.312, false
	e := testEncoder()
	ms := time.Millisecond
	p := Percentiles{P50: 20*ms + 123456, P95: 23*ms + 1, P99: 30 * ms}
	table := []struct {
		file   string
		m      Message
		topic  string
		retain bool
	}{
		{"result.json", e.Result(testResult()), "front/result", false},
		{"camera-status.txt", e.CameraStatus(testCamera()), "front/status", true},
		{"camera-diagnostics.json", e.CameraDiagnostics(testCamera()), "front/diagnostics", true},
		{"diagnostics.json", e.Diagnostics(Diagnostics{
			Problems:   []Problem{{"broker: 192.0.2.2:1883: connection refused", captured}, {"camera front: model resnet18: running it: out of memory", captured.Add(-time.Hour)}},
			Reconnects: 2, Lost: 7,
		}), "diagnostics", true},
		{"diagnostics-well.json", e.Diagnostics(Diagnostics{}), "diagnostics", true},
		{"stats.json", e.Stats(Stats{
			At: captured, Uptime: 90*time.Minute + 700*ms, RSS: 123_456_789, Pending: 1, Lost: 7, Temperature: &celsius, Throttled: &throttled,
			Cameras: []CameraStats{
				{Camera: "front", Model: testResult().Model, FPS: 4.98765, Results: 26_000, Dropped: 12, Stale: 1, Still: 40_000, Latency: map[string]Percentiles{"invoke": p, "total": p}},
				{Camera: "back", Model: testResult().Model, FPS: math.NaN()},
			},
		}), "stats", true},
		{"state.json", e.State(vision.State{Camera: "front", Label: "cat", Score: 0.83456, Since: captured}), "front/state", true},
		{"event.json", e.Event(vision.Event{
			ID: "01HZX3V8Q4-front-7", Type: vision.EventEnd, Camera: "front", Label: "cat", Score: 0.21, Best: 0.97,
			CapturedAt: captured, Duration: 12345678 * time.Microsecond,
		}), "front/event", false},
		{"health.json", e.Health(Health{
			Camera: "front", CapturedAt: captured, Since: captured.Add(-time.Hour),
			Model: vision.ModelRef{Name: "resnet18-camera-health", SHA256: strings.Repeat("0123456789abcdef", 4), Runtime: "litert"},
			Top: []vision.Classification{
				{Label: "covered", Index: 4, Score: 0.91}, {Label: "dark", Index: 1, Score: 0.05}, {Label: "blurred", Index: 3, Score: 0.01},
			},
		}), "front/health", true},
		{"settings.json", e.Settings(Settings{Camera: "front", Enabled: true, FPS: 5, Enter: 0.5, Leave: 0.3, Model: "resnet18"}), "front/settings", true},
	}
	for _, c := range table {
		t.Run(c.file, func(t *testing.T) {
			if c.m.Topic != c.topic || c.m.Retain != c.retain || c.m.QoS != 1 || !strings.HasSuffix(c.topic, string(c.m.Kind)) {
				t.Errorf("got %+v", c.m)
			}
			got := c.m.Payload
			if strings.HasSuffix(c.file, ".json") {
				var b bytes.Buffer
				if err := json.Indent(&b, got, "", "  "); err != nil {
					t.Fatalf("%v: %s", err, got)
				}
				got = append(b.Bytes(), '\n')
			}
			file := filepath.Join("testdata", c.file)
			if *update {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func TestResultKeepsTheResult(t *testing.T) {
	r := testResult()
	if m := testEncoder().Result(r); m.Result != r {
		t.Error("publishers that show results need it")
	}
}

func TestResultOfAnUnsetClock(t *testing.T) {
	e := testEncoder()
	e.ClockSynced = func() bool { return false }
	if got := e.Result(testResult()).Payload; !bytes.Contains(got, []byte(`"clock_synced":false`)) {
		t.Errorf("got %s", got)
	}
	e.ClockSynced = nil
	if got := e.Result(testResult()).Payload; !bytes.Contains(got, []byte(`"clock_synced":true`)) {
		t.Errorf("got %s", got)
	}
}

// Whatever a label holds, the result must be JSON and say the same.
func FuzzResult(f *testing.F) {
	f.Add("tabby", float32(0.5), int64(1e6))
	f.Add("\"\\\n\t\x00\x7f</script>\u2028é\xff\xc3", float32(math.Inf(1)), int64(-1))
	f.Fuzz(func(t *testing.T, label string, score float32, ns int64) {
		r := testResult()
		r.Top = []vision.Classification{{Label: label, Score: score}}
		r.Timing.Invoke = time.Duration(ns)
		var got struct {
			Top    []struct{ Label string }
			Timing map[string]float64 `json:"timing_ms"`
		}
		b := testEncoder().Result(r).Payload
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatalf("%v: %s", err, b)
		}
		plain, _ := json.Marshal(label)
		var want string
		json.Unmarshal(plain, &want)
		if got.Top[0].Label != want {
			t.Errorf("got %q, want %q", got.Top[0].Label, want)
		}
	})
}

func TestResultWithoutLabels(t *testing.T) {
	r := testResult()
	r.Top = nil
	var got map[string]any
	if err := json.Unmarshal(testEncoder().Result(r).Payload, &got); err != nil || !reflect.DeepEqual(got["top"], []any{}) {
		t.Errorf("got %v, %v", got["top"], err)
	}
}

func TestDeliveriesOfEncoder(t *testing.T) {
	e := testEncoder()
	e.Deliveries = Deliveries{KindResult: {QoS: 2, Retain: true}}
	if m := e.Result(testResult()); m.QoS != 2 || !m.Retain {
		t.Errorf("got %+v", m)
	}
	if m := e.CameraStatus(testCamera()); m.QoS != 1 || !m.Retain {
		t.Errorf("a kind that is missing: got %+v", m)
	}
}

func BenchmarkResult(b *testing.B) {
	e, r := testEncoder(), testResult()
	b.ReportAllocs()
	for b.Loop() {
		e.Result(r)
	}
}
