package config

import (
	"regexp"

	"github.com/glimpsed/glimpsed/publish"
)

// key is one line of the table: what a key is called, means and may hold. Its type,
// its place in Config and its default are looked up by its name.
type key struct {
	name string
	// doc is the comment in the commented defaults and the description in the
	// schema. {enum} stands for the list of allowed values.
	doc string
	// keys are those of a section, or of each element of a list or map of sections.
	keys []key
	// enum lists the allowed values: all text or all whole numbers.
	enum []any
	// bounds are for numbers, and for durations in seconds.
	bounds *bounds
	// pattern is what a text must look like where it isn't its default.
	pattern *pattern
	// entries are the names that a map may hold.
	entries []string
	// required keys have no usable default.
	required bool
	// secret values are never shown. Those marked url may hold credentials, which aren't.
	secret, url bool
}

// bounds limit a number from below, or from both sides.
type bounds struct {
	min, max float64
	// above excludes min itself; limited says that max counts.
	above, limited bool
}

// pattern is a regular expression that Go and JSON Schema (ECMA 262) read alike.
type pattern struct {
	expr *regexp.Regexp
	// must completes "must ...".
	must string
}

func atLeast(min float64) *bounds      { return &bounds{min: min} }
func between(min, max float64) *bounds { return &bounds{min: min, max: max, limited: true} }
func positive(max float64) *bounds     { return &bounds{max: max, above: true, limited: true} }

var (
	topicLevel = &pattern{regexp.MustCompile(`^[A-Za-z0-9_-]+$`), "hold letters, digits, - and _ only"}
	fourcc     = &pattern{regexp.MustCompile(`^[ -~]{4}$`), "be four characters such as MJPG or YUYV"}
	hostPort   = &pattern{regexp.MustCompile(`^\S*:[0-9]{1,5}$`), "be HOST:PORT such as 127.0.0.1:1883"}
)

// year bounds durations, so that sums of them can't overflow.
const year = 365 * 24 * 60 * 60.0

// table lists every key in the order of the commented defaults. runtimes are the names
// that infer.runtime may have in this binary besides "auto".
func table(runtimes []string) []key {
	kinds := make([]string, 0, len(publish.Kinds()))
	for _, k := range publish.Kinds() {
		kinds = append(kinds, string(k))
	}
	return []key{
		{name: "device", pattern: topicLevel, doc: "this machine's name in topics and results; empty: the host's name"},
		{name: "state_dir", doc: "folder for models, overrides and what else outlives a restart; empty: systemd's state directory, " +
			"/var/lib/glimpsed where that can be written, else ~/.local/state/glimpsed"},
		{name: "cameras", keys: cameraKeys(), doc: "the cameras, each looked through on its own; without this key there is one, the first usable"},
		{name: "model", doc: "a model's name, a .tflite file, or auto: the best that is installed"},
		{name: "labels", doc: "label file, one label a line, for a .tflite file that has none inside"},
		{name: "models", doc: "where models are kept and fetched from", keys: []key{
			{name: "dir", doc: "folder of installed models; empty: models in state_dir"},
			{name: "mirror", url: true, doc: "URL or folder that is asked instead of the models' own hosts"},
		}},
		{name: "infer", doc: "running the model", keys: []key{
			{name: "runtime", enum: append([]any{"auto"}, anys(runtimes)...), doc: "{enum}"},
			{name: "threads", bounds: between(0, 256), doc: "CPU threads a model; 0: one a core"},
			{name: "top", bounds: between(1, 1000), doc: "labels in a result, best first"},
			{name: "library", doc: "the runtime's shared library; empty: looked for beside the binary, then where packages put it"},
		}},
		{name: "mqtt", doc: "where results go", keys: mqttKeys(kinds)},
		{name: "broker", doc: "the embedded broker, which runs while mqtt.broker is empty", keys: []key{
			{name: "listen", pattern: hostPort, doc: "address; one that other machines reach needs username and password"},
			{name: "username", doc: "wanted of every client"},
			{name: "password", secret: true, doc: "better in password_file"},
			{name: "password_file", doc: "file with the password, or the name of a systemd credential"},
		}},
		{name: "homeassistant", doc: "discovery by Home Assistant, over the same broker", keys: []key{
			{name: "enabled", doc: "tell Home Assistant of this device; the broker must let it write to PREFIX/device"},
			{name: "prefix", doc: "Home Assistant's discovery prefix"},
		}},
		{name: "webhooks", doc: "HTTP servers that events are posted to, such as [{url: https://server.example/hook, secret_file: hook-secret}]", keys: []key{
			{name: "url", url: true, required: true, doc: "what is posted to: http:// or https://"},
			{name: "secret", secret: true, doc: "better in secret_file"},
			{name: "secret_file", doc: "file with what requests are signed with, or the name of a systemd credential"},
			{name: "types", doc: "types of events that are posted: start, update, end"},
			{name: "timeout", bounds: positive(year), doc: "bounds one attempt"},
			{name: "give_up", bounds: between(0, year), doc: "bounds all attempts at one event"},
		}},
		{name: "health", doc: "a second opinion on every camera: resnet18-camera-health looks what is wrong with the picture, on the topic CAMERA/health", keys: []key{
			{name: "every", bounds: between(0, year), doc: "how often, such as 30s; 0: never"},
		}},
		{name: "web", doc: "page, HTTP API and metrics", keys: []key{
			{name: "listen", pattern: hostPort, doc: "address; empty: off"},
		}},
		{name: "stats", doc: "numbers about the daemon itself, on the topic stats", keys: []key{
			{name: "every", bounds: between(1, year), doc: "how often"},
		}},
		{name: "reload", doc: "taking on a changed configuration without a restart, as `glimpsed config reload` and SIGHUP do", keys: []key{
			{name: "watch", doc: "do so whenever a file of it has changed"},
		}},
		{name: "log", doc: "what is logged, to stderr", keys: []key{
			{name: "level", enum: []any{"debug", "info", "warn", "error"}, doc: "{enum}"},
			{name: "format", enum: []any{"auto", "text", "json"}, doc: "{enum}; auto: text, without times under systemd's journal"},
		}},
	}
}

