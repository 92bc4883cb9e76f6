//! Reductions over axes: ONNX `ReduceMean`, `ReduceSum`, `ReduceMax` and `ReduceMin`, opsets 1 to 20.
//!
//! ```text
//! dst[i..] = mean, sum, maximum or minimum over r.. of src[i.., r..]
//! ```
//!
//! Inputs: 0 (`data`) of any shape: f32, i64 or i32, for maximum and minimum also u8 and bool (false < true); 1
//! (`axes`), optional, integers known before the run, negative ones count from the end. Without axes all are reduced,
//! or with `noop_with_empty_axes` none. Output: the type of `data`, reduced axes 1 or removed. Integer sums wrap and
//! integer means truncate; NaN wins a maximum or minimum. Nothing sums to 0, its mean is NaN (integers: 0), its
//! maximum and minimum are the lowest and highest value of the type. Errors: an axis out of range or given twice.

use crate::axes::{optional_ints, resolve_axes};
use crate::compute::{self, Compute, ReduceFn};
use crate::expr::{Expr, Scalar};
use crate::op::known_args;
use crate::tensor::filled;
use crate::{Args, DType, OpError, Operator, Shape, Tensor, TensorType};

/// The functions of the family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReduceKind {
    /// ONNX `ReduceMean`.
    Mean,
    /// ONNX `ReduceSum`.
    Sum,
    /// ONNX `ReduceMax`.
    Max,
    /// ONNX `ReduceMin`.
    Min,
}

crate::attr_enum!(ReduceKind { Mean = "mean", Sum = "sum", Max = "max", Min = "min" });

/// ONNX operators ReduceMean, ReduceSum, ReduceMax and ReduceMin.
#[derive(Clone, Debug, PartialEq)]
pub struct Reduce {
    /// The reduction.
    pub kind: ReduceKind,
    /// Whether reduced axes stay with extent 1.
    pub keep_dims: bool,
    /// Whether an empty list of axes means none rather than all.
    pub noop_with_empty_axes: bool,
}

crate::attributes!(Reduce { kind, keep_dims, noop_with_empty_axes });

impl Reduce {
    /// For each axis of the input, whether it is reduced.
    fn reduced(&self, args: Args<'_>) -> Result<Vec<bool>, OpError> {
        let src = match self.kind {
            ReduceKind::Mean | ReduceKind::Sum => {
                args.typed(0, "data", &[DType::F32, DType::I64, DType::I32])?
            }
            ReduceKind::Max | ReduceKind::Min => args.required(0, "data")?,
        };
        let rank = src.shape.rank();
        let axes = optional_ints(args, 1, "axes")?.unwrap_or_default();
        if axes.is_empty() {
            return Ok(vec![!self.noop_with_empty_axes; rank]);
        }
        let mut reduced = vec![false; rank];
        for axis in resolve_axes(&axes, rank)? {
            reduced[axis] = true;
        }
        Ok(reduced)
    }

    fn dst(&self, src: &TensorType, reduced: &[bool]) -> TensorType {
        let dims: Vec<usize> = (src.shape.iter().zip(reduced))
            .filter(|&(_, &r)| self.keep_dims || !r)
            .map(|(&d, &r)| if r { 1 } else { d })
            .collect();
        TensorType::new(src.dtype, dims)
    }

    /// How values are combined, and what they start with.
    fn combine(&self, dtype: DType) -> (ReduceFn, Scalar) {
        match self.kind {
            ReduceKind::Mean | ReduceKind::Sum => (ReduceFn::Sum, Scalar::zero(dtype)),
            ReduceKind::Max => (ReduceFn::Max, Scalar::lowest(dtype)),
            ReduceKind::Min => (ReduceFn::Min, Scalar::highest(dtype)),
        }
    }
}

