package publish

import (
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/glimpsed/glimpsed/vision"
)

// resultSize is the room a result usually takes, in bytes.
const resultSize = 768

// scoreUnit gives scores four decimals.
const scoreUnit = 10000

// appendResult appends r as JSON. It is written out by hand because it runs once
// a frame: encoding/json takes several times as long.
func (e *Encoder) appendResult(b []byte, r *vision.Result, synced bool) []byte {
	b = append(b, `{"schema":`...)
	b = strconv.AppendInt(b, Schema, 10)
	b = appendString(append(b, `,"device":`...), e.Device)
	b = appendString(append(b, `,"camera":`...), r.Camera)
	b = strconv.AppendUint(append(b, `,"seq":`...), r.Seq, 10)
	b = appendString(append(b, `,"run_id":`...), r.RunID)
	b = appendString(append(b, `,"boot_id":`...), e.BootID)
	b = append(b, `,"captured_at":"`...)
	b = r.CapturedAt.UTC().AppendFormat(b, timeLayout)
	b = append(b, `","clock_synced":`...)
	b = strconv.AppendBool(b, synced)
	b = appendString(append(b, `,"model":{"name":`...), r.Model.Name)
	b = appendString(append(b, `,"sha256":`...), r.Model.SHA256)
	b = appendString(append(b, `,"runtime":`...), r.Model.Runtime)
	b = append(b, `},"top":[`...)
	for i, c := range r.Top {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(append(b, `{"label":`...), c.Label)
		b = strconv.AppendInt(append(b, `,"index":`...), int64(c.Index), 10)
		b = appendFloat(append(b, `,"score":`...), float64(c.Score), scoreUnit)
		b = append(b, '}')
	}
	t := &r.Timing
	b = appendMS(append(b, `],"timing_ms":{"capture":`...), t.Capture)
	b = appendMS(append(b, `,"decode":`...), t.Decode)
	b = appendMS(append(b, `,"queue":`...), t.Queue)
	b = appendMS(append(b, `,"preprocess":`...), t.Preprocess)
	b = appendMS(append(b, `,"invoke":`...), t.Invoke)
	b = appendMS(append(b, `,"postprocess":`...), t.Postprocess)
	b = appendMS(append(b, `,"total":`...), t.Total)
	b = strconv.AppendInt(append(b, `},"frame":{"width":`...), int64(r.Width), 10)
	b = strconv.AppendInt(append(b, `,"height":`...), int64(r.Height), 10)
	return append(b, "}}"...)
}

func appendMS(b []byte, d time.Duration) []byte {
	return appendFloat(b, float64(d)/float64(time.Millisecond), 1000)
}

func appendFloat(b []byte, x, unit float64) []byte {
	return strconv.AppendFloat(b, round(x, unit), 'f', -1, 64)
}

const hex = "0123456789abcdef"

// appendString appends s as a JSON string (RFC 8259, section 7). What isn't UTF-8
// becomes U+FFFD.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if c >= ' ' && c != '"' && c != '\\' && c != 0x7f {
				i++
				continue
			}
			b = append(b, s[from:i]...)
			switch c {
			case '"', '\\':
				b = append(b, '\\', c)
			case '\n':
				b = append(b, '\\', 'n')
			default:
				b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
			}
			i++
			from = i
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 {
			b = append(append(b, s[from:i]...), "\ufffd"...)
			from = i + n
		}
		i += n
	}
	return append(append(b, s[from:]...), '"')
}
