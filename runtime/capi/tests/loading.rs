//! Ways to load a model: compiled before, with a cache folder, with the file copied.
#![allow(missing_docs)]

mod support;

use std::ffi::{CStr, CString, c_char, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;

use octrt_capi::*;
use octrt_ops::{DType, TensorType};
use support::shapes;

/// Ends the test when a call failed.
fn ok(error: *mut octrt_error) {
    // SAFETY: the error came from a call and is freed once.
    unsafe {
        let message = CStr::from_ptr(octrt_error_message(error)).to_string_lossy().into_owned();
        assert_eq!(octrt_error_code(error), OCTRT_OK, "{message}");
        octrt_error_free(error);
    }
}

fn c_path(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).unwrap()
}

/// Collects what is told.
unsafe extern "C" fn collect(data: *mut c_void, level: i32, message: *const c_char) {
    // SAFETY: `data` is the list that `scores` hands in and does not use meanwhile.
    unsafe {
        let line = CStr::from_ptr(message).to_string_lossy().into_owned();
        (*data.cast::<Vec<(i32, String)>>()).push((level, line));
    }
}

/// The scores of a model for one picture of zeros, its memory, and what it told.
fn scores(
    path: &Path,
    [cache, records]: [Option<&Path>; 2],
    copy_file: i32,
) -> (Vec<f32>, octrt_memory, Vec<(i32, String)>) {
    let mut told: Vec<(i32, String)> = Vec::new();
    let [cache, records] = [cache.map(c_path), records.map(c_path)];
    let options = octrt_options {
        struct_size: size_of::<octrt_options>(),
        threads: 1,
        precision: OCTRT_PRECISION_DEFAULT,
        max_memory: 0,
        cache_dir: cache.as_ref().map_or(ptr::null(), |c| c.as_ptr()),
        log_level: OCTRT_LOG_WARN,
        copy_file,
        log: Some(collect),
        log_data: (&raw mut told).cast(),
        records: records.as_ref().map_or(ptr::null(), |r| r.as_ptr()),
    };
    let dims = [1i64, 3, 64, 64];
    let (pixels, mut scores) = (vec![0f32; 3 * 64 * 64], vec![0f32; 10]);
    let tensor = |dims: &[i64], data: *const f32, elements: usize| octrt_tensor {
        struct_size: size_of::<octrt_tensor>(),
        dtype: OCTRT_F32,
        rank: if dims.is_empty() { OCTRT_RANK_OF_MODEL } else { dims.len() as i32 },
        dims: dims.as_ptr(),
        data: data.cast_mut().cast(),
        bytes: elements * 4,
        name: ptr::null(),
    };
    let input = tensor(&dims, pixels.as_ptr(), pixels.len());
    let output = tensor(&[], scores.as_mut_ptr(), scores.len());
    let mut memory = octrt_memory {
        struct_size: size_of::<octrt_memory>(),
        weights_bytes: 0,
        mapped_bytes: 0,
        code_bytes: 0,
    };
    let (mut model, mut session) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: all pointers are valid, handles are given back once.
    unsafe {
        ok(octrt_model_load(c_path(path).as_ptr(), &raw const options, &raw mut model));
        ok(octrt_session_new(model, &raw mut session));
        ok(octrt_session_run(session, &raw const input, 1, &raw const output, 1));
        ok(octrt_model_memory(model, &raw mut memory));
        octrt_session_free(session);
        octrt_model_release(model);
    }
    (scores, memory, told)
}

#[test]
fn all_ways_give_the_same_scores() {
    let [onnx, _] = shapes();
    let folder = tempfile::tempdir().unwrap();
    let (expected, memory, told) = scores(&onnx, [None; 2], 0);
    assert!(memory.code_bytes > 0 && told.is_empty(), "{told:?}");
    assert_eq!(scores(&onnx, [None; 2], 1).0, expected);

    let cache = folder.path().join("cache");
    assert_eq!(scores(&onnx, [Some(&cache), None], 0).0, expected);
    let kept = std::fs::read_dir(&cache).unwrap().count();
    assert!(kept > 0);
    let (again, _, told) = scores(&onnx, [Some(&cache), None], 0);
    assert_eq!((again, std::fs::read_dir(&cache).unwrap().count()), (expected.clone(), kept));
    assert!(told.is_empty(), "{told:?}");

    let compiled = folder.path().join("shapes.octrt");
    let model = octrt::Model::load(&onnx, &octrt::LoadOptions::default()).unwrap();
    model.save(&[TensorType::new(DType::F32, vec![1, 3, 64, 64])], &compiled).unwrap();
    for copy_file in [0, 1] {
        let (found, memory, _) = scores(&compiled, [None; 2], copy_file);
        assert_eq!(found, expected);
        assert_eq!(memory.mapped_bytes > 0, copy_file == 0);
    }
}

#[test]
fn a_cache_that_cannot_be_used_is_told_and_ignored() {
    let [onnx, _] = shapes();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, b"no folder").unwrap();
    let (found, _, told) = scores(&onnx, [Some(&file), None], 0);
    assert_eq!(found, scores(&onnx, [None; 2], 0).0);
    assert!(told.iter().any(|(level, line)| *level == OCTRT_LOG_WARN && !line.is_empty()), "{told:?}");
}

#[test]
fn records_that_are_not_used_are_told() {
    let [onnx, _] = shapes();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("records");
    std::fs::write(&file, b"no record\n").unwrap();
    let (found, _, told) = scores(&onnx, [None, Some(&file)], 0);
    assert_eq!(found, scores(&onnx, [None; 2], 0).0);
    let is_told = |(level, line): &(i32, String)| {
        *level == OCTRT_LOG_WARN && line.contains("1 that are no records, the first in line 1")
    };
    assert!(told.iter().any(is_told), "{told:?}");
}
