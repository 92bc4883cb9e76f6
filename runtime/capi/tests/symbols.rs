//! What programs that are compiled already rely on: exported functions, the library's name, the layout of structs.
#![allow(missing_docs)]

mod support;

use std::mem::offset_of;
use std::process::Command;

use expect_test::expect;
use octrt_capi::{octrt_memory, octrt_options, octrt_picture_options, octrt_port, octrt_tensor};
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
        octrt_model_input_decides_shapes
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
        octrt_session_set_value
        octrt_session_unbind
        octrt_session_value
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

/// The offsets of some fields and the size of a struct.
macro_rules! layout {
    ($ty:ident: $($field:ident),*) => {
        (stringify!($ty), vec![$(offset_of!($ty, $field)),*], size_of::<$ty>())
    };
}

/// New fields come at the end: lines of this list get longer, and no number in them changes but the last.
#[test]
fn structs_keep_their_layout() {
    let layouts = [
        layout!(octrt_options: struct_size, threads, precision, max_memory, cache_dir, log_level, copy_file, log, log_data, records),
        layout!(octrt_port: struct_size, name, dtype, rank, dims, dim_names),
        layout!(octrt_memory: struct_size, weights_bytes, mapped_bytes, code_bytes),
        layout!(octrt_tensor: struct_size, dtype, rank, dims, data, bytes, name),
        layout!(octrt_picture_options: struct_size, input, settings, side_file, height, width, exif, reserved),
    ];
    let lines: Vec<String> =
        layouts.iter().map(|(n, o, size)| format!("{n}: {o:?}, {size} bytes\n")).collect();
    expect![[r#"
        octrt_options: [0, 8, 12, 16, 24, 32, 36, 40, 48, 56], 64 bytes
        octrt_port: [0, 8, 16, 20, 24, 32], 40 bytes
        octrt_memory: [0, 8, 16, 24], 32 bytes
        octrt_tensor: [0, 8, 12, 16, 24, 32, 40], 48 bytes
        octrt_picture_options: [0, 8, 16, 24, 32, 40, 48, 52], 56 bytes
    "#]]
    .assert_eq(&lines.concat());
}
