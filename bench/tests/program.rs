//! The program `octrt-bench` as its users see it.

use std::process::{Command, Output};

use serde_json::Value;

fn octrt_bench(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_octrt-bench")).args(args).output().unwrap()
}

fn stdout(args: &[&str]) -> String {
    let output = octrt_bench(args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

const TWO: [&str; 8] =
    ["conv", "--problem", "ic8ih7oc16kh3ph1", "g4ic4ih7oc4kh3", "--runs", "3", "--warmup", "1"];

#[test]
fn convolutions_are_measured_for_programs() {
    let report: Value = serde_json::from_str(&stdout(&[&TWO[..], &["--format", "json"]].concat())).unwrap();
    assert_eq!(report["schema"], "octrt-bench.conv/1");
    assert!(report["machine"]["cores"].as_u64() >= Some(1));
    let results = report["results"].as_array().unwrap();
    let problems: Vec<&str> = results.iter().map(|r| r["problem"].as_str().unwrap()).collect();
    assert_eq!(problems, ["ic8ih7oc16kh3ph1", "g4ic4ih7oc4kh3"]);
    assert_eq!(results[0]["macs"], 16 * 49 * 8 * 9);
    assert_eq!(results[0]["samples_ms"].as_array().unwrap().len(), 3);
    assert!(results.iter().all(|r| r["count"] == 1 && r["threads"] == 1));
}

#[test]
fn convolutions_are_measured_for_people() {
    let text = stdout(&[&TWO[..], &["--precision", "strict"]].concat());
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[1], "3 runs after 1 of warm-up, 1 thread, precision strict; times in ms");
    let titles: Vec<&str> = lines[3].split_whitespace().collect();
    assert_eq!(titles.join(" "), "min median GFLOP/s of peak at min count problem");
    assert!(lines[4].ends_with("  1  ic8ih7oc16kh3ph1"), "{text}");
    assert!(lines[6].ends_with("  2  all, as often as they count"), "{text}");
    assert!(stdout(&[&TWO[..], &["--format", "md"]].concat()).contains("| 1 | g4ic4ih7oc4kh3 |\n"));
}

#[test]
fn what_cannot_be_measured_is_said() {
    let cases = [
        (&["conv"][..], "--problem <PROBLEM>...|--network <NAME>"),
        (&["conv", "--problem", "ic8"], "'ih' is missing"),
        (&["zoo", "vgg", "-o", "x"], "unknown network 'vgg': expected one of resnet26, resnet50, "),
        (&["zoo", "resnet50"], "--output <FILE>"),
        (&["conv", "--network", "vgg"], "unknown network 'vgg': expected one of resnet50, "),
        (&["conv", "--problem", "ic8ih7oc16kh3", "--runs", "0"], "expected a number from 1 on"),
        (&["table2", "--alphas", "0.5,0"], "'0': expected a number above 0, at most 1"),
        (&["table2", "--precision", "strict,fast"], "unknown precision 'fast'"),
        (&["tables"], "--html <FILE>"),
    ];
    for (args, message) in cases {
        let output = octrt_bench(args);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && stderr.contains(message), "{args:?}: {stderr}");
    }
}

#[test]
fn help_lists_commands() {
    let help: String = stdout(&["--help"]).lines().map(|l| l.trim_end().to_string() + "\n").collect();
    expect_test::expect![[r#"
        Measures octrt

        Usage: octrt-bench <COMMAND>

        Commands:
          conv     Measure convolutions one by one
          zoo      Write a network of the OctConv paper, with random weights, as an ONNX file
          table1   The OctConv paper's table 1: cost of an OctConv by formula, as counted, and in memory
          table2   The paper's table 2: ResNet-50 by alpha
          table3   The paper's table 3: Oct-ResNet-50 without parts of its OctConvs
          table4   The paper's table 4: ResNet-50 by size of the picture
          table5   The paper's table 5: MobileNets
          predict  What ResNet-50 by alpha would take on a processor that is not here, by llvm-mca and
                   bandwidths
          tables   All of the paper's tables, measured in turn, as one page with plots
          help     Print this message or the help of the given subcommand(s)

        Options:
          -h, --help     Print help
          -V, --version  Print version
    "#]]
    .assert_eq(&help);
    for table in ["table1", "table2", "table3", "table4", "table5", "tables"] {
        assert!(stdout(&[table, "--help"]).contains("--format <FORMAT>"), "{table}");
    }
}

const QUICK: [&str; 7] = ["table5", "--size", "32", "--rounds", "2", "--runs", "1"];

#[test]
fn mobile_networks_are_measured() {
    let report: Value = serde_json::from_str(&stdout(&[&QUICK[..], &["--format", "json"]].concat())).unwrap();
    assert_eq!(report["schema"], "octrt-bench.tables/1");
    assert_eq!(report["schedule"], serde_json::json!({ "rounds": 2, "runs": 1, "warmup": 1 }));
    assert_eq!(report["tables"][0]["table"], 5);
    let rows = report["tables"][0]["rows"].as_array().unwrap();
    let names: Vec<&str> = rows.iter().map(|r| r["network"].as_str().unwrap()).collect();
    assert_eq!(names[..3], ["mobilenet-v1-0.75", "oct-mobilenet-v1-0.75", "mobilenet-v1-1.0"]);
    assert_eq!(
        (rows.len(), &rows[1]["alpha"], &rows[1]["parameters"]),
        (8, &0.375.into(), &2_585_560.into())
    );
    for (i, row) in rows.iter().enumerate() {
        assert_eq!(row["samples_ms"].as_array().unwrap().len(), 2);
        assert!(row["min_ms"].as_f64() > Some(0.0));
        assert_eq!(row["against"].is_null(), i % 2 == 0, "{row}");
    }
}

#[test]
fn networks_of_the_zoo_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("net.onnx");
    let path = file.to_str().unwrap();
    let args = ["zoo", "oct-mobilenet-v1-0.75", "--alpha", "0.375", "--size", "32", "-o", path];
    let text = stdout(&args);
    assert!(text.ends_with("multiply-accumulates, 2585560 parameters\n"), "{text}");
    let model = octrt::Model::load(&file, &octrt::LoadOptions::default()).unwrap();
    assert_eq!(model.inputs()[0].to_string(), "f32[1,3,32,32]");
    let first = std::fs::read(&file).unwrap();
    stdout(&[&args[..], &["--dynamic-batch"]].concat());
    let model = octrt::Model::load(&file, &octrt::LoadOptions::default()).unwrap();
    assert_eq!(model.inputs()[0].to_string(), "f32[batch,3,32,32]");
    stdout(&args);
    assert!(std::fs::read(&file).unwrap() == first, "the same seed gives another file");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    let failed = octrt_bench(&["zoo", "resnet50", "--alpha", "0.5", "-o", path]);
    let stderr = String::from_utf8(failed.stderr).unwrap();
    assert!(failed.status.code() == Some(1) && stderr.contains("is vanilla and has no alpha"), "{stderr}");
    assert!(std::fs::read(&file).unwrap() == first, "a failed run changes the file");
}

#[test]
fn networks_of_the_zoo_are_listed() {
    let text = stdout(&["zoo", "--list"]);
    assert_eq!(text.lines().count(), 1 + 30, "{text}");
    assert!(text.contains(" 4.089    25.553  resnet50\n"), "{text}");
    assert!(text.contains(" 2.367    25.553  oct-resnet50 --alpha 0.5\n"), "{text}");
}
