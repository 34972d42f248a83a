//go:build cgo && linux

#include "shim.h"

#include <dlfcn.h>
#include <fcntl.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// The library's own headers assert the same of these structures.
#if UINTPTR_MAX == 0xffffffffffffffffu
_Static_assert(sizeof(gl_layout) == 68, "LiteRtLayout");
_Static_assert(offsetof(gl_layout, dimensions) == 4, "LiteRtLayout.dimensions");
_Static_assert(offsetof(gl_layout, strides) == 36, "LiteRtLayout.strides");
_Static_assert(sizeof(gl_tensor_type) == 72, "LiteRtRankedTensorType");
_Static_assert(offsetof(gl_tensor_type, layout) == 4, "LiteRtRankedTensorType.layout");
_Static_assert(sizeof(gl_per_tensor) == 16, "LiteRtQuantizationPerTensor");
_Static_assert(offsetof(gl_per_tensor, zero_point) == 8, "LiteRtQuantizationPerTensor.zero_point");
_Static_assert(sizeof(gl_env_option) == 24, "LiteRtEnvOption");
_Static_assert(offsetof(gl_env_option, value) == 8, "LiteRtEnvOption.value");
#endif

typedef void *handle;

// X(result, name, parameters): every entry point that is looked up.
#define GL_CALLS(X)                                                                       \
  X(int, LiteRtCreateEnvironment, (int, const gl_env_option *, handle *))                 \
  X(int, LiteRtCreateModelFromBuffer, (handle, const void *, size_t, handle *))           \
  X(void, LiteRtDestroyModel, (handle))                                                   \
  X(int, LiteRtGetNumModelSignatures, (handle, size_t *))                                 \
  X(int, LiteRtGetModelSignature, (handle, size_t, handle *))                             \
  X(int, LiteRtGetNumSignatureInputs, (handle, size_t *))                                 \
  X(int, LiteRtGetNumSignatureOutputs, (handle, size_t *))                                \
  X(int, LiteRtGetSignatureInputTensorByIndex, (handle, size_t, handle *))                \
  X(int, LiteRtGetSignatureOutputTensorByIndex, (handle, size_t, handle *))               \
  X(int, LiteRtGetTensorName, (handle, const char **))                                    \
  X(int, LiteRtGetTensorTypeId, (handle, int32_t *))                                      \
  X(int, LiteRtGetRankedTensorType, (handle, gl_tensor_type *))                           \
  X(int, LiteRtGetQuantizationTypeId, (handle, int32_t *))                                \
  X(int, LiteRtGetPerTensorQuantization, (handle, gl_per_tensor *))                       \
  X(int, LiteRtCreateOptions, (handle *))                                                 \
  X(void, LiteRtDestroyOptions, (handle))                                                 \
  X(int, LiteRtSetOptionsHardwareAccelerators, (handle, int))                             \
  X(int, LiteRtCreateOpaqueOptions, (const char *, void *, void (*)(void *), handle *))   \
  X(int, LiteRtAddOpaqueOptions, (handle, handle))                                        \
  X(void, LiteRtDestroyOpaqueOptions, (handle))                                           \
  X(int, LiteRtCreateCompiledModel, (handle, handle, handle, handle *))                   \
  X(void, LiteRtDestroyCompiledModel, (handle))                                           \
  X(int, LiteRtGetCompiledModelInputTensorLayout, (handle, size_t, size_t, gl_layout *))  \
  X(int, LiteRtGetCompiledModelOutputTensorLayouts, (handle, size_t, size_t, gl_layout *, _Bool)) \
  X(int, LiteRtGetCompiledModelInputBufferRequirements, (handle, size_t, size_t, handle *))  \
  X(int, LiteRtGetCompiledModelOutputBufferRequirements, (handle, size_t, size_t, handle *)) \
  X(int, LiteRtCreateManagedTensorBufferFromRequirements,                                 \
    (handle, const gl_tensor_type *, handle, handle *))                                   \
  X(int, LiteRtGetTensorBufferPackedSize, (handle, size_t *))                             \
  X(int, LiteRtLockTensorBuffer, (handle, void **, int))                                  \
  X(int, LiteRtUnlockTensorBuffer, (handle))                                              \
  X(void, LiteRtDestroyTensorBuffer, (handle))                                            \
  X(int, LiteRtRunCompiledModel, (handle, size_t, size_t, handle *, size_t, handle *))    \
  X(int, LiteRtCompiledModelGetErrorMessages, (handle, char **))                          \
  X(int, LiteRtCompiledModelClearErrors, (handle))

