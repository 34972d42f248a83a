// Package models knows which classifiers there are, where their weights come
// from, which are installed, and what a name or file in the configuration stands for.
//
// A model is a .tflite file and what is known of it: its origin, labels,
// preprocessing and accuracy. The catalogue lists those that glimpsed can build
// itself, a Store holds the installed ones, Resolve finds the one that is meant.
package models
