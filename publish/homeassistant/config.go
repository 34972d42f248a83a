package homeassistant

import (
	"fmt"

	"github.com/glimpsed/glimpsed/publish"
)

// defaultPrefix is Home Assistant's own default.
const defaultPrefix = "homeassistant"

// Config is Home Assistant's part of the configuration.
type Config struct {
	// Enabled publishes the discovery message.
	Enabled bool
	// Prefix is what Home Assistant's MQTT integration has as its discovery prefix.
	Prefix string
}

// DefaultConfig is off: the message goes to a topic that isn't below the device's own, and a broker whose ACL
// forbids that may close the connection.
func DefaultConfig() Config { return Config{Prefix: defaultPrefix} }

// Validate returns an error for the key that can't be used, under path.
func (c Config) Validate(path string) error {
	if err := publish.CheckBase(c.Prefix); err != nil {
		return fmt.Errorf("%s.prefix: %w", path, err)
	}
	return nil
}

// Topic is the whole topic of a device's discovery message, which is retained. An empty retained message there
// makes Home Assistant forget the device.
func (c Config) Topic(device string) string {
	return c.Prefix + "/device/" + deviceID(device) + "/config"
}

// Birth is what Home Assistant says on BirthTopics when it has started.
const Birth = "online"

// BirthTopics are the whole topics on which Home Assistant says that it has started. Its birth topic is a setting of its
// own there, which does not follow the prefix by itself.
func (c Config) BirthTopics() []string {
	topics := []string{defaultPrefix + "/status"}
	if c.Prefix != defaultPrefix {
		topics = append(topics, c.Prefix+"/status")
	}
	return topics
}
