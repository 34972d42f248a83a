package config

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/glimpsed/glimpsed/capture"
	"github.com/glimpsed/glimpsed/events"
	"github.com/glimpsed/glimpsed/infer"
	"github.com/glimpsed/glimpsed/publish"
	"github.com/glimpsed/glimpsed/publish/broker"
	"github.com/glimpsed/glimpsed/publish/homeassistant"
	"github.com/glimpsed/glimpsed/publish/mqtt"
	"github.com/glimpsed/glimpsed/publish/webhook"
	"github.com/glimpsed/glimpsed/vision"
)

// Config is everything that can be configured.
type Config struct {
	// Device names this machine in topics and results. Load fills it in.
	Device string
	// StateDir is the folder that outlives restarts. Load fills it in.
	StateDir string
	Cameras  []Camera
	// Model and Labels go for every camera that names no model of its own.
	Model  string
	Labels string
	Models Models
	Infer  infer.Config
	MQTT   MQTT
	Broker Broker
	// Webhooks are told of events.
	Webhooks []Webhook
	Health   Health
	// HomeAssistant is told of this device.
	HomeAssistant homeassistant.Config
	Web           Web
	Stats         Stats
	Reload        Reload
	Log           Log
}

// Camera is one camera: how its pictures are captured and what classifies them.
type Camera struct {
	capture.Config `mapstructure:",squash"`
	// Enabled cameras are looked through from the start; others wait for a command.
	Enabled bool
	// Crop overrides the model's own; empty leaves it.
	Crop   vision.Crop
	Events events.Config
	// Model and Labels override the top-level ones; see Config.ModelOf.
	Model  string
	Labels string
}

// Models is where models are kept and come from.
type Models struct {
	// Dir holds the installed models. Load fills it in.
	Dir string
	// Mirror is a URL or a folder that is asked instead of the models' own hosts.
	Mirror string
}

// MQTT is the publisher's configuration with the keys that only this package or
// later features know.
type MQTT struct {
	mqtt.Config `mapstructure:",squash"`
	// PasswordFile is where Load takes Password from.
	PasswordFile string
	Outbox       Outbox
	// Commands is "off", "safe" or "all".
	Commands string
}

// Outbox is what happens to messages that the broker can't take now.
type Outbox struct {
	// Mode is "offline", "always" or "off".
	Mode string
	// MaxMB, in megabytes of 2^20 bytes, MaxMessages and MaxAge bound what is kept; the oldest goes first.
	MaxMB       int
	MaxMessages int
	MaxAge      time.Duration
	// Sync is the time between writes to the disk; 0: none.
	Sync time.Duration
}

// Broker is the embedded broker's configuration.
type Broker struct {
	broker.Config `mapstructure:",squash"`
	// PasswordFile is where Load takes Password from.
	PasswordFile string
}

// Webhook is a server that is told of events.
type Webhook struct {
	webhook.Config `mapstructure:",squash"`
	// SecretFile is where Load takes Secret from.
	SecretFile string
}

// Health is the second opinion on every camera's picture, from the model that is part of the binary.
type Health struct {
	// Every is the pause between two of a camera; 0: never.
	Every time.Duration
}

// Web is the page, API and metrics.
type Web struct {
	// Listen is host:port; empty: off.
	Listen string
}

// Stats is the publishing of numbers about the daemon itself.
type Stats struct {
	Every time.Duration
}

// Reload is when a changed configuration is taken on.
type Reload struct {
	// Watch has it taken on as soon as the file changes, not only when asked.
	Watch bool
}

// Log is how the daemon logs.
type Log struct {
	// Level is "debug", "info", "warn" or "error".
	Level string
	// Format is "auto", "text" or "json".
	Format string
}

// Defaults is the configuration of a machine that configures nothing. Device,
// StateDir and Models.Dir are empty in it: they depend on the machine, and Load fills them in.
func Defaults() Config {
	cam := defaultCamera()
	cam.Name = "camera"
	return Config{
		Cameras:       []Camera{cam},
		Model:         "auto",
		Infer:         infer.DefaultConfig(),
		MQTT:          MQTT{Config: mqtt.DefaultConfig(), Outbox: defaultOutbox(), Commands: "safe"},
		Broker:        Broker{Config: broker.DefaultConfig()},
		HomeAssistant: homeassistant.DefaultConfig(),
		Web:           Web{Listen: "127.0.0.1:8080"},
		Stats:         Stats{Every: 30 * time.Second},
		Log:           Log{Level: "info", Format: "auto"},
	}
}

