package infer

import (
	"errors"
	"strings"
	"testing"

	"github.com/glimpsed/glimpsed/vision"
)

// fake is an interpreter whose output is what it was given, or what answer makes of it.
type fake struct {
	in, out TensorSpec
	answer  func(input, output []byte) error
	input   []byte
}

func (f *fake) Input() TensorSpec  { return f.in }
func (f *fake) Output() TensorSpec { return f.out }
func (f *fake) Close() error       { return nil }
func (f *fake) Invoke(input, output []byte) error {
	f.input = append(f.input[:0], input...)
	if f.answer == nil {
		return nil
	}
	return f.answer(input, output)
}

func newFake(shape ...int) *fake {
	return &fake{
		in:  TensorSpec{Shape: shape, DType: Uint8, Scale: 1.0 / 128, ZeroPoint: 100},
		out: TensorSpec{Shape: []int{1, 3}, DType: Uint8, Scale: 1.0 / 256},
	}
}

func testModel() vision.Model {
	return vision.Model{Name: "pets", Path: "/models/pets.tflite", Labels: []string{"cat", "dog", "cow"}}
}

// plain is a frame of one colour, with rows longer than their pixels.
func plain(width, height int, red, green, blue byte) vision.Frame {
	f := vision.Frame{Format: vision.BGR, Width: width, Height: height, Stride: 3*width + 5, Source: "test"}
	f.Data = make([]byte, f.Stride*height)
	for y := range height {
		for x := range width {
			copy(f.Data[y*f.Stride+3*x:], []byte{blue, green, red})
		}
	}
	return f
}

func TestClassify(t *testing.T) {
	f := newFake(1, 4, 6, 3)
	f.answer = func(_, output []byte) error { copy(output, []byte{64, 192, 0}); return nil }
	c, err := New(testModel(), f, ClassifierOptions{Top: 2})
	if err != nil {
		t.Fatal(err)
	}
	kept := []vision.Classification{{Label: "before"}}
	got, timing, err := c.Classify(kept, plain(60, 40, 10, 20, 30))
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 3 || got[0].Label != "before" ||
		got[1] != (vision.Classification{Label: "dog", Index: 1, Score: 0.75}) ||
		got[2] != (vision.Classification{Label: "cat", Index: 0, Score: 0.25}) {
		t.Errorf("got %v", got)
	}
	for i, v := range f.input {
		if want := []byte{10, 20, 30}[i%3]; v != want {
			t.Fatalf("input %d is %d, want %d: red, green, blue", i, v, want)
		}
	}
	if timing.Preprocess <= 0 || timing.Invoke <= 0 || timing.Postprocess <= 0 || timing.Queue != 0 {
		t.Errorf("timing %+v", timing)
	}
	if c.Model().Name != "pets" {
		t.Errorf("model %+v", c.Model())
	}
}

// A letterbox's bars have the mean colour, whatever shape the frame before had.
func TestClassifyLetterbox(t *testing.T) {
	f := newFake(1, 8, 8, 3)
	c, err := New(testModel(), f, ClassifierOptions{Crop: vision.CropLetterbox})
	if err != nil {
		t.Fatal(err)
	}
	const bar = 100 // the tensor's zero point
	for _, size := range [][2]int{{80, 40}, {40, 80}, {80, 40}} {
		if _, _, err := c.Classify(nil, plain(size[0], size[1], 200, 201, 202)); err != nil {
			t.Fatal(err)
		}
		for y := range 8 {
			for x := range 8 {
				inside := y >= 2 && y < 6
				if size[0] < size[1] {
					inside = x >= 2 && x < 6
				}
				want := byte(bar)
				if inside {
					want = 200
				}
				if got := f.input[(y*8+x)*3]; got != want {
					t.Fatalf("%v at %d,%d: %d, want %d", size, x, y, got, want)
				}
			}
		}
	}
}

