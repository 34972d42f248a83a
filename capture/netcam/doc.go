// Package netcam talks to network cameras in Go, where a conversation can be
// cancelled and tells why it failed: it finds out whether a stream is there before
// native code opens it, and it is the source for cameras that hand out single pictures.
package netcam
