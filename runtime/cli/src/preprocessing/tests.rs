use super::*;
use crate::args::Cli;
use clap::Parser;

fn args(words: &[&str]) -> ImageArgs {
    let line = ["octrt", "run", "m.onnx"].iter().chain(words);
    match Cli::try_parse_from(line).unwrap().command {
        crate::args::Command::Run(run) => run.image,
        _ => unreachable!(),
    }
}

fn metadata(text: &str) -> BTreeMap<String, String> {
    BTreeMap::from([(METADATA_KEY.to_string(), text.to_string())])
}

fn side(text: &str) -> Result<SideFile, Failure> {
    SideFile::parse(Path::new("dir/m.json"), text)
}

#[test]
fn without_a_word_imagenet_is_used() {
    let p = Preprocessing::resolve(&args(&[]), None, &BTreeMap::new()).unwrap();
    assert_eq!(p.settings, Preset::Imagenet.settings());
    assert_eq!(p.sources, ["default preset imagenet"]);
}

#[test]
fn flags_lie_over_the_side_file_over_the_metadata() {
    let metadata = metadata(r#"{"mean": [1, 2, 3], "scale": 2.0, "order": "bgr"}"#);
    let side = side(r#"{"scale": 3.0, "order": "rgb"}"#).unwrap();
    let p = Preprocessing::resolve(&args(&["--scale", "1/2"]), Some(&side), &metadata).unwrap();
    assert_eq!(p.settings.scale, 0.5);
    assert_eq!(p.settings.order, octrt::image::ChannelOrder::Rgb);
    assert_eq!(p.settings.mean, [1.0, 2.0, 3.0]);
    assert_eq!(p.settings.std, Preset::Imagenet.settings().std);
    assert_eq!(p.sources, ["flags", "dir/m.json", "metadata octrt.preprocess"]);
}

#[test]
fn a_preset_replaces_what_lies_below() {
    let metadata = metadata(r#"{"mean": [1, 2, 3]}"#);
    let words = ["--preset", "caffe-bgr", "--resize", "whole:64", "--crop", "32x48", "--mean=-1"];
    let p = Preprocessing::resolve(&args(&words), None, &metadata).unwrap();
    assert_eq!(p.settings.mean, [-1.0; 3]);
    assert_eq!(p.settings.resize_size, Some(64));
    assert_eq!(p.settings.crop, Crop::Size([32, 48]));
    assert_eq!(p.preset, Preset::CaffeBgr);
}

#[test]
fn side_files_name_labels_as_a_list_or_a_file() {
    let list = side(r#"{"labels": ["a", "b"]}"#).unwrap();
    assert_eq!(list.labels, Some(SideLabels::List(vec!["a".into(), "b".into()])));
    let file = side(r#"{"labels": "l.txt", "preset": "none"}"#).unwrap();
    assert_eq!(file.labels, Some(SideLabels::File("dir/l.txt".into())));
    assert_eq!(file.overrides.preset, Some(Preset::None));
}

#[test]
fn broken_settings_are_refused() {
    for text in
        ["", "[]", "{", r#"{"labels": 3}"#, r#"{"labels": [3]}"#, r#"{"preset": "what"}"#, r#"{"x": 1}"#]
    {
        let e = side(text).unwrap_err();
        assert!(matches!(e, Failure::Corrupt { .. }) && e.to_string().contains("m.json"), "{text}: {e}");
    }
    assert!(Preprocessing::resolve(&args(&[]), None, &metadata("{")).is_err());
    assert!(parse_resize("short-side:x").is_err());
    assert!(parse_resize("what").is_err());
    assert!(parse_crop("0").is_err());
}
