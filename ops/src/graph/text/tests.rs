use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::def::clip::Clip;
use crate::graph::arbitrary::{graph, name, one_of};
use crate::graph::{Input, ValueId};
use crate::shape::{Dim, TensorType};
use crate::{DType, Tensor};

const SMALL: &str = r#"graph "net" {
  input %0 "data_0": f32[N,3,?,224]
  input %4 "mask": bool[2]
  const %1 "conv1.weight": f32[64,3,1,1] = blob(0)
  const %2: i64[2] = [1, -1]
  %3 "conv1 \"out\"": f32[1,64,112,112] = n0 "conv1" Conv { kernel = [], strides = [2, 2], dilations = [], pads = [], auto_pad = notset, group = 1 } (%0, %1, _)
  %5, %6 "b" = n1 Split { axis = -1, num_outputs = 2 } (%3, %2)
  %7 = n2 Clip (%5)
  output "softmaxout_1" = %7
  output "" = %6
}
"#;

#[test]
fn a_graph_reads_as_it_prints() {
    let weight = random(&Shape::new([64, 3, 1, 1]), 7).unwrap();
    let graph = parse(SMALL, std::slice::from_ref(&weight)).unwrap();
    assert_eq!(print(&graph), SMALL);
    assert_eq!(blobs(&graph), [weight]);
    assert_eq!(graph.value(ValueId(3)).name, "conv1 \"out\"");
    assert_eq!(graph.inputs[0].dims[0], Dim::Dynamic("N".into()));
    assert_eq!(graph.value(ValueId(4)).ty, Some(TensorType::new(DType::Bool, [2])));
}

#[test]
fn node_ids_and_comments_are_optional_and_generators_resolve() {
    let text = r#"
        graph "" { // a comment
          %2 = Binary { kind = add } (%0, %1)
          input %0: f32[2]
          const %1: f32[2] = fill(0.5)
          const %3: f32[2, 50] = random(1)
          output "y" = %2
        } // the end"#;
    let graph = parse(text, &[]).unwrap();
    assert_eq!(graph.constant(ValueId(1)), Some(&Tensor::new([2], &[0.5f32, 0.5]).unwrap()));
    let numbers = graph.constant(ValueId(3)).unwrap().to_vec::<f32>().unwrap();
    assert_eq!(numbers.len(), 100);
    assert!(numbers.iter().all(|v| (-1.0..1.0).contains(v)));
    assert!(numbers.iter().any(|&v| v < -0.5) && numbers.iter().any(|&v| v > 0.5));
    let printed = print(&graph);
    assert!(printed.contains("const %1: f32[2] = [0.5, 0.5]"), "{printed}");
    assert!(printed.contains("const %3: f32[2,50] = blob(0)"), "{printed}");
}

#[test]
fn floats_keep_their_bits() {
    let bits = [0x7fc0_0000, 0xffc0_0000, 0x7f80_0001, 0x7f80_0000, 0xff80_0000, 0x8000_0000, 1, 0x3dcc_cccd];
    let tensor = Tensor::new([8], &bits.map(f32::from_bits)).unwrap();
    let mut graph = Graph::new("floats");
    graph.add_const("", tensor);
    let text = print(&graph);
    assert!(text.contains("[nan, nan(0xffc00000), nan(0x7f800001), inf, -inf, -0.0, 1e-45, 0.1]"), "{text}");
    assert_eq!(parse(&text, &[]).unwrap(), graph);
}

#[test]
fn inputs_say_when_type_and_declaration_differ() {
    let mut graph = Graph::new("");
    let fixed = graph.add_input("a", DType::F32, vec![Dim::Fixed(2)]);
    let dynamic = graph.add_input("b", DType::F32, vec![Dim::Dynamic("batch size".into())]);
    graph.values[fixed.index()].ty = None;
    graph.values[dynamic.index()].ty = Some(TensorType::new(DType::F32, [3]));
    let text = print(&graph);
    assert!(text.contains("\"a\": f32[2] = ?\n"), "{text}");
    assert!(text.contains("\"b\": f32[\"batch size\"] = f32[3]\n"), "{text}");
    assert_eq!(parse(&text, &[]).unwrap(), graph);
}

/// What is reported for a graph that consists of `line` and an input `%0`.
fn error(line: &str) -> String {
    let text = format!("graph \"g\" {{ input %0: f32[2]\n{line}\n}}");
    parse(&text, &[Tensor::scalar(1i64)]).unwrap_err().to_string()
}

