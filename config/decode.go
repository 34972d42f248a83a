package config

import (
	"fmt"
	"reflect"

	"github.com/go-viper/mapstructure/v2"
	"github.com/spf13/viper"

	"github.com/glimpsed/glimpsed/capture"
)

// decode lets viper fill in the structs from the merged tree.
func decode(v *value) (Config, error) {
	// No key holds two colons; dots may come in names.
	vp := viper.NewWithOptions(viper.KeyDelimiter("::"))
	settings, _ := v.plain().(map[string]any)
	if err := vp.MergeConfigMap(settings); err != nil {
		return Config{}, fmt.Errorf("merging the configuration: %w", err)
	}
	var cfg Config
	err := vp.UnmarshalExact(&cfg, func(dc *mapstructure.DecoderConfig) {
		dc.WeaklyTypedInput = false
		dc.MatchName = fits
		dc.DecodeHook = toPoint
	})
	if err != nil {
		return Config{}, fmt.Errorf("decoding the configuration: %w", err)
	}
	return cfg, nil
}

func toPoint(_, to reflect.Type, data any) (any, error) {
	if p, ok := data.([2]float64); ok && to == reflect.TypeFor[capture.Point]() {
		return capture.Point{X: p[0], Y: p[1]}, nil
	}
	return data, nil
}
