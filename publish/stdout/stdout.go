// Package stdout shows results to a person, a line each.
package stdout

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/glimpsed/glimpsed/publish"
)

// maxLabels is the widest the column of labels grows, in characters; longer ones
// push the rest of their line to the right.
const maxLabels = 72

// Publisher writes a line for every result and ignores all other messages.
type Publisher struct {
	mu sync.Mutex
	w  io.Writer
	// buf is the line being built, camera and labels the widths of the columns so far.
	buf            []byte
	camera, labels int
}

// New writes to w, one Write a line.
func New(w io.Writer) *Publisher { return &Publisher{w: w} }

// Publish writes m's line, in local time. It returns the writer's error.
func (p *Publisher) Publish(_ context.Context, m publish.Message) (publish.Ack, error) {
	r := m.Result
	if r == nil {
		return publish.Completed(nil), nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	b := r.CapturedAt.Local().AppendFormat(p.buf[:0], "15:04:05.000 ")
	b, p.camera = pad(append(b, r.Camera...), len(r.Camera), p.camera)
	b = append(b, "  "...)
	start := len(b)
	for i, c := range r.Top {
		if i > 0 {
			b = append(b, ", "...)
		}
		// Labels of ImageNet list their synonyms; here the first is enough.
		name, _, _ := strings.Cut(c.Label, ",")
		b = appendPrintable(b, name)
		b = strconv.AppendFloat(append(b, ' '), float64(c.Score), 'f', 3, 32)
	}
	width := utf8.RuneCount(b[start:])
	b, p.labels = pad(b, width, p.labels)
	p.labels = min(p.labels, maxLabels)
	b = appendMS(append(b, "  invoke "...), r.Timing.Invoke)
	b = appendMS(append(b, ", total "...), r.Timing.Total)
	b = append(b, '\n')
	p.buf = b
	if _, err := p.w.Write(b); err != nil {
		return nil, fmt.Errorf("printing a result: %w", err)
	}
	return publish.Completed(nil), nil
}

// Close does nothing: the writer is its owner's.
func (p *Publisher) Close(context.Context) error { return nil }

// pad fills a column of the given width after width characters; it returns the
// width that the next line's column has.
func pad(b []byte, width, column int) ([]byte, int) {
	for i := width; i < column; i++ {
		b = append(b, ' ')
	}
	return b, max(width, column)
}

func appendMS(b []byte, d time.Duration) []byte {
	v := float64(d) / float64(time.Millisecond)
	if v < 9.95 { // room for the tens keeps most lines aligned
		b = append(b, ' ')
	}
	return append(strconv.AppendFloat(b, v, 'f', 1, 64), " ms"...)
}

// appendPrintable keeps a label from a strange model file from moving the
// cursor of the terminal.
func appendPrintable(b []byte, s string) []byte {
	for _, r := range s {
		if !strconv.IsPrint(r) {
			r = utf8.RuneError
		}
		b = utf8.AppendRune(b, r)
	}
	return b
}