#[test]
fn errors_say_where_expected_and_found() {
    assert_eq!(error("konst"), "2:1: expected 'input', 'const', a value, 'output' or '}', found 'konst'");
    assert_eq!(
        error("const %1: f16[2] = []"),
        "2:11: expected an element type (f32, f64, i64, i32, i16, i8, u64, u32, u16, u8, bool), found 'f16'"
    );
    assert_eq!(error("const %1: f32[2] = [1]"), "2:20: expected the elements of f32[2], found 1 elements");
    assert_eq!(error("const %1: u8[1] = [256]"), "2:20: expected a u8, found '256'");
    assert_eq!(error("const %1: f32[] = blob(0)"), "2:19: expected blob 0 to be f32[], found i64[]");
    assert_eq!(error("const %1: f32[] = blob(9)"), "2:19: expected blob 9 to be f32[], found no such blob");
    assert_eq!(
        error("const %1: f32[99999999999] = random(1)"),
        "2:30: expected at most 1073741824 bytes, found f32[99999999999]"
    );
    assert_eq!(error("%0 = Clip ()"), "2:1: expected a value that is not defined yet, found %0");
    assert_eq!(error("%2 = Clip ()"), "2:1: expected a definition of %1 somewhere, found %2 as the next id");
    assert_eq!(error("%1 = n4 Clip ()"), "2:6: expected 'n0', the position of the node, found 'n4'");
    assert_eq!(error("%1 = Konv ()"), "2:6: expected an operator, found 'Konv'");
    assert_eq!(
        error("%1 = Cast { too = f32 } ()"),
        "2:6: expected the attributes of Cast, found attribute 'to' is missing"
    );
    assert_eq!(
        error("%1 = Elu { alpha = \"\" } ()"),
        "2:6: expected the attributes of Elu, found attribute 'alpha' cannot be \"\""
    );
    assert_eq!(error("output \"a"), "2:10: expected the end of the string, found the end of the line");
    assert_eq!(error("} }"), "2:3: expected the end of the text, found '}'");
    assert_eq!(parse("", &[]).unwrap_err().to_string(), "1:1: expected 'graph', found the end of the text");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn parsing_inverts_printing(graph in graph()) {
        let text = print(&graph);
        let read = parse(&text, &blobs(&graph));
        prop_assert_eq!(read.as_ref(), Ok(&graph), "{}", text);
    }

    #[test]
    fn parsing_never_panics(words in vec(word(), 0..30)) {
        let _ = parse(&words.join(" "), &[Tensor::scalar(1i64)]);
        let _ = parse(&format!("graph \"\" {{ {} }}", words.join(" ")), &[]);
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in name()) {
        let _ = parse(&text, &[]);
        let _ = parse(&SMALL.replace("Conv", &text), &[]);
    }
}

fn word() -> impl Strategy<Value = &'static str> {
    one_of(&[
        "input",
        "const",
        "output",
        "%0",
        "%1",
        "%2",
        ":",
        "=",
        "?",
        ",",
        "[",
        "]",
        "{",
        "}",
        "(",
        ")",
        "_",
        "f32",
        "i64",
        "bool",
        "nan",
        "-inf",
        "1",
        "-2",
        "0.5",
        "0xffc00000",
        "1e5f",
        "blob",
        "random",
        "fill",
        "Clip",
        "Elu",
        "alpha",
        "n0",
        "\"name\"",
        "//",
        "true",
        "none",
        "99999999999999999999",
    ])
}

#[test]
fn an_input_value_that_is_missing_still_prints() {
    let mut graph = Graph::new("broken");
    graph.inputs.push(Input { value: ValueId(9), dtype: DType::F32, dims: vec![] });
    graph.add_node("n", Clip {}, vec![Some(ValueId(77))], &["y"]);
    graph.values.clear();
    assert!(print(&graph).contains("input %9: f32[] = ?"));
}

#[test]
fn printed_texts_make_no_constants() {
    let text =
        |form: &str| format!("graph \"g\" {{\n  const %0: f32[100] = {form}\n  output \"y\" = %0\n}}\n");
    for (form, found) in [("random(7)", "'random'"), ("fill(0.5)", "'fill'"), ("other(1)", "'other'")] {
        let e = parse_printed(&text(form), &[]).unwrap_err().to_string();
        assert_eq!(e, format!("2:24: expected [elements] or blob(i), found {found}"));
    }
    let graph = parse(&text("random(7)"), &[]).unwrap();
    assert_eq!(parse_printed(&print(&graph), &blobs(&graph)).unwrap(), graph);
}

#[test]
fn errors_show_the_beginning_of_what_is_long() {
    let e = parse(&"x".repeat(1 << 20), &[]).unwrap_err();
    assert!(e.found.len() < 210 && e.found.ends_with("xxx..."), "{e}");
    let e = parse(&("\"".to_string() + &"\u{e9}".repeat(1000) + "\""), &[]).unwrap_err();
    assert!(e.found.chars().count() == 203, "{e}");
}
