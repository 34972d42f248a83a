// Package reference runs .tflite models in plain Go, slowly and everywhere: to
// test what the builder writes, and to calibrate where no runtime is at hand.
//
// It computes in float32. Values of an eight-bit tensor are kept as the numbers
// that their codes stand for: each operator's output is rounded to its tensor's
// codes. That differs from integer arithmetic by one code at most, where a value
// lies between two.
package reference