impl Operator for Reduce {
    fn name(&self) -> &'static str {
        match self.kind {
            ReduceKind::Mean => "ReduceMean",
            ReduceKind::Sum => "ReduceSum",
            ReduceKind::Max => "ReduceMax",
            ReduceKind::Min => "ReduceMin",
        }
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        let reduced = self.reduced(args)?;
        Ok(vec![self.dst(&args.required(0, "data")?.ty(), &reduced)])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let reduced = self.reduced(args)?;
        let arg = args.required(0, "data")?;
        let dst = self.dst(&arg.ty(), &reduced);
        let dtype = arg.dtype;
        if arg.shape.numel() == 0 {
            let mean = self.kind == ReduceKind::Mean && dtype == DType::F32;
            let nothing = if mean { Scalar::F32(f32::NAN) } else { self.combine(dtype).1 };
            return Ok(Compute::filled(dst, nothing));
        }
        let mut c = Compute::new();
        let src = c.input(0, &arg);
        let mut extents = Vec::new();
        let mut kept = 0;
        let mut index = Vec::new();
        for (&d, &r) in arg.shape.iter().zip(&reduced) {
            if r {
                index.push(Expr::var(dst.shape.rank() + extents.len()));
                extents.push(d);
                kept += usize::from(self.keep_dims);
            } else {
                index.push(Expr::var(kept));
                kept += 1;
            }
        }
        let load = Expr::load(src, index);
        let out = if extents.is_empty() {
            c.map("copy", dst, load)
        } else {
            // Maximum and minimum are not defined on bool: as bytes they are `or` and `and`.
            let acc = if dtype == DType::Bool { DType::U8 } else { dtype };
            let (combine, init) = self.combine(dtype);
            let cast = |e: Expr, to: DType| if acc == dtype { e } else { e.cast(to) };
            let finish = match self.kind {
                ReduceKind::Mean => {
                    Expr::Acc / Expr::literal(dtype, Shape::new(extents.clone()).numel() as f64)
                }
                _ => cast(Expr::Acc, dtype),
            };
            let reduce = compute::Reduce { extents, combine, init: Expr::Const(init.cast(acc)), finish };
            c.reduce_blocked(self.kind.name(), dst, reduce, cast(load, acc))
        };
        c.output(out);
        Ok(c)
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        let args = known_args(inputs);
        let args = Args(&args);
        let reduced = self.reduced(args)?;
        let src = args.known(0, "data")?;
        let dst = self.dst(src.ty(), &reduced);
        if dst.shape.numel() == 0 {
            return Ok(vec![Tensor::from_bytes(dst, Vec::new())?]);
        }
        let to = places(src.shape(), &reduced);
        let count = reduced.iter().zip(src.shape().iter()).filter(|&(&r, _)| r).map(|(_, &d)| d);
        let count = Shape::new(count.collect::<Vec<_>>()).numel();
        Ok(vec![match dst.dtype {
            DType::F32 => {
                let mut acc = filled(&dst.shape, 0.0f32)?.into_iter().map(f64::from).collect::<Vec<_>>();
                self.accumulate_floats(&src.to_vec()?, &to, &mut acc);
                let divisor = if self.kind == ReduceKind::Mean { count as f64 } else { 1.0 };
                let elements: Vec<f32> = acc.into_iter().map(|v| (v / divisor) as f32).collect();
                Tensor::new(dst.shape, &elements)?
            }
            dtype => self.integers(src, dst, &to, dtype, count)?,
        }])
    }
}

impl Reduce {
    fn accumulate_floats(&self, src: &[f32], to: &[usize], acc: &mut [f64]) {
        let start = match self.kind {
            ReduceKind::Mean | ReduceKind::Sum => 0.0,
            ReduceKind::Max => f64::NEG_INFINITY,
            ReduceKind::Min => f64::INFINITY,
        };
        acc.fill(start);
        for (&v, &to) in src.iter().zip(to) {
            let (v, acc) = (f64::from(v), &mut acc[to]);
            match self.kind {
                ReduceKind::Mean | ReduceKind::Sum => *acc += v,
                ReduceKind::Max if v > *acc || v.is_nan() => *acc = v,
                ReduceKind::Min if v < *acc || v.is_nan() => *acc = v,
                ReduceKind::Max | ReduceKind::Min => {}
            }
        }
    }

