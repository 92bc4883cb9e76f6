//! What each operator becomes, by opset: `readers.txt` has nodes and, indented below them, the graph's text form without
//! its inputs and outputs, or the error. `OCTRT_BLESS=1` rewrites what is indented.
//!
//! The nodes read `x`, the tensors of [`weights`] and each other, and write `y`. `_` is an omitted name. Attributes are
//! `3`, `0.5`, `[1, 2]`, `[1.0]`, `'text'`, `['text']`, `i64[1]` and `f32[1.0]` (tensors), `?` (no value) and `?3` (no type).

use std::path::Path;

use octrt_ops::graph::text;

use super::*;

fn weights() -> Vec<TensorProto> {
    vec![
        f32_tensor("w", &[1], &[0.5]),
        f32_tensor("none", &[0], &[]),
        f32_tensor("scales", &[4], &[1.0, 1.0, 2.0, 2.0]),
        i64_tensor("i", &[1]),
        TensorProto { int32_data: vec![0], ..tensor("false", DataType::Bool, &[]) },
        TensorProto { int32_data: vec![1], ..tensor("true", DataType::Bool, &[]) },
    ]
}

fn list<T: std::str::FromStr>(items: &str) -> Option<Vec<T>> {
    items.split(',').map(str::trim).filter(|s| !s.is_empty()).map(|s| s.parse().ok()).collect()
}

fn inside<'a>(text: &'a str, open: &str, close: &str) -> Option<&'a str> {
    text.strip_prefix(open)?.strip_suffix(close)
}

fn parse_attribute(name: &str, value: &str) -> Option<AttributeProto> {
    if let Some(rest) = value.strip_prefix('?') {
        return Some(AttributeProto { i: rest.parse().ok(), ..attribute(name, AttributeType::Undefined) });
    }
    if let Some(s) = inside(value, "'", "'") {
        return Some(text(name, s));
    }
    if let Some(items) = inside(value, "i64[", "]") {
        return Some(tensor_attribute(name, i64_tensor("", &list(items)?)));
    }
    if let Some(items) = inside(value, "f32[", "]") {
        let elements = list(items)?;
        return Some(tensor_attribute(name, f32_tensor("", &[elements.len() as i64], &elements)));
    }
    match inside(value, "[", "]") {
        Some(items) if items.contains('\'') => Some(AttributeProto {
            strings: items.split(',').map(|s| s.trim().trim_matches('\'').as_bytes().to_vec()).collect(),
            ..attribute(name, AttributeType::Strings)
        }),
        Some(items) if items.contains('.') => Some(floats(name, &list(items)?)),
        Some(items) => Some(ints(name, &list(items)?)),
        None if value.contains('.') => Some(float(name, value.parse().ok()?)),
        None => Some(int(name, value.parse().ok()?)),
    }
}

/// Attributes separated by `; `.
fn parse_attributes(items: &str) -> Option<Vec<AttributeProto>> {
    let one = |item: &str| item.split_once('=').and_then(|(n, v)| parse_attribute(n.trim(), v.trim()));
    items.split(';').filter(|item| !item.trim().is_empty()).map(one).collect()
}

/// `Op(a, _) -> y { axis = 1; keepdims = 0 }`
fn parse_node(line: &str) -> Option<NodeProto> {
    let (op, rest) = line.split_once('(')?;
    let (inputs, rest) = rest.split_once(") ->")?;
    let (outputs, attributes) = rest.split_once('{').unwrap_or((rest, "}"));
    let names = |text: &str| -> Vec<String> {
        let all = text.split(',').map(str::trim).filter(|s| !s.is_empty());
        all.map(|s| s.trim_matches('_').to_string()).collect()
    };
    Some(NodeProto {
        op_type: op.into(),
        input: names(inputs),
        output: names(outputs),
        attribute: parse_attributes(attributes.trim().strip_suffix('}')?)?,
        ..NodeProto::default()
    })
}

/// The result for `nodes`, by lines.
fn result(opset: i64, nodes: Vec<NodeProto>) -> Vec<String> {
    match load(&with_opset(model(nodes, weights()), opset)) {
        Ok(m) => {
            let warnings = m.warnings.iter().map(|w| format!("warning: {w}"));
            text_of(&m).into_iter().chain(warnings).collect()
        }
        Err(e) => format!("error: {e}").lines().map(str::to_string).collect(),
    }
}

/// Nodes, and the constants that are not those of [`weights`].
fn text_of(m: &Imported) -> Vec<String> {
    let known: Vec<String> = weights().iter().map(|w| format!(" \"{}\":", w.name)).collect();
    let wanted =
        |l: &&str| l.starts_with('%') || l.starts_with("const") && !known.iter().any(|k| l.contains(k));
    text::print(&m.graph).lines().map(str::trim).filter(wanted).map(str::to_string).collect()
}

#[test]
fn operators_become_what_readers_txt_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tests/readers.txt");
    let old = std::fs::read_to_string(&path).expect("a readable file");
    let mut new = String::new();
    for block in old.split("\n\n") {
        let mut nodes = Vec::new();
        let mut opset = 0;
        for line in block.lines().filter(|l| !l.starts_with(' ')) {
            new += line;
            new += "\n";
            if let Some(version) = line.strip_prefix("opset ") {
                opset = version.parse().expect("an opset");
            } else if !line.starts_with('#') {
                nodes.push(parse_node(line).unwrap_or_else(|| panic!("not a node: {line}")));
            }
        }
        if !nodes.is_empty() {
            for line in result(opset, nodes) {
                new += &format!("    {line}\n");
            }
        }
        new += "\n";
    }
    let new = format!("{}\n", new.trim_end());
    if std::env::var_os("OCTRT_BLESS").is_some() {
        std::fs::write(&path, &new).expect("a writable file");
    }
    for (i, (found, expected)) in new.lines().zip(old.lines()).enumerate() {
        assert_eq!(found, expected, "readers.txt:{}", i + 1);
    }
    assert_eq!(new, old);
}
