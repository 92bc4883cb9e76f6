//! Models that break a rule: the kind of the error, and what its message says.

use octrt::{Error, ErrorKind, LoadOptions, Model, TensorRef};

use crate::build::*;
use crate::support::hostile::{MEMORY, options};
use crate::support::proto::{bytes, number};

/// Loads the model, and runs it with ones in the declared shape, dynamic extents being 2.
fn load_and_run(bytes: octrt_onnx::Bytes, options: &LoadOptions) -> Result<(), Error> {
    let model = Model::from_bytes(bytes, options)?;
    let mut session = model.session()?;
    let shapes: Vec<Vec<usize>> = model
        .inputs()
        .iter()
        .map(|p| {
            let dims = p.dims.iter().flatten();
            dims.map(|d| if let octrt_ops::Dim::Fixed(d) = d { *d } else { 2 }).collect()
        })
        .collect();
    let ones: Vec<Vec<f32>> = shapes.iter().map(|s| vec![1.0; s.iter().product()]).collect();
    let mut inputs = Vec::new();
    for ((port, shape), ones) in model.inputs().iter().zip(&shapes).zip(&ones) {
        inputs.push((port.name.as_str(), TensorRef::new(shape, ones)?));
    }
    session.run(&inputs).map(|_| ())
}

pub struct Case {
    what: &'static str,
    parts: Parts,
    kind: ErrorKind,
    /// Parts of the message, in order.
    says: &'static [&'static str],
}

