// Package opencv opens what OpenCV reads: V4L2 cameras, libcamera and other
// GStreamer pipelines, network cameras and streams, video files. Its native part
// needs the build tags gocv,gocv_specific_modules,gocv_videoio; without them
// Opener only says so.
package opencv
