package imaging

import (
	"fmt"
	"math"
	"slices"

	"github.com/glimpsed/glimpsed/vision"
)

// Mask is a set of polygons made ready for pictures of one size.
type Mask struct {
	width, height int
	spans         []span
}

// span is the pixels from..to of row y.
type span struct{ y, from, to int }

// NewMask makes polygons, whose corners are in fractions of the picture, ready for pictures of width x height.
// Each polygon is filled by the even-odd rule (a part that its outline goes around twice is not
// covered); a pixel that any of them covers or touches is masked, so that nothing at
// an edge shows. Corners outside of the picture are allowed.
func NewMask(polygons [][]Point, width, height int) (*Mask, error) {
	if width <= 0 || height <= 0 {
		return nil, fmt.Errorf("masking pictures of %dx%d: sizes must be above 0", width, height)
	}
	m := &Mask{width: width, height: height}
	rows := make([][]span, height)
	for i, polygon := range polygons {
		if len(polygon) < 3 {
			return nil, fmt.Errorf("mask %d: a polygon needs 3 corners, got %d", i, len(polygon))
		}
		for _, p := range polygon {
			// Beyond 1000 picture sizes the arithmetic isn't worth having.
			if !(math.Abs(p.X) <= 1000 && math.Abs(p.Y) <= 1000) {
				return nil, fmt.Errorf("mask %d: corner %g, %g must be in fractions of the picture", i, p.X, p.Y)
			}
		}
		m.add(rows, polygon)
	}
	for _, row := range rows {
		slices.SortFunc(row, func(a, b span) int { return a.from - b.from })
		for _, s := range row {
			if n := len(m.spans); n > 0 && m.spans[n-1].y == s.y && s.from <= m.spans[n-1].to {
				m.spans[n-1].to = max(m.spans[n-1].to, s.to)
			} else {
				m.spans = append(m.spans, s)
			}
		}
	}
	return m, nil
}

// add marks what polygon touches: the pixels along its edges, and those inside, which the crossings of
// the edges with the middle of each row tell.
func (m *Mask) add(rows [][]span, polygon []Point) {
	w, h := float64(m.width), float64(m.height)
	mark := func(y int, x0, x1 float64) {
		from, to := int(math.Floor(clamp(x0, w))), int(math.Ceil(clamp(x1, w)))
		if from < to {
			rows[y] = append(rows[y], span{y, from, to})
		}
	}
	crossings := make([][]float64, m.height)
	for i, a := range polygon {
		b := polygon[(i+1)%len(polygon)]
		ax, ay, bx, by := a.X*w, a.Y*h, b.X*w, b.Y*h
		if ay > by {
			ax, ay, bx, by = bx, by, ax, ay
		}
		at := func(y float64) float64 { // x of the edge at y
			return ax + (bx-ax)*clamp((y-ay)/(by-ay), 1)
		}
		if ay == by { // along a row; on the border between two it touches neither
			if y := int(math.Floor(ay)); ay >= 0 && ay < h && ay != float64(y) {
				mark(y, min(ax, bx), max(ax, bx))
			}
			continue
		}
		for y := int(math.Floor(clamp(ay, h))); y < m.height && float64(y) < by; y++ {
			x0, x1 := at(float64(y)), at(float64(y+1))
			mark(y, min(x0, x1), max(x0, x1))
			if middle := float64(y) + 0.5; ay <= middle && middle < by {
				crossings[y] = append(crossings[y], at(middle))
			}
		}
	}
	for y, xs := range crossings {
		slices.Sort(xs)
		for ; len(xs) >= 2; xs = xs[2:] {
			mark(y, xs[0], xs[1])
		}
	}
}

// Fits says whether m was made for pictures of f's size.
func (m *Mask) Fits(f vision.Frame) bool { return f.Width == m.width && f.Height == m.height }

// Apply blacks out the masked pixels of f in place.
func (m *Mask) Apply(f vision.Frame) error {
	if err := Check(f); err != nil {
		return fmt.Errorf("masking: %w", err)
	}
	if !m.Fits(f) {
		return fmt.Errorf("masking: the mask is for %dx%d, the frame has %dx%d", m.width, m.height, f.Width, f.Height)
	}
	for _, s := range m.spans {
		clear(Row(f, s.y)[3*s.from : 3*s.to])
	}
	return nil
}
