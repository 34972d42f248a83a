package publish

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/glimpsed/glimpsed/vision"
)

// Schema is the version of the payloads; it changes when a key changes its
// meaning or goes away, not when one is added.
const Schema = 1

// The payloads of status topics.
const (
	Online  = "online"
	Offline = "offline"
)

// Encoder makes messages of what the daemon knows. It is safe for concurrent use.
type Encoder struct {
	// Device is the device's level in topics and its name in payloads.
	Device string
	// RunID is new at each start of the daemon, BootID at each of the machine.
	RunID, BootID string
	// ClockSynced says whether the machine's clock was ever set; nil means yes.
	ClockSynced func() bool
	// SinceBoot is the time since the machine's boot; nil: what was captured before the clock
	// was set can't be set right.
	SinceBoot func() time.Duration
	// Deliveries is how each kind is sent; what is missing is sent with QoS 1.
	Deliveries Deliveries
}

func (e *Encoder) message(topic string, k Kind, payload []byte) Message {
	d, ok := e.Deliveries[k]
	if !ok {
		d = Delivery{QoS: 1, Retain: !k.Happens()}
	}
	return Message{Topic: topic, Kind: k, Payload: payload, QoS: d.QoS, Retain: d.Retain}
}

// Result is the message of one classified frame. r is kept in the message and
// must not be changed afterwards.
func (e *Encoder) Result(r *vision.Result) Message {
	synced := e.clockSynced()
	m := e.message(CameraTopic(r.Camera, KindResult), KindResult, e.appendResult(make([]byte, 0, resultSize), r, synced))
	m.Result, m.Clock = r, e.clock(r.CapturedAt, synced)
	return m
}

// clock is the Clock of a message about a picture taken at at; synced is what its payload says.
func (e *Encoder) clock(at time.Time, synced bool) Clock {
	if e.SinceBoot == nil || synced {
		return Clock{}
	}
	return Clock{Unsynced: true, BootID: e.BootID, SinceBoot: e.SinceBoot() - time.Since(at)}
}

// State is the message of what a camera shows, steady over single results.
func (e *Encoder) State(s vision.State) Message {
	return e.message(CameraTopic(s.Camera, KindState), KindState, Marshal(statePayload{
		Schema: Schema, Device: e.Device, Camera: s.Camera, RunID: e.RunID,
		Label: s.Label, Score: round(s.Score, scoreUnit), Since: timestamp(s.Since), ClockSynced: e.clockSynced(),
	}))
}

// Event is the message of news of an event.
func (e *Encoder) Event(v vision.Event) Message {
	synced := e.clockSynced()
	m := e.message(CameraTopic(v.Camera, KindEvent), KindEvent, Marshal(eventPayload{
		Schema: Schema, Device: e.Device, Camera: v.Camera, RunID: e.RunID, ID: v.ID, Type: string(v.Type),
		CapturedAt: timestamp(v.CapturedAt), ClockSynced: synced,
		Label: v.Label, Score: round(v.Score, scoreUnit), BestScore: round(v.Best, scoreUnit), DurationS: round(v.Duration.Seconds(), 1000),
	}))
	m.Clock = e.clock(v.CapturedAt, synced)
	return m
}

// CameraStatus is the message of a camera's state in one word.
func (e *Encoder) CameraStatus(s vision.CameraStatus) Message {
	return e.message(CameraTopic(s.Camera, KindStatus), KindStatus, []byte(s.State))
}

// CameraDiagnostics is the message of a camera's state with its reason and counters.
func (e *Encoder) CameraDiagnostics(s vision.CameraStatus) Message {
	return e.message(CameraTopic(s.Camera, KindDiagnostics), KindDiagnostics, Marshal(cameraDiagnostics{
		Schema: Schema, Device: e.Device, Camera: s.Camera, RunID: e.RunID,
		State: string(s.State), Reason: s.Reason, Since: timestamp(s.Since), Source: s.Source,
		Frames: s.Frames, Dropped: s.Dropped, Stale: s.Stale,
		Reconnects: s.Reconnects, Abandoned: s.Abandoned, Ended: s.Ended,
	}))
}