func cameraKeys() []key {
	return []key{
		{name: "name", pattern: topicLevel, required: true, doc: "a level of its topics: letters, digits, - and _"},
		{name: "source", url: true, doc: "auto (the first usable camera), /dev/video0, libcamera:, rtsp://, http://, a video file, a folder or glob of pictures, " +
			"gstreamer:PIPELINE or pattern: (a test card)"},
		{name: "enabled", doc: "looked through from the start; false: when the command resume says so"},
		{name: "fps", bounds: atLeast(0), doc: "classifications a second at most; 0: as fast as possible"},
		{name: "width", bounds: between(0, 16384), doc: "pixels asked of a V4L2 camera; 0: its default"},
		{name: "height", bounds: between(0, 16384)},
		{name: "capture_fps", bounds: between(0, 1000), doc: "frames a second asked of a V4L2 camera; 0: its default"},
		{name: "fourcc", pattern: fourcc, doc: "pixel format asked of a V4L2 camera, such as MJPG; empty: its default"},
		{name: "rtsp_transport", enum: []any{"tcp", "udp"}, doc: "{enum}"},
		{name: "loop", doc: "start files and folders again at their end"},
		{name: "pace", enum: []any{"native", "fast"}, doc: "of files: native (their own speed, folders at fps) or fast (every frame, as fast as fps allows)"},
		{name: "rotate", enum: []any{0, 90, 180, 270}, doc: "degrees clockwise: {enum}"},
		{name: "flip", enum: []any{"", "horizontal", "vertical", "both"}, doc: "after rotating: {enum}"},
		{name: "roi", doc: "the part that is classified, in fractions of the upright picture", keys: []key{
			{name: "x", bounds: between(0, 1)},
			{name: "y", bounds: between(0, 1)},
			{name: "width", bounds: positive(1)},
			{name: "height", bounds: positive(1)},
		}},
		{name: "masks", bounds: between(0, 1), doc: "areas blacked out before anything else sees the picture: polygons in fractions of the upright picture, " +
			"such as [[0, 0], [0.5, 0], [0, 0.5]]"},
		{name: "motion", doc: "a still picture is not classified again; off by default: every picture is", keys: []key{
			{name: "threshold", bounds: between(0, 255), doc: "by how much the brightness (0 to 255) of a part of the picture must change; 0: off, 8 suits most cameras"},
			{name: "every", bounds: between(0, year), doc: "a still picture is classified this often"},
			{name: "hold", bounds: between(0, year), doc: "for so long after motion every picture is classified"},
		}},
		{name: "crop", enum: []any{"", "center", "letterbox", "stretch"}, doc: "how the picture is fitted to the model: {enum}; empty: as the model wants it"},
		{name: "model", doc: "a model for this camera alone; empty: the one below"},
		{name: "labels", doc: "its label file"},
		{name: "events", doc: "from results to a steady state and events, on CAMERA/state and CAMERA/event", keys: []key{
			{name: "groups", doc: "one name for several labels, whose scores are added, such as [{name: cat, labels: [tabby, Persian cat]}]", keys: []key{
				{name: "name", required: true, doc: "what the labels count as"},
				{name: "labels", required: true, doc: "labels of the model, or one of their names between commas"},
			}},
			{name: "allow", doc: "labels and groups that count; empty: all"},
			{name: "ignore", doc: "labels and groups that don't count"},
			{name: "smoothing", enum: []any{"ema", "majority", "off"}, doc: "of scores: {enum}"},
			{name: "window", bounds: between(0, year), doc: "over how long"},
			{name: "enter", bounds: between(0, 1), doc: "score from which a label is taken to be there"},
			{name: "leave", bounds: between(0, 1), doc: "score below which it is taken to be gone"},
			{name: "margin", bounds: between(0, 1), doc: "how far the best label must be ahead of the second"},
			{name: "after", bounds: between(0, year), doc: "how long a label must be there until the state changes"},
			{name: "linger", bounds: between(0, year), doc: "how long it must be gone until the state is unknown"},
			{name: "picture", doc: "publish each event's best picture on CAMERA/image, when it begins and when it ends"},
			{name: "update_every", bounds: between(0, year), doc: "time between updates of an event; 0s: none"},
		}},
		{name: "max_age", bounds: between(0.001, year), doc: "older frames are not classified"},
		{name: "stall_after", bounds: between(0.1, year), doc: "without a frame for this long, the camera is stalled and opened again"},
		{name: "frozen_after", bounds: between(0, year), doc: "the same picture for this long counts as stalled too; 0: never"},
		{name: "open_timeout", bounds: between(0.1, year), doc: "how long opening may take"},
		{name: "retry_min", bounds: between(0.01, year), doc: "pause before a lost camera is opened again; it grows up to retry_max, for a camera of this machine up to 5s"},
		{name: "retry_max", bounds: between(0.01, year)},
	}
}

