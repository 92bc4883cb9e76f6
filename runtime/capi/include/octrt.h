/*
 * octrt: CPU inference runtime for convolutional networks. The C ABI.
 *
 * Made by cbindgen from the sources of the library; do not edit.
 *
 * Rules that hold for all functions:
 *
 * Errors   A function that can fail returns octrt_error *: NULL when it succeeded, else an error that the caller frees with
 *          octrt_error_free. After an error, out parameters are as they were. Functions that cannot fail take NULL for
 *          every handle. No function throws, and none ends the process, except when the system has no memory left for
 *          small objects.
 * Handles  Objects are opaque. Who gets one from a function gives it back to the function that its documentation names;
 *          those accept NULL. Objects may be given back in any order. A handle that was given back may not be used.
 * Structs  Structs by value begin with struct_size, which the caller sets to their sizeof. A program that was compiled
 *          with an older header has smaller structs, the missing fields of which get their defaults; fields that the
 *          library is too old to know must be zero. Start with the macros OCTRT_..._INIT.
 * Strings  End with a zero byte. Those handed in are copied where needed. They are UTF-8, paths are any bytes.
 * Threads  Each function says from which threads it may be called: 'any thread' also means from several at a time.
 *          'One thread at a time' means that a call while another one on the same session is at work returns
 *          OCTRT_E_BUSY and does nothing.
 * State    The floating point state of the thread (MXCSR, x87 environment) and its signal mask are after each call what
 *          they were before it, whatever they were. Worker threads block the signals that a program may handle.
 * fork()   In the child, models on one thread and their sessions work. With more threads, runs and whatever else needs the
 *          workers return OCTRT_E_FORKED: load the model again there. The parent is not affected.
 */

#ifndef OCTRT_H
#define OCTRT_H

#include <stddef.h>
#include <stdint.h>

/**
 * Version of this header: octrt_version() of the library that it was made with.
 */
#define OCTRT_VERSION_MAJOR 0

/**
 * Minor version.
 */
#define OCTRT_VERSION_MINOR 1

/**
 * Patch.
 */
#define OCTRT_VERSION_PATCH 0

/**
 * Success: the code of no error.
 */
#define OCTRT_OK 0

/**
 * An argument breaks the rules of the function: NULL, a wrong `struct_size`, an unknown constant, buffers that overlap.
 */
#define OCTRT_E_INVALID_ARGUMENT 1

/**
 * A tensor, shape, name or setting does not fit the model.
 */
#define OCTRT_E_INPUT 2

/**
 * A file cannot be read or written.
 */
#define OCTRT_E_IO 3

/**
 * A model, picture or file of settings breaks the rules of its format.
 */
#define OCTRT_E_CORRUPT 4

/**
 * The model or picture is valid, but octrt does not implement a part of it.
 */
#define OCTRT_E_UNSUPPORTED 5

/**
 * A model or picture is larger than allowed.
 */
#define OCTRT_E_LIMIT 6

/**
 * More memory is needed than allowed or available.
 */
#define OCTRT_E_MEMORY 7

/**
 * A value computed in the run breaks a rule that the model relies on.
 */
#define OCTRT_E_CHECK 8

/**
 * The processor is too old, or older than the one that code was compiled for.
 */
#define OCTRT_E_TARGET 9

/**
 * The system does not let this process run generated code.
 */
#define OCTRT_E_NOT_EXECUTABLE 10

/**
 * The worker threads could not be started.
 */
#define OCTRT_E_THREADS 11

/**
 * Another thread is inside a call on the same session.
 */
#define OCTRT_E_BUSY 12

/**
 * The run was cancelled.
 */
#define OCTRT_E_CANCELLED 13

/**
 * The process was forked, and what the call needs stayed with the parent: worker threads, or a call in progress.
 */
#define OCTRT_E_FORKED 14

/**
 * The call comes before another one that it needs: a view of an output before a run.
 */
#define OCTRT_E_STATE 15

/**
 * A defect of octrt. Please report it.
 */
#define OCTRT_E_INTERNAL 16

/**
 * Nothing is told.
 */
#define OCTRT_LOG_OFF 0

/**
 * What goes wrong.
 */
#define OCTRT_LOG_ERROR 1

/**
 * What is unusual in a model, but was read; and all above.
 */
#define OCTRT_LOG_WARN 2

/**
 * What was loaded, compiled and chosen; and all above.
 */
#define OCTRT_LOG_INFO 3

/**
 * Steps of the work; and all above.
 */