func TestClassifyErrors(t *testing.T) {
	f := newFake(1, 4, 4, 3)
	trouble := errors.New("native trouble")
	f.answer = func(_, _ []byte) error { return trouble }
	c, err := New(testModel(), f, ClassifierOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.Classify(nil, plain(8, 8, 1, 2, 3)); !errors.Is(err, trouble) {
		t.Errorf("error %v", err)
	}
	jpeg, short, none := plain(8, 8, 0, 0, 0), plain(8, 8, 0, 0, 0), plain(8, 8, 0, 0, 0)
	jpeg.Format = vision.JPEG
	short.Data = short.Data[:100]
	none.Width = 0
	for _, frame := range []vision.Frame{jpeg, short, none, {Source: "test"}} {
		got, _, err := c.Classify([]vision.Classification{{Label: "before"}}, frame)
		if err == nil || !strings.Contains(err.Error(), "test") || len(got) != 1 {
			t.Errorf("%d x %d %v: %v, %v", frame.Width, frame.Height, frame.Format, got, err)
		}
	}
	f.answer = nil
	if _, _, err := c.Classify(nil, plain(1, 1, 1, 2, 3)); err != nil {
		t.Errorf("a picture of one pixel: %v", err)
	}
}

func TestNewErrors(t *testing.T) {
	labels := func(n int) []string { return make([]string, n) }
	for _, c := range []struct {
		name   string
		change func(m *vision.Model, f *fake, o *ClassifierOptions)
		want   string
	}{
		{"vector", func(_ *vision.Model, f *fake, _ *ClassifierOptions) { f.in.Shape = []int{1, 3} },
			"not a classifier of pictures: its input has the shape [1 3] instead of [1 height width 3]; use a model that takes one picture"},
		{"batch", func(_ *vision.Model, f *fake, _ *ClassifierOptions) { f.in.Shape = []int{8, 4, 4, 3} },
			"not a classifier of pictures: its input has the shape [8 4 4 3] instead of [1 height width 3]; use a model that takes one picture"},
		{"channels first", func(_ *vision.Model, f *fake, _ *ClassifierOptions) { f.in.Shape = []int{1, 3, 224, 224} },
			"not a classifier of pictures: its input [1 3 224 224] has the channels first; convert the model with the channels last"},
		{"detector", func(_ *vision.Model, f *fake, _ *ClassifierOptions) { f.out.Shape = []int{1, 100, 4} },
			"not a classifier of pictures: its output has the shape [1 100 4] instead of [1 labels]; use a model that gives one score a label"},
		{"scalar", func(_ *vision.Model, f *fake, _ *ClassifierOptions) { f.out.Shape = nil },
			"not a classifier of pictures: its output has the shape [] instead of [1 labels]; use a model that gives one score a label"},
		{"no quantisation", func(_ *vision.Model, f *fake, _ *ClassifierOptions) { f.out.Scale = 0 },
			"its output is uint8 without quantisation, so its scores have no meaning; convert the model with quantised or float32 output"},
		{"a label short", func(m *vision.Model, f *fake, _ *ClassifierOptions) {
			m.Labels, f.out.Shape = labels(1000), []int{1, 1001}
		}, `labels: 1000 labels for a model with 1001 outputs; put a line such as "background" at the top of the label file if the model counts the background as its first class`},
		{"a label too many", func(m *vision.Model, f *fake, _ *ClassifierOptions) {
			m.Labels, f.out.Shape = labels(1001), []int{1000}
		}, `labels: 1001 labels for a model with 1000 outputs; take the first label away if it is "background" or a heading, and empty lines at the end`},
		{"other labels", func(m *vision.Model, _ *fake, _ *ClassifierOptions) { m.Labels = labels(90) },
			"labels: 90 labels for a model with 3 outputs; give the label file that belongs to this model"},
		{"no labels", func(m *vision.Model, _ *fake, _ *ClassifierOptions) { m.Labels = nil },
			"labels: none for a model with 3 outputs; give a label file with one label a line"},
		{"other size", func(m *vision.Model, _ *fake, _ *ClassifierOptions) { m.Preprocessing.Width = 299 },
			"its manifest says 299 x 4 pixels, its input takes 4 x 4: correct the manifest"},
		{"std", func(m *vision.Model, _ *fake, _ *ClassifierOptions) { m.Preprocessing.Std[1] = -1 },
			"its manifest has mean 0 and std -1 for green: std must be above 0"},
		{"interpolation", func(m *vision.Model, _ *fake, _ *ClassifierOptions) { m.Preprocessing.Interpolation = "lanczos" },
			`its manifest has interpolation "lanczos": must be bilinear or bicubic`},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, f, o := testModel(), newFake(1, 4, 4, 3), ClassifierOptions{}
			c.change(&m, f, &o)
			_, err := New(m, f, o)
			if want := "model /models/pets.tflite: " + c.want; err == nil || err.Error() != want {
				t.Errorf("error:\n%v\nwant:\n%v", err, want)
			}
		})
	}
	if _, err := New(testModel(), newFake(1, 4, 4, 3), ClassifierOptions{Crop: "sideways"}); err == nil || !strings.Contains(err.Error(), "sideways") {
		t.Errorf("crop: %v", err)
	}
}

