package imaging

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"io"

	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"
	"golang.org/x/image/webp"
)

// Info is what a picture's headers say.
type Info struct {
	// Format is "jpeg", "png", "gif", "bmp", "webp" or "tiff".
	Format string
	// Width and Height are in pixels as stored, before Orientation is applied.
	Width, Height int
	Orientation   Orientation
}

// Upright returns the size in pixels of the picture turned upright.
func (i Info) Upright() (width, height int) {
	if i.Orientation.swaps() {
		return i.Height, i.Width
	}
	return i.Width, i.Height
}

// Probe reads the headers of a picture, decodes no pixels and checks the limits and,
// where the format allows it cheaply (JPEG, PNG, WebP), that the picture goes on to its
// end. Its errors wrap ErrEmpty, ErrNotPicture, ErrUnsupported, ErrTruncated, ErrCorrupt or ErrTooLarge.
func Probe(data []byte, limits Limits) (Info, error) {
	if len(data) == 0 {
		return Info{}, fmt.Errorf("picture %w", ErrEmpty)
	}
	if err := limits.CheckBytes(int64(len(data))); err != nil {
		return Info{}, err
	}
	format, read := sniff(data)
	if read == nil {
		return Info{}, unknown(data, format)
	}
	info, err := read(data)
	if err == nil || (errors.Is(err, ErrTruncated) && info.Width > 0) {
		// A size over the limit is the better thing to say of a file that is cut off too.
		if e := limits.checkSize(info.Width, info.Height); e != nil {
			err = e
		}
	}
	if err != nil {
		return Info{}, fmt.Errorf("%s %w", format, err)
	}
	info.Format = format
	return info, nil
}

// sniff tells the format by its first bytes.
func sniff(data []byte) (format string, read func([]byte) (Info, error)) {
	has := func(at int, magic string) bool {
		return len(data) >= at+len(magic) && string(data[at:at+len(magic)]) == magic
	}
	switch {
	case has(0, "\xFF\xD8"):
		return "jpeg", probeJPEG
	case has(0, "\x89PNG\r\n\x1a\n"):
		return "png", probePNG
	case has(0, "GIF87a"), has(0, "GIF89a"):
		return "gif", probeGIF
	case has(0, "RIFF") && has(8, "WEBP"):
		return "webp", probeWebP
	case has(0, "II*\x00"), has(0, "MM\x00*"):
		return "tiff", probeTIFF
	case has(0, "BM"):
		return "bmp", probeBMP
	case has(4, "ftyphei"), has(4, "ftyphev"), has(4, "ftypmif1"), has(4, "ftypmsf1"):
		return "heic", nil
	case has(4, "ftypavi"):
		return "avif", nil
	}
	return "", nil
}

// unknown is the error for bytes that sniff has no reader for.
func unknown(data []byte, format string) error {
	if format != "" {
		return fmt.Errorf("%s picture %w; convert it to JPEG or PNG", format, ErrUnsupported)
	}
	return fmt.Errorf("file %w: it begins with %.24q, known are JPEG, PNG, GIF, BMP, WebP and TIFF", ErrNotPicture, data[:min(len(data), 24)])
}

// errJPEGEnd is the error for a JPEG without its end.
var errJPEGEnd = fmt.Errorf("picture %w: it has no end-of-image marker", ErrTruncated)

// probeJPEG walks the marker segments (ITU-T T.81, annex B) up to EOI.
func probeJPEG(data []byte) (Info, error) {
	info := Info{Orientation: Normal}
	at := 2
	for {
		// A marker is 0xFF, any number of fill bytes 0xFF, and a code that is neither 0 nor 0xFF.
		skip := bytes.IndexByte(data[at:], 0xFF)
		if skip < 0 {
			return info, errJPEGEnd
		}
		at += skip
		for at < len(data) && data[at] == 0xFF {
			at++
		}
		if at == len(data) {
			return info, errJPEGEnd
		}
		code := data[at]
		at++
		switch {
		case code == 0 || code == 0x01 || code >= 0xD0 && code <= 0xD8:
			continue // stuffing, TEM, RSTn, SOI: no segment
		case code == 0xD9:
			if info.Width == 0 {
				return info, fmt.Errorf("picture %w: it ends before its size is given", ErrCorrupt)
			}
			return info, nil
		}
		if at+2 > len(data) {
			return info, errJPEGEnd
		}
		n := int(binary.BigEndian.Uint16(data[at:]))
		if n < 2 {
			return info, fmt.Errorf("picture %w: marker %#x has a length of %d", ErrCorrupt, code, n)
		}
		if at+n > len(data) {
			return info, errJPEGEnd
		}
		body := data[at+2 : at+n]
		at += n
		switch {
		case code >= 0xC0 && code <= 0xCF && code != 0xC4 && code != 0xC8 && code != 0xCC: // SOFn
			if len(body) < 6 {
				return info, fmt.Errorf("picture %w: its frame header is too short", ErrCorrupt)
			}
			if info.Width == 0 {
				info.Height, info.Width = int(binary.BigEndian.Uint16(body[1:])), int(binary.BigEndian.Uint16(body[3:]))
			}
		case code == 0xE1 && info.Orientation == Normal: // APP1
			if exif, ok := bytes.CutPrefix(body, []byte("Exif\x00\x00")); ok {
				info.Orientation = exifOrientation(exif)
			}
		}
	}
}

