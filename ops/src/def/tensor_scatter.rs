//! Writes a run of slices into a copy of a cache, for each element of the batch at its own place: ONNX `TensorScatter`,
//! opset 24.
//!
//! ```text
//! dst[b, .., (write_indices[b] + t) mod n, ..] = update[b, .., t, ..]        mode circular; linear without mod
//! ```
//!
//! Inputs: 0 (`past_cache`), any type, rank at least 2; 1 (`update`), its type and shape but for the extent of `axis`, which
//! is at most n, the cache's; 2 (`write_indices`), i64, one for each element of axis 0, all 0 by default. Output: the type
//! of the cache. Errors: an axis that is 0 or out of range, types or extents that do not fit; in mode linear a run that
//! does not lie in the cache, in mode circular an index outside `0..n`. Indices that are not known before the run are
//! checked when it happens.

use crate::arg::{Arg, Args, known_args};
use crate::axes::resolve_axis;
use crate::compute::Compute;
use crate::dtype::DType;
use crate::elements::input;
use crate::error::OpError;
use crate::expr::{Expr, Scalar};
use crate::index::vars;
use crate::indexing::check_all;
use crate::invalid;
use crate::operator::Operator;
use crate::shape::TensorType;
use crate::tensor::Tensor;

/// What is done at the end of the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheMode {
    /// Runs end there.
    Linear,
    /// Runs go on at its beginning.
    Circular,
}

crate::attr_enum!(CacheMode { Linear = "linear", Circular = "circular" });

/// ONNX operator TensorScatter.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorScatter {
    /// The axis of the cache; negative counts from the end.
    pub axis: i64,
    /// What is done at the end of the cache.
    pub mode: CacheMode,
}

crate::attributes!(TensorScatter { axis, mode });

struct Arguments<'a> {
    cache: Arg<'a>,
    update: Arg<'a>,
    at: Option<Arg<'a>>,
    axis: usize,
    /// Places where a run can begin.
    begins: usize,
}

impl TensorScatter {
    fn arguments<'a>(&self, args: Args<'a>) -> Result<Arguments<'a>, OpError> {
        let (cache, update) = (args.required(0, "past_cache")?, args.required(1, "update")?);
        let axis = resolve_axis(self.axis, cache.shape.rank())?;
        if axis == 0 {
            return invalid!("axis: expected another than that of the batch, found {}", self.axis);
        }
        let fits = update.dtype == cache.dtype
            && update.shape.rank() == cache.shape.rank()
            && (0..cache.shape.rank()).all(|k| match k == axis {
                true => update.shape[k] <= cache.shape[k],
                false => update.shape[k] == cache.shape[k],
            });
        if !fits {
            return invalid!(
                "input 1 (update): expected {} with axis {axis} at most as long, found {}",
                cache.ty(),
                update.ty()
            );
        }
        let begins = match self.mode {
            CacheMode::Linear => cache.shape[axis] - update.shape[axis] + 1,
            CacheMode::Circular => cache.shape[axis],
        };
        let at = match args.optional(2) {
            Some(_) => Some(args.typed(2, "write_indices", &[DType::I64])?),
            None => None,
        };
        if let Some(at) = at {
            if at.shape.dims() != &cache.shape[..1] {
                return invalid!(
                    "input 2 (write_indices): expected i64[{}], found {}",
                    cache.shape[0],
                    at.ty()
                );
            }
            let known = at.value.map(Tensor::to_i64s).transpose()?.unwrap_or_default();
            if let Some(bad) =
                known.into_iter().find(|&i| usize::try_from(i).is_ok_and(|i| i >= begins) || i < 0)
            {
                return invalid!("{}, found {bad}", expected(begins));
            }
        }
        Ok(Arguments { cache, update, at, axis, begins })
    }
}

fn expected(begins: usize) -> String {
    format!("write_indices: expected 0 to {}", begins as i128 - 1)
}