// defaultOutbox holds more than a day of one camera at 5 results a second.
func defaultOutbox() Outbox {
	return Outbox{Mode: "offline", MaxMB: 512, MaxMessages: 1_000_000, MaxAge: 7 * 24 * time.Hour, Sync: 500 * time.Millisecond}
}

// defaultCamera is what a camera in the file starts from; it has no name.
func defaultCamera() Camera {
	cam := Camera{Config: capture.DefaultConfig(), Enabled: true, Events: events.DefaultConfig()}
	cam.Name = ""
	return cam
}

// CaptureConfigs is every camera as the capture stage needs it, in order.
func (c Config) CaptureConfigs() []capture.Config {
	out := make([]capture.Config, len(c.Cameras))
	for i, cam := range c.Cameras {
		out[i] = cam.Config
	}
	return out
}

// ModelOf is the model that camera i is classified with and its label file, which
// is empty where labels come with the model. The top-level labels belong to the
// top-level model: a camera with a model of its own doesn't inherit them.
func (c Config) ModelOf(i int) (model, labels string) {
	cam := c.Cameras[i]
	model, labels = c.Model, c.Labels
	if cam.Model != "" {
		model, labels = cam.Model, ""
	}
	if cam.Labels != "" {
		labels = cam.Labels
	}
	return model, labels
}

// EmbeddedBroker says whether the daemon is its own broker: it is when no other one is configured.
func (c Config) EmbeddedBroker() bool { return len(c.MQTT.Brokers) == 0 }

// Validate returns one error for each key that can't be used, those of every
// stage included.
func (c Config) Validate() error {
	var errs []error
	bad := func(key, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: %w", key, fmt.Errorf(format, args...)))
	}
	if c.Device != "" {
		if err := publish.CheckLevel(c.Device); err != nil {
			bad("device", "%w", err)
		}
	}
	if len(c.Cameras) == 0 {
		bad("cameras", "must name at least one camera, or be left out for the first usable one")
	}
	first := map[string]int{}
	for i, cam := range c.Cameras {
		path := fmt.Sprintf("cameras[%d]", i)
		if j, taken := first[cam.Name]; taken && cam.Name != "" {
			bad(path+".name", "%q is the name of cameras[%d] already", cam.Name, j)
		} else {
			first[cam.Name] = i
		}
		errs = append(errs, cam.Config.Validate(path), cam.Events.Validate(path+".events"))
		if model, _ := c.ModelOf(i); cam.Labels != "" && !isModelFile(model) {
			bad(path+".labels", "only goes with a .tflite file as the model, which is %s", model)
		}
	}
	if c.Model == "" {
		bad("model", "must be auto, a model's name or a .tflite file")
	}
	if c.Labels != "" && !isModelFile(c.Model) {
		bad("labels", "only goes with a .tflite file as the model, which is %s", c.Model)
	}
	errs = append(errs, c.Infer.Validate("infer"), c.MQTT.Validate("mqtt"))
	if c.EmbeddedBroker() {
		errs = append(errs, c.Broker.Validate("broker"))
	}
	errs = append(errs, c.HomeAssistant.Validate("homeassistant"))
	for i, w := range c.Webhooks {
		errs = append(errs, w.Validate(fmt.Sprintf("webhooks[%d]", i)))
	}
	if c.Web.Listen != "" {
		if err := checkListen(c.Web.Listen); err != nil {
			bad("web.listen", "%w", err)
		}
	}
	return errors.Join(errs...)
}

// isModelFile says whether a model is given as a file rather than by its name.
func isModelFile(model string) bool { return strings.HasSuffix(strings.ToLower(model), ".tflite") }

func checkListen(address string) error {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("must be HOST:PORT such as 127.0.0.1:8080, or empty for off, got %q", address)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("port must be from 0 to 65535, got %q", port)
	}
	return nil
}