// probePNG walks the chunks up to IEND (PNG specification, 5.3 and 11.2).
func probePNG(data []byte) (Info, error) {
	info := Info{Orientation: Normal}
	for at := 8; ; {
		if at+8 > len(data) {
			return info, fmt.Errorf("picture %w: it has no IEND chunk", ErrTruncated)
		}
		n, name := int64(binary.BigEndian.Uint32(data[at:])), string(data[at+4:at+8])
		if int64(at)+12+n > int64(len(data)) {
			return info, fmt.Errorf("picture %w: its %.4q chunk is not whole", ErrTruncated, name)
		}
		body := data[at+8 : at+8+int(n)]
		at += 12 + int(n)
		switch name {
		case "IHDR":
			if n != 13 {
				return info, fmt.Errorf("picture %w: its header has %d bytes", ErrCorrupt, n)
			}
			w, h := binary.BigEndian.Uint32(body), binary.BigEndian.Uint32(body[4:])
			if w > 1<<31-1 || h > 1<<31-1 {
				return info, fmt.Errorf("picture %w: its size is %dx%d", ErrCorrupt, w, h)
			}
			info.Width, info.Height = int(w), int(h)
		case "eXIf":
			info.Orientation = exifOrientation(body)
		case "IEND":
			if info.Width == 0 {
				return info, fmt.Errorf("picture %w: it has no size", ErrCorrupt)
			}
			return info, nil
		}
	}
}

// probeWebP walks the RIFF chunks for EXIF; golang.org/x/image reads the size.
func probeWebP(data []byte) (Info, error) {
	end := int64(binary.LittleEndian.Uint32(data[4:])) + 8
	info, err := fromConfig(webp.DecodeConfig, data)
	if err != nil {
		return info, err
	}
	if end > int64(len(data)) {
		return info, fmt.Errorf("picture %w: it has %d of %d bytes", ErrTruncated, len(data), end)
	}
	for at := 12; at+8 <= int(end); {
		n, name := int64(binary.LittleEndian.Uint32(data[at+4:])), string(data[at:at+4])
		if int64(at)+8+n > end {
			return info, fmt.Errorf("picture %w: its %.4q chunk is not whole", ErrTruncated, name)
		}
		if name == "EXIF" {
			body, _ := bytes.CutPrefix(data[at+8:at+8+int(n)], []byte("Exif\x00\x00"))
			info.Orientation = exifOrientation(body)
		}
		at += 8 + int(n+n&1)
	}
	return info, nil
}

// probeGIF reads the logical screen's size.
func probeGIF(data []byte) (Info, error) {
	if len(data) < 13 {
		return Info{}, fmt.Errorf("picture %w", ErrTruncated)
	}
	return Info{
		Width:       int(binary.LittleEndian.Uint16(data[6:])),
		Height:      int(binary.LittleEndian.Uint16(data[8:])),
		Orientation: Normal,
	}, nil
}

func probeBMP(data []byte) (Info, error) {
	info, err := fromConfig(bmp.DecodeConfig, data)
	if err != nil && len(data) >= 18 && !bmpHeader(data) {
		return info, fmt.Errorf("file %w: it begins with %.24q", ErrNotPicture, data[:min(len(data), 24)])
	}
	return info, err
}

// bmpHeader tells a bitmap from a text that happens to begin with "BM": the info header's
// length is one of those in use.
func bmpHeader(data []byte) bool {
	switch binary.LittleEndian.Uint32(data[14:]) {
	case 12, 16, 40, 52, 56, 64, 108, 124:
		return true
	}
	return false
}

func probeTIFF(data []byte) (Info, error) {
	info, err := fromConfig(tiff.DecodeConfig, data)
	info.Orientation = exifOrientation(data)
	return info, err
}

func fromConfig(read func(io.Reader) (image.Config, error), data []byte) (Info, error) {
	c, err := read(bytes.NewReader(data))
	if err != nil {
		return Info{}, decodeError(err)
	}
	return Info{Width: c.Width, Height: c.Height, Orientation: Normal}, nil
}
