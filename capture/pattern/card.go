package pattern

// bars are the eight colours of the classic test card, in blue, green, red.
var bars = [8][3]byte{
	{235, 235, 235}, {16, 235, 235}, {235, 235, 16}, {16, 235, 16},
	{235, 16, 235}, {16, 16, 235}, {235, 16, 16}, {16, 16, 16},
}

// card draws colour bars that wander to the left, a grey ramp below them and a
// white square that crosses the picture: every frame differs from the one before, and
// frame n is the same picture in every run.
type card struct {
	width, height int
	// barRow and rampRow are twice as wide as the picture, so that a shifted row is one copy.
	barRow, rampRow []byte
}

func newCard(width, height int) *card {
	c := &card{width: width, height: height, barRow: make([]byte, 6*width), rampRow: make([]byte, 6*width)}
	for x := range 2 * width {
		column := x % width
		copy(c.barRow[3*x:], bars[column*len(bars)/width][:])
		grey := byte(column * 255 / width)
		copy(c.rampRow[3*x:], []byte{grey, grey, grey})
	}
	return c
}

// draw fills buf, 3*width*height bytes, with frame n.
func (c *card) draw(buf []byte, n uint64) {
	stride := 3 * c.width
	shift := int(2*n%uint64(c.width)) * 3
	split := c.height * 3 / 4
	for y := range c.height {
		row := c.barRow
		if y >= split {
			row = c.rampRow
		}
		copy(buf[y*stride:(y+1)*stride], row[shift:])
	}
	c.square(buf, n)
}

// square draws the white square and, at the bottom left, a counter: the low 16 bits of n, one block a bit.
func (c *card) square(buf []byte, n uint64) {
	side := max(c.height/8, 1)
	x := int(5*n%uint64(c.width+side)) - side
	c.fill(buf, x, c.height/3, side, side, 255)
	block := max(c.width/32, 1)
	for bit := range 16 {
		var v byte
		if n>>bit&1 == 1 {
			v = 255
		}
		c.fill(buf, bit*block, c.height-block, block, block, v)
	}
}

func (c *card) fill(buf []byte, x, y, w, h int, v byte) {
	x0, x1 := max(x, 0), min(x+w, c.width)
	y0, y1 := max(y, 0), min(y+h, c.height)
	for y := y0; y < y1 && x0 < x1; y++ {
		row := buf[3*(y*c.width+x0) : 3*(y*c.width+x1)]
		for i := range row {
			row[i] = v
		}
	}
}