struct gl_library {
#define X(result, name, parameters) result(*name) parameters;
  GL_CALLS(X)
#undef X
  handle env;
};

struct gl_model {
  gl_library *lib;
  handle model, signature, compiled, in;
  handle *outs;  // as many as outputs
  size_t signatures, inputs, outputs;
};

enum {
  kAcceleratorCpu = 1,
  kLockRead = 0,
  kLockWrite = 1,
  kAnyInt = 2,
  kOptionAutoRegisterAccelerators = 24,
  kOptionMinLoggerSeverity = 25,
  kSeveritySilent = 4,
  kTensorRanked = 0,
  kQuantizationPerTensor = 1,
};

gl_library *gl_load(const char *path, char *err, size_t err_len) {
  void *so = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!so) {
    snprintf(err, err_len, "%s", dlerror());
    return NULL;
  }
  gl_library *lib = calloc(1, sizeof *lib);
  if (!lib) {
    snprintf(err, err_len, "out of memory");
    dlclose(so);
    return NULL;
  }
#define X(result, name, parameters)                              \
  *(void **)&lib->name = dlsym(so, #name);                       \
  if (!lib->name) {                                              \
    snprintf(err, err_len, "it has no function %s", #name);      \
    free(lib);                                                   \
    dlclose(so);                                                 \
    return NULL;                                                 \
  }
  GL_CALLS(X)
#undef X
  // Only the CPU, so that no GPU library is looked for; and silence, because what
  // goes wrong comes back as a status and through the error reporter.
  gl_env_option options[2];
  memset(options, 0, sizeof options);
  options[0].tag = kOptionAutoRegisterAccelerators;
  options[0].value.type = kAnyInt;
  options[0].value.integer = kAcceleratorCpu;
  options[1].tag = kOptionMinLoggerSeverity;
  options[1].value.type = kAnyInt;
  options[1].value.integer = kSeveritySilent;
  int status = lib->LiteRtCreateEnvironment(2, options, &lib->env);
  if (status) {
    // The library stays loaded: it may have started threads.
    snprintf(err, err_len, "LiteRtCreateEnvironment: status %d", status);
    free(lib);
    return NULL;
  }
  return lib;
}

// TRY runs a call of the library m->lib and returns its status if it fails.
#define TRY(m, name, ...)                         \
  do {                                            \
    int status_ = (m)->lib->name(__VA_ARGS__);    \
    if (status_) return failed(m, f, #name, status_); \
  } while (0)

// failed notes the failure, together with what the runtime reported of it.
static int failed(gl_model *m, gl_failure *f, const char *call, int status) {
  f->call = call;
  f->status = status;
  f->detail[0] = 0;
  if (m && m->compiled) {
    char *text = NULL;
    if (!m->lib->LiteRtCompiledModelGetErrorMessages(m->compiled, &text) && text)
      snprintf(f->detail, sizeof f->detail, "%s", text);
    free(text);
    m->lib->LiteRtCompiledModelClearErrors(m->compiled);
  }
  return status;
}

static int open_model(gl_model *m, const void *data, size_t len, gl_failure *f) {
  TRY(m, LiteRtCreateModelFromBuffer, m->lib->env, data, len, &m->model);
  TRY(m, LiteRtGetNumModelSignatures, m->model, &m->signatures);
  if (m->signatures == 0) return 0;
  TRY(m, LiteRtGetModelSignature, m->model, 0, &m->signature);
  TRY(m, LiteRtGetNumSignatureInputs, m->signature, &m->inputs);
  TRY(m, LiteRtGetNumSignatureOutputs, m->signature, &m->outputs);
  return 0;
}

gl_model *gl_open(gl_library *lib, const void *data, size_t len, gl_failure *f) {
  gl_model *m = calloc(1, sizeof *m);
  if (!m) {
    failed(NULL, f, "calloc", 2);
    return NULL;
  }
  m->lib = lib;
  if (open_model(m, data, len, f)) {
    gl_close(m);
    return NULL;
  }
  return m;
}

void gl_counts(const gl_model *m, size_t *signatures, size_t *inputs, size_t *outputs) {
  *signatures = m->signatures;
  *inputs = m->inputs;
  *outputs = m->outputs;
}

static int describe(gl_model *m, handle tensor, gl_spec *s, gl_failure *f) {
  memset(s, 0, sizeof *s);
  const char *name = NULL;
  TRY(m, LiteRtGetTensorName, tensor, &name);
  snprintf(s->name, sizeof s->name, "%s", name ? name : "");
  int32_t kind = kTensorRanked;
  TRY(m, LiteRtGetTensorTypeId, tensor, &kind);
  if (kind == kTensorRanked) TRY(m, LiteRtGetRankedTensorType, tensor, &s->type);
  TRY(m, LiteRtGetQuantizationTypeId, tensor, &s->quantization);
  if (s->quantization == kQuantizationPerTensor)
    TRY(m, LiteRtGetPerTensorQuantization, tensor, &s->per_tensor);
  return 0;
}

int gl_describe(gl_model *m, gl_spec *input, gl_spec *outputs, gl_failure *f) {
  handle tensor;
  TRY(m, LiteRtGetSignatureInputTensorByIndex, m->signature, 0, &tensor);
  int status = describe(m, tensor, input, f);
  for (size_t i = 0; i < m->outputs && !status; i++) {
    TRY(m, LiteRtGetSignatureOutputTensorByIndex, m->signature, i, &tensor);
    status = describe(m, tensor, &outputs[i], f);
  }
  return status;
}

// add_text hands options a TOML text under the given identifier; the options own it.
static int add_text(gl_model *m, handle options, const char *id, const char *text, gl_failure *f) {
  char *copy = strdup(text);
  if (!copy) return failed(m, f, "strdup", 2);
  handle opaque = NULL;
  int status = m->lib->LiteRtCreateOpaqueOptions(id, copy, free, &opaque);
  if (status) {
    free(copy);
    return failed(m, f, "LiteRtCreateOpaqueOptions", status);
  }
  status = m->lib->LiteRtAddOpaqueOptions(options, opaque);
  if (status) {
    m->lib->LiteRtDestroyOpaqueOptions(opaque);
    return failed(m, f, "LiteRtAddOpaqueOptions", status);
  }
  return 0;
}

static int set_options(gl_model *m, handle options, int threads, gl_failure *f) {
  TRY(m, LiteRtSetOptionsHardwareAccelerators, options, kAcceleratorCpu);
  char text[64];
  snprintf(text, sizeof text, "num_threads = %d\n", threads);
  int status = add_text(m, options, "xnnpack", text, f);
  // 2: errors are kept for LiteRtCompiledModelGetErrorMessages, not printed.
  return status ? status : add_text(m, options, "runtime_options_string", "error_reporter_mode = 2\n", f);
}

// settle_shapes asks for the shapes that the model runs with: sizes that the file
// leaves open, such as the batch, are known after compiling.
static int settle_shapes(gl_model *m, gl_spec *in, gl_spec *outs, gl_failure *f) {
  gl_layout layout;
  memset(&layout, 0, sizeof layout);
  TRY(m, LiteRtGetCompiledModelInputTensorLayout, m->compiled, 0, 0, &layout);
  in->type.layout = layout;
  gl_layout *layouts = calloc(m->outputs, sizeof *layouts);
  if (!layouts) return failed(m, f, "calloc", 2);
  // Allocating the tensors now (the last argument) brings out what would otherwise
  // fail at the first run.
  int status = m->lib->LiteRtGetCompiledModelOutputTensorLayouts(m->compiled, 0, m->outputs, layouts, 1);
  for (size_t i = 0; i < m->outputs && !status; i++) outs[i].type.layout = layouts[i];
  free(layouts);
  return status ? failed(m, f, "LiteRtGetCompiledModelOutputTensorLayouts", status) : 0;
}

// The first model that is compiled makes XNNPACK greet on standard error, past the program's log and
// whatever severity was set. Models are opened one at a time, so file descriptor 2 can lead nowhere for
// that moment; glimpsed's own log has a descriptor of its own. hush returns what unhush needs, -1 for nothing.
static int hush(void) {
  int saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
  int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
  if (saved >= 0 && (nowhere < 0 || dup2(nowhere, STDERR_FILENO) < 0)) {
    close(saved);
    saved = -1;
  }
  if (nowhere >= 0) close(nowhere);
  return saved;
}

static void unhush(int saved) {
  if (saved < 0) return;
  fflush(stderr);
  dup2(saved, STDERR_FILENO);
  close(saved);
}

int gl_compile(gl_model *m, int threads, gl_spec *in, gl_spec *outs, gl_failure *f) {
  handle options = NULL, need = NULL;
  TRY(m, LiteRtCreateOptions, &options);
  int status = set_options(m, options, threads, f);
  if (!status) {
    static int greeted;
    int saved = greeted ? -1 : hush();
    status = m->lib->LiteRtCreateCompiledModel(m->lib->env, m->model, options, &m->compiled);
    unhush(saved);
    greeted = greeted || !status;
    if (status) failed(m, f, "LiteRtCreateCompiledModel", status);
  }
  m->lib->LiteRtDestroyOptions(options);
  if (!status) status = settle_shapes(m, in, outs, f);
  if (status) return status;

  m->outs = calloc(m->outputs, sizeof *m->outs);
  if (!m->outs) return failed(m, f, "calloc", 2);
  TRY(m, LiteRtGetCompiledModelInputBufferRequirements, m->compiled, 0, 0, &need);
  TRY(m, LiteRtCreateManagedTensorBufferFromRequirements, m->lib->env, &in->type, need, &m->in);
  for (size_t i = 0; i < m->outputs; i++) {
    TRY(m, LiteRtGetCompiledModelOutputBufferRequirements, m->compiled, 0, i, &need);
    TRY(m, LiteRtCreateManagedTensorBufferFromRequirements, m->lib->env, &outs[i].type, need, &m->outs[i]);
  }
  return 0;
}

static size_t size_of(const gl_model *m, handle buffer) {
  size_t size = 0;
  return m->lib->LiteRtGetTensorBufferPackedSize(buffer, &size) ? 0 : size;
}

size_t gl_input_size(const gl_model *m) { return size_of(m, m->in); }

size_t gl_output_size(const gl_model *m, size_t i) { return size_of(m, m->outs[i]); }

int gl_run(gl_model *m, const void *in, size_t len, gl_failure *f) {
  void *p = NULL;
  TRY(m, LiteRtLockTensorBuffer, m->in, &p, kLockWrite);
  memcpy(p, in, len);
  TRY(m, LiteRtUnlockTensorBuffer, m->in);
  TRY(m, LiteRtRunCompiledModel, m->compiled, 0, 1, &m->in, m->outputs, m->outs);
  return 0;
}

int gl_read(gl_model *m, size_t i, void *out, size_t len, gl_failure *f) {
  void *p = NULL;
  TRY(m, LiteRtLockTensorBuffer, m->outs[i], &p, kLockRead);
  memcpy(out, p, len);
  TRY(m, LiteRtUnlockTensorBuffer, m->outs[i]);
  return 0;
}

int gl_invoke(gl_model *m, const void *in, size_t in_len, void *out, size_t out_len, gl_failure *f) {
  int status = gl_run(m, in, in_len, f);
  return status ? status : gl_read(m, 0, out, out_len, f);
}

void gl_close(gl_model *m) {
  if (!m) return;
  if (m->in) m->lib->LiteRtDestroyTensorBuffer(m->in);
  for (size_t i = 0; m->outs && i < m->outputs; i++)
    if (m->outs[i]) m->lib->LiteRtDestroyTensorBuffer(m->outs[i]);
  free(m->outs);
  if (m->compiled) m->lib->LiteRtDestroyCompiledModel(m->compiled);
  if (m->model) m->lib->LiteRtDestroyModel(m->model);
  free(m);
}

void gl_tame_heap(void) {
#ifdef __GLIBC__
  mallopt(M_MMAP_THRESHOLD, 1 << 20);
#endif
}

void gl_trim(void) {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}