    fn integers(
        &self,
        src: &Tensor,
        dst: TensorType,
        to: &[usize],
        dtype: DType,
        count: usize,
    ) -> Result<Tensor, OpError> {
        let (lowest, highest) = match dtype {
            DType::I64 => (i64::MIN, i64::MAX),
            DType::I32 => (i32::MIN.into(), i32::MAX.into()),
            DType::U8 => (0, 255),
            _ => (0, 1),
        };
        let start = match self.kind {
            ReduceKind::Mean | ReduceKind::Sum => 0,
            ReduceKind::Max => lowest,
            ReduceKind::Min => highest,
        };
        let mut acc = filled(&dst.shape, start)?;
        let elements = match dtype {
            DType::I64 | DType::I32 => src.to_i64s()?,
            _ => src.bytes().iter().map(|&b| b.into()).collect(),
        };
        for (v, &to) in elements.into_iter().zip(to) {
            let acc = &mut acc[to];
            *acc = match self.kind {
                ReduceKind::Mean | ReduceKind::Sum => acc.wrapping_add(v),
                ReduceKind::Max => (*acc).max(v),
                ReduceKind::Min => (*acc).min(v),
            };
        }
        let divisor = if self.kind == ReduceKind::Mean { count as i64 } else { 1 };
        let narrow = |v: i64| if dtype == DType::I32 { i64::from(v as i32) } else { v };
        let results = acc.into_iter().map(|v| narrow(v).checked_div(divisor).unwrap_or(0));
        match dtype {
            DType::I64 => Tensor::new(dst.shape, &results.collect::<Vec<i64>>()),
            DType::I32 => Tensor::new(dst.shape, &results.map(|v| v as i32).collect::<Vec<_>>()),
            DType::U8 => Tensor::new(dst.shape, &results.map(|v| v as u8).collect::<Vec<_>>()),
            _ => Tensor::new(dst.shape, &results.map(|v| v != 0).collect::<Vec<_>>()),
        }
    }
}

/// For each element of a tensor, the place of the element of the result that it goes to.
fn places(shape: &Shape, reduced: &[bool]) -> Vec<usize> {
    let mut places = vec![0];
    for (&d, &r) in shape.iter().zip(reduced) {
        if shape.numel() == 0 {
            return Vec::new();
        }
        places = places.iter().flat_map(|&p| (0..d).map(move |i| if r { p } else { p * d + i })).collect();
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Element;

    fn run<T: Element>(op: &Reduce, shape: &[usize], src: &[T], axes: &[i64]) -> Result<Tensor, OpError> {
        let src = Tensor::new(shape.to_vec(), src)?;
        let axes = Tensor::new([axes.len()], axes)?;
        Ok(op.reference(&[Some(&src), Some(&axes)])?.remove(0))
    }

    fn reduce(kind: ReduceKind) -> Reduce {
        Reduce { kind, keep_dims: true, noop_with_empty_axes: false }
    }

    #[test]
    fn hand_computed() {
        use ReduceKind::{Max, Mean, Min, Sum};
        let src = [1.0f32, 2.0, 3.0, 4.0, 5.0, 9.0];
        let f32s = |op: &Reduce, axes: &[i64]| {
            let t = run(op, &[2, 3], &src, axes).unwrap();
            (t.shape().dims().to_vec(), t.to_vec::<f32>().unwrap())
        };
        assert_eq!(f32s(&reduce(Mean), &[-1]), (vec![2, 1], vec![2.0, 6.0]));
        let flat = Reduce { keep_dims: false, ..reduce(Sum) };
        assert_eq!(f32s(&flat, &[0]), (vec![3], vec![5.0, 7.0, 12.0]));
        assert_eq!(f32s(&flat, &[]), (vec![], vec![24.0]));
        let noop = Reduce { noop_with_empty_axes: true, ..reduce(Sum) };
        assert_eq!(f32s(&noop, &[]).1, src);
        assert_eq!(f32s(&reduce(Max), &[1, 0]), (vec![1, 1], vec![9.0]));
        let ints = |op, src: &[i64]| run(&op, &[src.len()], src, &[]).unwrap().to_vec::<i64>().unwrap();
        assert_eq!(ints(reduce(Mean), &[-1, -2]), [-1]);
        assert_eq!(ints(reduce(Min), &[]), [i64::MAX]);
        assert_eq!(ints(reduce(Mean), &[]), [0]);
        let bools = run(&reduce(Min), &[2], &[true, false], &[]).unwrap();
        assert_eq!(bools.to_vec::<bool>().unwrap(), [false]);
    }

    #[test]
    fn errors_say_expected_and_found() {
        let fail =
            |axes: &[i64]| run(&reduce(ReduceKind::Max), &[1, 1], &[0u8], axes).unwrap_err().to_string();
        assert!(fail(&[2]).contains("the 2 axes (negative ones count from the end), found 2"));
        assert!(fail(&[-3]).contains("found -3"));
        assert!(fail(&[1, -1]).contains("1 twice"));
        assert!(run(&reduce(ReduceKind::Sum), &[1], &[true], &[]).is_err());
        let shape = Shape::from([1]);
        let arg = |dtype| Some(crate::Arg { dtype, shape: &shape, value: None });
        let error = reduce(ReduceKind::Sum).infer(Args(&[arg(DType::F32), arg(DType::I64)])).unwrap_err();
        assert!(matches!(error, OpError::DataDependent(_)));
    }
}
