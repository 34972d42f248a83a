package homeassistant

import "github.com/glimpsed/glimpsed/publish"

// The commands that entities give, by name. Each is sent with QoS 1, so that it gets lost no more easily than what it is
// answered by. This file is all that knows of their arguments.
const (
	commandSet      = "set"
	commandModel    = "model"
	commandSnapshot = "snapshot"
	commandRestart  = "restart"

	commandQoS = 1
)

// command makes an entity give a command.
func (d Device) command(e *entity, name string) {
	e.CommandTopic = d.topic(publish.CommandTopic(name))
	e.QoS = commandQoS
}

// controls are the entities that change a camera, those whose command is allowed.
func (d Device) controls(c Camera) []entity {
	var out []entity
	add := func(name string, e entity) {
		if d.allows(name) {
			d.command(&e, name)
			out = append(out, e)
		}
	}
	// of begins the arguments of a command; a camera's name needs no escape.
	of := `{"camera":"` + c.Name + `"`
	settings := d.cameraTopic(c, publish.KindSettings)
	add(commandSet, entity{"enabled", component{
		Platform: platformSwitch, Name: "classification", Icon: "mdi:eye",
		StateTopic: settings, ValueTemplate: "{{ 'on' if value_json.enabled else 'off' }}", StateOn: "on", StateOff: "off",
		PayloadOn: of + `,"enabled":true}`, PayloadOff: of + `,"enabled":false}`,
	}})
	add(commandSet, entity{"threshold", component{
		Platform: platformNumber, Name: "threshold", Category: config, Icon: "mdi:gauge",
		StateTopic: settings, ValueTemplate: "{{ value_json.enter }}",
		Min: ptr(0.0), Max: ptr(1.0), Step: ptr(0.01), Mode: "slider",
		CommandTemplate: of + `,"enter":{{ value }}}`,
	}})
	if len(d.Models) > 0 {
		add(commandModel, entity{"model", component{
			Platform: platformSelect, Name: "model", Category: config, Icon: "mdi:brain",
			StateTopic: settings, ValueTemplate: "{{ value_json.model }}", Options: d.Models,
			CommandTemplate: of + `,"model":{{ value | to_json }}}`,
		}})
	}
	add(commandSnapshot, entity{"snapshot", component{
		Platform: platformButton, Name: "snapshot", Icon: "mdi:camera", PayloadPress: of + "}",
	}})
	return out
}

// restart is the button that starts the daemon anew.
func (d Device) restart() entity {
	e := entity{"restart", component{
		Platform: platformButton, Name: "Restart", DeviceClass: classRestart, Category: config, PayloadPress: "{}",
	}}
	d.command(&e, commandRestart)
	return e
}

func ptr[T any](v T) *T { return &v }
