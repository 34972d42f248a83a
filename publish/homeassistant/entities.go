package homeassistant

import (
	"github.com/glimpsed/glimpsed/publish"
	"github.com/glimpsed/glimpsed/vision"
)

// What stats hold of the machine.
const (
	statTemperature = "value_json.temperature_c"
	statThrottled   = "value_json.throttled"
)

// entities are those of the device.
func (d Device) entities() []entity {
	stats := d.topic(string(publish.KindStats))
	diagnostics := d.topic(string(publish.KindDiagnostics))
	out := []entity{
		{"problems", component{
			Platform: platformBinarySensor, Name: "Problems", DeviceClass: classProblem, Category: diagnostic,
			StateTopic: diagnostics, ValueTemplate: binary("value_json.problems"),
			AttributesTopic: diagnostics, AttributesTemplate: "{{ {'problems': value_json.problems | map(attribute='what') | list, " +
				"'mqtt_reconnects': value_json.mqtt_reconnects, 'mqtt_lost': value_json.mqtt_lost} | to_json }}",
		}},
		{"memory", component{
			Platform: platformSensor, Name: "Memory", DeviceClass: classSize, Category: diagnostic,
			StateTopic: stats, ValueTemplate: "{{ value_json.rss_mb }}", StateClass: measurement, Unit: "MiB", Decimals: ptr(0),
		}},
	}
	if d.Temperature {
		out = append(out, entity{"temperature", component{
			Platform: platformSensor, Name: "Temperature", DeviceClass: classTemperature, Category: diagnostic,
			StateTopic: stats, ValueTemplate: "{{ " + statTemperature + " | default(none) }}", StateClass: measurement, Unit: "°C", Decimals: ptr(0),
		}})
	}
	if d.Throttled {
		out = append(out, entity{"throttled", component{
			Platform: platformBinarySensor, Name: "Throttled", DeviceClass: classProblem, Category: diagnostic,
			StateTopic: stats, ValueTemplate: binary(statThrottled + " | default(false)"),
		}})
	}
	if d.allows(commandRestart) {
		out = append(out, d.restart())
	}
	return out
}

// Which states of a camera make its entities available.
const (
	// seeing is for what needs pictures.
	seeing = "{{ 'online' if value == 'online' else 'offline' }}"
	// present is for what a camera that rests has, too: one that was paused must be resumed.
	present = "{{ 'offline' if value == 'offline' else 'online' }}"
)

// cameraEntities are those of a camera.
func (d Device) cameraEntities(c Camera) []entity {
	out := []entity{d.status(c)}
	for _, e := range d.sights(c) {
		out = append(out, d.needs(c, seeing, e))
	}
	for _, e := range append(d.numbers(c), d.controls(c)...) {
		out = append(out, d.needs(c, present, e))
	}
	if c.Image {
		out = append(out, d.needs(c, present, entity{"image", component{
			Platform: platformImage, Name: "picture",
			ImageTopic: d.cameraTopic(c, publish.KindImage), ContentType: "image/jpeg",
		}}))
	}
	return out
}

// needs makes an entity available while the device is online and its camera is what the template asks for.
func (d Device) needs(c Camera, template string, e entity) entity {
	e.AvailabilityMode = all
	e.Availability = []availability{
		{Topic: d.topic(string(publish.KindStatus))},
		{Topic: d.cameraTopic(c, publish.KindStatus), Template: template},
	}
	return e
}

// status is available whenever the device is: that a camera is offline is what it tells.
func (d Device) status(c Camera) entity {
	states := []string{string(vision.CameraOnline), string(vision.CameraOffline), string(vision.CameraStalled), string(vision.CameraPaused)}
	return entity{"status", component{
		Platform: platformSensor, Name: "status", DeviceClass: classEnum, Category: diagnostic, Options: states,
		StateTopic:      d.cameraTopic(c, publish.KindStatus),
		AttributesTopic: d.cameraTopic(c, publish.KindDiagnostics), AttributesTemplate: attributes("reason", "since", "source"),
	}}
}

// maxState is the length of a state in Home Assistant; what is longer is lost.
const maxState = "255"

// sights are what a camera's pictures show.
func (d Device) sights(c Camera) []entity {
	state := d.cameraTopic(c, publish.KindState)
	out := []entity{
		{"label", component{
			Platform: platformSensor, Name: "label", Icon: "mdi:tag",
			StateTopic: state, ValueTemplate: "{{ value_json.label[:" + maxState + "] }}",
			AttributesTopic: state, AttributesTemplate: attributes("score", "since", "clock_synced"),
		}},
		{"score", component{
			Platform: platformSensor, Name: "score", Icon: "mdi:percent",
			StateTopic: state, ValueTemplate: "{{ (value_json.score * 100) | round(2) }}", StateClass: measurement, Unit: "%", Decimals: ptr(0),
		}},
		{"event", component{
			Platform: platformEvent, Name: "event", QoS: 1, StateTopic: d.cameraTopic(c, publish.KindEvent),
			EventTypes:    []string{string(vision.EventStart), string(vision.EventUpdate), string(vision.EventEnd)},
			ValueTemplate: "{{ {'event_type': value_json.type, " + pairs("id", "label", "score", "best_score", "duration_s", "captured_at", "clock_synced") + "} | to_json }}",
		}},
	}
	if len(c.Health) > 0 {
		health := d.cameraTopic(c, publish.KindHealth)
		out = append(out, entity{"health", component{
			Platform: platformSensor, Name: "health", DeviceClass: classEnum, Category: diagnostic, Options: c.Health,
			StateTopic: health, ValueTemplate: "{{ value_json.label }}",
			AttributesTopic: health, AttributesTemplate: attributes("score", "since", "captured_at"),
		}})
	}
	return out
}

// numbers are a camera's stats. A camera that has no result yet may lack them.
func (d Device) numbers(c Camera) []entity {
	stats := d.topic(string(publish.KindStats))
	// Names with - need brackets; those of cameras hold no quote.
	camera := "(value_json.cameras['" + c.Name + "'] | default({}))"
	return []entity{
		{"fps", component{
			Platform: platformSensor, Name: "frame rate", Category: diagnostic, Icon: "mdi:speedometer",
			StateTopic: stats, ValueTemplate: "{{ " + camera + ".fps | default(none) }}", StateClass: measurement, Unit: "fps", Decimals: ptr(1),
		}},
		{"invoke", component{
			Platform: platformSensor, Name: "invoke time", DeviceClass: classDuration, Category: diagnostic,
			StateTopic: stats, ValueTemplate: "{{ ((" + camera + ".latency_ms | default({})).invoke | default({})).p50 | default(none) }}",
			StateClass: measurement, Unit: "ms", Decimals: ptr(1),
		}},
	}
}

// attributes is a template that takes keys of a JSON payload.
func attributes(keys ...string) string { return "{{ {" + pairs(keys...) + "} | to_json }}" }

// pairs are keys of a JSON payload, as inside of a template's map.
func pairs(keys ...string) string {
	s := ""
	for i, k := range keys {
		if i > 0 {
			s += ", "
		}
		s += "'" + k + "': value_json." + k
	}
	return s
}
