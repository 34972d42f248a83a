package daemon

import (
	"bytes"
	"time"

	"github.com/glimpsed/glimpsed/imaging"
	"github.com/glimpsed/glimpsed/vision"
)

const (
	// Encoding costs milliseconds: a picture takes the place of one that is clearly worse, and seldom.
	betterBy    = 0.02
	betterEvery = time.Second
	// eventSide bounds the longer side of an event's picture, in pixels.
	eventSide    = 800
	eventQuality = 80
)

// bestPicture is the best picture of the event that goes on before a camera. It belongs to the camera's pipeline.
type bestPicture struct {
	encoder imaging.Encoder
	event   string
	score   float64
	at      time.Time
	jpeg    []byte
	told    bool // jpeg was published
}

// keepBest publishes the first picture of an event and, when it has ended, the best one.
func (a *App) keepBest(c *camera, frame vision.Frame) {
	b := &c.best
	id, score := c.events.Best()
	if id != b.event {
		a.tellBest(c)
		b.event, b.score, b.jpeg = id, 0, nil
		if id == "" {
			return
		}
	}
	first := b.jpeg == nil
	if id == "" || !first && (score < b.score+betterBy || time.Since(b.at) < betterEvery) {
		return
	}
	jpeg, err := b.encoder.Snapshot(frame, eventSide, eventQuality)
	if err != nil {
		a.log.Error("encoding an event's picture", "camera", c.name, "error", err)
		return
	}
	// the encoder uses its bytes again, and the publisher keeps them
	b.jpeg, b.score, b.at, b.told = bytes.Clone(jpeg), score, time.Now(), false
	if first {
		a.tellBest(c)
	}
}

// tellBest publishes the picture that is kept, if it is news.
func (a *App) tellBest(c *camera) {
	if b := &c.best; b.jpeg != nil && !b.told {
		a.publish(a.encoder.Image(c.name, b.jpeg))
		b.told = true
	}
}
