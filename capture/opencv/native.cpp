//go:build gocv

#include "native.h"

#include <csignal>

#include <opencv2/core/utils/logger.hpp>
#include <opencv2/videoio.hpp>

namespace {
// Undisturbed keeps signals from the thread for as long as it lives: OpenCV waits for V4L2 cameras in
// select(2) and takes an interruption for the loss of the camera, and Go interrupts its
// threads with SIGURG whenever one has run for 10 ms. Other threads still get them.
class Undisturbed {
  public:
    Undisturbed() {
        sigset_t all;
        sigfillset(&all);
        for (int s : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS}) sigdelset(&all, s);
        pthread_sigmask(SIG_SETMASK, &all, &before_);
    }
    ~Undisturbed() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

  private:
    sigset_t before_;
};
}  // namespace

int glimpsed_grab(void *capture) {
    Undisturbed u;
    try {
        return static_cast<cv::VideoCapture *>(capture)->grab() ? 1 : 0;
    } catch (...) {
        return -1;
    }
}

void glimpsed_quiet(void) {
    try {
        cv::utils::logging::setLogLevel(cv::utils::logging::LOG_LEVEL_SILENT);
    } catch (...) {
    }
}
