// Package convert turns a graph with float weights into a TensorFlow Lite model,
// in float32 or in eight bits throughout.
//
// The eight-bit form follows TensorFlow Lite's quantization specification
// (ai.google.dev/edge/litert/models/quantization_spec): weights symmetric with a
// scale a channel, activations asymmetric with one scale, biases in 32 bits with
// the product of input's and weights' scale.
package convert
