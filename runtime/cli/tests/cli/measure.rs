//! `bench` and `profile`.

use serde_json::Value;

use crate::program::*;

/// Few runs, so that tests are quick.
const FEW: [&str; 4] = ["--runs", "4", "--warmup", "1"];

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

/// Whether this machine has fused multiply-add, and so a peak.
fn has_fma() -> bool {
    octrt::detect_target().unwrap().has_fma()
}

#[test]
fn bench_as_json_has_the_fields_that_programs_read() {
    let folder = Folder::new();
    let model = folder.tiny_model();
    let report = octrt(&[&["bench", &model, "--dim", "N=2", "--format", "json"], &FEW[..]].concat()).json();
    assert_eq!(keys(&report), ["machine", "results", "schema"]);
    assert_eq!(report["schema"], "octrt.bench/1");
    assert_eq!(keys(&report["machine"]), ["cores", "cpu", "isa", "peak_gflops"]);
    assert_eq!(report["machine"]["isa"], octrt::detect_target().unwrap().to_string());
    assert_eq!(report["machine"]["peak_gflops"].is_f64(), has_fma());
    let result = &report["results"][0];
    let expected = [
        "gflops",
        "macs",
        "median_ms",
        "min_ms",
        "model",
        "p10_ms",
        "p90_ms",
        "p99_ms",
        "peak_fraction",
        "samples_ms",
        "threads",
    ];
    assert_eq!(keys(result), expected);
    assert_eq!((&result["model"], &result["threads"]), (&Value::from(model), &Value::from(1)));
    let samples: Vec<f64> =
        result["samples_ms"].as_array().unwrap().iter().map(|s| s.as_f64().unwrap()).collect();
    assert_eq!(samples.len(), 4);
    let min = samples.iter().copied().fold(f64::INFINITY, f64::min);
    assert!(min > 0.0);
    assert_eq!(result["min_ms"].as_f64(), Some(min));
    let (macs, median) = (result["macs"].as_f64().unwrap(), result["median_ms"].as_f64().unwrap());
    assert!(macs >= 2.0 * 2.0 * 3.0 * 16.0 && median >= min);
    let gflops = result["gflops"].as_f64().unwrap();
    assert!((gflops - 2.0 * macs / (median * 1e6)).abs() <= 1e-9 * gflops);
    if let Some(peak) = report["machine"]["peak_gflops"].as_f64() {
        let fraction = result["peak_fraction"].as_f64().unwrap();
        assert!((fraction - gflops / peak).abs() <= 1e-9 * fraction);
    }
}

#[test]
fn interleaved_models_are_held_against_the_first() {
    let folder = Folder::new();
    let model = folder.tiny_model();
    let bench = |args: &[&str]| octrt(&[&["bench", &model, SHAPES], &FEW[..], args].concat());
    let report = bench(&["--interleave", "--format", "json", "--threads", "2"]).json();
    let results = report["results"].as_array().unwrap();
    assert_eq!((results.len(), &results[1]["model"], &results[1]["threads"]), (2, &SHAPES.into(), &2.into()));
    assert_eq!(results[0]["ratio"], Value::Null);
    let ratio = |key: &str| results[1]["ratio"][key].as_f64().unwrap();
    assert!(0.0 < ratio("low") && ratio("low") <= ratio("median") && ratio("median") <= ratio("high"));
    let apart = bench(&["--format", "json"]).json();
    assert_eq!(apart["results"][1]["ratio"], Value::Null);
}

#[test]
fn bench_prints_a_table() {
    let folder = Folder::new();
    let model = folder.tiny_model();
    let bench =
        |args: &[&str]| octrt(&[&["bench", &model, &model], &FEW[..], args].concat()).text().to_string();
    let text = bench(&["--interleave"]);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].contains(" cores, "), "{text}");
    assert_eq!(lines[1], "4 runs after 1 of warm-up, interleaved, 1 thread; times in ms");
    let titles: Vec<&str> = lines[3].split_whitespace().collect();
    assert_eq!(titles.join(" "), "min p10 median p90 p99 GFLOP/s at min of peak MACs ratio model");
    assert!(lines[4].ends_with(&format!("  -                     {model}")), "{text}");
    assert!(lines[5].ends_with(&format!("]  {model}")), "{text}");
    let markdown = bench(&["--format", "md"]);
    assert!(markdown.contains("| min | p10 | median | p90 | p99 | GFLOP/s |"), "{markdown}");
    assert!(
        markdown.contains("| ---: | ---: |") && markdown.ends_with(&format!("| {model} |\n")),
        "{markdown}"
    );
}

#[test]
fn the_precision_and_target_of_a_measurement_are_chosen() {
    let folder = Folder::new();
    let model = folder.tiny_model();
    for command in ["bench", "profile"] {
        let args = [&[command, &model, "--precision", "strict", "--target", "x86-64-v2"], &FEW[..]].concat();
        octrt(&args).text();
        octrt(&[command, &model, "--runs", "0"]).assert_fails(2, "expected a number from 1 on");
        octrt(&[command, "none.onnx"]).assert_fails(1, "none.onnx");
        octrt(&[command, &model, "--dim", "Q=2"]).assert_fails(2, "no dynamic dimension has this name");
    }
    octrt(&["bench"]).assert_fails(2, "<MODEL>...");
}

