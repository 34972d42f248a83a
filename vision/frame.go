package vision

import (
	"fmt"
	"time"
)

// Format says how a Frame's bytes are to be read.
type Format uint8

const (
	// BGR is 8-bit blue, green, red, interleaved, rows Stride bytes apart: what
	// OpenCV hands out and the only format that classifiers are given.
	BGR Format = iota
	// YUYV is 4:2:2 packed luma and chroma, two bytes a pixel.
	YUYV
	// JPEG is one whole compressed picture.
	JPEG
)

func (f Format) String() string {
	switch f {
	case BGR:
		return "BGR"
	case YUYV:
		return "YUYV"
	case JPEG:
		return "JPEG"
	}
	return fmt.Sprintf("Format(%d)", uint8(f))
}

// Frame is one picture. Its bytes belong to whoever produced it: they are
// valid until Release, which is called exactly once by the last holder.
type Frame struct {
	Format Format
	// Width and Height are in pixels.
	Width, Height int
	// Stride is the distance between rows in bytes; 0 for JPEG.
	Stride int
	Data   []byte
	// Seq counts what the source captured, dropped frames included, from 1.
	Seq uint64
	// CapturedAt is when the source had the picture, with its monotonic reading.
	CapturedAt time.Time
	// Source names where the picture comes from: a device, a redacted URL, a file.
	Source string
	// Capture is how long the source waited for the picture, Decode how long it
	// took to turn it into Format, Prepare how long turning, masking and cutting took.
	Capture, Decode, Prepare time.Duration

	// Owner and Buffer let the producer take its buffer back without an
	// allocation a frame; both are the producer's business.
	Owner  Recycler
	Buffer int
}

// Recycler takes back the buffer of a frame that nobody reads any more.
type Recycler interface {
	Recycle(buffer int)
}

// Release returns the frame's buffer to its owner. The frame's Data must not be
// touched afterwards. A frame without an owner is left to the garbage collector.
func (f Frame) Release() {
	if f.Owner != nil {
		f.Owner.Recycle(f.Buffer)
	}
}
