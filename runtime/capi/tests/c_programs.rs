//! C programs against the shared library: plain, under valgrind, and with the sanitizers.
#![allow(missing_docs)]

mod support;

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use support::{compile, crate_root, has, linked, output, reshaped, run, shapes, two_inputs};

/// The sanitizers, with errors that end the program.
const SANITIZE: [&str; 3] =
    ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"];

/// The arguments of all programs.
fn arguments(folder: &Path) -> [PathBuf; 3] {
    let [model, picture] = shapes();
    let two = folder.join("two.onnx");
    fs::write(&two, two_inputs()).unwrap();
    [model, picture, two]
}

/// Compiles a program, C unless it has an extension, and runs it, under `runner` if there is one.
fn plain(source: &str, runner: &[&str], more: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let library = linked(folder.path());
    let program = match source.strip_suffix(".cpp") {
        None => compile::<&str>(source, &library, &[]),
        Some(name) => compile_cpp(name, &library),
    };
    let words: Vec<&OsStr> = runner.iter().map(OsStr::new).chain([program.as_os_str()]).collect();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).args(arguments(folder.path())).args(more);
    let out = output(&mut command);
    let text = [out.stdout.as_slice(), out.stderr.as_slice()].map(String::from_utf8_lossy).concat();
    assert!(out.status.success(), "{command:?}: {}\n{text}", out.status);
    out
}

/// Compiles a C++ program of `tests/c`.
fn compile_cpp(source: &str, library: &Path) -> PathBuf {
    let program = library.join(source);
    let mut rpath = OsString::from("-Wl,-rpath,");
    rpath.push(library);
    let mut cpp = Command::new("c++");
    cpp.args(["-std=c++17", "-pedantic", "-Wall", "-Wextra", "-Werror", "-O1", "-g", "-I"]);
    cpp.arg(crate_root().join("include")).arg(crate_root().join(format!("tests/c/{source}.cpp")));
    run(cpp.arg("-o").arg(&program).arg("-L").arg(library).arg(rpath).arg("-loctrt"));
    program
}

/// Memcheck finds no error and no leak.
fn under_valgrind(source: &str, more: &[&str]) {
    if !has("valgrind") {
        return;
    }
    let runner = [
        "valgrind",
        "--error-exitcode=9",
        "--leak-check=full",
        "--errors-for-leak-kinds=definite,indirect",
        "--fair-sched=yes",
    ];
    let out = plain(source, &runner, more);
    let text = String::from_utf8_lossy(&out.stderr);
    text.lines()
        .filter(|l| l.contains("ERROR SUMMARY") || l.contains("lost:"))
        .for_each(|l| eprintln!("{l}"));
}

/// The address and undefined behaviour sanitizers find nothing.
fn sanitized(source: &str, more: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let library = linked(folder.path());
    let probe = library.join("probe.c");
    fs::write(&probe, "int main(void) { return 0; }\n").unwrap();
    let out = output(Command::new("cc").args(SANITIZE).arg(probe).arg("-o").arg(library.join("probe")));
    if !out.status.success() {
        eprintln!("SKIPPED: cc has no sanitizers");
        return;
    }
    let program = compile(source, &library, &SANITIZE);
    run(Command::new(program).args(arguments(folder.path())).args(more));
}

/// A model of which an input decides a shape, in a folder.
fn values_model() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("reshaped.onnx");
    fs::write(&path, reshaped()).unwrap();
    let path = path.to_str().unwrap().to_string();
    (folder, path)
}

#[test]
fn values() {
    let (_folder, model) = values_model();
    plain("values", &[], &[&model]);
}

#[test]
fn valgrind_values() {
    let (_folder, model) = values_model();
    under_valgrind("values", &[&model]);
}

#[test]
fn sanitizers_values() {
    let (_folder, model) = values_model();
    sanitized("values", &[&model]);
}

#[test]
fn cpp_wrapper() {
    if has("c++") {
        plain("wrapper.cpp", &[], &[]);
    }
}

#[test]
fn valgrind_cpp_wrapper() {
    if has("c++") {
        under_valgrind("wrapper.cpp", &[]);
    }
}

#[test]
fn runs() {
    plain("runs", &[], &[]);
}

#[test]
fn misuse() {
    plain("misuse", &[], &[]);
}

#[test]
fn floats() {
    plain("floats", &[], &[]);
}

#[test]
fn fork() {
    plain("fork", &[], &[]);
}

#[test]
fn sixty_four_threads() {
    let out = plain("threads", &[], &["64", "200"]);
    eprint!("{}", String::from_utf8_lossy(&out.stdout));
}

#[test]
fn valgrind_runs() {
    under_valgrind("runs", &[]);
}

#[test]
fn valgrind_misuse() {
    under_valgrind("misuse", &[]);
}

#[test]
fn valgrind_threads() {
    under_valgrind("threads", &["3", "2", "1", "1"]);
}

#[test]
fn sanitizers_runs() {
    sanitized("runs", &[]);
}

#[test]
fn sanitizers_misuse() {
    sanitized("misuse", &[]);
}

#[test]
fn sanitizers_threads() {
    sanitized("threads", &["8", "10"]);
}

#[test]
fn sanitizers_fork() {
    sanitized("fork", &[]);
}
