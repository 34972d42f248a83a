//go:build gocv

package opencv

/*
#cgo LDFLAGS: -ldl
#include <stdlib.h>
#include "gst.h"
*/
import "C"

import (
	"context"
	"errors"
	"fmt"
	"time"
	"unsafe"
)

// tryPipeline runs a pipeline until its first picture and stops it: OpenCV 4.6 waits for ever,
// and keeps the reason to itself, when a pipeline lacks an element or never delivers.
func tryPipeline(ctx context.Context, pipeline string, limit time.Duration) error {
	text := C.CString(pipeline)
	defer C.free(unsafe.Pointer(text))
	var message [512]C.char
	reason := func() error { return errors.New("GStreamer: " + C.GoString(&message[0])) }

	p := C.glimpsed_gst_start(text, &message[0], C.int(len(message)))
	if p == nil {
		return reason()
	}
	defer C.glimpsed_gst_stop(p)
	for deadline := time.Now().Add(limit); ; {
		switch C.glimpsed_gst_wait(p, 100, &message[0], C.int(len(message))) {
		case C.GLIMPSED_GST_RUNNING:
			return nil
		case C.GLIMPSED_GST_FAILED:
			return reason()
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("GStreamer: the pipeline delivers no picture within %v", limit)
		}
	}
}
