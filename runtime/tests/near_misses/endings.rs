//! What comes close to a function of the result of a node, in as many nodes as it may be spelled in: of the result again and
//! again, and of tensors with an element for each, for each channel, for each pixel, or one.

use octrt::{LoadOptions, Model};
use octrt_compiler::{Isa, Target};
use octrt_ops::def::binary::{Binary, BinaryKind};
use octrt_ops::def::clip::Clip;
use octrt_ops::def::elu::Elu;
use octrt_ops::def::hard_sigmoid::HardSigmoid;
use octrt_ops::def::leaky_relu::LeakyRelu;
use octrt_ops::def::prelu::PRelu;
use octrt_ops::def::unary::{Unary, UnaryKind};
use octrt_ops::graph::{interp, text};
use octrt_ops::{Graph, Tensor, ValueId};

use crate::near::Near;
use crate::support::{Tolerance, compare_all, run};
use crate::tails::root;
use crate::{ROUNDING, agrees};

/// Functions that neither jump nor grow beyond their argument, so that what sums have lost stays as small.
const SMOOTH: [UnaryKind; 11] = [
    UnaryKind::Sigmoid,
    UnaryKind::Tanh,
    UnaryKind::Erf,
    UnaryKind::HardSwish,
    UnaryKind::Relu,
    UnaryKind::Neg,
    UnaryKind::Abs,
    UnaryKind::Softplus,
    UnaryKind::Mish,
    UnaryKind::Softsign,
    UnaryKind::Atan,
];

/// A tensor that may stand beside one of this shape.
fn operand(n: &mut Near, shape: &[usize]) -> Option<ValueId> {
    let ones = vec![1; shape.len()];
    let along = |axes: &[usize]| -> Vec<usize> {
        let has = |i: usize| axes.contains(&i) || axes.is_empty();
        (0..shape.len()).map(|i| if has(i) { shape[i] } else { 1 }).collect()
    };
    match n.g.numbers.below(7) {
        0 | 1 => n.made(shape),
        2 => Some(n.weight(&along(&[1])[1..])),
        3 => n.made(&along(&[0, 1])),
        4 => {
            let last = shape.len() - 1;
            let skipped = n.g.numbers.below(last);
            Some(n.weight(&along(&[last])[skipped..]))
        }
        5 => n.made(&along(&[last_of(shape)])),
        _ => {
            let rank = n.g.numbers.below(shape.len() + 1);
            Some(n.weight(&ones[..rank]))
        }
    }
}

fn last_of(shape: &[usize]) -> usize {
    shape.len() - 1
}

/// One more node, of values that there are already.
fn step(n: &mut Near, all: &[ValueId]) -> Option<ValueId> {
    let x = if n.g.numbers.one_in(3) { n.pick(all) } else { all[all.len() - 1] };
    let shape = n.shape(x);
    match n.g.numbers.below(8) {
        0 | 1 => {
            let kind = n.pick(&SMOOTH);
            n.add(Unary { kind }, &[x])
        }
        2 => match n.g.numbers.below(5) {
            0 => n.add(LeakyRelu { alpha: 0.25 }, &[x]),
            1 => n.add(Elu { alpha: 0.5 }, &[x]),
            2 => n.add(HardSigmoid { alpha: 0.25, beta: 0.5 }, &[x]),
            3 => {
                let (low, high) = (n.weight(&[]), n.weight(&[]));
                n.add(Clip {}, &[x, low, high])
            }
            _ => {
                let slope = n.weight(&[&[shape[1]], &vec![1; shape.len() - 2][..]].concat());
                n.add(PRelu {}, &[x, slope])
            }
        },
        // A gate: the value times a function of it.
        3 => {
            let kind = n.pick(&[UnaryKind::Sigmoid, UnaryKind::Tanh, UnaryKind::Erf]);
            let gate = n.add(Unary { kind }, &[x])?;
            n.add(Binary { kind: BinaryKind::Mul }, &[x, gate])
        }
        4 => {
            let other = n.pick(all);
            let kind = n.pick(&[BinaryKind::Add, BinaryKind::Sub, BinaryKind::Max]);
            n.add(Binary { kind }, &[x, other])
        }
        _ => {
            let other = operand(n, &shape)?;
            let kinds = [BinaryKind::Add, BinaryKind::Sub, BinaryKind::Mul, BinaryKind::Min, BinaryKind::Max];
            let kind = n.pick(&kinds);
            let inputs = if n.half() { [x, other] } else { [other, x] };
            n.add(Binary { kind }, &inputs)
        }
    }
}

