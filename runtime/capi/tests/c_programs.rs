//! C programs against the shared library: plain, under valgrind, and with the sanitizers.
#![allow(missing_docs)]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::{compile, crate_root, has, linked, output, run, shapes, two_inputs};

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

/// Compiles and runs a program.
fn plain(source: &str, more: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let program = compile::<&str>(source, &linked(folder.path()), &[]);
    eprint!("{}", run(Command::new(program).args(arguments(folder.path())).args(more)));
}

fn under_valgrind(source: &str, more: &[&str]) {
    if !has("valgrind") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let program = compile::<&str>(source, &linked(folder.path()), &[]);
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--error-exitcode=9", "--leak-check=full", "--errors-for-leak-kinds=definite,indirect"]);
    valgrind.arg("--fair-sched=yes");
    let out = output(valgrind.arg(program).args(arguments(folder.path())).args(more));
    let text = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{source}: {}\n{text}", out.status);
    text.lines()
        .filter(|l| l.contains("ERROR SUMMARY") || l.contains("lost:"))
        .for_each(|l| eprintln!("{l}"));
}

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

#[test]
fn cpp_wrapper() {
    if !has("c++") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let library = linked(folder.path());
    let program = library.join("wrapper");
    let mut cpp = Command::new("c++");
    cpp.args(["-std=c++17", "-pedantic", "-Wall", "-Wextra", "-Werror", "-O1", "-I"]);
    cpp.arg(crate_root().join("include"))
        .arg(crate_root().join("tests/c/wrapper.cpp"))
        .arg("-o")
        .arg(&program);
    run(cpp.arg("-L").arg(&library).arg("-loctrt"));
    run(Command::new(program).env("LD_LIBRARY_PATH", &library).args(arguments(folder.path())));
}

#[test]
fn runs() {
    plain("runs", &[]);
}

#[test]
fn misuse() {
    plain("misuse", &[]);
}

#[test]
fn floats() {
    plain("floats", &[]);
}

#[test]
fn fork() {
    plain("fork", &[]);
}

#[test]
fn sixty_four_threads() {
    plain("threads", &["64", "200"]);
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
    under_valgrind("threads", &["3", "2", "4"]);
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
