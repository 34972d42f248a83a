package capture

import (
	"fmt"

	"github.com/glimpsed/glimpsed/imaging"
	"github.com/glimpsed/glimpsed/vision"
)

// fingerprint is what the frozen detector compares.
func fingerprint(f vision.Frame) uint64 { return imaging.Fingerprint(f) }

// preparer turns a source's frame into the one that leaves the camera: upright, with the masks
// blacked out, cut to the region of interest. It runs in Next's goroutine, so only
// on frames that somebody takes.
type preparer struct {
	upright imaging.Orientation
	masks   [][]imaging.Point
	mask    *imaging.Mask // for the size seen last
	roi     imaging.Rect
	// turned lends the memory that pictures are turned into.
	turned *Pool[*[]byte]
}

// newPreparer's cfg was validated; one that wasn't leaves pictures as they are, unturned.
func newPreparer(cfg Config) preparer {
	p := preparer{roi: imaging.Rect(cfg.ROI), turned: newBytesPool()}
	p.upright, _ = imaging.ParseTransform(cfg.Rotate, cfg.Flip)
	for _, polygon := range cfg.Masks {
		points := make([]imaging.Point, len(polygon))
		for i, pt := range polygon {
			points[i] = imaging.Point(pt)
		}
		p.masks = append(p.masks, points)
	}
	return p
}

func newBytesPool() *Pool[*[]byte] {
	return NewPool(func() *[]byte { return new([]byte) }, nil)
}

// apply takes the frame over: it is released if there is an error, or when the result is.
func (p *preparer) apply(f vision.Frame) (vision.Frame, error) {
	out, err := p.turn(f)
	if err == nil {
		f = out
		err = p.blackOut(f)
	}
	if err == nil {
		out, err = imaging.View(f, p.roi)
	}
	if err != nil {
		f.Release()
		return vision.Frame{}, fmt.Errorf("preparing a picture of %s: %w", f.Source, err)
	}
	return out, nil
}

// turn returns f upright; where that takes a copy, f is released.
func (p *preparer) turn(f vision.Frame) (vision.Frame, error) {
	if p.upright == imaging.Normal {
		return f, nil
	}
	buf, n, err := p.turned.TryGet()
	if err != nil {
		return f, err
	}
	out, err := p.upright.Apply(*buf, f)
	if err != nil {
		p.turned.Recycle(n)
		return f, err
	}
	*buf = out.Data
	out.Owner, out.Buffer = p.turned, n
	f.Release()
	return out, nil
}

func (p *preparer) blackOut(f vision.Frame) error {
	if len(p.masks) == 0 {
		return nil
	}
	if p.mask == nil || !p.mask.Fits(f) {
		mask, err := imaging.NewMask(p.masks, f.Width, f.Height)
		if err != nil {
			return err
		}
		p.mask = mask
	}
	return p.mask.Apply(f)
}
