// A trial run of a GStreamer pipeline, through the library that OpenCV itself has loaded.
#pragma once

#ifdef __cplusplus
extern "C" {
#endif

enum { GLIMPSED_GST_RUNNING = 1, GLIMPSED_GST_STARTING = 0, GLIMPSED_GST_FAILED = -1 };

// glimpsed_gst_start parses and starts a pipeline. NULL: it failed for the reason written to
// message, of size bytes.
void *glimpsed_gst_start(const char *pipeline, char *message, int size);

// glimpsed_gst_wait waits up to ms milliseconds for the pipeline to run or fail.
int glimpsed_gst_wait(void *pipeline, int ms, char *message, int size);

// glimpsed_gst_stop stops and frees it.
void glimpsed_gst_stop(void *pipeline);

#ifdef __cplusplus
}
#endif
