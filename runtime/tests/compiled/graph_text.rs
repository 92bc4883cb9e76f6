//! Files whose checksums are right and whose graph is another one.

use octrt::{Error, Model};
use serde_json::json;

use crate::given::*;
use crate::growing::Numbers;
use crate::manifest::garbled;
use crate::support::compiled_file::Parts;
use crate::support::hostile::{Reached, options, survive};

const MEMORY: usize = 8 << 20;

/// The file of [`PACKED`] with `from` in the graph's text replaced.
fn with(from: &str, to: &str) -> Vec<u8> {
    let mut parts = Parts::of(&packed_file());
    let text = parts.graph().to_string();
    assert!(text.contains(from), "{from}: {text}");
    parts.manifest["graph"] = json!(text.replace(from, to));
    parts.file()
}

fn refused(from: &str, to: &str) -> String {
    let file = with(from, to);
    let prepared = Model::from_bytes(file, &options(MEMORY)).and_then(|m| m.session().map(drop));
    let e = prepared.expect_err(to);
    assert!(matches!(e, Error::Corrupt { .. }), "{from} -> {to}: {e:?}");
    e.to_string()
}

#[test]
fn another_operator_or_attribute() {
    for (from, to) in [
        ("kernel = [3, 3]", "kernel = [2, 2]"),
        ("kernel = [3, 3]", "kernel = []"),
        ("strides = [1, 1]", "strides = [2, 2]"),
        ("strides = [1, 1]", "strides = [0, 0]"),
        ("strides = [1, 1]", "strides = [9223372036854775807, 1]"),
        ("pads = [1, 1, 1, 1]", "pads = [1, 1, 1, 2]"),
        ("pads = [1, 1, 1, 1]", "pads = [4611686018427387904, 4611686018427387904, 1, 1]"),
        ("dilations = [1, 1]", "dilations = [3, 3]"),
        ("group = 1", "group = 2"),
        ("group = 1", "group = 0"),
        ("Unary { kind = relu }", "Unary { kind = neg }"),
        ("Unary { kind = relu }", "Identity"),
        ("Unary { kind = relu }", "Shape { start = 0, end = none }"),
        ("kind = mul", "kind = add"),
        ("Gather { axis = 3 }", "Gather { axis = 1 }"),
        ("[3, 0, -1, 2]", "[3, 0, -1, 5]"),
        ("[3, 0, -1, 2]", "[6, 0, -1, 2]"),
        ("[3, 0, -1, 2]", "[-7, 0, -1, 2]"),
        ("i64[4] = [3, 0, -1, 2]", "i32[4] = [3, 0, -1, 2]"),
        ("i64[4] = [3, 0, -1, 2]", "f32[4] = [3, 0, -1, 2]"),
    ] {
        // An error, or a model of the same ports; which of them depends on what fits.
        survive(&with(from, to), MEMORY);
    }
    refused("kernel = [3, 3]", "kernel = [2, 2]");
    refused("Gather { axis = 3 }", "Gather { axis = 9 }");
    for index in ["6", "-7", "9223372036854775807", "-9223372036854775808"] {
        let message = refused("[3, 0, -1, 2]", &format!("[{index}, 0, -1, 2]"));
        assert!(message.contains("gather"), "{message}");
    }
}

#[test]
fn other_shapes_and_orders() {
    refused("f32[1,32,6,6]", "f32[1,32,6,7]");
    refused("f32[1,32,6,6]", "f32[1,32,4611686018427387904,6]");
    refused("f32[64,32,3,3]", "f32[32,64,3,3]");
    refused("blob(0)", "blob(1)");
    refused("blob(0)", "blob(99)");
    refused("(%0, ", "(%8, ");
    refused("(%0, ", "(%99, ");
    refused("(%0, ", "(_, ");
    refused("graph ", "grap ");
    refused("\n}", "\n");
    refused("}\n", "}\n}\n");
    // The last line defined twice, as the outputs.
    refused("  output \"y\"", "  output \"y\" = %0\n  output \"y\"");
}

#[test]
fn long_texts() {
    for text in [
        "x".repeat(10 << 20),
        "\u{0}".repeat(1 << 20),
        "[".repeat(10 << 20),
        "(%0".repeat(3 << 20),
        "\"".to_string() + &"\\".repeat(1 << 20),
        "// ".repeat(3 << 20),
        "graph \"g\" {\n".to_string() + &"  %1 = \"n\" Identity (%0)\n".repeat(200_000),
        format!("graph \"g\" {{\n  input %0 \"x\": f32[{}]\n", "1,".repeat(1 << 20)),
        format!("graph \"g\" {{\n  const %0: f32[1] = [{}]\n}}", "1,".repeat(4 << 20)),
    ] {
        let mut parts = Parts::of(&packed_file());
        parts.manifest["graph"] = json!(text);
        let e = Model::from_bytes(parts.file(), &options(1 << 30)).unwrap_err();
        let e = (matches!(e, Error::Corrupt { .. } | Error::TooLarge { .. }), e.to_string());
        assert!(e.0 && e.1.len() < 2000, "{}", &e.1[..e.1.len().min(2000)]);
    }
}

/// A printed graph has no constants that are made when it is read: a few bytes of text would take any amount of memory.
#[test]
fn constants_that_are_made_when_they_are_read() {
    let constant = "f32[1,16,1,5] = blob(2)";
    for made in ["random(4)", "fill(0.5)"] {
        let message = refused(constant, &format!("f32[1,16,1,5] = {made}"));
        assert!(message.contains("blob(i)"), "{message}");
    }
}

#[test]
fn random_edits() {
    let mut texts: Vec<Parts> = small_models().iter().map(|m| Parts::of(&saved(m, &types(m, 2)))).collect();
    texts.push(Parts::of(&packed_file()));
    let mut reached = [0usize; 3];
    for seed in 0..3000u64 {
        let mut numbers = Numbers::of(77_000 + seed);
        let mut parts = texts[seed as usize % texts.len()].clone();
        let mut text = parts.graph().to_string();
        for _ in 0..1 + numbers.below(2) {
            text = garbled(&text, &mut numbers);
        }
        parts.manifest["graph"] = json!(text);
        reached[survive(&parts.file(), 1 << 20) as usize] += 1;
    }
    println!("refused when loaded, when run, results: {reached:?}");
    assert!(reached[0] > 1000 && reached[2] > 50, "{reached:?}");
}

/// A whole graph of somebody else's, for the ports and weights that the file has.
#[test]
fn another_graph_altogether() {
    let files: Vec<Parts> = small_models().iter().map(|m| Parts::of(&saved(m, &types(m, 2)))).collect();
    for (i, a) in files.iter().enumerate() {
        for (j, b) in files.iter().enumerate() {
            let mut mixed = a.clone();
            mixed.manifest["graph"] = b.manifest["graph"].clone();
            let reached = survive(&mixed.file(), MEMORY);
            assert_eq!(reached == Reached::Results, i == j, "graph {j} in file {i}");
        }
    }
}
