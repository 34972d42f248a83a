package publish

import (
	"math"
	"time"

	"github.com/glimpsed/glimpsed/vision"
)

// Problem is something that is wrong with the device.
type Problem struct {
	// What is one sentence for a person, without credentials.
	What  string
	Since time.Time
}

// Diagnostics is what is wrong with the device and what it cost.
type Diagnostics struct {
	Problems []Problem
	// Reconnects counts connections to the broker after the first, Lost the messages given
	// up because too many waited for it.
	Reconnects, Lost uint64
}

// Stats is the device's numbers.
type Stats struct {
	At     time.Time
	Uptime time.Duration
	// RSS is the resident memory in bytes.
	RSS uint64
	// Temperature is the processor's in degrees Celsius, Throttled whether it is held back; nil: unknown.
	Temperature *float64
	Throttled   *bool
	Cameras     []CameraStats
	// Pending is how many messages wait for the broker, Lost how many were given up.
	Pending uint64
	Lost    uint64
}

// CameraStats is one camera's part of Stats.
type CameraStats struct {
	Camera string
	Model  vision.ModelRef
	// FPS is classified frames a second over the last interval.
	FPS float64
	// Results, Dropped and Stale count since the start of the daemon.
	Results, Dropped, Stale uint64
	// Still counts pictures that were not classified again since nothing had moved.
	Still uint64
	// Latency is by stage, with the names of a result's timing_ms.
	Latency map[string]Percentiles
}

// Percentiles is how long a stage took for the newest frames, 512 at most.
type Percentiles struct{ P50, P95, P99 time.Duration }

// Settings is what can be changed on a camera while it runs.
type Settings struct {
	Camera  string
	Enabled bool
	FPS     float64
	// Enter and Leave are the thresholds of events.
	Enter, Leave float64
	Model        string
}

// Health is what the camera-health model says of a camera's picture.
type Health struct {
	Camera     string
	CapturedAt time.Time
	Model      vision.ModelRef
	// Top holds the best classifications, best first: one at least.
	Top []vision.Classification
	// Since is when the best label became that.
	Since time.Time
}

type cameraDiagnostics struct {
	Schema     int    `json:"schema"`
	Device     string `json:"device"`
	Camera     string `json:"camera"`
	RunID      string `json:"run_id"`
	State      string `json:"state"`
	Reason     string `json:"reason"`
	Since      string `json:"since"`
	Source     string `json:"source"`
	Frames     uint64 `json:"frames"`
	Dropped    uint64 `json:"dropped"`
	Stale      uint64 `json:"stale"`
	Reconnects uint64 `json:"reconnects"`
	Abandoned  uint64 `json:"abandoned_reads"`
	Ended      bool   `json:"ended"`
}

type deviceDiagnostics struct {
	Schema     int       `json:"schema"`
	Device     string    `json:"device"`
	RunID      string    `json:"run_id"`
	Problems   []problem `json:"problems"`
	Reconnects uint64    `json:"mqtt_reconnects"`
	Lost       uint64    `json:"mqtt_lost"`
}

type problem struct {
	What  string `json:"what"`
	Since string `json:"since"`
}

type statsPayload struct {
	Schema       int                    `json:"schema"`
	Device       string                 `json:"device"`
	RunID        string                 `json:"run_id"`
	At           string                 `json:"at"`
	UptimeS      int64                  `json:"uptime_s"`
	RSSMB        float64                `json:"rss_mb"`
	TemperatureC *float64               `json:"temperature_c,omitempty"`
	Throttled    *bool                  `json:"throttled,omitempty"`
	Cameras      map[string]cameraStats `json:"cameras"`
	MQTT         mqttStats              `json:"mqtt"`
}

type modelPayload struct {
	Name    string `json:"name"`
	SHA256  string `json:"sha256"`
	Runtime string `json:"runtime"`
}

type cameraStats struct {
	Model   modelPayload           `json:"model"`
	FPS     float64                `json:"fps"`
	Results uint64                 `json:"results"`
	Dropped uint64                 `json:"dropped"`
	Stale   uint64                 `json:"stale"`
	Still   uint64                 `json:"still"`
	Latency map[string]percentiles `json:"latency_ms"`
}

type statePayload struct {
	Schema      int     `json:"schema"`
	Device      string  `json:"device"`
	Camera      string  `json:"camera"`
	RunID       string  `json:"run_id"`
	Label       string  `json:"label"`
	Score       float64 `json:"score"`
	Since       string  `json:"since"`
	ClockSynced bool    `json:"clock_synced"`
}

// eventPayload has captured_at and clock_synced as a result has them: see Message.SetRight.
type eventPayload struct {
	Schema      int     `json:"schema"`
	Device      string  `json:"device"`
	Camera      string  `json:"camera"`
	RunID       string  `json:"run_id"`
	ID          string  `json:"id"`
	Type        string  `json:"type"`
	CapturedAt  string  `json:"captured_at"`
	ClockSynced bool    `json:"clock_synced"`
	Label       string  `json:"label"`
	Score       float64 `json:"score"`
	BestScore   float64 `json:"best_score"`
	DurationS   float64 `json:"duration_s"`
}

type healthPayload struct {
	Schema      int              `json:"schema"`
	Device      string           `json:"device"`
	Camera      string           `json:"camera"`
	RunID       string           `json:"run_id"`
	CapturedAt  string           `json:"captured_at"`
	ClockSynced bool             `json:"clock_synced"`
	Model       modelPayload     `json:"model"`
	Label       string           `json:"label"`
	Score       float64          `json:"score"`
	Since       string           `json:"since"`
	Top         []classification `json:"top"`
}

type classification struct {
	Label string  `json:"label"`
	Index int     `json:"index"`
	Score float64 `json:"score"`
}

type percentiles struct {
	P50 float64 `json:"p50"`
	P95 float64 `json:"p95"`
	P99 float64 `json:"p99"`
}

type mqttStats struct {
	Pending uint64 `json:"pending"`
	Lost    uint64 `json:"lost"`
}

type settingsPayload struct {
	Schema  int     `json:"schema"`
	Device  string  `json:"device"`
	Camera  string  `json:"camera"`
	Enabled bool    `json:"enabled"`
	FPS     float64 `json:"fps"`
	Enter   float64 `json:"enter"`
	Leave   float64 `json:"leave"`
	Model   string  `json:"model"`
}

// timeLayout is RFC 3339 with milliseconds, for times in UTC.
const timeLayout = "2006-01-02T15:04:05.000Z"

func timestamp(t time.Time) string { return t.UTC().Format(timeLayout) }

// ms2 is d in milliseconds with two decimals.
func ms2(d time.Duration) float64 { return round(float64(d)/float64(time.Millisecond), 100) }

// round keeps 1/unit of x. What JSON has no number for becomes 0.
func round(x, unit float64) float64 {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return 0
	}
	return math.Round(x*unit) / unit
}
