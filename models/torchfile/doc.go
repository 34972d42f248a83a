// Package torchfile reads the tensors of a PyTorch state_dict, in the zip
// format of torch.save and in the stream format that PyTorch wrote before 1.6.
//
// A pickle is a program; this package runs only the part of it that puts
// tensors into dictionaries. It knows a short list of names (tensor rebuilders,
// storage types, OrderedDict), refuses every other and never calls anything.
// Sizes are checked against the file before memory is taken, and a tensor's
// elements are read when they are asked for, one tensor at a time.
//
// The formats are those of torch/serialization.py and Python's pickletools.
package torchfile
