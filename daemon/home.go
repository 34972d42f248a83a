package daemon

import (
	"context"
	"slices"
	"time"

	"github.com/glimpsed/glimpsed/board"
	"github.com/glimpsed/glimpsed/models"
	"github.com/glimpsed/glimpsed/publish"
	"github.com/glimpsed/glimpsed/publish/homeassistant"
	"github.com/glimpsed/glimpsed/publish/mqtt"
)

// retainedWithin is how soon after connecting a broker has sent what it retained.
const retainedWithin = time.Second

// home is what the daemon knows of Home Assistant.
type home struct {
	// previous has room for the discovery message that the broker retained, from before this run.
	previous chan []byte
	// born says that Home Assistant has started, or that there is a connection.
	born chan struct{}
}

func newHome() home { return home{previous: make(chan []byte, 1), born: make(chan struct{}, 1)} }

// homeSubscriptions are for Home Assistant's birth, and for what an earlier run told it.
func (a *App) homeSubscriptions() []mqtt.Subscription {
	cfg := a.config().HomeAssistant
	if !cfg.Enabled {
		return nil
	}
	out := []mqtt.Subscription{{Filter: cfg.Topic(a.config().Device), Whole: true, QoS: 1, Handle: func(m mqtt.Received) {
		if !m.Retained {
			return // our own
		}
		select {
		case a.home.previous <- m.Payload:
		default:
		}
	}}}
	for _, topic := range cfg.BirthTopics() {
		out = append(out, mqtt.Subscription{Filter: topic, Whole: true, QoS: 1, Handle: func(m mqtt.Received) {
			if string(m.Payload) == homeassistant.Birth && !m.Retained {
				wake(a.home.born)
			}
		}})
	}
	return out
}

// tellHome publishes the discovery message on the first connection, whenever Home Assistant starts and when cameras have changed. Later
// connections have it again by themselves, since it is retained.
func (a *App) tellHome(ctx context.Context) {
	cfg := a.config().HomeAssistant
	if !cfg.Enabled {
		return
	}
	var previous []byte
	first := true
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.home.born:
		}
		if first {
			select {
			case <-ctx.Done():
				return
			case previous = <-a.home.previous:
			case <-time.After(retainedWithin):
			}
			first = false
		}
		messages, err := homeassistant.Announce(previous, homeassistant.Discovery(a.homeDevice()))
		if err != nil {
			a.log.Warn("cameras that are gone may stay in Home Assistant", "error", err)
		}
		for i, payload := range messages {
			if i > 0 {
				select {
				case <-ctx.Done():
					return
				case <-time.After(homeassistant.Pause):
				}
			}
			a.publish(publish.Message{
				Topic: cfg.Topic(a.config().Device), Whole: true, Kind: publish.KindDiscovery, Payload: payload,
				QoS: 1, Retain: i == len(messages)-1,
			})
			previous = payload
		}
	}
}

// homeDevice is what Home Assistant is told of.
func (a *App) homeDevice() homeassistant.Device {
	d := homeassistant.Device{
		Base: a.config().MQTT.BaseTopic, Name: a.config().Device, Version: a.opts.Version, Board: board.CPUModel(), Commands: a.control.Allowed(),
	}
	_, d.Temperature = board.Temperature()
	_, d.Throttled = board.Throttled()
	if a.control.Allows("model") {
		d.Models = a.modelNames()
	}
	for _, c := range a.all() {
		one := homeassistant.Camera{Name: c.name, Image: c.picture.Load() || a.control.Allows("snapshot")}
		if c.healthCheck() != nil {
			entry, _ := models.Lookup(models.CameraHealth)
			one.Health = entry.Labels()
		}
		d.Cameras = append(d.Cameras, one)
	}
	return d
}

// modelNames are the models that a camera may be given, and those that they have.
func (a *App) modelNames() []string {
	names := []string{models.CameraHealth}
	installed, err := models.NewStore(a.config().Models.Dir).List()
	if err != nil {
		a.log.Warn("listing models for Home Assistant", "error", err) // those that are whole are listed all the same
	}
	for _, m := range installed {
		names = append(names, m.Name)
	}
	for _, c := range a.all() {
		names = append(names, c.modelInUse().Name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}