impl Operator for TensorScatter {
    fn name(&self) -> &'static str {
        "TensorScatter"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        Ok(vec![self.arguments(args)?.cache.ty()])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let Arguments { cache, update, at, axis, begins } = self.arguments(args)?;
        if cache.shape.numel() == 0 {
            return Ok(Compute::filled(cache.ty(), Scalar::zero(cache.dtype)));
        }
        let mut c = Compute::new();
        let all = vars(cache.shape.rank());
        let old = Expr::load(c.input(0, &cache), all.clone());
        let (n, run) = (cache.shape[axis], update.shape[axis]);
        if run == 0 {
            let out = c.map("copy", cache.ty(), old);
            c.output(out);
            return Ok(c);
        }
        let mut begin = Expr::int(0);
        if let Some(at) = at {
            let b = c.input(2, &at);
            if at.value.is_none() {
                let inside = Expr::load(b, [Expr::var(0)]).within(begins);
                let check =
                    check_all(&mut c, at.shape, inside, format!("{}, found another", expected(begins)));
                c.checks.push(check);
            }
            begin = Expr::load(b, [Expr::var(0)]).clamp(0, begins as i64 - 1);
        }
        let new = c.input(1, &update);
        let mut distance = Expr::var(axis) - begin;
        if self.mode == CacheMode::Circular {
            distance = (distance + Expr::int(n)) % Expr::int(n);
        }
        let mut index = all;
        index[axis] = distance.clone().clamp(0, run as i64 - 1);
        let out = c.map("scatter", cache.ty(), distance.within(run).select(Expr::load(new, index), old));
        c.output(out);
        Ok(c)
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        let args = known_args(inputs);
        let Arguments { axis, at, .. } = self.arguments(Args(&args))?;
        let (cache, update) = (input(inputs, 0, "past_cache")?, input(inputs, 1, "update")?);
        let begins = match at {
            Some(_) => input(inputs, 2, "write_indices")?.to_i64s()?,
            None => vec![0; cache.shape()[0]],
        };
        let (mut bytes, size, strides) =
            (cache.bytes().to_vec(), cache.dtype().size(), cache.shape().strides());
        for (at, element) in update.shape().indices().zip(update.bytes().chunks_exact(size)) {
            let mut place = at.clone();
            place[axis] = (begins[at[0]] as usize + at[axis]) % cache.shape()[axis];
            let flat: usize = place.iter().zip(&strides).map(|(p, s)| p * s).sum();
            bytes[flat * size..(flat + 1) * size].copy_from_slice(element);
        }
        Ok(vec![Tensor::from_bytes(cache.ty().clone(), bytes)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{error, run, t};

    #[test]
    fn writes() {
        let (cache, new) = (t([2, 4], &[0u8; 8]), t([2, 2], &[1u8, 2, 3, 4]));
        let of =
            |mode, at: &[i64]| run(&TensorScatter { axis: -1, mode }, &[&cache, &new, &t([2], at)]).unwrap();
        assert_eq!(of(CacheMode::Linear, &[2, 0]), t([2, 4], &[0u8, 0, 1, 2, 3, 4, 0, 0]));
        assert_eq!(of(CacheMode::Circular, &[3, 1]), t([2, 4], &[2u8, 0, 0, 1, 0, 3, 4, 0]));
        let default = run(&TensorScatter { axis: 1, mode: CacheMode::Linear }, &[&cache, &new]);
        assert_eq!(default, Ok(t([2, 4], &[1u8, 2, 0, 0, 3, 4, 0, 0])));
        let nothing =
            run(&TensorScatter { axis: 1, mode: CacheMode::Linear }, &[&cache, &t::<u8>([2, 0], &[])]);
        assert_eq!(nothing, Ok(cache.clone()));
    }

    #[test]
    fn errors() {
        let (cache, new) = (t([2, 4], &[0u8; 8]), t([2, 2], &[1u8, 2, 3, 4]));
        let linear = TensorScatter { axis: 1, mode: CacheMode::Linear };
        let of = |inputs: &[&Tensor]| error(&linear, inputs);
        assert_eq!(of(&[&cache, &new, &t([2], &[3i64, 0])]), "write_indices: expected 0 to 2, found 3");
        assert!(of(&[&cache, &new, &t([1], &[0i64])]).contains("expected i64[2]"));
        assert!(of(&[&cache, &t([2, 5], &[0u8; 10])]).contains("axis 1 at most as long"));
        assert!(error(&TensorScatter { axis: 0, ..linear.clone() }, &[&cache, &new]).contains("found 0"));
        let at = t([2], &[1i64, 1]);
        let args =
            [Some(Arg::from(&cache)), Some(Arg::from(&new)), Some(Arg { value: None, ..Arg::from(&at) })];
        let c = linear.compute(Args(&args)).unwrap();
        assert!(c.evaluate(&[Some(&cache), Some(&new), Some(&at)]).is_ok());
        assert!(c.evaluate(&[Some(&cache), Some(&new), Some(&t([2], &[0i64, 3]))]).is_err());
    }
}
