// What gocv leaves out of cv::VideoCapture, declared for cgo.
#pragma once

#ifdef __cplusplus
extern "C" {
#endif

// glimpsed_grab takes the next picture: 1 done, 0 there is none, -1 OpenCV threw.
int glimpsed_grab(void *capture);

// glimpsed_quiet keeps OpenCV from writing to stderr on its own.
void glimpsed_quiet(void);

#ifdef __cplusplus
}
#endif
