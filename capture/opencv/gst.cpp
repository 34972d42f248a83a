//go:build gocv

#include "gst.h"

#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>

// Of GStreamer's API only this much is needed, so its headers aren't. Values are
// from gstelement.h, gstmessage.h and gstparse.h of GStreamer 1.x, whose ABI is stable.
namespace {

struct GError {
    uint32_t domain;
    int code;
    char *message;
};

enum { STATE_NULL = 1, STATE_PLAYING = 4 };
enum { CHANGE_FAILURE = 0, CHANGE_ASYNC = 2 };
enum { MESSAGE_ERROR = 1 << 1 };
enum { PARSE_FATAL_ERRORS = 1 };

struct Api {
    int (*init_check)(int *, char ***, GError **);
    void *(*parse_launch_full)(const char *, void *, int, GError **);
    int (*set_state)(void *, int);
    int (*get_state)(void *, int *, int *, uint64_t);
    void *(*get_bus)(void *);
    void *(*pop_filtered)(void *, int);
    void (*parse_error)(void *, GError **, char **);
    void (*mini_unref)(void *);
    void (*object_unref)(void *);
    void (*error_free)(GError *);
    void (*free)(void *);
    bool ok;
};

template <typename F> bool find(void *lib, const char *name, F &f) {
    f = reinterpret_cast<F>(dlsym(lib, name));
    return f != nullptr;
}

Api load() {
    Api a = {};
    void *lib = dlopen("libgstreamer-1.0.so.0", RTLD_LAZY | RTLD_GLOBAL); // brings GLib's names along
    if (!lib) return a;
    a.ok = find(lib, "gst_init_check", a.init_check) && find(lib, "gst_parse_launch_full", a.parse_launch_full) &&
           find(lib, "gst_element_set_state", a.set_state) && find(lib, "gst_element_get_state", a.get_state) &&
           find(lib, "gst_element_get_bus", a.get_bus) && find(lib, "gst_bus_pop_filtered", a.pop_filtered) &&
           find(lib, "gst_message_parse_error", a.parse_error) && find(lib, "gst_mini_object_unref", a.mini_unref) &&
           find(lib, "gst_object_unref", a.object_unref) && find(lib, "g_error_free", a.error_free) &&
           find(lib, "g_free", a.free);
    return a;
}

const Api &api() {
    static const Api a = load();
    return a;
}

void say(char *message, int size, GError *err, const char *otherwise) {
    snprintf(message, size, "%s", err && err->message ? err->message : otherwise);
    if (err) api().error_free(err);
}

// failure writes the first error on the pipeline's bus to message, if there is one.
bool failure(void *pipeline, char *message, int size) {
    const Api &g = api();
    void *bus = g.get_bus(pipeline);
    if (!bus) return false;
    void *m = g.pop_filtered(bus, MESSAGE_ERROR);
    g.object_unref(bus);
    if (!m) return false;
    GError *err = nullptr;
    char *debug = nullptr;
    g.parse_error(m, &err, &debug);
    say(message, size, err, "an element failed");
    if (debug) g.free(debug);
    g.mini_unref(m);
    return true;
}

} // namespace

void *glimpsed_gst_start(const char *pipeline, char *message, int size) {
    const Api &g = api();
    if (!g.ok) {
        say(message, size, nullptr, "GStreamer is not installed");
        return nullptr;
    }
    GError *err = nullptr;
    if (!g.init_check(nullptr, nullptr, &err)) {
        say(message, size, err, "GStreamer can't be initialised");
        return nullptr;
    }
    void *p = g.parse_launch_full(pipeline, nullptr, PARSE_FATAL_ERRORS, &err);
    if (!p || err) {
        say(message, size, err, "the pipeline can't be parsed");
        if (p) g.object_unref(p);
        return nullptr;
    }
    if (g.set_state(p, STATE_PLAYING) == CHANGE_FAILURE) {
        if (!failure(p, message, size)) say(message, size, nullptr, "the pipeline can't be started");
        glimpsed_gst_stop(p);
        return nullptr;
    }
    return p;
}

int glimpsed_gst_wait(void *pipeline, int ms, char *message, int size) {
    const Api &g = api();
    int change = g.get_state(pipeline, nullptr, nullptr, static_cast<uint64_t>(ms) * 1000000);
    if (failure(pipeline, message, size)) return GLIMPSED_GST_FAILED;
    // A wait that another state change interrupts looks like a failure, too; asked without a wait, a
    // real one is still there.
    if (change == CHANGE_FAILURE) change = g.get_state(pipeline, nullptr, nullptr, 0);
    if (change == CHANGE_FAILURE) {
        say(message, size, nullptr, "the pipeline can't be started");
        return GLIMPSED_GST_FAILED;
    }
    return change == CHANGE_ASYNC ? GLIMPSED_GST_STARTING : GLIMPSED_GST_RUNNING;
}

void glimpsed_gst_stop(void *pipeline) {
    api().set_state(pipeline, STATE_NULL);
    api().object_unref(pipeline);
}
