//! One test for every exit code, and that bad files never do worse.

use std::process::Stdio;

use crate::program::*;

#[test]
fn success_is_0() {
    let folder = Folder::new();
    assert_eq!(octrt(&["run", &folder.tiny_model(), "random"]).code, 0);
}

#[test]
fn the_system_is_1() {
    octrt(&["run", "no/such/model.onnx", "random"]).assert_fails(1, "no/such/model.onnx: No such file");
    octrt(&["run", SHAPES, "no/such/picture.jpg"]).assert_fails(1, "no/such/picture.jpg");
    octrt(&["inspect", "."]).assert_fails(1, "not a regular file");
}

#[test]
fn usage_is_2() {
    for args in [&["run"][..], &["what"], &["run", SHAPES, "--nope"], &["compile", SHAPES, "--emit", "nets"]]
    {
        octrt(args).assert_fails(2, "For more information, try '--help'");
    }
    octrt(&["run", SHAPES, "random", "--log", "a=b=c"]).assert_fails(2, "log filter 'a=b=c'");
    octrt(&["run", SHAPES, "random", "--threads", "999999"]).assert_fails(2, "from 0 to 1024");
    octrt(&["run", SHAPES, "random", "--target", "arm64"]).assert_fails(2, "unknown target 'arm64'");
    octrt(&["run", SHAPES, "random", "--precision", "half"]).assert_fails(2, "expected default or strict");
}

#[test]
fn a_failed_check_is_3() {
    let folder = Folder::new();
    let wrong = folder.file("wrong.npy", npy("(1, 2)", &[1e9, 1e9]));
    octrt(&["run", &folder.tiny_model(), "random", "--expect", &wrong]).assert_fails(3, "outputs differ");
}

#[test]
fn expected_elements_of_another_type_fail_the_check() {
    let folder = Folder::new();
    let model = folder.tiny_model();
    octrt(&["run", &model, "random", "--save-outputs", &folder.path("out")]).text();
    let saved = folder.path("out/output_0.npy");
    octrt(&["run", &model, "random", "--expect", &saved]).text();
    // The same numbers in another type.
    let doubles: Vec<u8> = npy_elements(&saved, 2).iter().flat_map(|v| f64::from(*v).to_le_bytes()).collect();
    let doubles = folder.file("doubles.npy", npy_of("<f8", "(1, 2)", &doubles));
    octrt(&["run", &model, "random", "--expect", &doubles])
        .assert_fails(3, "elements of type f64, found f32");
}

#[test]
fn pictures_that_are_not_decoded_are_4() {
    let folder = Folder::new();
    for (name, bytes) in
        [("a.gif", b"GIF89a\x01\0\x01\0\0\0\0;".as_slice()), ("a.tiff", b"II*\0\x08\0\0\0\0\0")]
    {
        let picture = folder.file(name, bytes);
        octrt(&["run", SHAPES, &picture])
            .assert_fails(4, "expected a JPEG, PNG, BMP or WebP picture, found a");
        octrt(&["preprocess", &picture, "-o", &folder.path("x.npy")]).assert_fails(4, name);
    }
    let nothing = folder.file("a.jpg", b"<svg/>");
    octrt(&["run", SHAPES, &nothing]).assert_fails(5, "unknown content");
}

#[test]
fn what_is_not_implemented_is_4() {
    let folder = Folder::new();
    // An operator of the same length that octrt does not have.
    let mut bytes = onnx(TINY);
    let at = bytes.windows(9).position(|w| w == b"LeakyRelu").unwrap();
    bytes[at..at + 9].copy_from_slice(b"QuickRelu");
    let at = bytes.windows(17).position(|w| w == b"GlobalAveragePool").unwrap();
    bytes[at..at + 17].copy_from_slice(b"GlobalStrangePool");
    let model = folder.file("m.onnx", &bytes);
    for command in ["run", "inspect"] {
        let finished = octrt(&[command, &model]);
        finished.assert_fails(4, "not supported");
        let all = finished.stdout + &finished.stderr;
        assert!(all.contains("QuickRelu (ai.onnx, opset 17)") && all.contains("GlobalStrangePool"), "{all}");
    }
    let json = octrt(&["inspect", &model, "--format", "json"]);
    let report: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!((json.code, report["unsupported"].as_array().unwrap().len()), (4, 2));
}

#[test]
fn a_corrupt_file_is_5() {
    let folder = Folder::new();
    let garbage = folder.file("m.onnx", b"this is no model");
    for command in ["run", "inspect", "eval", "compare"] {
        let args =
            if command == "inspect" { vec![command, &garbage] } else { vec![command, &garbage, "random"] };
        octrt(&args).assert_fails(5, "m.onnx");
    }
    octrt(&["compile", &garbage, "--emit", "plan"]).assert_fails(5, "m.onnx");
    let picture = std::fs::read(root().join("bench/shapes/pictures/star_0.jpg")).unwrap();
    let cut = folder.file("cut.jpg", &picture[..picture.len() / 2]);
    octrt(&["run", SHAPES, &cut]).assert_fails(5, "cut.jpg");
}

#[test]
fn a_limit_is_6() {
    let folder = Folder::new();
    octrt(&["run", SHAPES, "random", "--max-memory", "1K"]).assert_fails(6, "limit");
    octrt(&["run", SHAPES, "random", "--max-memory", "1M"]).assert_fails(6, "limit");
    let model = folder.tiny_model();
    octrt(&["run", &model, "random", "--dim", "N=99999999999999999"]).assert_fails(6, "limit");
    octrt(&["compile", &model, "--emit", "plan", "--dim", "N=99999999999999999"]).assert_fails(6, "");
}

#[test]
fn models_cut_anywhere_are_refused() {
    let folder = Folder::new();
    let whole = onnx(TINY);
    for len in (0..whole.len()).step_by(7) {
        let cut = octrt(&["run", &folder.file("cut.onnx", &whole[..len]), "random"]);
        assert!((1..=6).contains(&cut.code), "{len}: {} {}", cut.code, cut.stderr);
    }
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let mut child = command(&["list-ops"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}
