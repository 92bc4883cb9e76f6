//! What the shared library exports.
#![allow(missing_docs)]

mod support;

use std::process::Command;

use expect_test::expect;
use support::{built, has, run};

#[test]
fn only_functions_of_octrt_are_exported() {
    if !has("nm") {
        return;
    }
    let list = run(Command::new("nm").args(["-D", "--defined-only"]).arg(built().join("liboctrt_capi.so")));
    let mut names: Vec<&str> = list.lines().filter_map(|l| l.split_whitespace().last()).collect();
    names.sort_unstable();
    expect![[r#"
        octrt_build_info
        octrt_cancel
        octrt_canceller_release
        octrt_canceller_retain
        octrt_code_name
        octrt_error_code
        octrt_error_free
        octrt_error_message
        octrt_labels_count
        octrt_labels_find
        octrt_labels_free
        octrt_labels_name
        octrt_model_input
        octrt_model_input_count
        octrt_model_load
        octrt_model_load_memory
        octrt_model_memory
        octrt_model_metadata
        octrt_model_metadata_count
        octrt_model_metadata_key
        octrt_model_name
        octrt_model_opset
        octrt_model_output
        octrt_model_output_count
        octrt_model_producer
        octrt_model_release
        octrt_model_retain
        octrt_model_threads
        octrt_model_warning
        octrt_preprocess_file
        octrt_preprocess_memory
        octrt_preprocess_rgb
        octrt_preprocessor_description
        octrt_preprocessor_free
        octrt_preprocessor_input
        octrt_preprocessor_new
        octrt_session_bind_input
        octrt_session_bind_output
        octrt_session_canceller
        octrt_session_free
        octrt_session_memory
        octrt_session_new
        octrt_session_output
        octrt_session_output_type
        octrt_session_prepare
        octrt_session_profile
        octrt_session_run
        octrt_session_run_bound
        octrt_session_set_shape
        octrt_session_unbind
        octrt_string_free
        octrt_top_k
        octrt_version
        octrt_version_string
    "#]]
    .assert_eq(&format!("{}\n", names.join("\n")));
}

#[test]
fn the_library_has_its_name() {
    if !has("readelf") {
        return;
    }
    let dynamic = run(Command::new("readelf").arg("-d").arg(built().join("liboctrt_capi.so")));
    assert!(dynamic.contains("soname: [liboctrt.so.0]"), "{dynamic}");
}
