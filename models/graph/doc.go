// Package graph describes a feed-forward classifier between PyTorch's weights
// and a .tflite file: a list of TensorFlow Lite's operators over float tensors
// in NHWC order, with batch normalisation already folded into the convolutions.
//
// A Builder makes it from the words of the papers (a convolution with its batch
// norm and activation, pooling, a classifier) and from named weights in
// PyTorch's order, and checks that every shape fits and every weight is used.
package graph