#define OCTRT_LOG_DEBUG 4

/**
 * Everything.
 */
#define OCTRT_LOG_TRACE 5

/**
 * Direct convolution, and Winograd's algorithm where it is faster: where the inputs of a convolution are of about one size,
 * no result is off by more than 1e-5 of the root mean square of all.
 */
#define OCTRT_PRECISION_DEFAULT 0

/**
 * Direct convolution only.
 */
#define OCTRT_PRECISION_STRICT 1

/**
 * The element type that the model has: OCTRT_F32 and so on of its input or output.
 */
#define OCTRT_DTYPE_OF_MODEL 0

/**
 * IEEE 754 binary32.
 */
#define OCTRT_F32 1

/**
 * IEEE 754 binary16.
 */
#define OCTRT_F16 2

/**
 * The upper half of an IEEE 754 binary32.
 */
#define OCTRT_BF16 3

/**
 * IEEE 754 binary64.
 */
#define OCTRT_F64 4

/**
 * 64-bit two's complement.
 */
#define OCTRT_I64 5

/**
 * 32-bit two's complement.
 */
#define OCTRT_I32 6

/**
 * 8-bit unsigned.
 */
#define OCTRT_U8 7

/**
 * One byte, 0 or 1.
 */
#define OCTRT_BOOL 8

/**
 * 16-bit two's complement.
 */
#define OCTRT_I16 9

/**
 * 8-bit two's complement.
 */
#define OCTRT_I8 10

/**
 * 64-bit unsigned.
 */
#define OCTRT_U64 11

/**
 * 32-bit unsigned.
 */
#define OCTRT_U32 12

/**
 * 16-bit unsigned.
 */
#define OCTRT_U16 13

/**
 * The shape that the session has: the one set by octrt_session_set_shape, or the model's.
 */
#define OCTRT_RANK_OF_MODEL -1

/**
 * Most dimensions of a tensor.
 */
#define OCTRT_MAX_RANK 64

/**
 * Pictures are turned upright, as their EXIF orientation says.
 */
#define OCTRT_EXIF_APPLY 0

/**
 * Pixels are taken as they are stored.
 */
#define OCTRT_EXIF_IGNORE 1

/**
 * Ends the runs of one session from other threads. Counts its references, and may outlive its session.
 */
typedef struct octrt_canceller octrt_canceller;

/**
 * Why a call failed: a code and a message. Belongs to the caller, who frees it with octrt_error_free. It may be read by
 * several threads at a time, and outlives everything it tells about.
 */
typedef struct octrt_error octrt_error;

/**
 * The names of the classes of a model. Never changes; may be used by any number of threads at a time.
 */
typedef struct octrt_labels octrt_labels;

/**
 * A model: its weights and the code compiled from it. Never changes; may be used by any number of threads and sessions
 * at a time. Counts its references: whoever loads it has one.
 */
typedef struct octrt_model octrt_model;

/**
 * Makes an input of pictures, all in the same way. Never changes; may be used by any number of threads at a time.
 */
typedef struct octrt_preprocessor octrt_preprocessor;

/**
 * The memory in which a model runs, for one caller at a time: a call while another thread is inside a call on the same
 * session returns OCTRT_E_BUSY. Use a session for each thread; they share the model's code and weights.
 */
typedef struct octrt_session octrt_session;

/**
 * Gets one line about the work of a call: a level OCTRT_LOG_* and UTF-8 text that is gone when the function returns.
 * Called on the thread that is inside the call, with the floating point state that this thread had when it called, and
 * before the call returns. It may call octrt functions, of which nothing is told, but gets OCTRT_E_BUSY from the session
 * that is at work. It must not throw or jump out.
 */
typedef void (*octrt_log_fn)(void *data, int32_t level, const char *message);

/**
 * How a model is loaded. Start with OCTRT_OPTIONS_INIT, then change fields. The struct and its strings belong to the
 * caller and are not used after the call that they are handed to; `log` and `log_data` are, until the model and all of
 * its sessions are freed.
 */
