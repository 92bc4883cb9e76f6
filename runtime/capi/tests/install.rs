//! The library as users have it: installed, found by CMake and pkg-config, used from C, C++ and Python.
#![allow(missing_docs)]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::{C99, built, crate_root, has, run, shapes, shared};

/// Installs what was built for the tests.
fn install(prefix: &Path, destdir: Option<&Path>) {
    let mut script = Command::new("sh");
    script.arg(crate_root().join("install.sh")).arg("--prefix").arg(prefix).arg("--from").arg(built());
    match destdir {
        Some(folder) => script.env("DESTDIR", folder),
        None => script.env_remove("DESTDIR"),
    };
    run(&mut script);
}

/// The files below a folder, sorted, with the aims of links.
fn files(folder: &Path) -> Vec<String> {
    let list = run(Command::new("find").arg(folder).args(["!", "-type", "d", "-printf", "%P %l\n"]));
    let mut files: Vec<String> = list.lines().map(|l| l.trim().to_string()).collect();
    files.sort();
    files
}

/// An installed library.
fn installed() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let prefix = folder.path().join("prefix");
    install(&prefix, None);
    (folder, prefix)
}

#[test]
fn prefix_and_destdir_are_respected() {
    let (_folder, prefix) = installed();
    let stage = tempfile::tempdir().unwrap();
    install(Path::new("/opt/octrt"), Some(stage.path()));
    let staged = stage.path().join("opt/octrt");
    let expected = [
        "include/octrt.h",
        "include/octrt.hpp",
        "lib/cmake/octrt/octrtConfig.cmake",
        "lib/cmake/octrt/octrtConfigVersion.cmake",
        "lib/liboctrt.a",
        "lib/liboctrt.so liboctrt.so.0",
        "lib/liboctrt.so.0 liboctrt.so.0.1.0",
        "lib/liboctrt.so.0.1.0",
        "lib/pkgconfig/octrt.pc",
    ];
    assert_eq!(files(&prefix), expected);
    assert_eq!(files(&staged), expected);
    let tree = stage.path().to_string_lossy().into_owned();
    for name in ["pkgconfig/octrt.pc", "cmake/octrt/octrtConfig.cmake"] {
        let text = fs::read_to_string(staged.join("lib").join(name)).unwrap();
        assert!(!text.contains(&tree) && !text.contains('@'), "{text}");
    }
}

#[test]
fn wrong_arguments_are_refused() {
    for arguments in [&["--prefix", "relative"][..], &["--prefix"], &["--what", "x"], &["--libdir", "../x"]] {
        let out = support::output(Command::new("sh").arg(crate_root().join("install.sh")).args(arguments));
        assert_eq!(out.status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn cmake_builds_the_examples() {
    if !has("cmake") || !has("c++") {
        return;
    }
    let (folder, prefix) = installed();
    let build = folder.path().join("build");
    let mut define = std::ffi::OsString::from("-DCMAKE_PREFIX_PATH=");
    define.push(&prefix);
    run(Command::new("cmake").arg("-S").arg(crate_root().join("examples")).arg("-B").arg(&build).arg(define));
    run(Command::new("cmake").arg("--build").arg(&build));
    let [model, picture] = shapes();
    for program in ["classify", "classify_static", "classify_cpp"] {
        let label = run(Command::new(build.join(program)).arg(&model).arg(&picture));
        eprintln!("{program}: {}", label.lines().next().unwrap_or_default());
        assert!(label.lines().next().is_some_and(|l| l.ends_with("star")), "{program}: {label}");
    }
    if let Some(data) = shared("models").as_deref().and_then(Path::parent) {
        photos(&build.join("classify"), data);
    }
}

/// A photo of a cat and a real network.
fn photos(classify: &Path, data: &Path) {
    let model = data.join("models/mobilenet_v2_1.0_224/model.onnx");
    let labels = data.join("labels/coral_imagenet_labels_1001.txt");
    let out = run(Command::new(classify)
        .arg(model)
        .arg(data.join("images/coral_parrot.jpg"))
        .arg(labels)
        .arg(r#"{"preset": "inception"}"#));
    eprintln!("coral_parrot.jpg: {}", out.lines().next().unwrap_or_default());
    assert!(out.lines().next().is_some_and(|l| l.ends_with("macaw")), "{out}");
}

#[test]
fn pkg_config_builds_the_example() {
    if !has("pkg-config") {
        return;
    }
    let (folder, prefix) = installed();
    let lib = prefix.join("lib");
    let flags = |more: &[&str]| -> Vec<String> {
        let mut command = Command::new("pkg-config");
        command.env("PKG_CONFIG_PATH", lib.join("pkgconfig")).args(["--cflags", "--libs"]).args(more);
        run(command.arg("octrt")).split_whitespace().map(str::to_string).collect()
    };
    let [model, picture] = shapes();
    for (name, flags) in [("shared", flags(&[])), ("static", flags(&["--static"]))] {
        let program = folder.path().join(name);
        // With both libraries in one folder the linker takes the shared one, unless told which.
        let to_static =
            |f: String| if name == "static" && f == "-loctrt" { "-l:liboctrt.a".to_string() } else { f };
        let flags: Vec<String> = flags.into_iter().map(to_static).collect();
        let mut cc = Command::new("cc");
        run(cc.args(C99).arg(crate_root().join("examples/classify.c")).arg("-o").arg(&program).args(flags));
        let label = run(Command::new(program).env("LD_LIBRARY_PATH", &lib).arg(&model).arg(&picture));
        assert!(label.lines().next().is_some_and(|l| l.ends_with("star")), "{label}");
    }
}

#[test]
fn python_labels_a_picture() {
    if !has("python3") {
        return;
    }
    let example = crate_root().join("examples/classify.py");
    assert!(fs::read_to_string(&example).unwrap().lines().count() < 60);
    let [model, picture] = shapes();
    let library = built().join("liboctrt_capi.so");
    let label = run(Command::new("python3").arg(example).arg(library).arg(model).arg(picture));
    assert!(label.trim_end().ends_with("star"), "{label}");
}