#[test]
fn nothing_is_drawn_where_there_is_no_terminal() {
    let folder = Folder::new();
    let model = folder.tiny_model();
    for command in ["bench", "profile"] {
        let run = octrt(&[&[command, &model], &FEW[..]].concat());
        assert_eq!(run.code, 0, "{}", run.stderr);
        let noise = format!("octrt: {model}: the machine is noisy: ");
        assert!(run.stderr.lines().all(|l| l.starts_with(&noise)), "{}", run.stderr);
    }
}

#[test]
fn profile_shows_every_node() {
    let folder = Folder::new();
    let model = folder.tiny_model();
    let report = octrt(&[&["profile", &model, "--format", "json"], &FEW[..]].concat()).json();
    assert_eq!(report["schema"], "octrt.profile/1");
    let rows = report["rows"].as_array().unwrap();
    let names: std::collections::BTreeSet<&str> = rows.iter().map(|r| r["node"].as_str().unwrap()).collect();
    assert_eq!(names.len(), rows.len(), "{names:?}");
    for row in rows {
        let is_layout = row["node"].as_str().unwrap().ends_with(" (layout)");
        assert_eq!(is_layout, row["op"] == "Layout", "{row}");
        assert_eq!(row["bound"]["share"].is_f64(), has_fma(), "{row}");
        assert!(!has_fma() || is_layout == (row["bound"]["by"] == "layout"), "{row}");
    }
    let row = rows.iter().find(|r| r["node"] == "conv").unwrap();
    assert_eq!((&row["op"], &row["nodes"], &row["macs"]), (&"Conv".into(), &1.into(), &96.into()));
    // Input, weight and result, each in full.
    assert!(row["bytes"].as_u64().unwrap() >= 4 * (48 + 6 + 32), "{row}");
    let number = |v: &Value| v.as_f64().unwrap();
    let share: f64 = rows.iter().map(|r| number(&r["share"])).sum();
    assert!((share - 1.0).abs() < 1e-9, "{share}");
    for sum in [&report, &report["fastest"]] {
        let (nodes, whole) = (number(&sum["nodes_ms"]), number(&sum["end_to_end_ms"]));
        assert!(nodes > 0.0 && whole > 0.0);
        assert!((number(&sum["difference"]) - (nodes / whole - 1.0)).abs() < 1e-9);
    }
    let ratio = |key: &str| number(&report["ratio"][key]);
    assert!(ratio("low") <= ratio("median") && ratio("median") <= ratio("high"));
    let fastest: f64 = rows.iter().map(|r| number(&r["min_ms"])).sum();
    assert!(fastest <= number(&report["fastest"]["nodes_ms"]) + 1e-9);
    let minima = |of: &str| number(&report["minima"][of]["ms"]);
    assert!((minima("all") - fastest).abs() < 1e-9 && minima("products") <= fastest);
    assert!(number(&report["limits"]["step_ms"]) >= 0.0, "{}", report["limits"]);
    assert_eq!(row["peak_fraction_at_min"].is_f64(), has_fma());
    let order: Vec<f64> = rows.iter().map(|r| number(&r["median_ms"])).collect();
    assert!(order.is_sorted_by(|a, b| a >= b), "{order:?}");
}

#[test]
fn profile_sums_up_operators() {
    let by_op = octrt(&[&["profile", SHAPES, "--by", "op", "--format", "json"], &FEW[..]].concat()).json();
    let rows = by_op["rows"].as_array().unwrap();
    let macs: u64 = rows.iter().map(|r| r["macs"].as_u64().unwrap()).sum();
    let whole = octrt(&["inspect", SHAPES, "--format", "json"]).json();
    assert!(macs > 0 && macs <= whole["macs"].as_u64().unwrap(), "{macs}");
    let conv = rows.iter().find(|r| r["op"] == "Conv").unwrap();
    assert!(conv["nodes"].as_u64().unwrap() > 20 && conv["node"] == Value::Null, "{conv}");
    let text = octrt(&[&["profile", SHAPES, "--by", "op"], &FEW[..]].concat());
    let end: Vec<&str> = text.text().lines().rev().take(6).collect();
    assert!(end[0].starts_with("by pairs:    sum over whole ") && end[5].is_empty(), "{end:?}");
    assert!(end[1].starts_with("at least:    a step ") && end[1].contains("; copies of 16 kB "), "{end:?}");
    assert!(end[2].starts_with("minima:      what multiplies ") && end[2].contains("; all "), "{end:?}");
    assert!(end[3].starts_with("fastest run: sum of nodes ") && end[3].contains(", end to end "), "{end:?}");
    assert!(text.text().contains("  op    ") && text.text().contains("  nodes\n"), "{}", text.stdout);
}
