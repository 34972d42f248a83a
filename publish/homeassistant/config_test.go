package homeassistant

import (
	"slices"
	"testing"
)

func TestConfig(t *testing.T) {
	c := DefaultConfig()
	if c.Enabled {
		t.Error("is on by default")
	}
	if err := c.Validate("homeassistant"); err != nil {
		t.Error(err)
	}
	if got := c.Topic("a-b_1"); got != "homeassistant/device/glimpsed_a-b_1/config" {
		t.Error(got)
	}
	if got := c.BirthTopics(); !slices.Equal(got, []string{"homeassistant/status"}) {
		t.Error(got)
	}
	c.Prefix = "site/ha"
	if got := c.Topic("porch"); got != "site/ha/device/glimpsed_porch/config" {
		t.Error(got)
	}
	if got := c.BirthTopics(); !slices.Equal(got, []string{"homeassistant/status", "site/ha/status"}) {
		t.Error(got)
	}
}

func TestValidate(t *testing.T) {
	for prefix, want := range map[string]string{
		"":       "mqtt.homeassistant.prefix: must not be empty",
		"ha/":    `mqtt.homeassistant.prefix: may not begin or end with / or hold an empty level, got "ha/"`,
		"ha/+":   `mqtt.homeassistant.prefix: may not hold +, # or NUL, got "ha/+"`,
		"$SYS/x": `mqtt.homeassistant.prefix: may not begin with $, which brokers keep for themselves, got "$SYS/x"`,
	} {
		if err := (Config{Prefix: prefix}).Validate("mqtt.homeassistant"); err == nil || err.Error() != want {
			t.Errorf("%q: got %v, want %s", prefix, err, want)
		}
	}
}
