package infer

import "testing"

func TestConfig(t *testing.T) {
	if err := DefaultConfig().Validate("infer"); err != nil {
		t.Errorf("the defaults: %v", err)
	}
	for _, c := range []struct {
		config Config
		want   string
	}{
		{Config{Runtime: "auto", Threads: -1, Top: 3}, "infer.threads: must be 0 (one a core) to 256, got -1"},
		{Config{Runtime: "auto", Threads: 257, Top: 3}, "infer.threads: must be 0 (one a core) to 256, got 257"},
		{Config{Runtime: "litert", Top: 0}, "infer.top: must be 1 to 1000, got 0"},
		{Config{Top: 1001, Threads: 999}, "infer.runtime: must name a runtime or be auto, got nothing\n" +
			"infer.threads: must be 0 (one a core) to 256, got 999\ninfer.top: must be 1 to 1000, got 1001"},
	} {
		err := c.config.Validate("infer")
		if err == nil || err.Error() != c.want {
			t.Errorf("%+v: %v, want %s", c.config, err, c.want)
		}
	}
}
