package homeassistant

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/glimpsed/glimpsed/publish"
)

// Pause is how long to wait between two messages on the discovery topic: Home Assistant drops the rest of a message
// when it comes to a component whose last change it has not finished yet.
const Pause = time.Second

// Announce is what to publish on the discovery topic, in this order and with Pause in between, so that Home Assistant knows
// what next says and nothing else. The last message is next, to be retained. The others must not be: should the
// daemon end before the last, the next start still finds previous, which is what the broker has retained.
//
// If nothing is gone, next is all. Else next comes in two more forms before: at first with the components that are gone, as they
// were, then with nothing but the platform of each, which makes Home Assistant remove them. Just leaving them out
// would not, and it removes only what it was told of since its own start: without the first form those would
// stay in the registry of a Home Assistant that was away when they went.
//
// There is always a message; an error says that previous is damaged, so that it is not known what is gone. Of previous
// only components such as this package makes count.
func Announce(previous, next []byte) ([][]byte, error) {
	kept, gone, err := compare(previous, next)
	if err != nil || len(gone) == 0 {
		return [][]byte{next}, err
	}
	return [][]byte{with(next, kept, gone), with(next, kept, removals(gone)), next}, nil
}

// compare returns the components of next, and those of previous that it lacks or has on another platform.
func compare(previous, next []byte) (kept, gone map[string]json.RawMessage, err error) {
	if len(previous) == 0 {
		return nil, nil, nil
	}
	old, err := components(previous)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the retained discovery message: %w", err)
	}
	if kept, err = components(next); err != nil {
		return nil, nil, fmt.Errorf("reading the new discovery message: %w", err)
	}
	gone = map[string]json.RawMessage{}
	for key, c := range old {
		if p := platform(c); p != "" && p != platform(kept[key]) {
			gone[key] = c
		}
	}
	return kept, gone, nil
}

// removals has components reduced to what removes them.
func removals(gone map[string]json.RawMessage) map[string]json.RawMessage {
	out := map[string]json.RawMessage{}
	for key, c := range gone {
		out[key] = publish.Marshal(map[string]string{"p": platform(c)})
	}
	return out
}

// with is the message next, whose components are kept, with others instead of and beside them.
func with(next []byte, kept, others map[string]json.RawMessage) []byte {
	var m map[string]json.RawMessage
	if err := json.Unmarshal(next, &m); err != nil {
		panic(fmt.Sprintf("what could be read before: %v", err))
	}
	both := maps.Clone(kept)
	if both == nil {
		both = map[string]json.RawMessage{}
	}
	maps.Copy(both, others)
	m["cmps"] = publish.Marshal(both)
	return publish.Marshal(m)
}

// components are those of a discovery message, under the long or the short key.
func components(message []byte) (map[string]json.RawMessage, error) {
	var m struct {
		Short map[string]json.RawMessage `json:"cmps"`
		Long  map[string]json.RawMessage `json:"components"`
	}
	if err := json.Unmarshal(message, &m); err != nil {
		return nil, err
	}
	if m.Short == nil {
		return m.Long, nil
	}
	return m.Short, nil
}

// platform is a component's platform, or empty if it can't be one of this package's: Home Assistant refuses a whole message
// for a platform that it doesn't know, or for a component without a unique id.
func platform(component json.RawMessage) string {
	var c struct {
		Short   string `json:"p"`
		Long    string `json:"platform"`
		ShortID string `json:"uniq_id"`
		LongID  string `json:"unique_id"`
	}
	var keys map[string]json.RawMessage
	if json.Unmarshal(component, &c) != nil || json.Unmarshal(component, &keys) != nil {
		return ""
	}
	p := cmp.Or(c.Short, c.Long)
	if len(keys) > 1 && cmp.Or(c.ShortID, c.LongID) == "" || !slices.Contains(platforms, p) {
		return ""
	}
	return p
}