pub fn case(what: &'static str, parts: Parts, kind: ErrorKind, says: &'static [&'static str]) -> Case {
    Case { what, parts, kind, says }
}

/// Whether `message` has all of `says`, in this order.
fn contains_in_order(message: &str, says: &[&str]) -> bool {
    let mut rest = message;
    says.iter().all(|s| match rest.split_once(s) {
        Some((_, after)) => {
            rest = after;
            true
        }
        None => false,
    })
}

pub fn check(cases: Vec<Case>) {
    let mut failures = Vec::new();
    for Case { what, parts, kind, says } in cases {
        match load_and_run(parts.model(), &options(MEMORY)) {
            Ok(()) => failures.push(format!("{what}: runs")),
            Err(e) if e.kind() != kind => {
                failures.push(format!("{what}: {:?}, expected {kind:?}: {e}", e.kind()))
            }
            Err(e) if contains_in_order(&e.to_string(), says) => {}
            Err(e) => failures.push(format!("{what}: expected {says:?} in: {e}")),
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

fn relu() -> Parts {
    parts(vec![node("Relu", &["x"], &["y"], &[])])
}

/// `y = x op w`.
pub fn with_weight(op: &str, w: Vec<u8>, attributes: &[Vec<u8>]) -> Parts {
    parts(vec![node(op, &["x", "w"], &["y"], attributes)]).with(w)
}

/// A convolution of `x` f32`[1,4,5,5]` with weight `w` f32`[6,4,3,3]`.
fn conv(attributes: &[Vec<u8>]) -> Parts {
    with_weight("Conv", f32s("w", &[6, 4, 3, 3], &[0.5; 216]), attributes).input(&[
        D::N(1),
        D::N(4),
        D::N(5),
        D::N(5),
    ])
}

#[test]
fn tensors_that_lie() {
    use ErrorKind::{Corrupt, Limit, Unsupported};
    let add = |w: Vec<u8>| with_weight("Add", w, &[]);
    check(vec![
        case("too few elements", add(f32s("w", &[2, 3], &[1.0; 5])), Corrupt, &["'w'", "24", "20"]),
        case("too many elements", add(f32s("w", &[2, 3], &[1.0; 7])), Corrupt, &["'w'", "24", "28"]),
        case("half an element", add(tensor("w", F32, &[1], &[1, 2])), Corrupt, &["'w'", "4", "2"]),
        case("negative extent", add(f32s("w", &[-3], &[1.0; 3])), Corrupt, &["'w'", "-3"]),
        case("overflowing extents", add(f32s("w", &[1 << 40, 1 << 40], &[])), Limit, &["'w'"]),
        case("largest extents", add(f32s("w", &[i64::MAX; 4], &[])), Limit, &["'w'"]),
        case(
            "large extent",
            add(f32s("w", &[1 << 50], &[])),
            Corrupt,
            &["'w'", "1125899906842624 elements", "has 0"],
        ),
        case("unknown element type", add(tensor("w", 99, &[1], &[0; 4])), Unsupported, &["'w'", "99"]),
        case("element type 0", add(tensor("w", 0, &[1], &[0; 4])), Unsupported, &["'w'"]),
        case("strings", add(tensor("w", 8, &[1], &[0; 4])), Unsupported, &["'w'", "string"]),
    ]);
}

#[test]
fn inputs_that_lie() {
    use ErrorKind::{Corrupt, Limit, Unsupported};
    let none = Parts { inputs: vec![bytes(1, "x")], ..relu() };
    let twice = Parts { inputs: vec![value("x", F32, &[D::N(2)]); 2], ..relu() };
    let nameless = Parts { inputs: vec![value("", F32, &[D::N(2)])], ..relu() };
    let strings = Parts { inputs: vec![value("x", 8, &[D::N(2)])], ..relu() };
    check(vec![
        case("negative extent", relu().input(&[D::N(-7)]), Corrupt, &["'x'", "-7"]),
        case("huge extent", relu().input(&[D::N(1 << 40)]), Limit, &["relu", "limit"]),
        case(
            "overflowing extents",
            relu().input(&[D::N(i64::MAX), D::N(4)]),
            Limit,
            &["9223372036854775807"],
        ),
        case("no type", none, Corrupt, &["'x'", "type"]),
        case("declared twice", twice, Corrupt, &["'x'", "twice"]),
        case("no name", nameless, Corrupt, &["input", "name"]),
        case("strings", strings, Unsupported, &["'x'", "string"]),
    ]);
}

#[test]
fn names_that_do_not_fit() {
    use ErrorKind::Corrupt;
    let n = |op: &str, name: &str, input: &str, output: &str| named_node(name, op, &[input], &[output], &[]);
    let cycle = parts(vec![n("Relu", "a", "v", "u"), n("Abs", "b", "u", "v"), n("Neg", "c", "x", "y")]);
    let own = parts(vec![n("Relu", "a", "y", "y")]);
    let missing = parts(vec![n("Relu", "a", "nowhere", "y")]);
    let twice = parts(vec![n("Relu", "a", "x", "y"), n("Abs", "b", "x", "y")]);
    let input = parts(vec![n("Relu", "a", "x", "x"), n("Relu", "b", "x", "y")]);
    let weights = relu().with(f32s("w", &[1], &[1.0])).with(f32s("w", &[1], &[1.0]));
    let undefined = Parts { outputs: vec![bytes(1, "z")], ..relu() };
    let no_outputs = Parts { outputs: vec![], ..relu() };
    let outputs_twice = Parts { outputs: vec![bytes(1, "y"); 2], ..relu() };
    let of_weight = with_weight("Add", f32s("w", &[1], &[1.0]), &[]);
    let of_weight = Parts { nodes: vec![n("Relu", "a", "x", "w")], ..of_weight };
    check(vec![
        case("cycle", cycle, Corrupt, &["cycle", "a -> b -> a"]),
        case("own input", own, Corrupt, &["cycle", "a -> a"]),
        case("undefined input", missing, Corrupt, &["'a' (Relu)", "'nowhere'"]),
        case("two nodes define a value", twice, Corrupt, &["'b' (Abs)", "'y'"]),
        case("a node defines an input", input, Corrupt, &["'a' (Relu)", "'x'"]),
        case("a node defines a weight", of_weight, Corrupt, &["'a' (Relu)", "'w'"]),
        case("two weights of one name", weights, Corrupt, &["'w'", "twice"]),
        case("undefined output", undefined, Corrupt, &["'z'"]),
        case("no outputs", no_outputs, Corrupt, &["no outputs"]),
        case("output twice", outputs_twice, Corrupt, &["'y'", "twice"]),
    ]);
}

#[test]
fn what_is_not_there() {
    use ErrorKind::{Corrupt, Unsupported};
    let unknown = parts(vec![
        node("Frobnicate", &["x"], &["u"], &[]),
        named_node("loop it", "Loop", &["u"], &["v"], &[]),
        node("Relu", &["v"], &["y"], &[]),
    ]);
    let foreign = parts(vec![[node("Conv", &["x"], &["y"], &[]), bytes(7, "com.acme")].concat()]);
    let none = Parts { opsets: vec![], ..relu() };
    let young = Parts { opsets: vec![("", 7)], ..parts(vec![node("HardSwish", &["x"], &["y"], &[])]) };
    let training = with_weight("Dropout", f32s("w", &[], &[0.5]), &[]);
    let training = Parts { nodes: vec![node("Dropout", &["x", "w", "t"], &["y"], &[])], ..training };
    let training = training.with(tensor("t", 9, &[], &[1]));
    check(vec![
        case("operators", unknown, Unsupported, &["Frobnicate", "'frobnicate'", "Loop", "'loop it'"]),
        case("domain", foreign, Unsupported, &["Conv", "com.acme", "'conv'"]),
        case("no opset", none, Corrupt, &["'relu' (Relu)", "opset"]),
        case("operator of a later opset", young, Unsupported, &["HardSwish", "14", "7"]),
        case("training", training, Unsupported, &["Dropout", "training", "'dropout'"]),
    ]);
}

#[test]
fn functions_without_end() {
    use ErrorKind::{Corrupt, Limit};
    let itself = function("f", "a", "b", &[call("f", "a", "b")]);
    let recursive = Parts {
        functions: vec![itself],
        opsets: vec![("", 17), ("f", 1)],
        ..parts(vec![call("f", "x", "y")])
    };
    // Every function calls the one before ten times.
    let levels = ["f0", "f1", "f2", "f3", "f4", "f5", "f6", "f7", "f8", "f9"];
    let mut functions = vec![function("f0", "a", "b", &[node("Relu", &["a"], &["b"], &[])])];
    for pair in levels.windows(2) {
        let names: Vec<String> = (0..=10).map(|i| format!("v{i}")).collect();
        let mut nodes: Vec<Vec<u8>> = names.windows(2).map(|w| call(pair[0], &w[0], &w[1])).collect();
        nodes.push(node("Identity", &["a"], &["v0"], &[]));
        nodes.push(node("Identity", &["v10"], &["b"], &[]));
        functions.push(function(pair[1], "a", "b", &nodes));
    }
    let bomb = Parts { functions, ..recursive.clone() };
    let bomb = Parts { nodes: vec![call("f9", "x", "y")], ..bomb };
    check(vec![
        case("recursion", recursive, Corrupt, &["(f)", "deep"]),
        case("ten to the ninth nodes", bomb, Limit, &["functions"]),
    ]);
}

#[test]
fn attributes_out_of_range() {
    use ErrorKind::{Corrupt, Unsupported};
    let pool = |a: &[Vec<u8>]| {
        parts(vec![node("MaxPool", &["x"], &["y"], a)]).input(&[D::N(1), D::N(1), D::N(4), D::N(4)])
    };
    check(vec![
        case(
            "channels",
            conv(&[]).input(&[D::N(1), D::N(5), D::N(5), D::N(5)]),
            Corrupt,
            &["'conv' (Conv)", "4", "5"],
        ),
        case("kernel_shape", conv(&[ints("kernel_shape", &[3, 2])]), Corrupt, &["'conv' (Conv)", "3", "2"]),
        case("three strides", conv(&[ints("strides", &[1, 1, 1])]), Corrupt, &["'conv' (Conv)", "strides"]),
        case("stride 0", conv(&[ints("strides", &[0, 1])]), Corrupt, &["'conv' (Conv)", "stride 0"]),
        case("stride -1", conv(&[ints("strides", &[1, -1])]), Corrupt, &["'conv' (Conv)", "strides", "-1"]),
        case("dilation 0", conv(&[ints("dilations", &[0, 1])]), Corrupt, &["'conv' (Conv)", "dilation 0"]),
        case("three pads", conv(&[ints("pads", &[1, 1, 1])]), Corrupt, &["'conv' (Conv)", "pads"]),
        case("kernel beyond input", conv(&[ints("dilations", &[9, 1])]), Corrupt, &["'conv' (Conv)"]),
        case("group 0", conv(&[int("group", 0)]), Corrupt, &["'conv' (Conv)", "0 groups"]),
        case("group 3", conv(&[int("group", 3)]), Corrupt, &["'conv' (Conv)", "group"]),
        case("strides as float", conv(&[float("strides", 1.0)]), Corrupt, &["'conv' (Conv)", "strides"]),
        case(
            "auto_pad",
            conv(&[[bytes(1, "auto_pad"), bytes(4, "LEFT"), number(20, 3)].concat()]),
            Corrupt,
            &["'conv' (Conv)", "auto_pad", "LEFT"],
        ),
        case("no kernel_shape", pool(&[]), Corrupt, &["'maxpool' (MaxPool)", "kernel_shape"]),
        case("kernel 0", pool(&[ints("kernel_shape", &[0, 2])]), Corrupt, &["'maxpool' (MaxPool)", "kernel"]),
        case(
            "kernel beyond memory",
            pool(&[ints("kernel_shape", &[i64::MAX, 1]), ints("pads", &[i64::MAX, 0, i64::MAX, 0])]),
            Corrupt,
            &["'maxpool' (MaxPool)"],
        ),
        case(
            "perm",
            parts(vec![node("Transpose", &["x"], &["y"], &[ints("perm", &[0, 0])])]),
            Corrupt,
            &["'transpose' (Transpose)", "perm"],
        ),
        case(
            "axis",
            parts(vec![node("Softmax", &["x"], &["y"], &[int("axis", 2)])]),
            Corrupt,
            &["'softmax' (Softmax)", "axis", "2"],
        ),
        case(
            "axis of concat",
            parts(vec![node("Concat", &["x"], &["y"], &[])]),
            Corrupt,
            &["'concat' (Concat)", "axis"],
        ),
        case(
            "cast to 99",
            parts(vec![node("Cast", &["x"], &["y"], &[int("to", 99)])]),
            Unsupported,
            &["Cast", "99"],
        ),
    ]);
}
