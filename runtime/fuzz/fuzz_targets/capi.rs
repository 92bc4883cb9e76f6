//! Bytes as a model, and then as a picture, through the C ABI: an error, or a run.
#![no_main]

use std::ptr;

use libfuzzer_sys::fuzz_target;
use octrt_capi::*;

fuzz_target!(|data: &[u8]| {
    let options = octrt_options {
        struct_size: size_of::<octrt_options>(),
        threads: 1,
        precision: OCTRT_PRECISION_DEFAULT,
        max_memory: 64 << 20,
        cache_dir: ptr::null(),
        log_level: OCTRT_LOG_OFF,
        copy_file: 0,
        log: None,
        log_data: ptr::null_mut(),
    };
    let (mut model, mut session, mut preprocessor) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
    // SAFETY: the bytes are there during the calls, handles are NULL or alive, and each is given back once.
    unsafe {
        let load = octrt_model_load_memory(
            data.as_ptr().cast(),
            data.len(),
            None,
            ptr::null_mut(),
            &raw const options,
            &raw mut model,
        );
        check(load);
        check(octrt_preprocessor_new(model, ptr::null(), &raw mut preprocessor));
        check(octrt_session_new(model, &raw mut session));
        check(octrt_session_prepare(session));
        check(octrt_session_run_bound(session));
        octrt_session_free(session);
        octrt_preprocessor_free(preprocessor);
        octrt_model_release(model);
    }
});

/// # Safety
/// `error` came from a call and was not freed.
unsafe fn check(error: *mut octrt_error) {
    // SAFETY: the caller's promise.
    unsafe {
        assert_ne!(octrt_error_code(error), OCTRT_E_INTERNAL);
        octrt_error_free(error);
    }
}
