// octrt: C++17 wrapper of the C ABI. Handles free themselves; calls return octrt::result, which holds a value or an error.
//
// What functions do, and from which threads they may be called, is said in octrt.h.

#ifndef OCTRT_HPP
#define OCTRT_HPP

#include <octrt.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace octrt {

// Why a call failed.
struct error {
    int32_t code;  // OCTRT_E_*
    std::string message;
};

// A value or an error, as std::expected of C++23. Asking for what is not there ends the program.
template <typename T>
class result {
public:
    result(T value) : held_(std::in_place_index<0>, std::move(value)) {}
    result(octrt::error error) : held_(std::in_place_index<1>, std::move(error)) {}

    bool has_value() const noexcept { return held_.index() == 0; }
    explicit operator bool() const noexcept { return has_value(); }
    T &value() & { return has_value() ? *std::get_if<0>(&held_) : fail(); }
    const T &value() const & { return has_value() ? *std::get_if<0>(&held_) : const_cast<result *>(this)->fail(); }
    T &&value() && { return std::move(value()); }
    T &operator*() & { return value(); }
    const T &operator*() const & { return value(); }
    T &&operator*() && { return std::move(value()); }
    T *operator->() { return &value(); }
    const T *operator->() const { return &value(); }
    const octrt::error &error() const { return held_.index() == 1 ? *std::get_if<1>(&held_) : fail_error(); }

private:
    [[noreturn]] T &fail() { std::abort(); }
    [[noreturn]] static const octrt::error &fail_error() { std::abort(); }

    std::variant<T, octrt::error> held_;
};

// Success of a call that has no value.
struct done {};

namespace detail {

inline octrt::error take(octrt_error *raw) {
    octrt::error e{octrt_error_code(raw), octrt_error_message(raw)};
    octrt_error_free(raw);
    return e;
}

inline result<done> check(octrt_error *raw) {
    if (raw != nullptr) return take(raw);
    return done{};
}

template <auto Free>
struct deleter {
    template <typename T>
    void operator()(T *handle) const noexcept { Free(handle); }
};

template <typename T, auto Free>
using owned = std::unique_ptr<T, deleter<Free>>;

}  // namespace detail

// A tensor in memory of the caller; the shape is the one of the session.
template <typename T>
octrt_tensor tensor(const T *data, std::size_t elements, const char *name = nullptr) {
    octrt_tensor t = OCTRT_TENSOR_INIT;
    t.data = const_cast<T *>(data);
    t.bytes = elements * sizeof(T);
    t.name = name;
    return t;
}

// As above, of a shape of its own. `dims` must live as long as the tensor is used.
template <typename T>
octrt_tensor tensor(const T *data, std::size_t elements, const std::vector<int64_t> &dims, const char *name = nullptr) {
    octrt_tensor t = tensor(data, elements, name);
    t.dims = dims.data();
    t.rank = static_cast<int32_t>(dims.size());
    return t;
}

// A model; copies are the same model.
class model {
public:
    static result<model> load(const std::string &path, const octrt_options *options = nullptr) {
        octrt_model *raw = nullptr;
        if (octrt_error *e = octrt_model_load(path.c_str(), options, &raw)) return detail::take(e);
        return model(raw);
    }

    // From a copy of `size` bytes.
    static result<model> load(const void *bytes, std::size_t size, const octrt_options *options = nullptr) {
        octrt_model *raw = nullptr;
        if (octrt_error *e = octrt_model_load_memory(bytes, size, nullptr, nullptr, options, &raw)) return detail::take(e);
        return model(raw);
    }

    model(const model &other) : handle_(octrt_model_retain(other.get())) {}
    model(model &&) noexcept = default;
    model &operator=(model other) noexcept {
        handle_.swap(other.handle_);
        return *this;
    }

    octrt_model *get() const noexcept { return handle_.get(); }
    std::size_t input_count() const noexcept { return octrt_model_input_count(get()); }
    std::size_t output_count() const noexcept { return octrt_model_output_count(get()); }

    result<octrt_port> input(std::size_t index) const {
        octrt_port port = OCTRT_PORT_INIT;
        if (octrt_error *e = octrt_model_input(get(), index, &port)) return detail::take(e);
        return port;
    }
    // Whether the model is compiled for what this input holds.
    bool input_decides_shapes(std::size_t index) const noexcept {
        return octrt_model_input_decides_shapes(get(), index) != 0;
    }
    result<octrt_port> output(std::size_t index) const {
        octrt_port port = OCTRT_PORT_INIT;
        if (octrt_error *e = octrt_model_output(get(), index, &port)) return detail::take(e);
        return port;
    }

private:
    explicit model(octrt_model *raw) : handle_(raw) {}
    detail::owned<octrt_model, octrt_model_release> handle_;
};

// Ends runs of a session from other threads; copies are the same handle.
class canceller {
public:
    explicit canceller(octrt_canceller *raw) : handle_(raw) {}
    canceller(const canceller &other) : handle_(octrt_canceller_retain(other.handle_.get())) {}
    canceller(canceller &&) noexcept = default;
    canceller &operator=(canceller other) noexcept {
        handle_.swap(other.handle_);
        return *this;
    }

    // Whether there was a run to end.
    bool cancel() const noexcept { return octrt_cancel(handle_.get()) != 0; }

private:
    detail::owned<octrt_canceller, octrt_canceller_release> handle_;
};

