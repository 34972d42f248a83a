// Package litert runs .tflite models on the CPU with LiteRT, the present name of
// TensorFlow Lite.
//
// The library, libLiteRt.so 2.3, is opened at run time (dlopen), so that
// building glimpsed needs neither it nor its headers. It is loaded once, with one
// environment for the process, and stays loaded. LiteRT's environment isn't made
// for concurrent use: opening and closing models is serialised here, running them
// is not.
//
// Models are always handed over as memory, never by file name: LiteRT verifies
// the structure of a model that it gets as a buffer and crashes on a damaged
// one that it reads itself. Files are mapped, not read, so that their pages stay the kernel's to
// drop; LiteRT keeps using the mapping, so a model file must be replaced by
// renaming a new one over it, not rewritten in place. A model that is in memory
// already (vision.Model.Data) is pinned where it is.
//
// LiteRT's own log is silenced: what goes wrong comes back as an error. One line that
// nothing turns off, XNNPACK's greeting, is kept from standard error (see hush in shim.c).
package litert
