//! Checks of one operator on given inputs: types, the definition against the reference, well-typed expressions, and
//! a proof by intervals that every load is in bounds.
#![allow(dead_code)]

pub mod intervals;

use octrt_ops::arg::{Arg, Args, known_args};
use octrt_ops::compute::{Compute, Stage};
use octrt_ops::expr::Scalar;
use octrt_ops::operator::Operator;
use octrt_ops::{DType, Op, OpError, Shape, Tensor, TensorType};

/// A small deterministic source of numbers.
pub struct Numbers(pub u64);

impl Numbers {
    /// A number below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((self.0 >> 33) as usize) % n
    }

    /// One of these.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

impl Numbers {
    /// [`filled`], different every time.
    pub fn tensor(&mut self, dtype: DType, shape: impl Into<Shape>) -> Tensor {
        filled(dtype, &shape.into(), self.below(1 << 30) as u64)
    }

    /// [`Numbers::tensor`] of f32: multiples of 1/4, of which short sums of products are exact.
    pub fn f32s(&mut self, shape: impl Into<Shape>) -> Tensor {
        self.tensor(DType::F32, shape)
    }
}

/// A tensor with small varied elements: negative ones, zeros and fractions where the type has them.
pub fn filled(dtype: DType, shape: &[usize], seed: u64) -> Tensor {
    let mut numbers = Numbers(seed);
    let n = shape.iter().product();
    let mut element = || numbers.below(41) as i64 - 20;
    let s = shape.to_vec();
    let mut bytes = Vec::new();
    for _ in 0..n {
        let v = match dtype {
            DType::F32 | DType::F64 => Scalar::F64(element() as f64 / 4.0),
            DType::Bool => Scalar::Bool(element() > 0),
            _ => Scalar::I64(element()),
        };
        v.cast(dtype).write(&mut bytes);
    }
    Tensor::from_bytes(TensorType::new(dtype, s), bytes).unwrap()
}

/// A list of integers as an input.
pub fn ints(v: &[i64]) -> Tensor {
    Tensor::new([v.len()], v).unwrap()
}

/// Whether `a` is `b` to within `relative` of the larger of 1 and `|b|`; NaN is NaN.
fn close(a: f64, b: f64, relative: f64) -> bool {
    a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= relative * b.abs().max(1.0)
}

/// Checks `op` on `inputs`; `relative` is the tolerance in units of the larger of 1 and the value. Every subset of
/// the inputs is once not known to `infer` and `compute`, unless a shape depends on one of it.
///
/// # Panics
/// With a message that names the operator when a check fails.
pub fn check(op: &dyn Operator, inputs: &[Option<&Tensor>], relative: f64) -> Vec<Tensor> {
    let shown = || format!("{} on {inputs:?}", op.name());
    let want = op.reference(inputs).unwrap_or_else(|e| panic!("{}: {e}", shown()));
    let found: Vec<TensorType> = want.iter().map(|t| t.ty().clone()).collect();
    let known = known_args(inputs);
    'subsets: for hidden in 0..1u32 << inputs.len() {
        let mut args: Vec<Option<Arg<'_>>> = known.clone();
        for (_, arg) in args.iter_mut().enumerate().filter(|(i, _)| hidden >> i & 1 == 1) {
            match arg {
                Some(arg) => arg.value = None,
                // The same as without the bit.
                None => continue 'subsets,
            }
        }
        let types = match op.infer(Args(&args)) {
            Err(OpError::DataDependent(_)) if hidden != 0 => continue,
            types => types,
        };
        assert_eq!(types, Ok(found.clone()), "{}: types, hidden inputs {hidden:b}", shown());
        let c = op.compute(Args(&args)).unwrap_or_else(|e| panic!("{}: compute: {e}", shown()));
        well_formed(&c).unwrap_or_else(|e| panic!("{}: {e}", shown()));
        let got = c.evaluate(inputs).unwrap_or_else(|e| panic!("{}: evaluate: {e}", shown()));
        assert_eq!(got.len(), want.len(), "{}: number of outputs", shown());
        for (a, b) in got.iter().zip(&want) {
            let agree = a.ty() == b.ty()
                && a.to_f64s().into_iter().zip(b.to_f64s()).all(|(x, y)| close(x, y, relative));
            assert!(agree, "{}, hidden inputs {hidden:b}:\ndefinition {a:?}\nreference  {b:?}", shown());
        }
    }
    want
}

/// [`check`] up to the rounding of a sum with as many terms as one element of the result has, each of the size of the
/// largest number in sight.
pub fn check_rounded(op: impl Into<Op>, inputs: &[Option<&Tensor>]) -> Vec<Tensor> {
    let op = op.into();
    let operator = op.as_operator();
    let want = operator.reference(inputs).unwrap_or_else(|e| panic!("{op:?} on {inputs:?}: {e}"));
    let terms = operator.compute(Args(&known_args(inputs))).map_or(0, |c| {
        let terms = |s: &Stage| s.reduce.as_ref().map_or(1, |r| r.extents.iter().product::<usize>() + 2);
        c.stages.iter().map(terms).sum::<usize>()
    });
    let largest = (inputs.iter().flatten().copied().chain(&want))
        .filter(|t| t.dtype() == DType::F32)
        .flat_map(Tensor::to_f64s)
        .filter(|v| v.is_finite())
        .fold(1.0, |a: f64, v| a.max(v.abs()));
    check(operator, inputs, f64::from(f32::EPSILON) * (terms + 4) as f64 * largest)
}

/// [`check`] of an operator with one output and no omitted inputs.
pub fn check1(op: &dyn Operator, inputs: &[&Tensor], relative: f64) -> Tensor {
    let inputs: Vec<_> = inputs.iter().copied().map(Some).collect();
    check(op, &inputs, relative).remove(0)
}

/// Whether all expressions have the types of their stages, reads come after definitions, and loads are in bounds.
///
/// # Errors
/// What is wrong, with the stage.
pub fn well_formed(c: &Compute) -> Result<(), String> {
    for (at, stage) in c.stages.iter().enumerate() {
        typed(c, stage).map_err(|e| format!("stage {}: {e}", stage.name))?;
        // In turns, stages load what earlier turns of all of them defined.
        let turns = c.repeats.iter().filter(|r| r.stages.contains(&at)).map(|r| r.stages.end);
        let defined: Vec<_> = c.stages[..turns.max().unwrap_or(at)].iter().map(|s| s.dst).collect();
        intervals::prove(c, stage, &defined).map_err(|e| format!("stage {}: {e}", stage.name))?;
    }
    Ok(())
}

fn typed(c: &Compute, stage: &Stage) -> Result<(), String> {
    let buf = |b: octrt_ops::expr::BufId| c.buffers.get(b.0 as usize).map(|b| b.ty.dtype);
    let want = c.ty(stage.dst).dtype;
    let body = stage.body.dtype(&buf, None).map_err(|e| e.to_string())?;
    let stored = match &stage.reduce {
        None => body,
        Some(r) => {
            let init = r.init.dtype(&buf, None).map_err(|e| e.to_string())?;
            if init != body {
                return Err(format!("starts with {init}, reduces {body}"));
            }
            r.finish.dtype(&buf, Some(body)).map_err(|e| e.to_string())?
        }
    };
    if stored == want { Ok(()) } else { Err(format!("stores {stored} into {want}")) }
}