typedef struct octrt_options {
  /**
   * sizeof(octrt_options).
   */
  size_t struct_size;
  /**
   * Threads that share the work of a run: 1 for the caller's thread alone, 0 for as many as the process may use.
   */
  int32_t threads;
  /**
   * OCTRT_PRECISION_*.
   */
  int32_t precision;
  /**
   * Bytes that the model's file may have, that all tensors of a run may have together, and that the weights and the
   * arena of a session may take; 0 for half of the memory that the process may use.
   */
  uint64_t max_memory;
  /**
   * Folder in which compiled models are kept, so that they load faster the next time; NULL for none. Made when it does
   * not exist; not used when others than the user may write to it.
   */
  const char *cache_dir;
  /**
   * OCTRT_LOG_*: what `log` gets.
   */
  int32_t log_level;
  /**
   * 0 maps the files of the model, which nobody may change then while it exists; 1 reads them.
   */
  int32_t copy_file;
  /**
   * Gets what calls on the model and its sessions tell; NULL for nothing. See octrt_log_fn.
   */
  octrt_log_fn log;
  /**
   * Handed to `log`, from every thread that uses the model.
   */
  void *log_data;
  /**
   * File of what `octrt tune` has measured on this machine, by which the compiler decides; NULL for none. What of it is
   * of another machine or of another version is not used, and told as OCTRT_LOG_WARN.
   */
  const char *records;
} octrt_options;

/**
 * Called once when a model no longer needs the bytes that it was loaded from, on the thread that is inside the octrt call
 * that made it so, with that thread's own floating point state. It must not throw or jump out.
 */
typedef void (*octrt_free_fn)(void *data);

/**
 * An input or output of a model. Set struct_size before the call that fills it in. What it points to belongs to the
 * model.
 */
typedef struct octrt_port {
  /**
   * sizeof(octrt_port).
   */
  size_t struct_size;
  /**
   * Its name.
   */
  const char *name;
  /**
   * Element type of the tensors handed in or got back, OCTRT_*.
   */
  int32_t dtype;
  /**
   * Number of dimensions; -1 where the model does not say.
   */
  int32_t rank;
  /**
   * `rank` extents, outermost first; -1 for those that each run fixes anew.
   */
  const int64_t *dims;
  /**
   * `rank` names of dimensions: NULL where the extent is fixed, "" where it has no name. Dimensions of one name have
   * the same extent.
   */
  const char *const *dim_names;
} octrt_port;

/**
 * Memory that a model takes, in bytes. Set struct_size before the call that fills it in.
 */
typedef struct octrt_memory {
  /**
   * sizeof(octrt_memory).
   */
  size_t struct_size;
  /**
   * Weights in the form in which compiled code reads them.
   */
  uint64_t weights_bytes;
  /**
   * Files that are mapped; the system may take pages of them back.
   */
  uint64_t mapped_bytes;
  /**
   * Compiled code.
   */
  uint64_t code_bytes;
} octrt_memory;

/**
 * A tensor whose elements lie in the caller's memory: dense, row-major, little-endian, at any address. Start with
 * OCTRT_TENSOR_INIT. In an array of tensors all have the struct_size of the first.
 */
typedef struct octrt_tensor {
  /**
   * sizeof(octrt_tensor).
   */
  size_t struct_size;
  /**
   * Element type, or OCTRT_DTYPE_OF_MODEL.
   */
  int32_t dtype;
  /**
   * Number of dimensions, or OCTRT_RANK_OF_MODEL.
   */
  int32_t rank;
  /**
   * `rank` extents, outermost first; may be NULL when rank is 0 or OCTRT_RANK_OF_MODEL.
   */
  const int64_t *dims;
  /**
   * The elements. Those of inputs are only read. May be NULL when there are none.
   */
  void *data;
  /**
   * Size of the elements in bytes: that of the element type times all extents.
   */
  size_t bytes;
  /**
   * Name of the input or output; NULL for the one at the tensor's place in the array.
   */
  const char *name;
} octrt_tensor;

/**
 * How pictures become an input of a model. Start with OCTRT_PICTURE_OPTIONS_INIT. What is not said here is taken from
 * the side file, then from the model's metadata "octrt.preprocess", then from the preset imagenet, as `octrt run` does.
 */
typedef struct octrt_picture_options {
  /**
   * sizeof(octrt_picture_options).
   */
  size_t struct_size;
  /**
   * Name of the input; NULL for the first that takes pictures.
   */
  const char *input;
  /**
   * Settings as JSON, such as {"preset": "imagenet", "filter": "bicubic"}: the fields of a side file without "labels".
   * NULL for none.
   */
  const char *settings;
  /**
   * The side file; NULL for MODEL.json beside the file that the model was loaded from, "none" for none.
   */
  const char *side_file;
  /**
   * Height of the input in pixels, where the model leaves it open; 0 for the usual one of the preset.
   */
  int64_t height;
  /**
   * Its width; 0 when height is.
   */
  int64_t width;
  /**
   * OCTRT_EXIF_*.
   */
  int32_t exif;
  /**
   * 0.
   */
  int32_t reserved;
} octrt_picture_options;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Version of the library: major * 1000000 + minor * 1000 + patch.
 */
