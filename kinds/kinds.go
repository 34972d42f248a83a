// Package kinds says which constructor stands behind each name in the
// configuration. The tables are explicit: what is not in them does not exist.
package kinds

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"github.com/glimpsed/glimpsed/capture"
	"github.com/glimpsed/glimpsed/capture/opencv"
	"github.com/glimpsed/glimpsed/capture/pattern"
	"github.com/glimpsed/glimpsed/capture/pictures"
	"github.com/glimpsed/glimpsed/imaging"
	imagingcv "github.com/glimpsed/glimpsed/imaging/opencv"
	"github.com/glimpsed/glimpsed/infer"
	"github.com/glimpsed/glimpsed/infer/litert"
)

// MinSide lets large JPEGs be decoded at reduced scale as long as their shorter side keeps so many pixels:
// twice what any model of the catalogue resizes to, so that the antialiased resize has the last word.
const MinSide = 512

// SourceOpener opens sources of every kind. What native openers have to say goes to log.
func SourceOpener(log *slog.Logger) capture.Opener {
	native := opencv.Opener(log)
	openers := map[capture.Kind]capture.Opener{
		capture.KindAuto:      native,
		capture.KindV4L2:      native,
		capture.KindLibcamera: native,
		capture.KindRTSP:      native,
		capture.KindHTTP:      native,
		capture.KindFile:      native,
		capture.KindGStreamer: native,
		capture.KindPictures: pictures.Opener(pictures.Options{
			NewDecoder: NewDecoder, MinSide: MinSide, Limits: imaging.DefaultLimits(), Logger: log,
		}),
		capture.KindPattern: pattern.Open,
	}
	return func(ctx context.Context, cfg capture.Config) (capture.Source, error) {
		spec, err := capture.ParseSource(cfg.Source)
		if err != nil {
			return nil, fmt.Errorf("source: %w", err)
		}
		open, ok := openers[spec.Kind]
		if !ok {
			return nil, fmt.Errorf("source %s: no opener for sources of kind %s", spec.Redacted, spec.Kind)
		}
		return open(ctx, cfg)
	}
}

// runtimes has every runtime that models can be run by.
var runtimes = map[string]infer.Opener{
	"litert": litert.Open,
}

// autoRuntime is what "auto" stands for.
const autoRuntime = "litert"

// Runtimes are the names that infer.runtime may have beside "auto", sorted.
func Runtimes() []string { return slices.Sorted(maps.Keys(runtimes)) }

// Runtime returns the runtime of a name with its own name, which differs for "auto".
func Runtime(name string) (string, infer.Opener, error) {
	if name == "" || name == "auto" {
		name = autoRuntime
	}
	open, ok := runtimes[name]
	if !ok {
		return "", nil, fmt.Errorf("infer.runtime: there is no %q, only auto and %v", name, Runtimes())
	}
	return name, open, nil
}

// NewDecoder makes the fastest decoder of pictures that is built in.
func NewDecoder() (imaging.Decoder, error) {
	if imagingcv.Available {
		return imagingcv.NewDecoder()
	}
	return &imaging.GoDecoder{}, nil
}
