//! What a lying or broken model can say: no attributes, types or values make an operator panic, and where inference
//! accepts, the definition is well formed and agrees with the reference.

mod support;

use octrt_ops::arg::{Arg, Args};
use octrt_ops::attr::{Attr, AttrMap};
use octrt_ops::{DType, Op, OpError, Shape, Tensor};
use support::{Numbers, check, filled};

const AXES: &[i64] = &[0, 1, 2, -1, -2, -3, 5, i64::MIN, i64::MAX];
const VALUES: &[i64] = &[0, 1, 2, 3, 4, 6, -1, -2, -3, 1 << 31, -(1 << 31), 1 << 62, i64::MIN, i64::MAX];
const EXTENTS: &[usize] = &[0, 1, 1, 2, 2, 3, 4, 1 << 31, 1 << 62, usize::MAX];

/// Operators with attributes that may make no sense.
fn operator(n: &mut Numbers) -> Op {
    let name = |n: &mut Numbers, names: &[&str]| Attr::Name((*n.pick(names)).to_string());
    let axis = |n: &mut Numbers| Attr::Int(*n.pick(AXES));
    let block = |n: &mut Numbers| Attr::Int(*n.pick(&[1, 1, 2, 2, 3, 0, i64::MAX]));
    let float = |n: &mut Numbers| Attr::Float(*n.pick(&[0.0, 0.5, -1.0, f32::INFINITY, f32::NAN]));
    type Make = fn(&mut Numbers) -> Attr;
    let dtype: Make = |n| Attr::Name(n.pick(&DType::ALL).name().into());
    let perm: Make = |n| Attr::Ints((0..n.below(4)).map(|_| n.below(4) as i64).collect());
    let end: Make = |n| if n.below(2) == 0 { Attr::None } else { Attr::Int(*n.pick(AXES)) };
    let unary = ["abs", "neg", "relu", "exp", "hard_swish", "round", "not"];
    let binary = ["add", "sub", "mul", "div", "pow", "max", "min", "and", "xor"];
    let compare = ["equal", "less", "greater_or_equal"];
    let modes = ["constant", "reflect", "edge", "wrap"];
    let (tag, attrs): (&str, Vec<(&str, Attr)>) = match n.below(29) {
        0 => ("Unary", vec![("kind", name(n, &unary))]),
        1 => ("Binary", vec![("kind", name(n, &binary))]),
        2 => ("Compare", vec![("kind", name(n, &compare))]),
        3 => ("Clip", vec![]),
        4 => ("Identity", vec![]),
        5 => ("Reshape", vec![("allow_zero", Attr::Int(n.below(2) as i64))]),
        6 => ("Flatten", vec![("axis", axis(n))]),
        7 => ("Concat", vec![("axis", axis(n))]),
        8 => ("Shape", vec![("start", axis(n)), ("end", end(n))]),
        9 => ("Gather", vec![("axis", axis(n))]),
        10 => ("Unsqueeze", vec![]),
        11 => ("Squeeze", vec![]),
        12 | 13 => ("Slice", vec![]),
        14 => ("Transpose", vec![("perm", perm(n))]),
        15 => ("Cast", vec![("to", dtype(n))]),
        16 => ("CastLike", vec![]),
        17 => ("ConstantOfShape", vec![]),
        18 => ("LeakyRelu", vec![("alpha", float(n))]),
        19 => ("Elu", vec![("alpha", float(n))]),
        20 => ("HardSigmoid", vec![("alpha", float(n)), ("beta", float(n))]),
        21 => ("PRelu", vec![]),
        22 => ("Where", vec![]),
        23 => ("Pad", vec![("mode", name(n, &modes))]),
        24 => ("Split", vec![("axis", axis(n)), ("num_outputs", block(n))]),
        25 => ("Expand", vec![]),
        26 => ("Tile", vec![]),
        27 => ("Range", vec![]),
        _ if n.below(2) == 0 => ("SpaceToDepth", vec![("blocksize", block(n))]),
        _ => ("DepthToSpace", vec![("blocksize", block(n)), ("mode", name(n, &["dcr", "crd"]))]),
    };
    let attrs: AttrMap = attrs.into_iter().map(|(k, v)| (k.to_string(), v)).collect();
    Op::from_parts(tag, attrs).unwrap()
}