uint32_t octrt_version(void);

/**
 * Version of the library as text, such as "0.1.0". The text lives forever.
 */
const char *octrt_version_string(void);

/**
 * How the library was built and what it found, as a JSON object: "version", "target" and "profile" of the build,
 * "rustc", and "machine", the instruction set for which models are compiled here (null if the processor is too old).
 * The text lives forever.
 */
const char *octrt_build_info(void);

/**
 * The code of an error, one of OCTRT_E_*; OCTRT_OK for NULL.
 */
int32_t octrt_error_code(const struct octrt_error *error);

/**
 * What went wrong, in one or a few sentences of UTF-8, with the names of what was expected and found. The text belongs
 * to the error. Empty for NULL.
 */
const char *octrt_error_message(const struct octrt_error *error);

/**
 * Frees an error. NULL is allowed.
 */
void octrt_error_free(struct octrt_error *error);

/**
 * The name of a code, such as "OCTRT_E_BUSY"; "OCTRT_E_?" for numbers that are no code. The text lives forever.
 */
const char *octrt_code_name(int32_t code);

/**
 * Loads the model in a file: ONNX, with weights in files beside it, or compiled by octrt.
 *
 * path     the file; copied
 * options  how; NULL for OCTRT_OPTIONS_INIT
 * model    gets the model with one reference, which octrt_model_release gives back; unchanged on error
 *
 * Any thread. A model with fixed shapes may be compiled when its first session is made.
 * Errors: OCTRT_E_IO, OCTRT_E_CORRUPT, OCTRT_E_UNSUPPORTED, OCTRT_E_LIMIT, OCTRT_E_MEMORY, OCTRT_E_THREADS,
 * OCTRT_E_INVALID_ARGUMENT.
 */
struct octrt_error *octrt_model_load(const char *path,
                                     const struct octrt_options *options,
                                     struct octrt_model **model);

/**
 * Loads a model from memory. It must have all its weights inside.
 *
 * bytes, len  the file's content
 * free_bytes  NULL: the bytes are copied, and not used after the call. Else they are borrowed: they must stay as they are
 *             until free_bytes(data) is called, once, which may be before this call returns
 * data        handed to free_bytes
 * options     how; NULL for OCTRT_OPTIONS_INIT
 * model       gets the model with one reference, which octrt_model_release gives back; unchanged on error
 *
 * After an error the bytes belong to the caller as before, and free_bytes is not called.
 * Any thread. Errors: as octrt_model_load, without OCTRT_E_IO.
 */
struct octrt_error *octrt_model_load_memory(const void *bytes,
                                            size_t len,
                                            octrt_free_fn free_bytes,
                                            void *data,
                                            const struct octrt_options *options,
                                            struct octrt_model **model);

/**
 * One more reference to a model, which octrt_model_release gives back. Returns the model; NULL for NULL. Any thread.
 */
struct octrt_model *octrt_model_retain(struct octrt_model *model);

/**
 * Gives a reference back. The model is freed with the last one; sessions keep what they need of it. NULL is allowed. Any
 * thread.
 */
void octrt_model_release(struct octrt_model *model);

/**
 * The file that a model was loaded from, or "model". The text belongs to the model. "" for NULL. Any thread.
 */
const char *octrt_model_name(const struct octrt_model *model);

/**
 * The program that wrote the model, "" where it does not say. The text belongs to the model. "" for NULL. Any thread.
 */
const char *octrt_model_producer(const struct octrt_model *model);

/**
 * Version of the ONNX operators; 0 for a model that does not come from ONNX and for NULL. Any thread.
 */
int64_t octrt_model_opset(const struct octrt_model *model);

/**
 * Number of threads that share the work of a run; 0 for NULL. Any thread.
 */
int32_t octrt_model_threads(const struct octrt_model *model);

/**
 * Number of inputs; 0 for NULL. Any thread.
 */
size_t octrt_model_input_count(const struct octrt_model *model);

/**
 * Number of outputs; 0 for NULL. Any thread.
 */
size_t octrt_model_output_count(const struct octrt_model *model);

/**
 * Describes an input. `port` is filled in; unchanged on error. Any thread.
 * Errors: OCTRT_E_INVALID_ARGUMENT, also when there is no input `index`.
 */
