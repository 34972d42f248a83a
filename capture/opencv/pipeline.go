//go:build gocv

package opencv

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/glimpsed/glimpsed/capture"
)

// newestOnly ends a pipeline in what OpenCV reads, keeping one picture and that the newest.
const newestOnly = " ! videoconvert ! video/x-raw,format=BGR ! appsink drop=true max-buffers=1"

// completePipeline adds the end that OpenCV needs to a pipeline without one.
func completePipeline(pipeline string) string {
	if strings.Contains(pipeline, "appsink") {
		return pipeline
	}
	return strings.TrimRight(pipeline, " !") + newestOnly
}

// libcameraPipeline asks libcamera for the size and rate of the configuration.
func libcameraPipeline(cfg capture.Config, name string) string {
	p := "libcamerasrc"
	if name != "" {
		p += " camera-name=" + strconv.Quote(name)
	}
	caps := "video/x-raw"
	if cfg.Width > 0 {
		caps += fmt.Sprintf(",width=%d,height=%d", cfg.Width, cfg.Height)
	}
	if cfg.CaptureFPS > 0 {
		caps += fmt.Sprintf(",framerate=%d/1000", int(cfg.CaptureFPS*1000+0.5))
	}
	return p + " ! " + caps + newestOnly
}