// Health is the message of the second opinion on a camera's picture.
func (e *Encoder) Health(h Health) Message {
	p := healthPayload{
		Schema: Schema, Device: e.Device, Camera: h.Camera, RunID: e.RunID,
		CapturedAt: timestamp(h.CapturedAt), ClockSynced: e.clockSynced(),
		Model: modelPayload{h.Model.Name, h.Model.SHA256, h.Model.Runtime},
		Label: h.Top[0].Label, Score: score(h.Top[0].Score), Since: timestamp(h.Since),
		Top: make([]classification, len(h.Top)),
	}
	for i, c := range h.Top {
		p.Top[i] = classification{c.Label, c.Index, score(c.Score)}
	}
	return e.message(CameraTopic(h.Camera, KindHealth), KindHealth, Marshal(p))
}

func score(s float32) float64 { return round(float64(s), scoreUnit) }

// clockSynced says whether captured_at can be believed.
func (e *Encoder) clockSynced() bool { return e.ClockSynced == nil || e.ClockSynced() }

// Diagnostics is the message of what is wrong with the device.
func (e *Encoder) Diagnostics(d Diagnostics) Message {
	p := deviceDiagnostics{
		Schema: Schema, Device: e.Device, RunID: e.RunID,
		Problems: make([]problem, len(d.Problems)), Reconnects: d.Reconnects, Lost: d.Lost,
	}
	for i, w := range d.Problems {
		p.Problems[i] = problem{w.What, timestamp(w.Since)}
	}
	return e.message(string(KindDiagnostics), KindDiagnostics, Marshal(p))
}

// Stats is the message of the device's numbers.
func (e *Encoder) Stats(s Stats) Message {
	p := statsPayload{
		Schema: Schema, Device: e.Device, RunID: e.RunID, At: timestamp(s.At),
		UptimeS: int64(s.Uptime / time.Second), RSSMB: round(float64(s.RSS)/(1<<20), 10),
		Cameras: make(map[string]cameraStats, len(s.Cameras)),
		MQTT:    mqttStats{s.Pending, s.Lost}, Throttled: s.Throttled,
	}
	if s.Temperature != nil {
		t := round(*s.Temperature, 10)
		p.TemperatureC = &t
	}
	for _, c := range s.Cameras {
		latency := make(map[string]percentiles, len(c.Latency))
		for stage, l := range c.Latency {
			latency[stage] = percentiles{ms2(l.P50), ms2(l.P95), ms2(l.P99)}
		}
		p.Cameras[c.Camera] = cameraStats{
			Model: modelPayload{c.Model.Name, c.Model.SHA256, c.Model.Runtime},
			FPS:   round(c.FPS, 100), Results: c.Results, Dropped: c.Dropped, Stale: c.Stale, Still: c.Still, Latency: latency,
		}
	}
	return e.message(string(KindStats), KindStats, Marshal(p))
}

// Settings is the message of what can be changed on a camera while it runs.
func (e *Encoder) Settings(s Settings) Message {
	return e.message(CameraTopic(s.Camera, KindSettings), KindSettings, Marshal(settingsPayload{
		Schema: Schema, Device: e.Device, Camera: s.Camera, Enabled: s.Enabled, FPS: round(s.FPS, 1000),
		Enter: round(s.Enter, scoreUnit), Leave: round(s.Leave, scoreUnit), Model: s.Model,
	}))
}

// Image is the message of a picture of a camera, a JPEG.
func (e *Encoder) Image(camera string, jpeg []byte) Message {
	return e.message(CameraTopic(camera, KindImage), KindImage, jpeg)
}

// Forget are the messages that clear what a broker retains of a camera that is gone.
func (e *Encoder) Forget(camera string) []Message {
	var out []Message
	for _, k := range Kinds() {
		if m := e.message(CameraTopic(camera, k), k, nil); m.Retain && k != KindStats && k != KindReply {
			out = append(out, m)
		}
	}
	return out
}

// Reply is the answer to a command.
func (e *Encoder) Reply(command string, answer []byte) Message {
	return e.message(CommandTopic(command)+"/"+string(KindReply), KindReply, answer)
}

// Marshal encodes payloads whose types always can be, or it panics. Unlike
// json.Marshal it leaves <, > and & as they are: reasons are read by people.
func Marshal(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(fmt.Sprintf("encoding a %T: %v", v, err))
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