struct octrt_error *octrt_model_input(const struct octrt_model *model,
                                      size_t index,
                                      struct octrt_port *port);

/**
 * Describes an output. `port` is filled in; unchanged on error. Any thread.
 * Errors: OCTRT_E_INVALID_ARGUMENT, also when there is no output `index`.
 */
struct octrt_error *octrt_model_output(const struct octrt_model *model,
                                       size_t index,
                                       struct octrt_port *port);

/**
 * Number of entries in the model's metadata (`metadata_props` in ONNX); 0 for NULL. Any thread.
 */
size_t octrt_model_metadata_count(const struct octrt_model *model);

/**
 * Key of an entry of the metadata, in the order of the keys. The text belongs to the model. NULL where there is no entry
 * `index`, and for NULL. Any thread.
 */
const char *octrt_model_metadata_key(const struct octrt_model *model,
                                     size_t index);

/**
 * Value of a key of the metadata. The text belongs to the model. NULL where the key does not exist, and for NULL. Any
 * thread.
 */
const char *octrt_model_metadata(const struct octrt_model *model,
                                 const char *key);

/**
 * What is unusual in the model's file but was read: a sentence for each index from 0 on, then NULL. The text belongs to
 * the model. NULL for NULL. Any thread.
 */
const char *octrt_model_warning(const struct octrt_model *model,
                                size_t index);

/**
 * Memory that a model takes now. `memory` is filled in; unchanged on error. Any thread.
 * Errors: OCTRT_E_INVALID_ARGUMENT, OCTRT_E_FORKED.
 */
struct octrt_error *octrt_model_memory(const struct octrt_model *model,
                                       struct octrt_memory *memory);

/**
 * Makes a session on a model.
 *
 * model    stays needed by nobody: the session keeps what it uses
 * session  gets the session, which octrt_session_free frees; unchanged on error
 *
 * Compiles the model if all its shapes are fixed, no input decides others by what it holds, and no session did so before.
 * Any thread.
 * Errors: OCTRT_E_MEMORY, OCTRT_E_LIMIT, OCTRT_E_UNSUPPORTED, OCTRT_E_CORRUPT, OCTRT_E_TARGET, OCTRT_E_NOT_EXECUTABLE,
 * OCTRT_E_FORKED, OCTRT_E_INVALID_ARGUMENT.
 */
struct octrt_error *octrt_session_new(const struct octrt_model *model,
                                      struct octrt_session **session);

/**
 * Frees a session, with its views of outputs. When another thread is inside a call on it, that call ends as it would,
 * and the session is freed then. NULL is allowed. Any thread.
 */
void octrt_session_free(struct octrt_session *session);

/**
 * Sets the shape of an input for octrt_session_prepare and for tensors of OCTRT_RANK_OF_MODEL. Nothing is compiled yet.
 *
 * name        of the input; NULL for the only one
 * dims, rank  extents, outermost first; copied
 *
 * One thread at a time. Errors: OCTRT_E_INPUT, OCTRT_E_BUSY, OCTRT_E_INVALID_ARGUMENT.
 */
struct octrt_error *octrt_session_set_shape(struct octrt_session *session,
                                            const char *name,
                                            const int64_t *dims,
                                            int32_t rank);

/**
 * Compiles for the shapes that were set or that the model fixes, and makes the memory of a run, so that the next run need
 * not. Views of outputs end.
 *
 * One thread at a time. Errors: OCTRT_E_INPUT, also when a shape is not set, or what an input holds that decides shapes
 * (octrt_session_set_value); OCTRT_E_BUSY; those of octrt_session_new.
 */
struct octrt_error *octrt_session_prepare(struct octrt_session *session);

/**
 * Tells type, shape and size of an output, for the shapes that were run or prepared last; for a model of fixed shapes at
 * any time. `output` is filled in, with data NULL; unchanged on error. With data set it can be handed to
 * octrt_session_run. Its dims belong to the session and stay until other shapes are prepared or run.
 *
 * One thread at a time. Errors: OCTRT_E_STATE when no shapes are known, OCTRT_E_BUSY, OCTRT_E_INVALID_ARGUMENT.
 */
struct octrt_error *octrt_session_output_type(struct octrt_session *session,
                                              size_t index,
                                              struct octrt_tensor *output);

