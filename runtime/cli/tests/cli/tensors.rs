//! Tensors in files: inputs, saved outputs, expected outputs.

use crate::program::*;

#[test]
fn saved_outputs_are_what_is_expected_later() {
    let folder = Folder::new();
    let (model, out) = (folder.tiny_model(), folder.path("deep/out"));
    let saved = octrt(&["run", &model, "random", "--save-outputs", &out]);
    assert!(saved.text().contains("saved as"), "{}", saved.stdout);
    let file = format!("{out}/output_0.npy");
    let same = octrt(&["run", &model, "random", "--expect", &file]);
    assert!(same.text().contains("scores: as expected: 0 of 2 elements differ"), "{}", same.stdout);
    let named = octrt(&["run", &model, "random", "--format", "json", "--expect", &format!("scores={file}")]);
    assert_eq!(named.json()["expect"][0]["bad"], 0);
}

#[test]
fn what_is_not_expected_ends_with_3() {
    let folder = Folder::new();
    let model = folder.tiny_model();
    let zeros = folder.file("x.npy", npy("(1, 3, 4, 4)", &[0.0; 48]));
    let wrong = folder.file("wrong.npy", npy("(1, 2)", &[0.0, 0.5]));
    let run = octrt(&["run", &model, &zeros, "--expect", &wrong]);
    run.assert_fails(3, "'scores': 1 of 2 elements");
    assert!(run.stdout.contains("max abs 5.000e-1 at 1, max rel 1.000e0"), "{}", run.stdout);
    octrt(&["run", &model, &zeros, "--expect", &wrong, "--atol", "0.6"]).text();
    octrt(&["run", &model, &zeros, "--expect", &wrong, "--rtol", "1"]).text();
    let shape = folder.file("shape.npy", npy("(2,)", &[0.0; 2]));
    octrt(&["run", &model, &zeros, "--expect", &shape])
        .assert_fails(3, "expected the shape [2], found [1, 2]");
    octrt(&["run", &model, &zeros, "--expect", "random"]).assert_fails(2, "expected a file");
    octrt(&["run", &model, &zeros, "--expect", &wrong, &wrong]).assert_fails(2, "2 outputs are given");
}

#[test]
fn inputs_are_found_by_position_and_by_name() {
    let folder = Folder::new();
    let model = folder.tiny_model();
    let ones = folder.file("ones.npy", npy("(1, 3, 4, 4)", &[1.0; 48]));
    let scores = |word: &str| octrt(&["run", &model, word]).text().lines().next().unwrap().to_string();
    assert_eq!(scores(&ones), "scores: f32[1,2] = 6.0000 -7.5000");
    assert_eq!(scores(&format!("x={ones}")), "scores: f32[1,2] = 6.0000 -7.5000");
    octrt(&["run", &model, &format!("y={ones}")]).assert_fails(2, "no input is named 'y'; the model has 'x'");
    octrt(&["run", &model]).assert_fails(2, "input 'x' is missing: expected f32[N,3,4,4]");
    octrt(&["run", &model, &ones, &ones]).assert_fails(2, "2 inputs are given, the model has 1: 'x'");
}

#[test]
fn archives_and_protobufs_are_inputs_too() {
    let folder = Folder::new();
    let model = folder.tiny_model();
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    zip.start_file("x.npy", zip::write::SimpleFileOptions::default()).unwrap();
    std::io::Write::write_all(&mut zip, &npy("(1, 3, 4, 4)", &[1.0; 48])).unwrap();
    let npz = folder.file("in.npz", zip.finish().unwrap().into_inner());
    // TensorProto: dims, data_type FLOAT, raw_data.
    let mut proto = vec![0x08, 1, 0x08, 3, 0x08, 4, 0x08, 4, 0x10, 1, 0x4a, 192, 1];
    proto.extend([1.0f32; 48].iter().flat_map(|v| v.to_le_bytes()));
    let pb = folder.file("in.pb", &proto);
    for file in [npz, pb] {
        let run = octrt(&["run", &model, &file]);
        assert!(run.text().contains("= 6.0000 -7.5000"), "{file}: {}", run.stdout);
    }
    let truncated = folder.file("short.pb", &proto[..100]);
    octrt(&["run", &model, &truncated]).assert_fails(5, "not a valid TensorProto");
    let no_zip = folder.file("no.npz", b"PK\x03\x04nothing");
    octrt(&["run", &model, &no_zip]).assert_fails(5, "not a valid .npz file");
}

#[test]
fn tensors_that_do_not_fit_are_refused() {
    let folder = Folder::new();
    let model = folder.tiny_model();
    let run = |name: &str, bytes: Vec<u8>| octrt(&["run", &model, &folder.file(name, bytes)]);
    let whole = npy("(1, 3, 4, 4)", &[1.0; 48]);
    run("cut.npy", whole[..100].to_vec()).assert_fails(5, "cut.npy: an array of '<f4'");
    run("none.npy", vec![]).assert_fails(5, "not an .npy file");
    run("shape.npy", npy("(1, 3, 4)", &[1.0; 12])).assert_fails(2, "expected f32[N,3,4,4], found f32[1,3,4]");
    let ints = npy_of("<i4", "(1, 3, 4, 4)", &[0; 48 * 4]);
    run("ints.npy", ints).assert_fails(2, "expected f32[N,3,4,4], found i32[1,3,4,4]");
    let objects = npy_of("|O", "(1, 3, 4, 4)", &[0; 48 * 8]);
    run("objects.npy", objects).assert_fails(4, "numpy type '|O'");
    let mut header = b"\x93NUMPY\x02\x00".to_vec();
    header.extend(u32::MAX.to_le_bytes());
    run("header.npy", header).assert_fails(5, "the header has 4294967295 bytes");
}

#[test]
fn nothing_partial_is_left_where_outputs_cannot_be_saved() {
    let folder = Folder::new();
    let model = folder.tiny_model();
    let file = folder.file("file", b"");
    octrt(&["run", &model, "random", "--save-outputs", &file]).assert_fails(1, "file");
    // The place of the output is taken by a folder.
    folder.file("out/output_0.npy/inside", b"");
    octrt(&["run", &model, "random", "--save-outputs", &folder.path("out")])
        .assert_fails(1, "output 'scores'");
    let left: Vec<_> = std::fs::read_dir(folder.path("out")).unwrap().collect();
    assert_eq!(left.len(), 1);
}
