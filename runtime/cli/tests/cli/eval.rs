//! `eval` on small sets made of the example pictures.

use crate::program::*;

fn examples() -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(root().join("bench/shapes/pictures")).unwrap();
    let mut pictures: Vec<(String, Vec<u8>)> = entries
        .map(|e| {
            let path = e.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            let label = name.split('_').next().unwrap();
            (format!("{label}/{name}"), std::fs::read(&path).unwrap())
        })
        .collect();
    pictures.sort_by(|a, b| b.cmp(a));
    pictures
}

fn tar_of(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, path, bytes.as_slice()).unwrap();
    }
    builder.into_inner().unwrap()
}

#[test]
fn a_tar_is_evaluated_where_it_lies() {
    let folder = Folder::new();
    let tar = folder.file("set.tar", tar_of(&examples()));
    let csv = folder.path("predictions.csv");
    let eval = octrt(&["eval", SHAPES, &tar, "--predictions", &csv, "--batch", "5"]);
    expect_test::expect![[r#"
          100.00 %       2 of      2  arrow
          100.00 %       2 of      2  circle
          100.00 %       1 of      1  crescent
          100.00 %       1 of      1  cross
          100.00 %       1 of      1  heart
          100.00 %       1 of      1  hexagon
          100.00 %       1 of      1  ring
          100.00 %       1 of      1  square
          100.00 %       1 of      1  star
          100.00 %       1 of      1  triangle
        top-1 100.00 %, top-5 100.00 % of 12 pictures
    "#]]
    .assert_eq(eval.text());
    let predictions = std::fs::read_to_string(&csv).unwrap();
    let rows: Vec<Vec<&str>> = predictions.lines().map(|l| l.split(',').collect()).collect();
    assert_eq!(rows[0], ["path", "index", "label", "probability"]);
    assert_eq!(rows.len(), 13);
    assert!(rows[1..].is_sorted_by_key(|r| r[0]), "{predictions}");
    for row in &rows[1..] {
        assert_eq!(row[0].split('/').next().unwrap(), row[2]);
        assert!(row[3].parse::<f64>().unwrap() > 0.99, "{row:?}");
    }
    assert_eq!(folder.names(), ["predictions.csv", "set.tar"]);
}

#[test]
fn a_folder_gives_the_same_whatever_the_batch_and_the_threads() {
    let folder = Folder::new();
    for (path, bytes) in examples().iter().take(5) {
        folder.file(&format!("set/{path}"), bytes);
    }
    folder.file("set/README", "not a class");
    let predictions = |batch: &str, threads: &str| {
        let csv = folder.path("p.csv");
        let args = ["--predictions", &csv, "--batch", batch, "--threads", threads, "--format", "json"];
        let report = octrt(&[&["eval", SHAPES, &folder.path("set")][..], &args].concat()).json();
        assert_eq!((report["pictures"].as_u64(), report["top1"].as_f64()), (Some(5), Some(1.0)));
        std::fs::read_to_string(&csv).unwrap()
    };
    let one = predictions("1", "1");
    assert_eq!(one.lines().count(), 6);
    assert_eq!(predictions("3", "2"), one);
}

#[test]
fn a_limit_takes_some_pictures_of_all() {
    let folder = Folder::new();
    let tar = folder.file("set.tar", tar_of(&examples()));
    let report = octrt(&["eval", SHAPES, &tar, "--limit", "4", "--format", "json"]).json();
    assert_eq!(report["pictures"], 4);
    let labels: Vec<&str> =
        report["classes"].as_array().unwrap().iter().map(|c| c["label"].as_str().unwrap()).collect();
    assert_eq!(labels, ["arrow", "circle", "heart", "square"]);
}

#[test]
fn a_folder_that_is_no_label_is_an_error() {
    let folder = Folder::new();
    let mut files = examples();
    files.push(("banana/1.jpg".into(), files[0].1.clone()));
    let tar = folder.file("set.tar", tar_of(&files));
    octrt(&["eval", SHAPES, &tar]).assert_fails(2, "folder 'banana' is no label of metadata octrt.labels");
    octrt(&["eval", &folder.tiny_model(), &tar]).assert_fails(2, "the model has no labels");
    octrt(&["eval", SHAPES, SHAPES]).assert_fails(5, "not a valid tar file");
}

#[test]
fn pictures_that_cannot_be_read_are_errors_or_counted() {
    let folder = Folder::new();
    let mut files = examples();
    files.push(("star/broken.jpg".into(), b"no picture".to_vec()));
    let tar = folder.file("set.tar", tar_of(&files));
    let csv = folder.path("p.csv");
    let args = ["eval", SHAPES, &tar, "--predictions", &csv];
    octrt(&args).assert_fails(5, "set.tar/star/broken.jpg");
    assert_eq!(folder.names(), ["set.tar"]);
    let skipping = octrt(&[&args[..], &["--skip-unreadable"]].concat());
    assert!(skipping.text().contains("1 pictures could not be read"), "{}", skipping.stdout);
    assert!(skipping.stderr.contains("star/broken.jpg"), "{}", skipping.stderr);
}

#[test]
fn a_fixed_batch_is_kept() {
    let folder = Folder::new();
    let fixed = folder.file("fixed.onnx", onnx(&TINY.replace("N,3,4,4", "2,3,4,4")));
    let labels = folder.file("labels.txt", "star\ncircle\n");
    let set: Vec<_> =
        examples().into_iter().filter(|(p, _)| p.starts_with("star") || p.starts_with("circle")).collect();
    let tar = folder.file("set.tar", tar_of(&set));
    let eval = octrt(&["eval", &fixed, &tar, "--labels", &labels, "--batch", "8", "--format", "json"]);
    assert_eq!((&eval.json()["batch"], &eval.json()["pictures"]), (&2.into(), &3.into()));
    assert!(eval.stderr.contains("batch is fixed: 2 instead of 8"), "{}", eval.stderr);
    let three = folder.file("three.txt", "star\ncircle\nring\n");
    octrt(&["eval", &fixed, &tar, "--labels", &three])
        .assert_fails(2, "3 labels, the model's output has 2 classes");
}