/**
 * A view of an output of the last run, for which that run got no buffer of the caller. `output` is filled in; unchanged
 * on error. The elements belong to the session: read them until its next run or prepare, or until it is freed.
 *
 * One thread at a time. Errors: OCTRT_E_STATE when the last run failed, was none, or wrote this output to the caller's
 * buffer; OCTRT_E_BUSY; OCTRT_E_INVALID_ARGUMENT.
 */
struct octrt_error *octrt_session_output(struct octrt_session *session,
                                         size_t index,
                                         struct octrt_tensor *output);

/**
 * Bytes of memory that belong to this session alone. `bytes` is filled in; unchanged on error.
 *
 * One thread at a time. Errors: OCTRT_E_BUSY, OCTRT_E_INVALID_ARGUMENT.
 */
struct octrt_error *octrt_session_memory(struct octrt_session *session, uint64_t *bytes);

/**
 * Runs the model on the caller's buffers.
 *
 * inputs, input_count    all inputs, by name or in the model's order; only read
 * outputs, output_count  buffers for some or all outputs, by name or in the model's order; results of the others stay in
 *                        the session for octrt_session_output. NULL with 0 for none
 *
 * Nothing is copied, except for elements that are converted (f16, bf16) and bool outputs. No output may overlap an
 * input or another output in memory, and no tensor a view of an output of the same session. After an error the buffers of outputs hold unspecified elements. A run for other
 * shapes than the one before, or with another value of an input that decides shapes, may compile.
 *
 * One thread at a time. Errors: OCTRT_E_INPUT, OCTRT_E_CHECK, OCTRT_E_CANCELLED, OCTRT_E_BUSY, OCTRT_E_FORKED,
 * OCTRT_E_INVALID_ARGUMENT; those of octrt_session_new.
 */
struct octrt_error *octrt_session_run(struct octrt_session *session,
                                      const struct octrt_tensor *inputs,
                                      size_t input_count,
                                      const struct octrt_tensor *outputs,
                                      size_t output_count);

/**
 * Binds a buffer to an input for octrt_session_run_bound, in place of the one bound before. The struct is copied; the
 * elements stay the caller's, who keeps the buffer until another one is bound, octrt_session_unbind, or the session is
 * freed.
 *
 * input  by name; without a name the first input
 *
 * One thread at a time. Errors: OCTRT_E_INPUT, OCTRT_E_BUSY, OCTRT_E_INVALID_ARGUMENT.
 */
struct octrt_error *octrt_session_bind_input(struct octrt_session *session,
                                             const struct octrt_tensor *input);

/**
 * Binds a buffer to an output for octrt_session_run_bound, as octrt_session_bind_input. Outputs to which nothing is bound
 * stay in the session for octrt_session_output.
 */
struct octrt_error *octrt_session_bind_output(struct octrt_session *session,
                                              const struct octrt_tensor *output);

/**
 * Forgets all buffers that were bound. One thread at a time. Errors: OCTRT_E_BUSY, OCTRT_E_INVALID_ARGUMENT.
 */
struct octrt_error *octrt_session_unbind(struct octrt_session *session);

/**
 * Runs the model on the buffers that were bound, as octrt_session_run.
 */
struct octrt_error *octrt_session_run_bound(struct octrt_session *session);

/**
 * Whether an input decides shapes by what it holds, as the second one of Reshape: 1 or 0. The model is compiled for what it
 * holds, as it is for dimensions; a run with another value than the one before may compile. Where dimensions are not known
 * before a run, an input may decide shapes of which this is not known yet: octrt_session_value tells it after the run. 0
 * when there is no input `index`, and for NULL. Any thread.
 */
int32_t octrt_model_input_decides_shapes(const struct octrt_model *model,
                                         size_t index);

/**
 * Sets what an input holds, with its shape, for octrt_session_prepare: needed for those that decide shapes. Runs are not
 * concerned, they get all inputs. Nothing is compiled yet. octrt_session_set_shape with another shape takes it back.
 *
 * input  by name; without a name the first input; its elements are copied
 *
 * One thread at a time. Errors: OCTRT_E_INPUT, OCTRT_E_MEMORY, OCTRT_E_BUSY, OCTRT_E_INVALID_ARGUMENT.
 */
struct octrt_error *octrt_session_set_value(struct octrt_session *session,
                                            const struct octrt_tensor *input);

/**
 * Tells what an input held that the session's code was compiled for: for an input that decides shapes the value that was
 * run or prepared last. `value` is filled in; unchanged on error. Its elements belong to the session: read them until its
 * next run or prepare, or until it is freed.
 *
 * One thread at a time. Errors: OCTRT_E_STATE before a run, and when the code does not depend on what the input holds;
 * OCTRT_E_BUSY; OCTRT_E_INVALID_ARGUMENT.
 */
