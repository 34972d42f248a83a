package imaging

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// What can be wrong with a picture; the errors of Probe and Decode wrap one of these.
var (
	// ErrEmpty: there are no bytes at all.
	ErrEmpty = errors.New("is empty (0 bytes)")
	// ErrNotPicture: the bytes are not a picture of any format known here.
	ErrNotPicture = errors.New("is not a picture")
	// ErrUnsupported: a picture, but of a kind that can't be decoded.
	ErrUnsupported = errors.New("is of an unsupported kind")
	// ErrTruncated: the picture is cut off. It is refused as a whole, since half a
	// picture would be classified as if it were one.
	ErrTruncated = errors.New("is cut off before its end")
	// ErrCorrupt: the bytes contradict their format.
	ErrCorrupt = errors.New("is damaged")
	// ErrTooLarge: over the Limits; nothing was decoded.
	ErrTooLarge = errors.New("is too large")
)

// Limits bound what is decoded; a value of 0 or below stands for the default.
type Limits struct {
	// Bytes is the length of the compressed picture.
	Bytes int
	// Pixels is width times height.
	Pixels int
}

// DefaultLimits are 64 MiB and 64 megapixels (8000 x 8000), of which BGR takes 192 MB.
func DefaultLimits() Limits {
	return Limits{Bytes: 64 << 20, Pixels: 64_000_000}
}

// CheckBytes says whether n bytes are within the limits: before a file is read, say.
func (l Limits) CheckBytes(n int64) error {
	if n > int64(l.bytes()) {
		return fmt.Errorf("picture %w: %d bytes, the limit is %d", ErrTooLarge, n, l.bytes())
	}
	return nil
}

func (l Limits) bytes() int {
	if l.Bytes <= 0 {
		return DefaultLimits().Bytes
	}
	return l.Bytes
}

// checkSize says whether a picture of width x height is within the limits.
func (l Limits) checkSize(width, height int) error {
	limit := l.Pixels
	if limit <= 0 {
		limit = DefaultLimits().Pixels
	}
	if width <= 0 || height <= 0 {
		return fmt.Errorf("picture %w: its size is %dx%d", ErrCorrupt, width, height)
	}
	if int64(width)*int64(height) > int64(limit) {
		return fmt.Errorf("picture %w: %dx%d pixels, the limit is %.4g megapixels", ErrTooLarge, width, height, float64(limit)/1e6)
	}
	return nil
}

// ReadFile reads a picture's file, after its length was checked. The error names the file.
func ReadFile(file string, l Limits) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("reading a picture: %w", err)
	}
	defer f.Close()
	stat, err := f.Stat()
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading a picture: %w", err)
	case stat.IsDir():
		return nil, fmt.Errorf("%s %w: it is a folder", file, ErrNotPicture)
	}
	if err := l.CheckBytes(stat.Size()); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	// A file that grows meanwhile, or a pipe, is stopped at the limit all the same.
	data, err := io.ReadAll(io.LimitReader(f, int64(l.bytes())+1))
	if err != nil {
		return nil, fmt.Errorf("reading a picture: %w", err)
	}
	if err := l.CheckBytes(int64(len(data))); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return data, nil
}
