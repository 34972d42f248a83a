// The part of LiteRT's C API that glimpsed uses, declared in our own words after
// google-ai-edge/LiteRT, litert/c/*.h of release 2.3, so that building needs no
// headers. Handles are opaque pointers; every call that can fail returns a status,
// 0 for success.
#ifndef GLIMPSED_LITERT_SHIM_H
#define GLIMPSED_LITERT_SHIM_H

#include <stddef.h>
#include <stdint.h>

// Tensor shapes: litert_layout.h. The bit fields share one 32-bit word.
enum { GL_MAX_RANK = 8 };
typedef struct {
  unsigned int rank : 7;
  unsigned int has_strides : 1;
  int32_t dimensions[GL_MAX_RANK];  // negative: known only at run time
  uint32_t strides[GL_MAX_RANK];
} gl_layout;

// Element type and shape: litert_model_types.h.
typedef struct {
  int32_t element_type;
  gl_layout layout;
} gl_tensor_type;

// One scale and zero point for a whole tensor: litert_model_types.h.
typedef struct {
  float scale;
  int64_t zero_point;
} gl_per_tensor;

// One environment option: litert_environment_options.h, litert_any.h.
typedef struct {
  int32_t tag;
  struct {
    int32_t type;
    union {
      int64_t integer;
      double real;
      const void *pointer;
    };
  } value;
} gl_env_option;

// The loaded library: its entry points and the process's one environment.
typedef struct gl_library gl_library;

// gl_load opens the shared library at path and creates its environment. On
// failure it returns NULL and writes why into err.
gl_library *gl_load(const char *path, char *err, size_t err_len);

// gl_spec is what a model says of an input or output.
typedef struct {
  gl_tensor_type type;
  int32_t quantization;  // 0 none, 1 for the whole tensor, 2 by channel, 3 by block
  gl_per_tensor per_tensor;
  char name[128];
} gl_spec;

typedef struct gl_model gl_model;

// gl_failure says which call failed with which status, and what the runtime
// itself reported of it.
typedef struct {
  const char *call;
  int status;
  char detail[512];
} gl_failure;

// gl_open reads the model in data, which must stay where it is until gl_close.
// It does not compile it yet. NULL on failure.
gl_model *gl_open(gl_library *lib, const void *data, size_t len, gl_failure *f);

// gl_counts says how many signatures, and how many inputs and outputs of the
// first signature, the model has.
void gl_counts(const gl_model *m, size_t *signatures, size_t *inputs, size_t *outputs);

// gl_describe fills in what the model says of its first input and of its outputs,
// of which there are as many as gl_counts says, in the order of the file's subgraph.
int gl_describe(gl_model *m, gl_spec *input, gl_spec *outputs, gl_failure *f);

// gl_compile prepares the model to run on the CPU with that many threads and
// creates its buffers. It replaces the shapes in in and outs by those it runs with.
int gl_compile(gl_model *m, int threads, gl_spec *in, gl_spec *outs, gl_failure *f);

// gl_input_size and gl_output_size return the lengths in bytes of the input and of
// output i of a compiled model.
size_t gl_input_size(const gl_model *m);
size_t gl_output_size(const gl_model *m, size_t i);

// gl_run copies len bytes in and runs the model.
int gl_run(gl_model *m, const void *in, size_t len, gl_failure *f);

// gl_read copies len bytes of output i out.
int gl_read(gl_model *m, size_t i, void *out, size_t len, gl_failure *f);

// gl_invoke is gl_run and gl_read of the first output, in one call from Go.
int gl_invoke(gl_model *m, const void *in, size_t in_len, void *out, size_t out_len, gl_failure *f);

// gl_rank returns a shape's number of dimensions, which a bit field hides from Go.
static inline unsigned gl_rank(const gl_layout *l) { return l->rank < GL_MAX_RANK ? l->rank : GL_MAX_RANK; }

// gl_close frees everything that belongs to the model.
void gl_close(gl_model *m);

// gl_tame_heap has large blocks live outside glibc's arenas for good: it raises the limit for that each time one is
// freed, and changing models would leave ever more holes behind. gl_trim gives what is free back to the system.
void gl_tame_heap(void);
void gl_trim(void);

#endif
