//! Compiled models: `compile -o`, what the other commands make of the file, `--cache-dir` and `--no-mmap`.

use std::os::unix::process::CommandExt;

use octrt::{LoadOptions, Model};
use octrt_ops::{DType, TensorType};
use serde_json::Value;

use crate::program::*;

const PICTURE: &str = "bench/shapes/pictures/star_0.jpg";

/// The network of the repository, compiled; made once.
fn shapes(folder: &Folder) -> String {
    let path = folder.path("shapes.octrt");
    let compiled = octrt(&["compile", SHAPES, "-o", &path]);
    assert_eq!((compiled.text(), compiled.stderr.as_str()), ("", ""));
    assert_eq!(folder.names(), ["shapes.octrt"]);
    path
}

#[test]
fn a_compiled_model_runs_as_the_one_it_was_made_from() {
    let folder = Folder::new();
    let path = shapes(&folder);
    let expected = octrt(&["run", SHAPES, PICTURE]);
    for args in [&["run", &path, PICTURE][..], &["run", &path, PICTURE, "--no-mmap", "--threads", "2"]] {
        assert_eq!(octrt(args).text(), expected.text());
    }
    let elements = |model: &str, name: &str| {
        let out = folder.path(name);
        octrt(&["run", model, PICTURE, "--save-outputs", &out]).text();
        std::fs::read(out + "/output_0.npy").unwrap()
    };
    assert!(elements(&path, "a") == elements(SHAPES, "b"), "other bits");
    let batch = octrt(&["run", &path, "random", "--dim", "N=2"]);
    batch.assert_fails(2, "--dim N: the model has no dynamic dimensions");
}

#[test]
fn compile_wants_a_file_or_a_stage() {
    octrt(&["compile", SHAPES]).assert_fails(2, "--emit");
    let folder = Folder::new();
    let model = folder.tiny_model();
    let text = folder.path("plan.txt");
    assert_eq!(octrt(&["compile", &model, "--emit", "plan", "-o", &text]).text(), "");
    assert_eq!(std::fs::read_to_string(&text).unwrap(), octrt(&["compile", &model, "--emit", "plan"]).text());
    let nowhere = folder.path("none/x.octrt");
    octrt(&["compile", &model, "-o", &nowhere]).assert_fails(1, &format!("{nowhere}: "));
    octrt(&["compile", &model, "-o", &folder.path("")]).assert_fails(1, &folder.path(""));
}

#[test]
fn inspect_shows_a_compiled_model() {
    let folder = Folder::new();
    let path = shapes(&folder);
    let shown = octrt(&["inspect", &path]);
    let lines: Vec<&str> = shown.text().lines().collect();
    let original = octrt(&["inspect", SHAPES]);
    let metadata = |text: &str| text.split_once("metadata:\n").unwrap().1.to_string();
    assert_eq!(metadata(shown.text()), metadata(original.text()));
    assert_eq!(
        lines[..5],
        [
            format!("model       {path}").as_str(),
            "opset       17",
            "producer    octrt bench/shapes 1",
            "input       input: f32[1,3,64,64]",
            "output      logits: f32[1,10]",
        ]
    );
    assert!(lines[5].contains("the model was compiled before"), "{}", shown.stdout);
    for what in ["--passes", "--octave"] {
        octrt(&["inspect", &path, what]).assert_fails(4, "shapes.octrt: a compiled model has no graph");
    }
}

fn memory(model: &str) -> (Value, u64, u64) {
    let memory = octrt(&["inspect", model, "--memory", "--format", "json"]).json()["memory"].take();
    let number = |name: &str| memory[name].as_u64().unwrap();
    assert!(number("code") > 0 && number("session") > 0, "{memory}");
    let (weights, mapped) = (number("weights"), number("mapped_weights"));
    (memory, weights, mapped)
}

#[test]
fn inspect_shows_what_a_model_takes() {
    let folder = Folder::new();
    let path = shapes(&folder);
    let (_, weights, mapped) = memory(SHAPES);
    assert!(weights > 500_000 && mapped == 0, "{weights} {mapped}");
    let (memory, own, mapped) = memory(&path);
    assert!(mapped > 500_000 && own < weights / 10, "{own} {mapped}");
    let text = octrt(&["inspect", &path, "--memory"]);
    for (name, what) in [
        ("weights", "weights, shared by sessions"),
        ("mapped_weights", "weights in mapped files, shared by processes"),
        ("code", "code, shared by sessions"),
        ("session", "each session"),
    ] {
        let line = format!("  {:>12}  {what}", memory[name].as_u64().unwrap());
        assert!(text.text().lines().any(|l| l == line), "{line}: {}", text.stdout);
    }
    let open = folder.file("open.onnx", onnx(&TINY.replace("N,3,4,4", "N,3,H,4")));
    octrt(&["inspect", &open, "--memory"]).assert_fails(2, "--dim H=N");
    assert!(octrt(&["inspect", &open, "--memory", "--dim", "H=4"]).text().contains("memory in bytes:"));
}