struct octrt_error *octrt_session_value(struct octrt_session *session,
                                        size_t index,
                                        struct octrt_tensor *value);

/**
 * Makes the handle with which other threads end runs of a session.
 *
 * session    whose runs; may be at work
 * canceller  gets the handle, which octrt_canceller_release gives back; unchanged on error
 *
 * Any thread. Errors: OCTRT_E_INVALID_ARGUMENT.
 */
struct octrt_error *octrt_session_canceller(const struct octrt_session *session,
                                            struct octrt_canceller **canceller);

/**
 * Ends the run of the session that is going on, which then returns OCTRT_E_CANCELLED, and returns at once. Returns 1 when
 * there was such a run, 0 when there was none: then nothing happens, and later runs are not affected. Also 0 for NULL.
 * A run that is about to return may still succeed. A run that compiles ends when that is done. Any thread; not from a signal handler.
 */
int32_t octrt_cancel(const struct octrt_canceller *canceller);

/**
 * One more reference, which octrt_canceller_release gives back. Returns the handle; NULL for NULL. Any thread.
 */
struct octrt_canceller *octrt_canceller_retain(struct octrt_canceller *canceller);

/**
 * Gives a reference back. NULL is allowed. Any thread.
 */
void octrt_canceller_release(struct octrt_canceller *canceller);

/**
 * Tells where the time of a run goes: runs `runs` times observed, and as often not observed, after one of each to warm
 * up.
 *
 * inputs, input_count  as for octrt_session_run
 * runs                 1 to 1000000
 * json                 gets a text that octrt_string_free frees; unchanged on error
 *
 * The text is an object: "schema" ("octrt.profile/1"), "model", "threads", "runs"; "rows", for each node "node", "op",
 * "steps", "median_ms", "min_ms", "share" of the sum, "bytes" touched; "nodes_ms", all nodes together, "end_to_end_ms", a
 * run that was not observed, and "difference" of the two as a share of the latter. What brings the input of a node "conv1"
 * into the layout in which the node reads it is a row of its own, "conv1 (layout)", whose "op" is "Layout"; no two rows have
 * the same "node". Views of outputs end.
 *
 * One thread at a time. Errors: as octrt_session_run.
 */
struct octrt_error *octrt_session_profile(struct octrt_session *session,
                                          const struct octrt_tensor *inputs,
                                          size_t input_count,
                                          uint32_t runs,
                                          char **json);

/**
 * Frees a text that a call handed to the caller. NULL is allowed. Any thread.
 */
void octrt_string_free(char *text);

/**
 * Finds out how pictures become an input of a model.
 *
 * model         needed during the call only
 * options       NULL for OCTRT_PICTURE_OPTIONS_INIT; not used after the call
 * preprocessor  gets the object, which octrt_preprocessor_free frees; unchanged on error
 *
 * Any thread. Errors: OCTRT_E_IO and OCTRT_E_CORRUPT of the side file or the metadata; OCTRT_E_INPUT when the input takes
 * no pictures or its size is open; OCTRT_E_INVALID_ARGUMENT.
 */
struct octrt_error *octrt_preprocessor_new(const struct octrt_model *model,
                                           const struct octrt_picture_options *options,
                                           struct octrt_preprocessor **preprocessor);

/**
 * Frees a preprocessor. NULL is allowed. Any thread.
 */
void octrt_preprocessor_free(struct octrt_preprocessor *preprocessor);

/**
 * One line: where the settings come from, and what they are. The text belongs to the preprocessor. "" for NULL. Any
 * thread.
 */
const char *octrt_preprocessor_description(const struct octrt_preprocessor *preprocessor);

/**
 * Tells name, type, shape (1, 3, H, W) and size of the input that pictures become. `input` is filled in, with data NULL;
 * unchanged on error. With data set it can be handed to the functions below and to octrt_session_run. Its name and dims
 * belong to the preprocessor. Any thread. Errors: OCTRT_E_INVALID_ARGUMENT.
 */
struct octrt_error *octrt_preprocessor_input(const struct octrt_preprocessor *preprocessor,
                                             struct octrt_tensor *input);

