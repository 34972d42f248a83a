package daemon

import (
	"bytes"
	"sync"
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

// bestPicture is the best picture of the event that goes on before a camera.
type bestPicture struct {
	mu      sync.Mutex // guards all below
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
	b.mu.Lock()
	defer b.mu.Unlock()
	id, score := c.events.Best()
	if id != b.event {
		a.tellPicture(c)
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
		a.tellPicture(c)
	}
}

// endBest publishes the best picture of an event that ended without another result: the camera has gone.
func (a *App) endBest(c *camera) {
	c.best.mu.Lock()
	defer c.best.mu.Unlock()
	a.tellPicture(c)
}

// tellPicture publishes the picture that is kept, if it is news. It needs best.mu.
func (a *App) tellPicture(c *camera) {
	if b := &c.best; b.jpeg != nil && !b.told {
		a.publish(a.encoder.Image(c.name, b.jpeg))
		b.told = true
	}
}
