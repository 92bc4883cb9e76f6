//! What the tests of the C ABI share: where the library is, compilers and other programs, models.
#![allow(dead_code, missing_docs, reason = "each test uses a part of it")]

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use octrt_ops::graph::text;

#[path = "../../../tests/support/skip.rs"]
mod skip;

/// The crate's folder.
pub fn crate_root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The workspace's root.
pub fn root() -> PathBuf {
    crate_root().join("../..")
}

/// The model that the repository carries, and a picture of a star.
pub fn shapes() -> [PathBuf; 2] {
    let shapes = root().join("bench/shapes");
    [shapes.join("oct_resnet_shapes.onnx"), shapes.join("pictures/star_0.jpg")]
}

/// A folder of the shared data, `OCTRT_SHARED` or `../shared` from the workspace's root; `None`, with a word on stderr,
/// when it is not there.
pub fn shared(name: &str) -> Option<PathBuf> {
    let shared = std::env::var_os("OCTRT_SHARED").map_or_else(|| "../shared".into(), PathBuf::from);
    let folder = root().join(shared).join("data").join(name);
    if !folder.is_dir() {
        skip::without(&format!("no folder {}; set OCTRT_SHARED to the shared data", folder.display()));
        return None;
    }
    Some(folder)
}

/// Whether a program is there; says on stderr that the test skips when it is not.
pub fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
    if !found {
        eprintln!("SKIPPED: {program} is not installed");
    }
    found
}

/// The folder that holds the libraries of this build: that of the test's own program, or the one above it.
pub fn built() -> PathBuf {
    let exe = std::env::current_exe().unwrap();
    let deps = exe.parent().unwrap().to_path_buf();
    let above = deps.parent().unwrap().to_path_buf();
    [deps, above]
        .into_iter()
        .find(|f| f.join("liboctrt_capi.so").is_file())
        .expect("liboctrt_capi.so is built")
}

/// A folder in which the library has the names under which programs look for it.
pub fn linked(folder: &Path) -> PathBuf {
    let library = folder.join("lib");
    fs::create_dir_all(&library).unwrap();
    for name in ["liboctrt.so", "liboctrt.so.0"] {
        std::os::unix::fs::symlink(built().join("liboctrt_capi.so"), library.join(name)).unwrap();
    }
    library
}

/// Runs a command and returns what it printed.
pub fn run(command: &mut Command) -> String {
    let out = output(command);
    assert!(
        out.status.success(),
        "{command:?}: {}\n{}{}",
        out.status,
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr)
    );
    String::from_utf8_lossy(&out.stdout).into_owned()
}

/// Runs a command.
pub fn output(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"))
}

/// Flags for C that is nothing but C99.
pub const C99: [&str; 6] = ["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", "-O1"];

/// Compiles a C program of `tests/c` against the library in `library`.
pub fn compile<S: AsRef<OsStr>>(source: &str, library: &Path, flags: &[S]) -> PathBuf {
    let suffix: String =
        flags.iter().map(|f| f.as_ref().to_string_lossy().replace(['-', '=', ','], "_")).collect();
    let program = library.join(format!("{source}{suffix}"));
    let mut rpath = std::ffi::OsString::from("-Wl,-rpath,");
    rpath.push(library);
    run(Command::new("cc")
        .args(C99)
        .arg("-g")
        .args(flags)
        .arg("-I")
        .arg(crate_root().join("include"))
        .arg(crate_root().join(format!("tests/c/{source}.c")))
        .arg("-o")
        .arg(&program)
        .arg("-L")
        .arg(library)
        .arg(rpath)
        .args(["-loctrt", "-lpthread", "-lm"]));
    program
}

/// A model with an input that decides the shape of the output, as ONNX.
pub fn reshaped() -> Vec<u8> {
    let text = r#"
graph "reshaped" {
  input %0 "x": f32[2,3,4]
  input %1 "shape": i64[2]
  %2 = "y" Reshape { allow_zero = 0 } (%0, %1)
  output "y" = %2
}
"#;
    let graph = text::parse(text, &[]).unwrap_or_else(|e| panic!("{e}"));
    octrt_onnx::export(&graph, &BTreeMap::new()).unwrap()
}

/// A model with two inputs of one dynamic dimension and two outputs, one of which is of bools, as ONNX.
pub fn two_inputs() -> Vec<u8> {
    let text = r#"
graph "two" {
  input %0 "a": f32[N,3]
  input %1 "b": f32[N,3]
  %2 = "sum" Binary { kind = add } (%0, %1)
  %3 = "less" Compare { kind = less } (%0, %1)
  output "sum" = %2
  output "less" = %3
}
"#;
    let graph = text::parse(text, &[]).unwrap_or_else(|e| panic!("{e}"));
    octrt_onnx::export(&graph, &BTreeMap::new()).unwrap()
}
