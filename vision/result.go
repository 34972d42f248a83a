package vision

import "time"

// Classification is one label with the probability the model gives it.
type Classification struct {
	Label string
	// Index is the label's place in the model's output.
	Index int
	// Score is in 0..1.
	Score float32
}

// Timing says where a frame's time went.
type Timing struct {
	// Capture is the wait for the source to deliver, Decode the way from what it
	// delivered to BGR, Queue the wait for the classifier.
	Capture, Decode, Queue time.Duration
	// Preprocess turns, masks and cuts the picture and brings it to the model's input, Invoke is the model's
	// own run, Postprocess the way from its output to labels.
	Preprocess, Invoke, Postprocess time.Duration
	// Total runs from CapturedAt to the finished result, decoding included.
	Total time.Duration
}

// ModelRef says which model made a result.
type ModelRef struct {
	Name string
	// SHA256 is of the .tflite file, in lower-case hex.
	SHA256 string
	// Runtime is what ran it, such as "litert".
	Runtime string
}

// Result is what one classified frame came to. Camera, RunID and Seq together
// are unique: Seq counts the classified frames of a camera in one run of the
// daemon, from 1, with no gaps.
type Result struct {
	Camera     string
	RunID      string
	Seq        uint64
	CapturedAt time.Time
	Model      ModelRef
	// Top holds the best classifications, best first.
	Top    []Classification
	Timing Timing
	// Width and Height are those of the picture that was classified, in pixels.
	Width, Height int
}