/// Something that computes, or elements of a tensor, with up to seven nodes behind it; and what reads the last in blocks.
pub fn ending(n: &mut Near) -> Option<()> {
    let first = match n.g.numbers.below(4) {
        0 => {
            let lead = [n.or(1, &[2]), n.pick(&[3, 8]), n.pick(&[5, 9])];
            let last = n.pick(&[7, 16, 33]);
            let axes = n.pick(&[1, 2, 3]);
            n.made(&[&lead[..axes], &[last]].concat())?
        }
        _ => root(n)?,
    };
    let mut all = vec![first];
    for _ in 0..2 + n.g.numbers.below(6) {
        let next = step(n, &all)?;
        all.push(next);
    }
    if n.half() && n.shape(all[all.len() - 1]).len() == 4 {
        n.conv(all[all.len() - 1], 8, 1)?;
    }
    Some(())
}

const CONV: &str =
    "Conv { kernel = [], strides = [], dilations = [], pads = PADS, auto_pad = notset, group = 1 }";

/// A graph of this text, with random inputs.
fn drawn(text: &str) -> (Graph, Vec<Tensor>) {
    let graph = text::parse(text, &[]).unwrap();
    let draw = |(i, input): (usize, &octrt_ops::graph::Input)| {
        text::random(&input.declared_type().unwrap().shape, 100 + i as u64).unwrap()
    };
    let inputs = graph.inputs.iter().enumerate().map(draw).collect();
    (graph, inputs)
}

/// Whether machine code of either width gives what the interpreter does.
fn agree(graph: &Graph, inputs: &[Tensor]) -> Result<(), String> {
    agrees(graph, inputs, true)?;
    let options = LoadOptions::default().with_target(Target::new(Isa::V3));
    let model = Model::from_graph(graph.clone(), &options).map_err(|e| e.to_string())?;
    let mut session = model.session().map_err(|e| e.to_string())?;
    let found = run(&mut session, inputs).map_err(|e| e.to_string())?;
    let expected = interp::run(graph, inputs).map_err(|e| e.to_string())?;
    let compared = compare_all(&found, &expected, &|t| Tolerance::of_largest(ROUNDING, t));
    compared.map(drop).map_err(|e| format!("AVX2: {e}"))
}

/// Sums in several parts, behind which a function stands that leaves no registers to accumulators: what the parts before
/// have stored is there until it is added.
#[test]
fn long_sums_end_with_long_functions() {
    let gelu = r#"
      const %3: f32[] = [0.70710677]
      const %4: f32[] = [1]
      const %5: f32[] = [0.5]
      %6 = "product" ROOT
      %7 = "scaled" Binary { kind = mul } (%6, %3)
      %8 = "curve" Unary { kind = erf } (%7)
      %9 = "above" Binary { kind = add } (%8, %4)
      %10 = "gated" Binary { kind = mul } (%6, %9)
      %11 = "halved" Binary { kind = mul } (%10, %5)
      %12 = "tanh" Unary { kind = tanh } (%11)
      %13 = "sum" Binary { kind = add } (%12, %2)
      %14 = "again" Binary { kind = mul } (%13, %9)
      output "y" = %14
    }"#;
    let product = r#"graph "g" {
      input %0 "x": f32[13,768]
      const %1: f32[768,48] = random(1)
      input %2 "r": f32[13,48]"#;
    let pointwise = r#"graph "g" {
      input %0 "x": f32[1,640,5,7]
      const %1: f32[48,640,1,1] = random(1)
      input %2 "r": f32[1,48,5,7]"#;
    let conv = CONV.replace("PADS", "[]") + " (%0, %1)";
    for (head, root) in [(product, "MatMul {} (%0, %1)"), (pointwise, conv.as_str())] {
        let (graph, inputs) = drawn(&(head.to_string() + &gelu.replace("ROOT", root)));
        agree(&graph, &inputs).unwrap_or_else(|e| panic!("{root}: {e}"));
    }
}