func mqttKeys(kinds []string) []key {
	return []key{
		{name: "broker", url: true, doc: "tcp://HOST:1883, ssl://, ws:// or wss://, or a list of them, tried in order; empty: the embedded broker"},
		{name: "base_topic", doc: "in front of the device in every topic"},
		{name: "client_id", doc: "empty: made of device and machine"},
		{name: "qos", bounds: between(0, 2), doc: "of every topic that topics below doesn't name"},
		{name: "username"},
		{name: "password", secret: true, doc: "better in password_file"},
		{name: "password_file", doc: "file with the password, or the name of a systemd credential"},
		{name: "tls", doc: "of brokers with ssl:// or wss://; files are PEM, relative names systemd credentials or beside the configuration", keys: []key{
			{name: "ca_file", doc: "the authorities that are trusted; empty: the system's"},
			{name: "cert_file", doc: "this daemon's certificate, where the broker wants one"},
			{name: "key_file", doc: "its key"},
			{name: "server_name", doc: "what the broker's certificate must be made out to; empty: the host in mqtt.broker"},
			{name: "min_version", enum: []any{"1.2", "1.3"}, doc: "{enum}"},
		}},
		{name: "keep_alive", bounds: between(1, 65535), doc: "silence after which the link is tested"},
		{name: "connect_timeout", bounds: between(0.1, year), doc: "bounds each step of connecting"},
		{name: "retry_max", bounds: between(0.1, year), doc: "longest pause between attempts to connect"},
		{name: "topics", entries: kinds, doc: "how kinds of topics are sent, where it differs, such as result: {qos: 0, retain: false}", keys: []key{
			{name: "qos", bounds: between(0, 2), doc: "0, 1 or 2"},
			{name: "retain", doc: "whether the broker keeps the newest message"},
		}},
		{name: "outbox", doc: "messages that the broker can't take now", keys: []key{
			{name: "mode", enum: []any{"offline", "always", "off"}, doc: "kept on disk in state_dir: {enum}; offline: while no broker acknowledges, " +
				"always: before they are sent, off: in memory only, ten thousand at most"},
			{name: "max_mb", bounds: between(1, 1<<20), doc: "megabytes of disk at most; the oldest messages go first"},
			{name: "max_messages", bounds: between(1, 1e9), doc: "messages at most"},
			{name: "max_age", bounds: between(1, 10*year), doc: "older messages are given up"},
			{name: "sync", bounds: between(0, 3600), doc: "time between writes to the disk, which a power cut can cost; 0s: each message at once"},
		}},
		{name: "commands", enum: []any{"off", "safe", "all"}, doc: "what may be commanded over MQTT: {enum}; safe: ping, pause, resume, set (frame rate, thresholds) and snapshot; all: model, reload and restart too"},
	}
}

func anys(list []string) []any {
	out := make([]any, len(list))
	for i, s := range list {
		out[i] = s
	}
	return out
}