/// An argument: its type, and its elements unless it is too large.
fn argument(n: &mut Numbers) -> (DType, Shape, Option<Tensor>) {
    let list = n.below(2) == 0;
    let rank = if list { n.below(2) } else { *n.pick(&[0, 1, 2, 3, 4, 4]) };
    let extents = if n.below(8) == 0 { EXTENTS } else { &EXTENTS[..7] };
    let shape: Vec<usize> = (0..rank).map(|_| *n.pick(extents)).collect();
    let shape = Shape::new(shape);
    let dtype = if list { *n.pick(&[DType::I64, DType::I64, DType::I32]) } else { *n.pick(&DType::ALL) };
    if shape.numel() > 256 {
        return (dtype, shape, None);
    }
    let values = if n.below(4) == 0 { VALUES } else { &VALUES[..9] };
    let t = if list && dtype == DType::I64 {
        Tensor::new(shape.clone(), &(0..shape.numel()).map(|_| *n.pick(values)).collect::<Vec<_>>()).unwrap()
    } else if list {
        Tensor::new(shape.clone(), &(0..shape.numel()).map(|_| *n.pick(values) as i32).collect::<Vec<_>>())
            .unwrap()
    } else {
        filled_shape(dtype, &shape, n.0)
    };
    (dtype, shape, Some(t))
}

fn filled_shape(dtype: DType, shape: &Shape, seed: u64) -> Tensor {
    // A shape without elements may still have extents whose product overflows.
    filled(dtype, &[shape.numel()], seed).reshaped(shape.clone()).unwrap()
}

#[test]
fn nothing_panics() {
    let mut n = Numbers(4);
    let (mut accepted, mut evaluated) = (0, 0);
    for _ in 0..60_000 {
        let op = operator(&mut n);
        let op = op.as_operator();
        let same = n.below(3) == 0;
        let mut values: Vec<_> =
            (0..n.below(6)).map(|_| (n.below(8) > 0).then(|| argument(&mut n))).collect();
        if same && values.len() > 1 {
            // Equal element types and shapes are rare by chance.
            values[1] = values[0].clone();
        }
        let hide = n.below(4) == 0;
        let args: Vec<Option<Arg<'_>>> = values
            .iter()
            .map(|v| {
                let (dtype, shape, value) = v.as_ref()?;
                let value = value.as_ref().filter(|_| !hide || n.below(2) == 0);
                Some(Arg { dtype: *dtype, shape, value })
            })
            .collect();
        let types = op.infer(Args(&args));
        let definition = op.compute(Args(&args));
        let Ok(types) = types else {
            assert!(definition.is_err(), "{} refuses in infer only: {args:?}", op.name());
            continue;
        };
        accepted += 1;
        let definition = definition.unwrap_or_else(|e| panic!("{} on {args:?}: {e}", op.name()));
        let bytes: usize =
            types.iter().map(|t| t.shape.checked_bytes(t.dtype).unwrap_or(usize::MAX) / types.len()).sum();
        let complete = values.iter().flatten().all(|v| v.2.is_some());
        if bytes > 4096 || !complete {
            continue;
        }
        support::well_formed(&definition).unwrap_or_else(|e| panic!("{} on {args:?}: {e}", op.name()));
        let inputs: Vec<Option<&Tensor>> = values.iter().map(|v| v.as_ref()?.2.as_ref()).collect();
        match op.reference(&inputs) {
            Ok(_) => drop(check(op, &inputs, 1e-6)),
            // Indices of the run that are out of range.
            Err(OpError::Invalid(_)) if hide => assert!(definition.evaluate(&inputs).is_err()),
            Err(e) => panic!("{} on {inputs:?}: {e}", op.name()),
        }
        evaluated += 1;
    }
    assert!(accepted > 5_000 && evaluated > 3_000, "{accepted} accepted, {evaluated} evaluated");
}
