//! `tune`, and what other commands do with its records.

use std::fs;
use std::time::{Duration, Instant};

use octrt::detect_isa;
use serde_json::Value;

use crate::program::*;

/// Three convolutions, two of them alike.
const MODEL: &str = r#"graph "three" {
  input %0 "x": f32[1,32,12,12]
  const %1 "w1": f32[32,32,3,3] = random(1)
  const %2 "w2": f32[32,32,3,3] = random(2)
  const %3 "w3": f32[64,32,1,1] = random(3)
  %4 "a" = n0 "conv1" Conv { kernel = [], strides = [], dilations = [], pads = [1, 1, 1, 1], auto_pad = notset, group = 1 } (%0, %1)
  %5 "b" = n1 "conv2" Conv { kernel = [], strides = [], dilations = [], pads = [1, 1, 1, 1], auto_pad = notset, group = 1 } (%4, %2)
  %6 "c" = n2 "conv3" Conv { kernel = [], strides = [], dilations = [], pads = [0, 0, 0, 0], auto_pad = notset, group = 1 } (%5, %3)
  output "y" = %6
}
"#;

const SQUARE: &str = "mb1g1ic32oc32id1ih12iw12od1oh12ow12kd1kh3kw3sd1sh1sw1dd0dh0dw0pd0ph1pw1";

/// Whether there is something to tune: below AVX2 no convolution is computed in blocks.
fn has_blocks() -> bool {
    detect_isa().unwrap() >= octrt::Isa::V3
}

/// The lines of a file of records that are of convolutions.
fn lines(path: &str) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let lines = text.lines().filter_map(|l| serde_json::from_str::<Value>(l).ok());
    lines.filter(|l| l.get("algorithm").is_some()).collect()
}

fn tune<'a>(model: &'a str, records: &'a str) -> Vec<&'a str> {
    vec!["tune", model, "--records", records, "--target", "x86-64-v3", "--format", "json"]
}

