package netcam

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/glimpsed/glimpsed/capture"
	"github.com/glimpsed/glimpsed/imaging"
	"github.com/glimpsed/glimpsed/vision"
)

// Snapshots is a source that gets a URL for each picture.
type Snapshots struct {
	source  string
	client  *client
	decoder imaging.Decoder
	minSide int
	limits  imaging.Limits
	pool    *capture.Pool[*[]byte]
	body    []byte
	seq     uint64
}

// enoughSide is what the shorter side of the region of interest keeps, in pixels, when a JPEG is
// decoded at a reduced size: twice what models are given.
const enoughSide = 512

// OpenSnapshots makes a source of a URL that Ask found to be a single picture. The decoder is
// closed with it.
func OpenSnapshots(cfg capture.Config, decoder imaging.Decoder) *Snapshots {
	return &Snapshots{
		source: cfg.Source, client: newClient(cfg.Source), decoder: decoder, limits: imaging.DefaultLimits(),
		minSide: int(enoughSide / max(min(cfg.ROI.Width, cfg.ROI.Height), 0.01)),
		pool:    capture.NewPool(func() *[]byte { return new([]byte) }, nil),
	}
}

// OnDemand implements capture.OnDemand.
func (*Snapshots) OnDemand() {}

// Read gets the picture as it is now.
func (s *Snapshots) Read(ctx context.Context) (vision.Frame, error) {
	start := time.Now()
	if err := ctx.Err(); err != nil {
		return vision.Frame{}, err
	}
	if err := s.get(ctx); err != nil {
		if ctx.Err() != nil {
			return vision.Frame{}, ctx.Err()
		}
		return vision.Frame{}, reading(s.source, err)
	}
	at := time.Now()
	buf, n, err := s.pool.Get(ctx)
	if err != nil {
		return vision.Frame{}, err
	}
	began := time.Now()
	f, err := s.decoder.Decode(s.body, imaging.Options{Limits: s.limits, MinSide: s.minSide, Buffer: *buf})
	if err != nil {
		s.pool.Recycle(n)
		return vision.Frame{}, reading(s.source, err)
	}
	*buf = f.Data
	s.seq++
	f.Seq, f.Source, f.CapturedAt = s.seq, name(s.source), at
	f.Capture, f.Decode = at.Sub(start), time.Since(began)
	f.Owner, f.Buffer = s.pool, n
	return f, nil
}

// get fills body with the compressed picture.
func (s *Snapshots) get(ctx context.Context) error {
	resp, err := s.client.get(ctx)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	most := s.limits.Bytes
	s.body = s.body[:0]
	for {
		if len(s.body) == cap(s.body) {
			s.body = append(s.body, make([]byte, max(64<<10, len(s.body)))...)[:len(s.body)]
		}
		n, err := resp.Body.Read(s.body[len(s.body):cap(s.body)])
		s.body = s.body[:len(s.body)+n]
		switch {
		case int64(len(s.body)) > int64(most):
			return fmt.Errorf("the picture %w: the limit is %d bytes", imaging.ErrTooLarge, most)
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

// Close hangs up.
func (s *Snapshots) Close() error {
	s.client.close()
	s.pool.Close()
	return s.decoder.Close()
}
