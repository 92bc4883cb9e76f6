//! The header is the one that the sources give, and C and C++ compilers take it.
#![allow(missing_docs)]

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use support::{C99, crate_root, has, run};

/// The files that the header is made from, in its order.
const SOURCES: [&str; 16] = [
    "version",
    "error",
    "log",
    "options",
    "model",
    "info",
    "tensor",
    "state",
    "session",
    "run",
    "values",
    "canceller",
    "cancel",
    "profile",
    "picture",
    "classes",
];

const HEAD: &str = r"/*
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
";

const TAIL: &str = r"
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
";

/// The sources without the paragraphs that are for Rust only.
fn for_c(source: &str) -> String {
    let mut out = String::new();
    let mut skips = false;
    for line in source.lines() {
        let doc = line.trim_start().strip_prefix("///");
        match doc.map(str::trim) {
            Some("# Safety") => {
                skips = true;
                while out.ends_with("///\n") {
                    out.truncate(out.len() - "///\n".len());
                }
            }
            Some(_) if skips => {}
            _ => {
                skips = false;
                out.push_str(line);
                out.push('\n');
            }
        }
    }
    out
}

fn generate() -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut builder = cbindgen::Builder::new();
    for name in SOURCES.iter() {
        let source = fs::read_to_string(crate_root().join(format!("src/{name}.rs"))).unwrap();
        let path = folder.path().join(format!("{name}.rs"));
        fs::write(&path, for_c(&source)).unwrap();
        builder = builder.with_src(path);
    }
    let config = cbindgen::Config {
        language: cbindgen::Language::C,
        style: cbindgen::Style::Both,
        cpp_compat: true,
        no_includes: true,
        sys_includes: vec!["stddef.h".to_string(), "stdint.h".to_string()],
        usize_is_size_t: true,
        documentation_style: cbindgen::DocumentationStyle::Doxy,
        line_length: 100,
        ..cbindgen::Config::default()
    };
    let body = builder.with_config(config).generate().unwrap();
    let mut text = Vec::new();
    body.write(&mut text);
    let text = String::from_utf8(text).unwrap();
    format!("{HEAD}\n#ifndef OCTRT_H\n#define OCTRT_H\n\n{}\n{TAIL}", text.trim())
}

#[test]
fn the_header_is_up_to_date() {
    let (path, generated) = (crate_root().join("include/octrt.h"), generate());
    if std::env::var_os("OCTRT_BLESS").is_some() {
        fs::write(&path, &generated).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    let differs = generated.lines().zip(found.lines().chain(std::iter::repeat(""))).find(|(g, f)| g != f);
    assert!(found == generated, "OCTRT_BLESS=1 rewrites {}: first difference {differs:?}", path.display());
}

/// Compiles a program.
fn compiles(compiler: &str, flags: &[&str], program: &str, extension: &str) {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join(format!("program.{extension}"));
    fs::write(&source, program).unwrap();
    let include = crate_root().join("include");
    let object = folder.path().join("out.o");
    run(Command::new(compiler)
        .args(flags)
        .arg("-I")
        .arg(include)
        .arg("-c")
        .arg(source)
        .arg("-o")
        .arg(object));
}

/// A program that includes a header and nothing else, twice.
fn includes(header: &str) -> String {
    format!("#include <{header}>\n#include <{header}>\nint main(void) {{ return 0; }}\n")
}

#[test]
fn the_header_is_c99() {
    compiles("cc", &C99, &includes("octrt.h"), "c");
}

#[test]
fn the_program_of_the_readme_compiles() {
    let readme = fs::read_to_string(crate_root().join("README.md")).unwrap();
    let program = readme.split("```c\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    compiles("cc", &C99, program, "c");
}

#[test]
fn the_headers_are_cpp17() {
    if has("c++") {
        let flags = ["-std=c++17", "-pedantic", "-Wall", "-Wextra", "-Werror"];
        compiles("c++", &flags, &includes("octrt.h"), "cpp");
        compiles("c++", &flags, &includes("octrt.hpp"), "cpp");
    }
}

#[test]
fn every_source_is_in_the_header() {
    let is_listed = |name: &str| SOURCES.contains(&name);
    for entry in fs::read_dir(crate_root().join("src")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let exports = fs::read_to_string(&path).unwrap().contains("no_mangle");
        assert!(!exports || is_listed(&name), "{} exports functions", Path::display(&path));
    }
}
