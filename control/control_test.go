package control

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"testing/synctest"
)

type fps struct {
	Camera string   `json:"camera"`
	FPS    *float64 `json:"fps"`
}

func commands() map[string]Command {
	return map[string]Command{
		"ping": {Safe: true, Run: func(context.Context, json.RawMessage) (any, error) { return map[string]int{"uptime_s": 7}, nil }},
		"set": {Safe: true, Run: func(_ context.Context, args json.RawMessage) (any, error) {
			var a fps
			return a.Camera, Decode(args, &a)
		}},
		"model": {Run: func(context.Context, json.RawMessage) (any, error) { return nil, errors.New("no such model") }},
		"odd":   {Safe: true, Run: func(context.Context, json.RawMessage) (any, error) { return math.NaN(), nil }},
	}
}

func TestDo(t *testing.T) {
	for _, c := range []struct {
		level         Level
		name, request string
		want          string
	}{
		{Safe, "ping", ``, `{"id":null,"ok":true,"result":{"uptime_s":7}}`},
		{Safe, "ping", `{"id":"a-1"}`, `{"id":"a-1","ok":true,"result":{"uptime_s":7}}`},
		{Safe, "ping", `{"id":42}`, `{"id":42,"ok":true,"result":{"uptime_s":7}}`},
		{Off, "ping", `{"id":1}`, `{"id":1,"ok":false,"error":"ping is not allowed: mqtt.commands is off"}`},
		{Safe, "model", `{"id":1}`, `{"id":1,"ok":false,"error":"model is not allowed: mqtt.commands is safe"}`},
		{All, "model", `{"id":1}`, `{"id":1,"ok":false,"error":"no such model"}`},
		{All, "format", `{"id":1}`, `{"id":1,"ok":false,"error":"there is no command \"format\"; there are model, odd, ping, set"}`},
		{All, "set", `{"id":1,"camera":"front","fps":2}`, `{"id":1,"ok":true,"result":"front"}`},
		{All, "set", `{"id":1,"speed":2}`, `{"id":1,"ok":false,"error":"unknown field \"speed\""}`},
		{All, "set", `{"id":1,"fps":"fast"}`, `{"id":1,"ok":false,"error":"fps must be a number, got a string"}`},
		{All, "set", `[1]`, `{"id":null,"ok":false,"error":"the request is not a JSON object"}`},
		{All, "set", `null`, `{"id":null,"ok":false,"error":"the request is not a JSON object"}`},
		{All, "set", `{"id":1`, `{"id":null,"ok":false,"error":"the request is not a JSON object"}`},
		{All, "set", `{"id":{"a":1}}`, `{"id":null,"ok":false,"error":"id must be a string or a number of at most 256 bytes"}`},
		{All, "set", `{"id":"` + strings.Repeat("x", 300) + `"}`, `{"id":null,"ok":false,"error":"id must be a string or a number of at most 256 bytes"}`},
		{All, "set", `{"id":1,"camera":"` + strings.Repeat("x", MaxRequest) + `"}`, `{"id":null,"ok":false,"error":"the request has 16404 bytes, more than 16384"}`},
		{All, "odd", `{"id":1}`, `{"id":1,"ok":false,"error":"encoding the answer: json: unsupported value: NaN"}`},
	} {
		if got := New(c.level, commands()).Do(t.Context(), c.name, []byte(c.request)); string(got) != c.want {
			t.Errorf("%s %.60s:\ngot  %s\nwant %s", c.name, c.request, got, c.want)
		}
	}
}

// A command that hangs doesn't hang those who ask.
func TestHangingCommand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := Command{Safe: true, Run: func(ctx context.Context, _ json.RawMessage) (any, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}}
		c := New(Safe, map[string]Command{"hang": hang})
		first := make(chan string)
		go func() { first <- string(c.Do(t.Context(), "hang", nil)) }()
		synctest.Wait()
		second := make(chan string)
		go func() { second <- string(c.Do(t.Context(), "hang", nil)) }()
		if got := <-first; !strings.Contains(got, "hang was not done within 10s") {
			t.Error(got)
		}
		if got := <-second; !strings.Contains(got, `"ok":false`) {
			t.Error(got)
		}
	})
}

// Whatever comes, there is an answer, and it is JSON.
func FuzzDo(f *testing.F) {
	for _, s := range []string{``, `{}`, `{"id":1,"camera":"front","fps":2}`, `{"id":"\u0000"}`, `{"id":1e999}`, "\xff", `{"id":[]}`} {
		f.Add("set", []byte(s))
	}
	c := New(All, commands())
	f.Fuzz(func(t *testing.T, name string, request []byte) {
		answer := c.Do(t.Context(), name, request)
		var r struct {
			OK    *bool
			Error string
		}
		if err := json.Unmarshal(answer, &r); err != nil || r.OK == nil || *r.OK == (r.Error != "") {
			t.Errorf("%q %q: %s (%v)", name, request, answer, err)
		}
	})
}
