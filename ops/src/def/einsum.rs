//! Sums of products over named axes: ONNX `Einsum`, opset 12 and later, which is `numpy.einsum`.
//!
//! ```text
//! "ij,jk->ik"         dst[i, k] = sum over j of A[i, j] * B[j, k]
//! ```
//!
//! The equation names the axes of every operand, one letter each, and after `->` those of the result; what the result
//! does not name is summed. A letter that an operand has twice takes its diagonal. `...` stands for any number of axes,
//! which broadcast between operands as numpy's do, and which the result has too. Without `->` the result has the axes of
//! `...`, then the letters that appear once, by their codes. Spaces do not count.
//!
//! Inputs: one or more, of one type, any numbers (integers wrap). Extents of equal letters are equal, or 1. Errors: an
//! equation that is malformed or does not fit the inputs, a letter of the result that no operand has.
//!
//! More than two operands are multiplied from left to right, each product summed over what nothing after it needs.

pub mod equation;

use crate::arg::known_args;
use crate::compute::{self, Compute, Reduce, ReduceFn};
use crate::expr::{BufId, Expr, Scalar};
use crate::invalid;
use crate::{Args, DType, OpError, Operator, Shape, Tensor, TensorType};

use equation::{Label, Problem};

/// ONNX operator Einsum.
#[derive(Clone, Debug, PartialEq)]
pub struct Einsum {
    /// The equation.
    pub equation: String,
}

crate::attributes!(Einsum { equation });

/// A tensor in a computation with a label for each of its axes, one for several axes where they are a diagonal.
struct Operand {
    buf: BufId,
    labels: Vec<Label>,
}

impl Einsum {
    /// The labels of all axes.
    ///
    /// # Errors
    /// [`OpError::Invalid`] when the equation is malformed or does not fit the arguments.
    pub fn labels(&self, args: Args<'_>) -> Result<Problem, OpError> {
        Ok(self.problem(args)?.0)
    }

    fn problem(&self, args: Args<'_>) -> Result<(Problem, TensorType), OpError> {
        let dtype = args.typed(0, "Inputs", DType::NUMBERS)?.dtype;
        let mut shapes = Vec::new();
        for i in 0..args.len() {
            shapes.push(args.typed(i, "Inputs", &[dtype])?.shape);
        }
        let problem = Problem::new(&self.equation, &shapes)?;
        let shape = problem.shape(&problem.result);
        shape.checked_bytes(dtype)?;
        Ok((problem, TensorType { dtype, shape }))
    }
}

/// The stage that multiplies `operands` and sums over labels that are not in `kept`.
fn product(c: &mut Compute, p: &Problem, operands: &[&Operand], kept: &[Label]) -> Result<Operand, OpError> {
    let dtype = operands.first().map_or(DType::F32, |o| c.ty(o.buf).dtype);
    let mut summed: Vec<Label> = Vec::new();
    for label in operands.iter().flat_map(|o| &o.labels) {
        if !kept.contains(label) && !summed.contains(label) {
            summed.push(*label);
        }
    }
    let variables: Vec<Label> = [kept, &summed].concat();
    let load = |o: &Operand, c: &Compute| {
        let index = o.labels.iter().zip(c.ty(o.buf).shape.iter()).map(|(label, &n)| {
            let at = variables.iter().position(|v| v == label);
            if n == 1 { Expr::int(0) } else { Expr::var(at.unwrap_or(0)) }
        });
        Expr::load(o.buf, index.collect::<Vec<_>>())
    };
    // A label whose extent is 1 so far grows where a later operand has it.
    let extent = |label: &Label| {
        let axes = operands.iter().flat_map(|o| o.labels.iter().zip(c.ty(o.buf).shape.iter()));
        axes.filter(|(l, _)| *l == label).map(|(_, &n)| n).find(|&n| n != 1).unwrap_or(1)
    };
    let shape = Shape::new(kept.iter().map(extent).collect::<Vec<_>>());
    let extents: Vec<usize> =
        summed.iter().map(|l| if operands.len() == 1 { p.extent(*l) } else { extent(l) }).collect();
    shape.checked_bytes(dtype)?;
    let ty = TensorType { dtype, shape };
    let body = operands.iter().map(|o| load(o, c)).reduce(|a, b| a * b).unwrap_or(Expr::Acc);
    let buf = if summed.is_empty() {
        c.map("product", ty, body)
    } else {
        let zero = Expr::Const(Scalar::zero(dtype));
        let reduce = Reduce { extents, combine: ReduceFn::Sum, init: zero, finish: Expr::Acc };
        c.reduce_blocked("einsum", ty, reduce, body)
    };
    Ok(Operand { buf, labels: kept.to_vec() })
}

/// Labels of `of` that are among `needed`, each once.
fn kept(of: &[&Operand], needed: &[Label]) -> Vec<Label> {
    let mut all = Vec::new();
    for label in of.iter().flat_map(|o| &o.labels) {
        if needed.contains(label) && !all.contains(label) {
            all.push(*label);
        }
    }
    all
}