/// 60 channels leave lanes that are none: 0 / 0 there must reach no channel of the next convolution.
#[test]
fn lanes_that_are_no_channels_stay_numbers() {
    let text = r#"graph "g" {
      input %0 "x": f32[1,32,28,28]
      const %1: f32[60,32,3,3] = random(1)
      const %2: f32[60,1,1] = random(2)
      const %3: f32[8,60,1,1] = random(3)
      %4 = "fast" FIRST (%0, %1)
      %5 = "quotient" Binary { kind = div } (%4, %2)
      %6 = "exp" Unary { kind = tanh } (%5)
      %7 = "next" SECOND (%6, %3)
      output "y" = %7
    }"#;
    let text = text.replace("FIRST", &CONV.replace("PADS", "[1, 1, 1, 1]"));
    let (graph, inputs) = drawn(&text.replace("SECOND", &CONV.replace("PADS", "[]")));
    agree(&graph, &inputs).unwrap();
}

/// More values at once than there are registers: groups end before that.
#[test]
fn many_values_at_once_are_several_groups() {
    let mut text = String::from("graph \"g\" {\n input %0 \"x\": f32[3,50]\n");
    for i in 0..16 {
        text += &format!(" const %{}: f32[] = [{}]\n", 1 + i, 0.01 * f64::from(i));
    }
    text += " %17 = \"root\" Unary { kind = relu } (%0)\n";
    for i in 0..16 {
        text += &format!(" %{} = \"p{i}\" Binary {{ kind = mul }} (%17, %{})\n", 18 + 2 * i, 1 + i);
        text += &format!(" %{} = \"e{i}\" Unary {{ kind = exp }} (%{})\n", 19 + 2 * i, 18 + 2 * i);
    }
    let mut last = 49;
    for (i, id) in (0..15).rev().zip(50..) {
        text += &format!(" %{} = \"s{i}\" Binary {{ kind = add }} (%{}, %{last})\n", id, 19 + 2 * i);
        last = id;
    }
    text += &format!(" output \"y\" = %{last}\n}}");
    let (graph, inputs) = drawn(&text);
    agree(&graph, &inputs).unwrap();
}

/// Pictures of another rank, whose axes are others: what is upsampled is no map of the result.
#[test]
fn upsampled_tensors_of_another_rank() {
    let text = r#"graph "g" {
      input %0 "x": f32[1,8,8,6,6]
      input %1 "low": f32[8,8,3,3]
      const %2: f32[8,8,1,1,1] = random(1)
      const %3: f32[4] = [1, 1, 2, 2]
      %4 = "volume" CONV (%0, %2)
      %5 = "relu" Unary { kind = relu } (%1)
      %6 = "up" Resize { mode = nearest, coordinates = asymmetric, nearest_mode = floor, cubic_coeff_a = -0.75f, exclude_outside = 0, extrapolation_value = 0.0f, antialias = 0, aspect = stretch, axes = [] } (%5, _, %3)
      %7 = "sum" Binary { kind = add } (%4, %6)
      output "y" = %7
    }"#;
    let (graph, inputs) = drawn(&text.replace("CONV", &CONV.replace("PADS", "[]")));
    agree(&graph, &inputs).unwrap();
}
