// Package capture brings pictures in: sources of every kind, the supervision
// that keeps a camera going, and the rule that the newest frame wins.
package capture

import (
	"context"
	"errors"
	"time"

	"github.com/glimpsed/glimpsed/vision"
)

// Source delivers pictures, one Read at a time. It has a single owner and never
// retries by itself. Read blocks until the next picture and returns within one
// second of ctx's end; one that doesn't (a stuck native call) is abandoned by
// the Camera that owns it. After an error other than ctx's the source is closed
// and opened anew.
type Source interface {
	// Read returns the next picture in BGR. ErrEnded means there will be no more.
	Read(ctx context.Context) (vision.Frame, error)
	// Close frees what the source holds, except frames that are not released yet: those
	// stay valid until they are. It is not called during a Read.
	Close() error
}

// Skipper is a Source that can be told, when it has the next picture but before it
// did the work of turning it into BGR, that nobody will want it. The Camera skips what
// its frame rate limit would throw away.
type Skipper interface {
	Source
	// ReadUnless is Read, except that it asks skip about the moment of capture and returns
	// without a frame if so.
	ReadUnless(ctx context.Context, skip func(capturedAt time.Time) bool) (f vision.Frame, skipped bool, err error)
}

// OnDemand is a Source that makes a picture whenever it is asked for one, as a
// snapshot URL does. The Camera reads it when its frame rate wants the next picture,
// once a second if that has no limit; nothing is dropped or too old, and pictures may repeat.
type OnDemand interface {
	Source
	// OnDemand does nothing.
	OnDemand()
}

// Opener opens a source of one kind. Opening may take seconds and obeys ctx as
// Read does.
type Opener func(ctx context.Context, cfg Config) (Source, error)

// ErrEnded is what Read returns when a source that does not loop has come to its end.
var ErrEnded = errors.New("source has ended")

// ErrNotBuilt is wrapped by openers whose native part this binary was built without.
var ErrNotBuilt = errors.New("not built in")
