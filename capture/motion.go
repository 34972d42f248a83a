package capture

import (
	"time"

	"github.com/glimpsed/glimpsed/vision"
)

// MotionConfig says when a picture is worth classifying again.
type MotionConfig struct {
	// Threshold is by how much the brightness of a cell of the picture, 0..255, must change to count as motion; 0: every
	// picture is classified. The cells are a grid of motionColumns x motionRows, or of fewer on small pictures.
	Threshold float64
	// Every is how often a still picture is classified nevertheless.
	Every time.Duration
	// Hold is how long after motion every picture is classified.
	Hold time.Duration
}

// DefaultMotion classifies every picture; with a threshold it is a gate that suits most cameras.
func DefaultMotion() MotionConfig {
	return MotionConfig{Every: 10 * time.Second, Hold: 3 * time.Second}
}

func (c MotionConfig) validate(bad func(key, format string, args ...any)) {
	if !(c.Threshold >= 0 && c.Threshold <= 255) {
		bad("motion.threshold", "must be from 0 (off) to 255, got %v", c.Threshold)
	}
	if c.Threshold > 0 && c.Every <= 0 {
		bad("motion.every", "must be above 0 with a threshold, got %v", c.Every)
	}
	if c.Hold < 0 {
		bad("motion.hold", "must be 0 or above, got %v", c.Hold)
	}
}

const (
	// The grid's cells are large enough for the noise of a sensor to average out, and small
	// enough for a person at the far end of a garden.
	motionColumns = 32
	motionRows    = 24
	motionCell    = 8 // pixels along an axis, at least
	// motionSamples is about how many pixels of a cell are looked at along each axis.
	motionSamples = 8
)

// Motion compares each picture with the last one that was let through. It has a single owner.
type Motion struct {
	cfg     MotionConfig
	passed  [motionRows * motionColumns]int32 // sums of the last picture let through
	samples int32                             // a cell's, of passed
	width   int
	height  int
	last    time.Time // when one was let through
	moved   time.Time // when something moved last
}

// NewMotion makes a gate, or nil where cfg wants none: a nil gate lets everything through.
func NewMotion(cfg MotionConfig) *Motion {
	if cfg.Threshold <= 0 {
		return nil
	}
	return &Motion{cfg: cfg}
}

// Passes says whether a BGR frame is worth classifying, now.
func (m *Motion) Passes(f vision.Frame, now time.Time) bool {
	if m == nil {
		return true
	}
	if f.Format != vision.BGR || f.Width < motionCell || f.Height < motionCell {
		return true
	}
	cells, samples := m.measure(f)
	first := m.last.IsZero() || f.Width != m.width || f.Height != m.height
	if first || m.differs(&cells) {
		m.moved = now
	}
	if !first && now.Sub(m.moved) > m.cfg.Hold && now.Sub(m.last) < m.cfg.Every {
		return false
	}
	m.passed, m.samples, m.width, m.height, m.last = cells, samples, f.Width, f.Height, now
	return true
}

// measure sums up brightness over some pixels of each cell.
func (m *Motion) measure(f vision.Frame) (cells [motionRows * motionColumns]int32, samples int32) {
	columns, rows := min(f.Width/motionCell, motionColumns), min(f.Height/motionCell, motionRows)
	cellWidth, cellHeight := f.Width/columns, f.Height/rows
	stepX, stepY := max(cellWidth/motionSamples, 1), max(cellHeight/motionSamples, 1)
	for row := range rows {
		for y := row * cellHeight; y < (row+1)*cellHeight; y += stepY {
			line := f.Data[y*f.Stride:]
			for column := range columns {
				sum := int32(0)
				for x := column * cellWidth; x < (column+1)*cellWidth; x += stepX {
					// green counts twice, as it does for the eye, roughly
					sum += int32(line[3*x]) + 2*int32(line[3*x+1]) + int32(line[3*x+2])
				}
				cells[row*motionColumns+column] += sum
			}
		}
	}
	ceil := func(a, b int) int { return (a + b - 1) / b }
	return cells, int32(4 * ceil(cellWidth, stepX) * ceil(cellHeight, stepY))
}

func (m *Motion) differs(cells *[motionRows * motionColumns]int32) bool {
	limit := int32(m.cfg.Threshold * float64(m.samples))
	for i, c := range cells {
		if d := c - m.passed[i]; d > limit || -d > limit {
			return true
		}
	}
	return false
}
