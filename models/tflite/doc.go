// Package tflite writes and reads TensorFlow Lite (LiteRT) model files.
//
// It covers what feed-forward classifiers need: one subgraph of built-in
// operators, constants, quantisation, a signature, and the metadata that says
// how a picture is normalised and what the outputs are called. Files of others
// are read as far as these words go; operators outside them keep their number
// and name but not their options.
//
// The format is a FlatBuffer. Its tables are those of
// tflite/converter/schema/schema.fbs in google-ai-edge/LiteRT, the metadata's
// those of metadata_schema.fbs in tensorflow/tflite-support; only the fields used
// here are declared.
package tflite