impl Operator for Einsum {
    fn name(&self) -> &'static str {
        "Einsum"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        Ok(vec![self.problem(args)?.1])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let (p, dst) = self.problem(args)?;
        let zero = Scalar::zero(dst.dtype);
        if dst.shape.numel() == 0 || p.extents.iter().any(|(_, n)| *n == 0) {
            return Ok(Compute::filled(dst, zero));
        }
        let mut c = Compute::new();
        let mut operands = Vec::new();
        for (i, labels) in p.operands.iter().enumerate() {
            operands.push(Operand { buf: c.input(i, &args.required(i, "Inputs")?), labels: labels.clone() });
        }
        let count = operands.len();
        // What only one of several operands has and the result does not need is summed before it is multiplied.
        for i in 0..count {
            let elsewhere = operands.iter().enumerate().filter(|(j, _)| *j != i).flat_map(|(_, o)| &o.labels);
            let needed: Vec<Label> = elsewhere.chain(&p.result).copied().collect();
            let alone = operands[i].labels.iter().any(|l| !needed.contains(l));
            if count > 1 && alone {
                let labels = kept(&[&operands[i]], &needed);
                operands[i] = product(&mut c, &p, &[&operands[i]], &labels)?;
            }
        }
        let mut rest = operands.into_iter();
        let Some(mut acc) = rest.next() else { return invalid!("expected at least one input") };
        if count == 1 {
            acc = product(&mut c, &p, &[&acc], &p.result)?;
        }
        for i in 1..count {
            let Some(next) = rest.next() else { break };
            let later: Vec<Label> =
                rest.as_slice().iter().flat_map(|o| &o.labels).chain(&p.result).copied().collect();
            let labels = if i + 1 == count { p.result.clone() } else { kept(&[&acc, &next], &later) };
            acc = product(&mut c, &p, &[&acc, &next], &labels)?;
        }
        c.output(acc.buf);
        Ok(c)
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        let args = known_args(inputs);
        let (p, dst) = self.problem(Args(&args))?;
        let mut elements: Vec<Vec<Scalar>> = Vec::new();
        let mut steps: Vec<Vec<(usize, usize)>> = Vec::new();
        let labels: Vec<Label> = p.extents.iter().map(|(l, _)| *l).collect();
        for (operand, input) in p.operands.iter().zip(inputs.iter().flatten()) {
            elements.push(compute::scalars(input)?);
            let strides = input.shape().strides();
            let axes = operand.iter().zip(input.shape().iter()).zip(strides);
            let moves = axes.filter(|((_, n), _)| **n != 1);
            let place = |l: &Label| labels.iter().position(|other| other == l).unwrap_or(0);
            steps.push(moves.map(|((l, _), stride)| (place(l), stride)).collect());
        }
        let to: Vec<(usize, usize)> = p
            .result
            .iter()
            .zip(dst.shape.strides())
            .map(|(l, stride)| (labels.iter().position(|other| other == l).unwrap_or(0), stride))
            .collect();
        let at = |steps: &[(usize, usize)], index: &[usize]| -> usize {
            steps.iter().map(|(axis, stride)| index[*axis] * stride).sum()
        };
        let n = dst.shape.numel();
        let (mut floats, mut integers) = (crate::tensor::filled(&dst.shape, 0.0f64)?, vec![0i64; n]);
        for index in p.shape(&labels).indices() {
            let factors = elements.iter().zip(&steps).map(|(e, s)| e[at(s, &index)]);
            if dst.dtype.is_float() {
                floats[at(&to, &index)] += factors.map(Scalar::to_f64).product::<f64>();
            } else {
                let bits = |s: Scalar| s.int().unwrap_or(0) as i64;
                let sum = &mut integers[at(&to, &index)];
                *sum = sum.wrapping_add(factors.map(bits).fold(1, i64::wrapping_mul));
            }
        }
        let value =
            |(f, i): (&f64, &i64)| if dst.dtype.is_float() { Scalar::F64(*f) } else { Scalar::I64(*i) };
        let all: Vec<Scalar> = floats.iter().zip(&integers).map(value).map(|s| s.cast(dst.dtype)).collect();
        Ok(vec![compute::tensor(&dst, &all)?])
    }

    fn macs(&self, args: Args<'_>) -> u64 {
        let Ok((p, _)) = self.problem(args) else { return 0 };
        let Ok(c) = self.compute(args) else { return 0 };
        let products = c.stages.iter().filter(|s| s.reduce.is_some() && p.operands.len() > 1);
        let of = |s: &compute::Stage| {
            let terms = s.reduce.as_ref().map_or(1, |r| Shape::new(r.extents.clone()).numel());
            c.ty(s.dst).shape.numel().saturating_mul(terms) as u64
        };
        products.map(of).fold(0, u64::saturating_add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{error, run, t};

    fn einsum(equation: &str) -> Einsum {
        Einsum { equation: equation.into() }
    }

    #[test]
    fn hand_computed() {
        let m = t([2, 2], &[1.0f32, 2.0, 3.0, 4.0]);
        let v = t([2], &[10.0f32, 1.0]);
        let of = |equation: &str, inputs: &[&Tensor]| run(&einsum(equation), inputs).unwrap();
        assert_eq!(of("ij,jk->ik", &[&m, &m]), t([2, 2], &[7.0f32, 10.0, 15.0, 22.0]));
        assert_eq!(of("ij,jk", &[&m, &m]), t([2, 2], &[7.0f32, 10.0, 15.0, 22.0]));
        assert_eq!(of("ba", &[&m]), t([2, 2], &[1.0f32, 3.0, 2.0, 4.0]));
        assert_eq!(of(" i i ", &[&m]), t([], &[5.0f32]));
        assert_eq!(of("ii->i", &[&m]), t([2], &[1.0f32, 4.0]));
        assert_eq!(of("ij->", &[&m]), t([], &[10.0f32]));
        assert_eq!(of("i,j,ij->", &[&v, &v, &m]), t([], &[100.0f32 + 20.0 + 30.0 + 4.0]));
        assert_eq!(of("i,j->j", &[&v, &v]), t([2], &[110.0f32, 11.0]));
        assert_eq!(of(",i", &[&t([], &[2.0f32]), &v]), t([2], &[20.0f32, 2.0]));
        assert_eq!(of("...j,j->...", &[&m, &v]), t([2], &[12.0f32, 34.0]));
        assert_eq!(of("i...,...", &[&m, &v]), t([2, 2], &[10.0f32, 30.0, 2.0, 4.0]));
    }

    #[test]
    fn axes_of_extent_one_broadcast() {
        let one = t([1, 2], &[1.0f32, 2.0]);
        let three = t([3, 2], &[1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert_eq!(run(&einsum("ij,ij->i"), &[&one, &three]).unwrap(), t([3], &[5.0f32, 11.0, 17.0]));
        assert_eq!(run(&einsum("ij,ij->"), &[&one, &three]).unwrap(), t([], &[33.0f32]));
        let both = run(&einsum("...j,...j,...j->..."), &[&one, &one, &three]).unwrap();
        assert_eq!(both, t([3], &[9.0f32, 19.0, 29.0]));
    }

    #[test]
    fn integers_wrap_and_nothing_sums_to_zero() {
        let x = t([2], &[200u8, 100]);
        assert_eq!(run(&einsum("i,i->i"), &[&x, &x]).unwrap(), t([2], &[64u8, 16]));
        let none = t::<f64>([0, 2], &[]);
        assert_eq!(run(&einsum("ij->j"), &[&none]).unwrap(), t([2], &[0.0f64, 0.0]));
    }

    #[test]
    fn long_sums_of_several_operands() {
        let ramp = |shape: &[usize]| {
            let n = shape.iter().product::<usize>();
            t(shape.to_vec(), &(0..n).map(|i| (i * 7 % 11) as f32 / 8.0 - 0.5).collect::<Vec<_>>())
        };
        for (equation, shapes) in [
            ("bhqd,bhkd->bhqk", vec![vec![1, 2, 3, 140], vec![1, 2, 4, 140]]),
            ("aij,jk,kla->il", vec![vec![2, 3, 4], vec![4, 5], vec![5, 2, 2]]),
            ("a...b,bc,...c->a...", vec![vec![2, 1, 3, 4], vec![4, 2], vec![5, 1, 2]]),
            ("iij,jjk->ik", vec![vec![2, 2, 3], vec![3, 3, 2]]),
        ] {
            let tensors: Vec<Tensor> = shapes.iter().map(|s| ramp(s)).collect();
            run(&einsum(equation), &tensors.iter().collect::<Vec<_>>()).unwrap();
        }
    }

    #[test]
    fn errors_say_expected_and_found() {
        let m = t([2, 3], &[0.0f32; 6]);
        let fail = |equation: &str, inputs: &[&Tensor]| error(&einsum(equation), inputs);
        assert!(fail("ij,jk", &[&m]).contains("has 2 operands, found 1 inputs"));
        assert!(fail("ijk", &[&m]).contains("expected the axes 'ijk', found [2,3]"));
        assert!(fail("i", &[&m]).contains("expected the axes 'i'"));
        assert!(fail("ii", &[&m]).contains("have one name, but differ"));
        assert!(fail("ij,ij", &[&m, &t([2, 2], &[0.0f32; 4])]).contains("expected 1 or 3, found 2"));
        assert!(fail("ij->k", &[&m]).contains("no operand has"));
        assert!(fail("ij->ii", &[&m]).contains("twice"));
        assert!(fail("i1->i", &[&m]).contains("found '1'"));
        assert!(fail("i.j->i", &[&m]).contains("found '.'"));
        assert!(fail("...->", &[&m]).contains("has no '...'"));
        assert!(fail("ij", &[&t([1, 1], &[true])]).contains("expected f32"));
    }
}
