// Package homeassistant makes the message by which Home Assistant finds a daemon: one device with an entity for
// everything that it publishes and for the commands that it takes.
//
// The keys are those of Home Assistant's MQTT integration in their short forms; a device with all its entities in one message
// is understood from Home Assistant 2024.12 on.
package homeassistant

import (
	"net/url"
	"slices"

	"github.com/glimpsed/glimpsed/publish"
)

// Device is what Home Assistant is told of.
type Device struct {
	// Base and Name are the device's base topic and its name in topics.
	Base, Name string
	// Version is the daemon's.
	Version string
	// Board is the machine's model; empty: unknown.
	Board string
	// URL is the page of this device, http or https. Home Assistant refuses the whole message for what is no
	// such URL, so that is left out.
	URL     string
	Cameras []Camera
	// Temperature and Throttled say that stats have these.
	Temperature, Throttled bool
	// Commands are the names of the commands that are allowed.
	Commands []string
	// Models are those that a camera's model may be changed to, the present one among them; empty: it can't be changed.
	Models []string
}

// Camera is what Home Assistant is told of a camera.
type Camera struct {
	Name string
	// Health lists the labels of the second opinion on the picture; empty: there is none.
	Health []string
	// Image says that pictures are published.
	Image bool
}

// message is the discovery message. Availability at its top is that of all components which have none of their own.
type message struct {
	Device       device               `json:"dev"`
	Origin       origin               `json:"o"`
	Availability []availability       `json:"avty"`
	Components   map[string]component `json:"cmps"`
}

type device struct {
	Identifiers  []string `json:"ids"`
	Name         string   `json:"name"`
	Manufacturer string   `json:"mf"`
	Model        string   `json:"mdl"`
	Version      string   `json:"sw,omitempty"`
	URL          string   `json:"cu,omitempty"`
}

type origin struct {
	Name    string `json:"name"`
	Version string `json:"sw,omitempty"`
}

// program is the origin of the message and the maker of the device.
const program = "glimpsed"

// deviceID is one level of a topic, like the device's name.
func deviceID(name string) string { return program + "_" + name }

// Discovery is the payload of the discovery message. Names must be such as publish.CheckLevel allows.
func Discovery(d Device) []byte {
	m := message{
		Device: device{
			Identifiers: []string{deviceID(d.Name)}, Name: d.Name, Manufacturer: program, Model: d.Board,
			Version: d.Version, URL: d.url(),
		},
		Origin:       origin{program, d.Version},
		Availability: []availability{{Topic: d.topic(string(publish.KindStatus))}},
		Components:   map[string]component{},
	}
	if m.Device.Model == "" {
		m.Device.Model = program
	}
	for _, e := range d.entities() {
		m.Components[e.key] = d.identify(e)
	}
	for _, c := range d.Cameras {
		for _, e := range d.cameraEntities(c) {
			// A dot is in no name, so that no two entities share a key.
			e.key = c.Name + "." + e.key
			e.Name = c.Name + " " + e.Name
			m.Components[e.key] = d.identify(e)
		}
	}
	return publish.Marshal(m)
}

// entity is a component with its key, which is unique within its camera or the device. A key
// must keep its platform for ever: Home Assistant can't take both the removal of an old platform and a new one in one
// message.
type entity struct {
	key string
	component
}

// identify gives an entity its identity in Home Assistant, which lasts as long as the names of device and camera.
func (d Device) identify(e entity) component {
	c := e.component
	c.UniqueID = deviceID(d.Name) + "." + e.key
	c.EntityID = c.Platform + "." + slug(d.Name+"_"+e.key)
	return c
}

// slug is s as Home Assistant writes it in the id of an entity.
func slug(s string) string {
	b := []byte(s)
	for i, c := range b {
		switch {
		case c >= 'A' && c <= 'Z':
			b[i] = c - 'A' + 'a'
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
		default:
			b[i] = '_'
		}
	}
	return string(b)
}

// topic is a whole topic.
func (d Device) topic(below string) string { return publish.Root(d.Base, d.Name) + "/" + below }

// cameraTopic is a camera's whole topic.
func (d Device) cameraTopic(c Camera, k publish.Kind) string {
	return d.topic(publish.CameraTopic(c.Name, k))
}

// allows says whether a command is allowed.
func (d Device) allows(name string) bool { return slices.Contains(d.Commands, name) }

func (d Device) url() string {
	u, err := url.Parse(d.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return ""
	}
	return d.URL
}
