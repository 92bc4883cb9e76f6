//! One operator as machine code, for every target that this machine runs, against its reference.

use octrt::{LoadOptions, Model};
use octrt_compiler::{Isa, Target};
use octrt_ops::arg::known_args;
use octrt_ops::compute;
use octrt_ops::expr::Scalar;
use octrt_ops::graph::infer;
use octrt_ops::{Args, DType, Dim, Graph, Op, Tensor, TensorType, ValueId};

use crate::support::{Tolerance, compare, largest, run};

/// An input of the operator.
#[derive(Clone, Debug)]
pub enum Operand {
    /// Known when the model runs.
    Given(Tensor),
    /// A constant.
    Known(Tensor),
    Omitted,
}

impl Operand {
    fn tensor(&self) -> Option<&Tensor> {
        match self {
            Operand::Given(t) | Operand::Known(t) => Some(t),
            Operand::Omitted => None,
        }
    }
}

/// How far the results of compiled code may be from those of the reference.
#[derive(Clone, Copy, Debug)]
pub enum Error {
    /// Equal: elements are moved, chosen, or computed by one operation that is rounded once.
    None,
    /// Sums of products: the reference and the code sum in their own orders, each with a relative error of half an
    /// epsilon per operation, of the sum of magnitudes.
    Sums,
    /// This part of the expected value.
    Relative(f64),
    /// This much, of values of magnitude 1.
    Absolute(f64),
}

/// The targets that this machine runs.
pub fn targets() -> Vec<Target> {
    let host = octrt::detect_isa().unwrap();
    [Isa::V2, Isa::V3, Isa::V4].into_iter().filter(|&isa| isa <= host).map(Target::new).collect()
}

