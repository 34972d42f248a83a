package homeassistant

// The platforms of Home Assistant that are used here.
const (
	platformSensor       = "sensor"
	platformBinarySensor = "binary_sensor"
	platformEvent        = "event"
	platformImage        = "image"
	platformSwitch       = "switch"
	platformNumber       = "number"
	platformSelect       = "select"
	platformButton       = "button"
)

// platforms lists them.
var platforms = []string{platformSensor, platformBinarySensor, platformEvent, platformImage,
	platformSwitch, platformNumber, platformSelect, platformButton}

// Words that Home Assistant gives a meaning.
const (
	// diagnostic entities are shown apart from those that the device is there for, config ones with its settings.
	diagnostic = "diagnostic"
	config     = "config"

	classEnum        = "enum"
	classProblem     = "problem"
	classTemperature = "temperature"
	classSize        = "data_size"
	classDuration    = "duration"
	classRestart     = "restart"

	measurement = "measurement"
	all         = "all"
)

// component is one entity in the discovery message: the keys of all platforms used.
type component struct {
	Platform string `json:"p"`
	Name     string `json:"name"`
	UniqueID string `json:"uniq_id"`
	// EntityID is a proposal: the user may change it.
	EntityID    string `json:"def_ent_id"`
	Category    string `json:"ent_cat,omitempty"`
	DeviceClass string `json:"dev_cla,omitempty"`
	Icon        string `json:"ic,omitempty"`

	StateTopic         string `json:"stat_t,omitempty"`
	ValueTemplate      string `json:"val_tpl,omitempty"`
	AttributesTopic    string `json:"json_attr_t,omitempty"`
	AttributesTemplate string `json:"json_attr_tpl,omitempty"`
	QoS                int    `json:"qos,omitempty"`

	// AvailabilityMode is all where Availability has several topics.
	AvailabilityMode string         `json:"avty_mode,omitempty"`
	Availability     []availability `json:"avty,omitempty"`

	StateClass string `json:"stat_cla,omitempty"`
	Unit       string `json:"unit_of_meas,omitempty"`
	Decimals   *int   `json:"sug_dsp_prc,omitempty"`
	// Options are the values of an enum or a select.
	Options    []string `json:"ops,omitempty"`
	EventTypes []string `json:"evt_typ,omitempty"`

	ImageTopic  string `json:"img_t,omitempty"`
	ContentType string `json:"cont_type,omitempty"`

	CommandTopic    string   `json:"cmd_t,omitempty"`
	CommandTemplate string   `json:"cmd_tpl,omitempty"`
	PayloadOn       string   `json:"pl_on,omitempty"`
	PayloadOff      string   `json:"pl_off,omitempty"`
	PayloadPress    string   `json:"pl_prs,omitempty"`
	StateOn         string   `json:"stat_on,omitempty"`
	StateOff        string   `json:"stat_off,omitempty"`
	Min             *float64 `json:"min,omitempty"`
	Max             *float64 `json:"max,omitempty"`
	Step            *float64 `json:"step,omitempty"`
	Mode            string   `json:"mode,omitempty"`
}

// availability is a topic that says online or offline, as Home Assistant expects it by default. What its template makes
// into neither changes nothing.
type availability struct {
	Topic    string `json:"t"`
	Template string `json:"val_tpl,omitempty"`
}

// binary is the state of a binary sensor as a template: ON or OFF, as Home Assistant expects it by default.
func binary(condition string) string { return "{{ 'ON' if " + condition + " else 'OFF' }}" }