/**
 * Writes the picture in a file (JPEG, PNG, BMP, WebP) into a buffer.
 *
 * path   the file
 * input  as octrt_preprocessor_input fills it in, with data set; one picture of a batch goes to its place in the buffer
 *
 * Any thread. Errors: OCTRT_E_IO, OCTRT_E_CORRUPT, OCTRT_E_LIMIT, OCTRT_E_INPUT, OCTRT_E_INVALID_ARGUMENT; the buffer is
 * unchanged then.
 */
struct octrt_error *octrt_preprocess_file(const struct octrt_preprocessor *preprocessor,
                                          const char *path,
                                          const struct octrt_tensor *input);

/**
 * As octrt_preprocess_file, of the content of a picture's file: `len` bytes at `bytes`, which are not used after the call.
 */
struct octrt_error *octrt_preprocess_memory(const struct octrt_preprocessor *preprocessor,
                                            const void *bytes,
                                            size_t len,
                                            const struct octrt_tensor *input);

/**
 * As octrt_preprocess_file, of decoded pixels: `height` rows from the top, each `row_bytes` from the one before, of
 * `width` pixels of three bytes R, G, B. The pixels are not used after the call.
 */
struct octrt_error *octrt_preprocess_rgb(const struct octrt_preprocessor *preprocessor,
                                         const uint8_t *pixels,
                                         size_t height,
                                         size_t width,
                                         size_t row_bytes,
                                         const struct octrt_tensor *input);

/**
 * Finds the names of the classes: in a file, in the side file, or in the model's metadata "octrt.labels", as `octrt run`
 * does.
 *
 * model      needed during the call only
 * path       a file with a name a line; NULL for none
 * side_file  as in octrt_picture_options
 * labels     gets the names, which octrt_labels_free frees, or NULL when there are none; unchanged on error
 *
 * Any thread. Errors: OCTRT_E_IO, OCTRT_E_CORRUPT, OCTRT_E_LIMIT, OCTRT_E_INVALID_ARGUMENT.
 */
struct octrt_error *octrt_labels_find(const struct octrt_model *model,
                                      const char *path,
                                      const char *side_file,
                                      struct octrt_labels **labels);

/**
 * Number of names; 0 for NULL. Any thread.
 */
size_t octrt_labels_count(const struct octrt_labels *labels);

/**
 * The name of a class. The text belongs to the labels. NULL when the class has none, and for NULL. Any thread.
 */
const char *octrt_labels_name(const struct octrt_labels *labels,
                              int64_t class_index);

/**
 * Frees labels. NULL is allowed. Any thread.
 */
void octrt_labels_free(struct octrt_labels *labels);

/**
 * The best classes of one picture.
 *
 * model          which says whether the scores are probabilities, their logarithms, or any numbers: those go through
 *                softmax
 * output         which output of the model the scores are
 * scores         floats of shape (C), (1, C) or (1, C, 1, 1), as octrt_session_output fills them in
 * k              room in the arrays
 * classes        gets min(k, C) indices of classes, best first; of equals the smaller index first; unchanged on error
 * probabilities  gets as many numbers from 0 to 1; may be NULL
 * count          gets min(k, C); may be NULL
 *
 * Any thread. Errors: OCTRT_E_INPUT when the scores have another shape or type; OCTRT_E_INVALID_ARGUMENT.
 */
struct octrt_error *octrt_top_k(const struct octrt_model *model,
                                size_t output,
                                const struct octrt_tensor *scores,
                                size_t k,
                                int64_t *classes,
                                double *probabilities,
                                size_t *count);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

/* Default options. */
#define OCTRT_OPTIONS_INIT { sizeof(octrt_options), 1, OCTRT_PRECISION_DEFAULT, 0, NULL, OCTRT_LOG_OFF, 0, NULL, NULL, NULL }

/* A tensor of the model's element type and the session's shape, without elements. */
#define OCTRT_TENSOR_INIT { sizeof(octrt_tensor), OCTRT_DTYPE_OF_MODEL, OCTRT_RANK_OF_MODEL, NULL, NULL, 0, NULL }

/* A description of an input or output, to be filled in. */
#define OCTRT_PORT_INIT { sizeof(octrt_port), NULL, 0, 0, NULL, NULL }

/* Figures of memory, to be filled in. */
#define OCTRT_MEMORY_INIT { sizeof(octrt_memory), 0, 0, 0 }

/* What the model says itself about pictures. */
#define OCTRT_PICTURE_OPTIONS_INIT { sizeof(octrt_picture_options), NULL, NULL, NULL, 0, 0, OCTRT_EXIF_APPLY, 0 }

#endif  /* OCTRT_H */