#[test]
fn tune_measures_each_convolution_once_and_goes_on_where_it_was_killed() {
    if !has_blocks() {
        eprintln!("skipped: this machine does not run x86-64-v3");
        return;
    }
    let folder = Folder::new();
    let (model, records) = (folder.file("m.onnx", onnx(MODEL)), folder.path("records.jsonl"));
    let mut child = command(&tune(&model, &records)).stdout(std::process::Stdio::null()).spawn().unwrap();
    let start = Instant::now();
    while lines(&records).is_empty() {
        assert!(start.elapsed() < Duration::from_secs(120), "nothing was written");
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let before = lines(&records);
    let measured = before.iter().filter(|l| l["problem"] == SQUARE).count();
    assert_eq!(measured, 3, "an algorithm has a line each: {before:?}");
    // A line that was not written to its end.
    let kept = fs::read_to_string(&records).unwrap();
    fs::write(&records, kept + "{\"version\":\"0.1").unwrap();

    let again = octrt(&tune(&model, &records));
    assert!(again.stderr.contains("1 that are no records, the first in line"), "{}", again.stderr);
    let report = again.json();
    assert_eq!((&report["schema"], &report["left"]), (&Value::from("octrt.tune/1"), &Value::from(0)));
    let problems = report["problems"].as_array().unwrap();
    let counts: Vec<(bool, u64)> =
        problems.iter().map(|p| (p["before_ms"].is_null(), p["count"].as_u64().unwrap())).collect();
    assert_eq!((problems.len(), counts[0]), (2, (true, 2)), "{report}");
    assert_eq!(problems[0]["problem"], SQUARE);
    let after = lines(&records);
    assert_eq!(after[..before.len()], before);
    assert_eq!(after.len(), 4, "{after:?}");
    assert!(after.iter().all(|l| l["ns"].as_u64().unwrap() > 0 && l["target"] == "x86-64-v3"), "{after:?}");
    assert!(report["whole"]["before_ms"].as_f64().unwrap() > 0.0);

    // Everything is known.
    let report = octrt(&tune(&model, &records)).json();
    assert!(report["problems"].as_array().unwrap().iter().all(|p| p["before_ms"].is_null()));
    assert_eq!(lines(&records), after);
}

#[test]
fn a_budget_ends_and_says_what_is_left() {
    if !has_blocks() {
        eprintln!("skipped: this machine does not run x86-64-v3");
        return;
    }
    let folder = Folder::new();
    let (model, records) = (folder.file("m.onnx", onnx(MODEL)), folder.path("records.jsonl"));
    let args = [&tune(&model, &records)[..6], &["--budget", "0s"]].concat();
    let finished = octrt(&args);
    let text = without_floats(finished.text());
    assert_eq!(lines(&records), Vec::<Value>::new());
    let left = "the budget is used up: 2 of 2 problems are left; the same command goes on with them";
    assert!(finished.stderr.contains(left), "{}", finished.stderr);
    assert!(text.starts_with("x86-64-v3, times in ms\n"), "{text}");
    assert!(text.contains(&format!("- - - 2 - {SQUARE}\n")), "{text}");
    assert!(text.contains("0 of 2 problems in "), "{text}");
    assert!(text.contains("\nwhole model: before "), "{text}");
}

#[test]
fn other_commands_take_records_of_this_machine_and_no_others() {
    if !has_blocks() {
        eprintln!("skipped: this machine does not run x86-64-v3");
        return;
    }
    let folder = Folder::new();
    let model = folder.file("m.onnx", onnx(MODEL));
    let target = octrt::detect_target().unwrap().isa;
    let of = |algorithm: &str| {
        let all = octrt_compiler::strategy::conv::Algorithm::ALL;
        let algorithm = all.into_iter().find(|a| a.to_string() == algorithm).unwrap();
        let subject = octrt::records::Subject::Convolution(SQUARE.parse().unwrap(), algorithm.into());
        octrt::records::Record { isa: target, subject, ns: 1 }.line()
    };
    let (direct, f2) = (folder.file("direct", of("direct")), folder.file("f2", of("f2")));
    let plan = |records: &str| octrt(&["inspect", &model, "--plan", "--records", records]).text().to_string();
    let count = |text: &str| text.matches("Winograd F(2x2, 3x3)").count();
    assert_eq!((count(&plan(&direct)), count(&plan(&f2))), (0, 2), "{}", plan(&f2));
    // The same results up to rounding, from a run and from a file that keeps the decisions.
    let compiled = folder.path("m.octrt");
    octrt(&["compile", &model, "-o", &compiled, "--records", &f2]).text();
    let outputs = |args: &[&str], name: &str| {
        let out = folder.path(name);
        octrt(&[&["run"], args, &["random", "--save-outputs", &out]].concat()).text();
        npy_elements(&format!("{out}/output_0.npy"), 64 * 144)
    };
    let of_f2 = outputs(&[&model, "--records", &f2], "a");
    assert_eq!(outputs(&[&compiled], "b"), of_f2);
    let of_direct = outputs(&[&model, "--records", &direct], "c");
    assert!(of_direct != of_f2, "another algorithm rounds otherwise");
    let far = of_direct.iter().zip(&of_f2).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(far < 1e-3, "{far}");

    let other = folder.file("other", of("f2").replace("\"cpu\":\"", "\"cpu\":\"Another "));
    let finished = octrt(&["run", &model, "random", "--records", &other]);
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    assert!(finished.stderr.contains("records are not used: 1 of another CPU than"), "{}", finished.stderr);
    assert_eq!(outputs(&[&model, "--records", &other], "d"), outputs(&[&model], "e"));
}

#[test]
fn what_tune_cannot_do_is_said() {
    let folder = Folder::new();
    let model = folder.file("m.onnx", onnx(MODEL));
    let without = octrt(&["tune", &model]);
    assert_eq!(without.code, 2);
    assert!(without.stderr.contains("--records <FILE>"), "{}", without.stderr);
    octrt(&["tune", &model, "--records", &folder.path("none/r")]).assert_fails(1, "none/r");
    let budget = octrt(&["tune", &model, "--records", &folder.path("r"), "--budget", "5"]);
    assert_eq!(budget.code, 2);
    assert!(budget.stderr.contains("expected a number with s, m or h"), "{}", budget.stderr);
    octrt(&["run", &model, "random", "--records", &folder.path("missing")]).assert_fails(1, "missing");
}