#[test]
fn a_cache_folder() {
    let folder = Folder::new();
    let cache = folder.path("cache");
    let expected = octrt(&["run", SHAPES, PICTURE]);
    for _ in 0..2 {
        for more in [&[][..], &["--no-mmap"]] {
            let args = [&["run", SHAPES, PICTURE, "--cache-dir", &cache], more].concat();
            let found = octrt(&args);
            assert_eq!(found.text(), expected.text());
            assert!(!found.stderr.contains("not used"), "{}", found.stderr);
            assert_eq!(std::fs::read_dir(&cache).unwrap().count(), 1);
        }
    }
    // What is wrong with the folder is told in the log, and is no failure.
    let entry = std::fs::read_dir(&cache).unwrap().next().unwrap().unwrap().path();
    std::fs::write(&entry, b"\x89OCTRT\r\n").unwrap();
    let told = octrt(&["run", SHAPES, PICTURE, "--cache-dir", &cache, "--log", "warn"]);
    assert_eq!(told.text(), expected.text());
    for part in
        [entry.to_str().unwrap(), "the compiled model is not used", "expected at least 64 bytes, found 8"]
    {
        assert!(told.stderr.contains(part), "{part}: {}", told.stderr);
    }
}

#[test]
fn a_compiled_model_has_no_graph() {
    let folder = Folder::new();
    let path = shapes(&folder);
    octrt(&["compare", &path, "random"]).assert_fails(4, "no graph");
    octrt(&["compile", &path, "--emit", "plan"]).assert_fails(4, "no graph");
    octrt(&["compile", &path, "-o", &folder.path("again.octrt")]).assert_fails(4, "no graph");
    octrt(&["octavize", &path, "--alpha", "0.5", "-o", &folder.path("o.onnx")]).assert_fails(4, "no graph");
    assert_eq!(folder.names(), ["shapes.octrt"]);
}

#[test]
fn bad_files_and_other_options() {
    let folder = Folder::new();
    let path = shapes(&folder);
    let good = std::fs::read(&path).unwrap();
    let changed = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 0x10;
        bytes
    };
    for (bytes, message) in [
        (good[..good.len() - 1].to_vec(), "bad.octrt: the file is truncated"),
        (changed(good.len() - 1), "bad.octrt: the data are damaged"),
        (changed(200), "bad.octrt: the manifest is damaged"),
    ] {
        let bad = folder.file("bad.octrt", bytes);
        for command in ["run", "eval", "compare"] {
            octrt(&[command, &bad, "random"]).assert_fails(5, message);
        }
        for command in ["inspect", "profile"] {
            octrt(&[command, &bad]).assert_fails(5, message);
        }
    }
    let stale = folder.file("stale.octrt", changed(8));
    octrt(&["run", &stale, "random"])
        .assert_fails(4, "expected version 4 of the format, found 20; compile it again");
    octrt(&["inspect", &stale]).assert_fails(4, "expected version 4 of the format, found 20");
    octrt(&["run", &path, "random", "--precision", "strict"]).assert_fails(4, "compile it again");
    octrt(&["run", &path, "random", "--target", "x86-64-v2"]).assert_fails(1, "it was compiled for");
    octrt(&["run", &path, "random", "--max-memory", "100K"]).assert_fails(6, "limit");
}

/// A model whose labels are in its notes keeps them, and one for more pictures at once is one for as many.
#[test]
fn dimensions_given_when_compiled() {
    let folder = Folder::new();
    let model = folder.tiny_model();
    let path = folder.path("tiny.octrt");
    octrt(&["compile", &model, "-o", &path, "--dim", "N=3"]).text();
    let expected = octrt(&["run", &model, "random", "--dim", "N=3"]);
    assert_eq!(octrt(&["run", &path, "random"]).text(), expected.text());
    let loaded = Model::load(&path, &LoadOptions::default()).unwrap();
    assert_eq!(loaded.fixed_input_types(), Some(vec![TensorType::new(DType::F32, [3, 3, 4, 4])]));
}

#[test]
fn a_process_that_may_not_run_generated_code() {
    const PR_SET_MDWE: libc::c_int = 65;
    const PR_MDWE_REFUSE_EXEC_GAIN: libc::c_ulong = 1;
    let folder = Folder::new();
    for model in [SHAPES.to_string(), shapes(&folder)] {
        let mut run = command(&["run", &model, PICTURE]);
        // SAFETY: between fork and exec, one system call that changes a rule of the child.
        unsafe {
            run.pre_exec(|| match libc::prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            });
        }
        let Ok(output) = run.output() else {
            return eprintln!("SKIPPED: this kernel, before 6.3, cannot forbid executable memory");
        };
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(
            stderr.contains("error: this process may not run generated code (Permission denied"),
            "{stderr}"
        );
        assert!(output.stdout.is_empty());
    }
}