// The memory in which a model runs; one caller at a time.
class session {
public:
    static result<session> create(const model &of) {
        octrt_session *raw = nullptr;
        if (octrt_error *e = octrt_session_new(of.get(), &raw)) return detail::take(e);
        return session(raw);
    }

    octrt_session *get() const noexcept { return handle_.get(); }

    result<done> set_shape(const char *input, const std::vector<int64_t> &dims) {
        return detail::check(octrt_session_set_shape(get(), input, dims.data(), static_cast<int32_t>(dims.size())));
    }
    result<done> set_value(const octrt_tensor &input) { return detail::check(octrt_session_set_value(get(), &input)); }
    result<done> prepare() { return detail::check(octrt_session_prepare(get())); }
    result<done> run(const std::vector<octrt_tensor> &inputs, const std::vector<octrt_tensor> &outputs = {}) {
        return detail::check(
            octrt_session_run(get(), inputs.data(), inputs.size(), outputs.data(), outputs.size()));
    }
    result<done> bind_input(const octrt_tensor &input) { return detail::check(octrt_session_bind_input(get(), &input)); }
    result<done> bind_output(const octrt_tensor &output) {
        return detail::check(octrt_session_bind_output(get(), &output));
    }
    result<done> unbind() { return detail::check(octrt_session_unbind(get())); }
    result<done> run_bound() { return detail::check(octrt_session_run_bound(get())); }

    // Valid until the next run, or until the session ends.
    result<octrt_tensor> output(std::size_t index) const {
        octrt_tensor view = OCTRT_TENSOR_INIT;
        if (octrt_error *e = octrt_session_output(get(), index, &view)) return detail::take(e);
        return view;
    }
    result<octrt_tensor> output_type(std::size_t index) const {
        octrt_tensor type = OCTRT_TENSOR_INIT;
        if (octrt_error *e = octrt_session_output_type(get(), index, &type)) return detail::take(e);
        return type;
    }
    // What the code was compiled for; valid until the next run, or until the session ends.
    result<octrt_tensor> value(std::size_t input) const {
        octrt_tensor value = OCTRT_TENSOR_INIT;
        if (octrt_error *e = octrt_session_value(get(), input, &value)) return detail::take(e);
        return value;
    }
    result<octrt::canceller> make_canceller() const {
        octrt_canceller *raw = nullptr;
        if (octrt_error *e = octrt_session_canceller(get(), &raw)) return detail::take(e);
        return octrt::canceller(raw);
    }
    // JSON.
    result<std::string> profile(const std::vector<octrt_tensor> &inputs, uint32_t runs) {
        char *raw = nullptr;
        if (octrt_error *e = octrt_session_profile(get(), inputs.data(), inputs.size(), runs, &raw)) return detail::take(e);
        std::string json(raw);
        octrt_string_free(raw);
        return json;
    }

private:
    explicit session(octrt_session *raw) : handle_(raw) {}
    detail::owned<octrt_session, octrt_session_free> handle_;
};

// Makes an input of pictures.
class preprocessor {
public:
    static result<preprocessor> create(const model &of, const octrt_picture_options *options = nullptr) {
        octrt_preprocessor *raw = nullptr;
        if (octrt_error *e = octrt_preprocessor_new(of.get(), options, &raw)) return detail::take(e);
        return preprocessor(raw);
    }

    octrt_preprocessor *get() const noexcept { return handle_.get(); }
    const char *description() const noexcept { return octrt_preprocessor_description(get()); }

    // Name, type and shape of the input; its `data` is for the caller to set.
    result<octrt_tensor> input() const {
        octrt_tensor type = OCTRT_TENSOR_INIT;
        if (octrt_error *e = octrt_preprocessor_input(get(), &type)) return detail::take(e);
        return type;
    }
    result<done> file(const std::string &path, const octrt_tensor &input) const {
        return detail::check(octrt_preprocess_file(get(), path.c_str(), &input));
    }

private:
    explicit preprocessor(octrt_preprocessor *raw) : handle_(raw) {}
    detail::owned<octrt_preprocessor, octrt_preprocessor_free> handle_;
};

// The names of the classes; none where the model has none.
class labels {
public:
    static result<labels> find(const model &of, const char *path = nullptr) {
        octrt_labels *raw = nullptr;
        if (octrt_error *e = octrt_labels_find(of.get(), path, nullptr, &raw)) return detail::take(e);
        return labels(raw);
    }

    // "" for a class without a name.
    const char *name(int64_t class_index) const noexcept {
        const char *name = octrt_labels_name(handle_.get(), class_index);
        return name != nullptr ? name : "";
    }

private:
    explicit labels(octrt_labels *raw) : handle_(raw) {}
    detail::owned<octrt_labels, octrt_labels_free> handle_;
};

// A class and its probability.
struct ranked {
    int64_t index;
    double probability;
};

// The best `k` classes of the scores in an output of one picture.
inline result<std::vector<ranked>> top_k(const model &of, std::size_t output, const octrt_tensor &scores, std::size_t k) {
    std::vector<int64_t> classes(k);
    std::vector<double> probabilities(k);
    std::size_t count = 0;
    if (octrt_error *e = octrt_top_k(of.get(), output, &scores, k, classes.data(), probabilities.data(), &count)) {
        return detail::take(e);
    }
    std::vector<ranked> best;
    for (std::size_t i = 0; i < count; i++) best.push_back({classes[i], probabilities[i]});
    return best;
}

}  // namespace octrt

#endif  // OCTRT_HPP