/// A graph of one node.
fn graph(op: &Op, operands: &[Operand]) -> Graph {
    let mut g = Graph::new("one");
    let inputs: Vec<Option<ValueId>> = operands
        .iter()
        .enumerate()
        .map(|(i, o)| match o {
            Operand::Given(t) => {
                let dims = t.shape().iter().map(|&d| Dim::Fixed(d)).collect();
                Some(g.add_input(format!("x{i}"), t.dtype(), dims))
            }
            Operand::Known(t) => Some(g.add_const(format!("c{i}"), t.clone())),
            Operand::Omitted => None,
        })
        .collect();
    let tensors: Vec<Option<&Tensor>> = operands.iter().map(Operand::tensor).collect();
    let n = op.as_operator().infer(Args(&known_args(&tensors))).map_or(0, |t| t.len());
    let names: Vec<String> = (0..n).map(|i| format!("y{i}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for (name, value) in names.iter().zip(g.add_node("node", op.clone(), inputs, &names)) {
        g.add_output(*name, value);
    }
    g
}

/// The same operator on magnitudes: what rounding errors of sums are measured by.
fn magnitudes(op: &Op, tensors: &[Option<&Tensor>]) -> Vec<f64> {
    let mut op = op.clone();
    if let Op::Gemm(g) = &mut op {
        (g.alpha, g.beta) = (g.alpha.abs(), g.beta.abs());
    }
    let absolute = |t: &Tensor| match t.dtype() {
        DType::F32 => {
            let v: Vec<f32> = t.to_vec::<f32>().unwrap().iter().map(|v| v.abs()).collect();
            Tensor::new(t.shape().clone(), &v).unwrap()
        }
        _ => t.clone(),
    };
    let tensors: Vec<Option<Tensor>> = tensors.iter().map(|t| t.map(absolute)).collect();
    let tensors: Vec<Option<&Tensor>> = tensors.iter().map(Option::as_ref).collect();
    op.as_operator().reference(&tensors).unwrap().iter().map(largest).collect()
}

fn tolerances(op: &Op, tensors: &[Option<&Tensor>], error: Error, outputs: usize) -> Vec<Tolerance> {
    match error {
        Error::None => vec![Tolerance::EXACT; outputs],
        Error::Relative(relative) => vec![Tolerance { absolute: 0.0, relative }; outputs],
        Error::Absolute(absolute) => vec![Tolerance { absolute, relative: 0.0 }; outputs],
        Error::Sums => {
            let compute = op.as_operator().compute(Args(&known_args(tensors))).unwrap();
            let reduced = |s: &octrt_ops::compute::Stage| {
                s.reduce.as_ref().map_or(1, |r| r.extents.iter().product::<usize>() + 4)
            };
            let operations: usize = compute.stages.iter().map(reduced).sum();
            let part = f64::from(f32::EPSILON) * operations as f64;
            let absolute = magnitudes(op, tensors).into_iter().map(|m| part * m);
            absolute.map(|absolute| Tolerance { absolute, relative: 0.0 }).collect()
        }
    }
}

/// Compares the operator's code with its reference on every target.
///
/// # Errors
/// Says the target, the problem and the worst element.
pub fn try_check(op: impl Into<Op>, operands: &[Operand], error: Error) -> Result<(), String> {
    let op = op.into();
    let tensors: Vec<Option<&Tensor>> = operands.iter().map(Operand::tensor).collect();
    let types: Vec<String> = tensors.iter().map(|t| t.map_or("_".into(), |t| t.ty().to_string())).collect();
    let at = |what: &str, e: String| format!("{op:?} on {}: {what}: {e}", types.join(", "));
    let expected = op.as_operator().reference(&tensors).map_err(|e| at("reference", e.to_string()))?;
    let tolerances = tolerances(&op, &tensors, error, expected.len());
    let given =
        operands.iter().filter_map(|o| if let Operand::Given(t) = o { Some(t.clone()) } else { None });
    let given: Vec<Tensor> = given.collect();
    for target in targets() {
        let options = LoadOptions::default().with_target(target);
        let model =
            Model::from_graph(graph(&op, operands), &options).map_err(|e| at("load", e.to_string()))?;
        let found = model.session().and_then(|mut s| run(&mut s, &given));
        let found = found.map_err(|e| at(&target.to_string(), e.to_string()))?;
        assert_eq!(found.len(), expected.len());
        for ((found, expected), &tolerance) in found.iter().zip(&expected).zip(&tolerances) {
            compare(found, expected, tolerance).map_err(|e| at(&target.to_string(), e))?;
        }
    }
    Ok(())
}

/// Collects failures, to be shown together.
#[derive(Default)]
pub struct Checks {
    done: usize,
    failures: Vec<String>,
}

impl Checks {
    pub fn add(&mut self, op: impl Into<Op>, operands: &[Operand], error: Error) {
        self.done += 1;
        self.failures.extend(try_check(op, operands, error).err());
    }

    /// # Panics
    /// When a check has failed.
    pub fn finish(self, what: &str) {
        println!("{what}: {} problems on {} targets", self.done, targets().len());
        assert!(self.failures.is_empty(), "{} failures:\n{}", self.failures.len(), self.failures.join("\n"));
        assert!(self.done > 0);
    }
}

/// Reproducible data: SplitMix64.
pub struct Random(pub u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        (self.next() >> 11) as usize % n
    }

    /// One of these.
    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// In [-1, 1).
    pub fn float(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u32 << 23) as f32 - 1.0
    }

    /// Numbers in [-1, 1), small integers of both signs, unsigned ones below 256, bools.
    pub fn tensor(&mut self, dtype: DType, shape: &[usize]) -> Tensor {
        let n: usize = shape.iter().product();
        let element = |r: &mut Self| match dtype {
            DType::F32 | DType::F64 => Scalar::F32(r.float()),
            DType::Bool => Scalar::Bool(r.below(2) == 1),
            d if d.is_unsigned() => Scalar::I64(r.below(256) as i64),
            _ => Scalar::I64(r.below(41) as i64 - 20),
        };
        let elements: Vec<Scalar> = (0..n).map(|_| element(self).cast(dtype)).collect();
        compute::tensor(&TensorType::new(dtype, shape.to_vec()), &elements).unwrap()
    }

    /// An input of numbers in [-1, 1).
    pub fn given(&mut self, shape: &[usize]) -> Operand {
        Operand::Given(self.tensor(DType::F32, shape))
    }

    /// A constant of numbers in [-1, 1).
    pub fn known(&mut self, shape: &[usize]) -> Operand {
        Operand::Known(self.tensor(DType::F32, shape))
    }
}

/// A list of integers as a constant.
pub fn ints(v: &[i64]) -> Operand {
    Operand::Known(Tensor::new([v.len()], v).unwrap())
}

/// A list of numbers as a constant.
pub fn floats(v: &[f32]) -> Operand {
    Operand::Known(Tensor::new([v.len()], v).unwrap())
}

/// Multiply-accumulates of one evaluation.
pub fn macs(op: &Op, operands: &[Operand]) -> u64 {
    let tensors: Vec<Option<&Tensor>> = operands.iter().map(Operand::tensor).collect();
    op.as_operator().macs(Args(&known_args(&tensors)))
}

/// Whether the operator accepts these arguments.
pub fn fits(op: &Op, operands: &[Operand]) -> bool {
    let types: Vec<TensorType> = operands
        .iter()
        .filter_map(|o| o.tensor().map(|t| t.ty().clone()))
        .filter(|t| t.bytes() > 0)
        .collect();
    let tensors: Vec<Option<&Tensor>> = operands.iter().map(Operand::tensor).collect();
    let limits = infer::Limits::default();
    types.iter().all(|t| t.bytes() < limits.max_bytes)
        && op.as_operator().infer(Args(&known_args(&tensors))).is_ok_and(|t| t.iter().all(|t| t.bytes() > 0))
}
