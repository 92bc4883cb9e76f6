//! Limits to a range: `Y = min(max(X, min), max)`, so that `max` wins where `max < min`; NaN stays.
//!
//! Inputs: X of any number type; optionally `min` and `max`, one element each, of X's type. Y has X's type.
//!
//! Errors: bools, a limit with more than one element or none.
//! Mirrors ONNX Clip-11 (since opset 12 with integers); the attributes of Clip-6 arrive as inputs.

use std::cmp::Ordering;

use crate::arg::{Arg, Args, known_args};
use crate::compute::Compute;
use crate::dtype::DType;
use crate::elements::{input, map1};
use crate::error::OpError;
use crate::index::{broadcast_load, scalar_load};
use crate::invalid;
use crate::operator::Operator;
use crate::shape::TensorType;
use crate::tensor::{Element, Tensor};

/// Limits every element to a range.
#[derive(Clone, Debug, PartialEq)]
pub struct Clip {}

crate::attributes!(Clip {});

struct Arguments<'a> {
    x: Arg<'a>,
    min: Option<Arg<'a>>,
    max: Option<Arg<'a>>,
}

fn arguments(args: Args<'_>) -> Result<Arguments<'_>, OpError> {
    let x = args.typed(0, "input", DType::NUMBERS)?;
    let limit = |i, name| match args.optional(i) {
        Some(l) if l.dtype != x.dtype || l.shape.numel() != 1 => {
            invalid!("input {i} ({name}): expected one element of type {}, found {}", x.dtype, l.ty())
        }
        l => Ok(l),
    };
    Ok(Arguments { x, min: limit(1, "min")?, max: limit(2, "max")? })
}

fn limited<T: Element + PartialOrd>(x: &Tensor, limits: [Option<&Tensor>; 2]) -> Result<Tensor, OpError> {
    let one = |t: Option<&Tensor>| t.map(Tensor::to_vec::<T>).transpose().map(|v| v?.first().copied());
    let (min, max) = (one(limits[0])?, one(limits[1])?);
    map1(x, |v: T| {
        let v = min.map_or(v, |m| first(v, m, Ordering::Greater));
        max.map_or(v, |m| first(v, m, Ordering::Less))
    })
}

/// Whichever of two comes first in this order; NaN if either is NaN.
fn first<T: PartialOrd>(a: T, b: T, order: Ordering) -> T {
    match a.partial_cmp(&b) {
        Some(found) if found == order => a,
        None if a.partial_cmp(&a).is_none() => a,
        _ => b,
    }
}

impl Operator for Clip {
    fn name(&self) -> &'static str {
        "Clip"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        Ok(vec![arguments(args)?.x.ty()])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let Arguments { x, min, max } = arguments(args)?;
        let mut c = Compute::new();
        let mut y = broadcast_load(&mut c, 0, &x, x.shape);
        if let Some(min) = min {
            y = y.max(scalar_load(&mut c, 1, &min)?);
        }
        if let Some(max) = max {
            y = y.min(scalar_load(&mut c, 2, &max)?);
        }
        let out = c.map("clip", x.ty(), y);
        c.output(out);
        Ok(c)
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        arguments(Args(&known_args(inputs)))?;
        let x = input(inputs, 0, "input")?;
        let at = |i: usize| inputs.get(i).copied().flatten();
        let limits = [at(1), at(2)];
        Ok(vec![by_dtype!(x.dtype(), T => limited::<T>(x, limits)?)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{error, run, run_all, t};

    #[test]
    fn limits_are_optional() {
        let x = t([4], &[-3.0f32, 0.5, 7.0, f32::NAN]);
        let (lo, hi) = (t([], &[0.0f32]), t([1], &[6.0f32]));
        let of = |limits: [Option<&Tensor>; 2]| {
            run_all(&Clip {}, &[Some(&x), limits[0], limits[1]]).unwrap()[0].to_vec::<f32>().unwrap()
        };
        assert_eq!(of([Some(&lo), Some(&hi)])[..3], [0.0, 0.5, 6.0]);
        assert_eq!(of([None, Some(&hi)])[..3], [-3.0, 0.5, 6.0]);
        assert_eq!(of([Some(&lo), None])[..3], [0.0, 0.5, 7.0]);
        assert_eq!(of([Some(&hi), Some(&lo)])[..3], [0.0, 0.0, 0.0]);
        assert!(of([Some(&lo), Some(&hi)])[3].is_nan());
        let nan = t([], &[f32::NAN]);
        assert!(of([Some(&nan), None]).iter().all(|v| v.is_nan()));
        assert!(of([None, Some(&nan)]).iter().all(|v| v.is_nan()));
        assert_eq!(run(&Clip {}, &[&x]).unwrap().to_vec::<f32>().unwrap()[..3], [-3.0, 0.5, 7.0]);
    }

    #[test]
    fn integers() {
        let x = t([3], &[-9i64, 0, 9]);
        assert_eq!(run(&Clip {}, &[&x, &t([], &[-1i64]), &t([], &[2i64])]), Ok(t([3], &[-1i64, 0, 2])));
        assert_eq!(run(&Clip {}, &[&t([2], &[1u8, 200]), &t([], &[2u8])]), Ok(t([2], &[2u8, 200])));
    }

    #[test]
    fn errors() {
        let x = t([1], &[1.0f32]);
        let limit = "input 1 (min): expected one element of type f32, found";
        assert_eq!(error(&Clip {}, &[&x, &t([2], &[0.0f32, 1.0])]), format!("{limit} f32[2]"));
        assert_eq!(error(&Clip {}, &[&x, &t([], &[0i64])]), format!("{limit} i64[]"));
        assert!(error(&Clip {}, &[&t([1], &[true])]).contains("found bool[1]"));
    }
}
