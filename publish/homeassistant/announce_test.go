package homeassistant

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

func TestAnnounce(t *testing.T) {
	without := func(change func(*Device)) []byte {
		d := full()
		change(&d)
		return Discovery(d)
	}
	all := string(Discovery(full()))
	next := string(Discovery(minimal()))
	replaced := strings.Replace(all, `"a-b_1.label":{"p":"sensor"`, `"a-b_1.label":{"p":"event"`, 1)
	long := strings.NewReplacer(`"cmps"`, `"components"`, `"p":`, `"platform":`).Replace(all)
	for _, c := range []struct {
		name           string
		previous, next string
		want           map[string]string // what is gone, with its platform
	}{
		{"nothing retained", "", all, nil},
		{"the same", all, all, nil},
		{"more than before", next, all, nil},
		{"no snapshots any more", all, string(without(func(d *Device) { d.Commands = []string{"set", "model", "restart"} })),
			map[string]string{"front.snapshot": "button", "a-b_1.snapshot": "button"}},
		{"a camera renamed", string(without(func(d *Device) { d.Cameras = []Camera{{Name: "old"}}; d.Commands = nil })), next,
			map[string]string{"old.label": "sensor", "old.score": "sensor", "old.status": "sensor", "old.fps": "sensor", "old.invoke": "sensor", "old.event": "event",
				"temperature": "sensor", "throttled": "binary_sensor"}},
		{"another platform", replaced, all, map[string]string{"a-b_1.label": "event"}},
		{"removed already", `{"cmps":{"gone":{"p":"sensor"}}}`, next, map[string]string{"gone": "sensor"}},
		{"long keys", long, all, nil},
		{"a long key", `{"components":{"gone":{"platform":"button","unique_id":"x","name":"x"}}}`, next, map[string]string{"gone": "button"}},
		{"foreign components", `{"cmps":{"a":1,"b":null,"c":"sensor","d":{"p":"light"},"e":{"p":7},"f":{},"g":["sensor"],"h":{"p":"sensor"},"i":{"p":"sensor","name":"x"},"j":{"p":"sensor","uniq_id":null},"k":{"p":"sensor","uniq_id":7}}}`, next,
			map[string]string{"h": "sensor"}},
		{"no components", `{"dev":{"ids":["x"]}}`, next, nil},
		{"null", `null`, next, nil},
		{"null components", `{"cmps":null}`, next, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Announce([]byte(c.previous), []byte(c.next))
			if err != nil {
				t.Fatal(err)
			}
			if last := got[len(got)-1]; string(last) != c.next {
				t.Errorf("last comes %s", last)
			}
			if len(c.want) == 0 {
				if len(got) != 1 {
					t.Errorf("got %s", got)
				}
				return
			}
			if len(got) != 3 {
				t.Fatalf("got %s", got)
			}
			revived, removed := decodeMap(t, []byte(c.next)), decodeMap(t, []byte(c.next))
			for key, p := range c.want {
				revived["cmps"].(map[string]any)[key] = old(t, c.previous, key)
				removed["cmps"].(map[string]any)[key] = map[string]any{"p": p}
			}
			if m := decodeMap(t, got[0]); !reflect.DeepEqual(m, revived) {
				t.Errorf("first comes\n%s\nwant\n%v", got[0], revived)
			}
			if m := decodeMap(t, got[1]); !reflect.DeepEqual(m, removed) {
				t.Errorf("second comes\n%s\nwant\n%v", got[1], removed)
			}
		})
	}
}

// old is a component of a message.
func old(t *testing.T, message, key string) any {
	t.Helper()
	m := decodeMap(t, []byte(message))
	for _, k := range []string{"cmps", "components"} {
		if c, ok := m[k].(map[string]any); ok {
			return c[key]
		}
	}
	t.Fatalf("no components: %s", message)
	return nil
}

func decodeMap(t *testing.T, b []byte) (m map[string]any) {
	t.Helper()
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatalf("%v: %s", err, b)
	}
	return m
}

// What can't be read costs nothing but the removal.
func TestAnnounceAfterDamaged(t *testing.T) {
	next := Discovery(minimal())
	whole := Discovery(full())
	for _, previous := range []string{"x", "{", "[1]", `"cmps"`, "7", `{"cmps":[]}`, `{"cmps":"x"}`, "\xff\xfe", string(whole[:len(whole)/2])} {
		got, err := Announce([]byte(previous), next)
		if len(got) != 1 || string(got[0]) != string(next) || err == nil || !strings.HasPrefix(err.Error(), "reading the retained discovery message: ") {
			t.Errorf("%.20q: got %s, %v", previous, got, err)
		}
	}
	if _, err := Announce(whole, []byte("{")); err == nil || !strings.HasPrefix(err.Error(), "reading the new discovery message: ") {
		t.Errorf("got %v", err)
	}
}

// Whatever is retained, what is published is still the whole new message.
func FuzzAnnounce(f *testing.F) {
	for _, s := range []string{"", "{", `{"cmps":{"a":{"p":"sensor"}}}`, `{"components":{"front.label":{"platform":"event"}}}`, string(Discovery(full()))} {
		f.Add([]byte(s))
	}
	next := Discovery(minimal())
	f.Fuzz(func(t *testing.T, previous []byte) {
		got, err := Announce(previous, next)
		if len(got) == 0 || string(got[len(got)-1]) != string(next) || err != nil && len(got) != 1 {
			t.Fatalf("got %s, %v", got, err)
		}
		for _, b := range got {
			m, want := decodeMap(t, b), decodeMap(t, next)
			cmps, kept := m["cmps"].(map[string]any), want["cmps"].(map[string]any)
			for key, c := range cmps {
				if p := c.(map[string]any)["p"]; kept[key] == nil || p != kept[key].(map[string]any)["p"] {
					delete(cmps, key)
					delete(kept, key)
				}
			}
			if !reflect.DeepEqual(m, want) {
				t.Errorf("got %s", b)
			}
		}
	})
}