// Grey models and outputs with more dimensions are run.
func TestNewAccepts(t *testing.T) {
	grey, vector, deep := newFake(1, 4, 4, 1), newFake(1, 4, 4, 3), newFake(1, 4, 4, 3)
	vector.out.Shape = []int{3}
	deep.out.Shape = []int{1, 1, 1, 3}
	for _, f := range []*fake{grey, vector, deep} {
		c, err := New(testModel(), f, ClassifierOptions{})
		if err != nil {
			t.Errorf("%v to %v: %v", f.in.Shape, f.out.Shape, err)
			continue
		}
		got, _, err := c.Classify(nil, plain(9, 5, 7, 7, 7))
		if err != nil || len(got) != 3 || f.input[0] != 7 {
			t.Errorf("%v to %v: %v, %v", f.in.Shape, f.out.Shape, got, err)
		}
	}
}

func TestClassifySharedTiming(t *testing.T) {
	g := &gatedPicture{newFake(1, 4, 4, 3), make(chan struct{})}
	share := Share(g)
	defer share.Close()
	c, err := New(testModel(), share, ClassifierOptions{})
	if err != nil {
		t.Fatal(err)
	}
	other, err := share.Acquire()
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	busy := make(chan error)
	go func() { busy <- other.Invoke(make([]byte, 48), make([]byte, 3)) }()
	until(t, func() bool { return share.waiting() == 1 })
	type result struct {
		timing Timing
		err    error
	}
	done := make(chan result)
	go func() {
		_, timing, err := c.Classify(nil, plain(8, 8, 1, 2, 3))
		done <- result{timing, err}
	}()
	until(t, func() bool { return share.waiting() == 2 })
	close(g.gate)
	r := <-done
	if err := errors.Join(r.err, <-busy); err != nil {
		t.Fatal(err)
	}
	if r.timing.Queue <= 0 || r.timing.Invoke < 0 {
		t.Errorf("timing %+v: the wait for another user is missing", r.timing)
	}
}

type gatedPicture struct {
	*fake
	gate chan struct{}
}

func (g *gatedPicture) Invoke(input, output []byte) error { <-g.gate; return nil }

func TestClassifyDoesNotAllocate(t *testing.T) {
	c, err := New(testModel(), newFake(1, 32, 32, 3), ClassifierOptions{})
	if err != nil {
		t.Fatal(err)
	}
	frame := plain(320, 240, 1, 2, 3)
	top := make([]vision.Classification, 0, 3)
	classify := func() {
		if _, _, err := c.Classify(top, frame); err != nil {
			t.Fatal(err)
		}
	}
	classify()
	if n := testing.AllocsPerRun(20, classify); n != 0 {
		t.Errorf("%g allocations a frame", n)
	}
}
