//! Rotary position embedding: ONNX `RotaryEmbedding`, opset 23.
//!
//! The first `rotary_dim` numbers of every head are pairs `(x1, x2)` that are turned by an angle of their own; the others
//! stay. Pair i is `(x[i], x[i + rotary_dim / 2])`, or `(x[2 * i], x[2 * i + 1])` with `interleaved`.
//!
//! ```text
//! (x1, x2) -> (cos * x1 - sin * x2, sin * x1 + cos * x2)          cos = cos_cache[place, i]
//! ```
//!
//! | input | shape | |
//! |---|---|---|
//! | 0 `X` | `[B, H, S, E]`, or `[B, S, H * E]` with `num_heads` | f32 or f64, as 1 and 2 |
//! | 1 `cos_cache`, 2 `sin_cache` | `[places, rotary_dim / 2]` with input 3, `[B, S, rotary_dim / 2]` without | |
//! | 3 `position_ids` | `[B, S]` | optional i64, each a place |
//!
//! The output has the type of X. Errors: shapes that do not fit, an odd `rotary_dim`, a place out of range (while the
//! model runs, when it is not known before).

use crate::arg::known_args;
use crate::compute::{Check, Compute, Reduce, ReduceFn, tensor};
use crate::expr::{CompareFn, Expr, Scalar};
use crate::index::vars;
use crate::{Arg, Args, DType, OpError, Operator, Shape, Tensor, TensorType, attributes, invalid};

/// ONNX operator RotaryEmbedding.
#[derive(Clone, Debug, PartialEq)]
pub struct RotaryEmbedding {
    /// Whether the numbers of a pair are neighbours.
    pub interleaved: bool,
    /// Heads; must be given where X has three axes.
    pub num_heads: usize,
    /// Numbers of a head that are turned; 0: all.
    pub rotary_dim: usize,
}

attributes!(RotaryEmbedding { interleaved, num_heads, rotary_dim });

struct Problem<'a> {
    x: Arg<'a>,
    caches: [Arg<'a>; 2],
    ids: Option<Arg<'a>>,
    elements: usize,
    /// Numbers of a head.
    size: usize,
    /// Numbers of a head that are turned.
    turned: usize,
}

impl RotaryEmbedding {
    fn problem<'a>(&self, args: Args<'a>) -> Result<Problem<'a>, OpError> {
        let x = args.typed(0, "X", DType::FLOATS)?;
        let (batch, elements, size) = match *x.shape.dims() {
            [b, _, s, e] => (b, s, e),
            [b, s, wide] if self.num_heads > 0 && wide.is_multiple_of(self.num_heads) => {
                (b, s, wide / self.num_heads)
            }
            [_, _, wide] => return invalid!("{wide} numbers cannot be cut into {} heads", self.num_heads),
            _ => return invalid!("input 0 (X): expected three or four axes, found {}", x.shape),
        };
        let turned = if self.rotary_dim == 0 { size } else { self.rotary_dim };
        if turned > size || !turned.is_multiple_of(2) {
            return invalid!(
                "rotary_embedding_dim: expected an even number of at most {size}, found {turned}"
            );
        }
        let ids = args.optional(3);
        if let Some(ids) = ids {
            args.typed(3, "position_ids", &[DType::I64])?;
            if ids.shape.dims() != [batch, elements] {
                return invalid!(
                    "input 3 (position_ids): expected [{batch},{elements}], found {}",
                    ids.shape
                );
            }
        }
        let half = turned / 2;
        let mut caches = Vec::new();
        for (i, name) in [(1, "cos_cache"), (2, "sin_cache")] {
            let cache = args.typed(i, name, &[x.dtype])?;
            let places = cache.shape.first().copied().unwrap_or(0);
            let expected = if ids.is_some() { vec![places, half] } else { vec![batch, elements, half] };
            if cache.shape.dims() != expected {
                return invalid!(
                    "input {i} ({name}): expected {}, found {}",
                    Shape::new(expected),
                    cache.shape
                );
            }
            caches.push(cache);
        }
        let caches = [caches[0], caches[1]];
        if caches[0].shape != caches[1].shape {
            return invalid!("cos_cache {} and sin_cache {} differ", caches[0].shape, caches[1].shape);
        }
        let p = Problem { x, caches, ids, elements, size, turned };
        p.check_known()?;
        Ok(p)
    }
}

impl Problem<'_> {
    fn places(&self) -> usize {
        self.caches[0].shape[0]
    }

    fn expected(&self) -> String {
        format!("input 3 (position_ids): expected 0 to {}", self.places().saturating_sub(1))
    }

    fn check_known(&self) -> Result<(), OpError> {
        let Some(ids) = self.ids else { return Ok(()) };
        if self.places() == 0 && ids.shape.numel() > 0 {
            return invalid!("input 1 (cos_cache): expected places, found {}", self.caches[0].shape);
        }
        let inside = |&i: &i64| usize::try_from(i).is_ok_and(|i| i < self.places());
        match ids.value.map(|t| t.to_i64s()).transpose()?.unwrap_or_default().into_iter().find(|i| !inside(i))
        {
            Some(bad) => invalid!("{}, found {bad}", self.expected()),
            None => Ok(()),
        }
    }
}

impl Operator for RotaryEmbedding {
    fn name(&self) -> &'static str {
        "RotaryEmbedding"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        Ok(vec![self.problem(args)?.x.ty()])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let p = self.problem(args)?;
        let ty = p.x.ty();
        if ty.shape.numel() == 0 {
            return Ok(Compute::filled(ty.clone(), Scalar::zero(ty.dtype)));
        }
        let mut c = Compute::new();
        let x = c.input(0, &p.x);
        if p.turned == 0 {
            let out = c.map("rotate", ty.clone(), Expr::load(x, vars(ty.shape.rank())));
            c.output(out);
            return Ok(c);
        }
        let flat = ty.shape.rank() == 3;
        let last = ty.shape.rank() - 1;
        let [b, s] = if flat { [0, 1] } else { [0, 2] }.map(Expr::var);
        let whole = Expr::var(last);
        let e = if flat { whole.clone() % Expr::int(p.size) } else { whole.clone() };
        let half = p.turned as i64 / 2;
        // The pair, whether this is its first number, and how far away the other one is.
        let (pair, first, distance) = if self.interleaved {
            let first = Expr::compare(CompareFn::Eq, e.clone() % Expr::int(2), Expr::int(0));
            (e.clone() / Expr::int(2), first, 1)
        } else {
            let first = Expr::compare(CompareFn::Lt, e.clone(), Expr::int(half));
            (e.clone() % Expr::int(half), first, half)
        };
        let place = match p.ids {
            None => vec![b, s],
            Some(ids) => {
                let buf = c.input(3, &ids);
                if ids.value.is_none() {
                    check_places(&mut c, &p, buf, &ids);
                }
                vec![Expr::load(buf, [b, s]).clamp(0, p.places() as i64 - 1)]
            }
        };
        let at = [&place[..], &[pair.clamp(0, half - 1)]].concat();
        let [cos, sin] = [0, 1].map(|i| Expr::load(c.input(i + 1, &p.caches[i]), at.clone()));
        let mut index = vars(last);
        let here = Expr::load(x, [&index[..], std::slice::from_ref(&whole)].concat());
        let step = first.clone().select(Expr::int(distance), Expr::int(-distance));
        index.push((whole + step).clamp(0, ty.shape[last] as i64 - 1));
        let other = sin * Expr::load(x, index);
        let here_turned = cos * here.clone();
        let turned = first.select(here_turned.clone() - other.clone(), here_turned + other);
        let inside = Expr::compare(CompareFn::Lt, e, Expr::int(p.turned));
        let body = if p.turned == p.size { turned } else { inside.select(turned, here) };
        let out = c.map("rotate", ty, body);
        c.output(out);
        Ok(c)
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        let args = known_args(inputs);
        let args = Args(&args);
        let p = self.problem(args)?;
        let ty = p.x.ty();
        let mut out = args.known(0, "X")?.to_f64s();
        let (cos, sin) = (args.known(1, "cos_cache")?.to_f64s(), args.known(2, "sin_cache")?.to_f64s());
        let ids = args.known_ints(3, "position_ids")?;
        let half = p.turned / 2;
        for (row, head) in out.chunks_exact_mut(p.size.max(1)).enumerate() {
            let (b, s) = if ty.shape.rank() == 3 {
                let element = row / self.num_heads.max(1);
                (element / p.elements, element % p.elements)
            } else {
                (row / (ty.shape[1] * p.elements), row % p.elements)
            };
            let element = b * p.elements + s;
            let place = ids.as_ref().map_or(element, |ids| ids[element] as usize);
            for i in 0..half {
                let (first, second) = if self.interleaved { (2 * i, 2 * i + 1) } else { (i, i + half) };
                let (x1, x2) = (head[first], head[second]);
                let (cos, sin) = (cos[place * half + i], sin[place * half + i]);
                (head[first], head[second]) = (cos * x1 - sin * x2, sin * x1 + cos * x2);
            }
        }
        let elements: Vec<Scalar> = out.into_iter().map(|v| Scalar::F64(v).cast(ty.dtype)).collect();
        Ok(vec![tensor(&ty, &elements)?])
    }
}

/// A check that every place is in range.
fn check_places(c: &mut Compute, p: &Problem<'_>, buf: crate::expr::BufId, ids: &Arg<'_>) {
    let inside = Expr::load(buf, vars(ids.shape.rank())).within(p.places());
    let reduce = Reduce {
        extents: ids.shape.dims().to_vec(),
        combine: ReduceFn::Min,
        init: Expr::int(1),
        finish: Expr::compare(CompareFn::Eq, Expr::Acc, Expr::int(1)),
    };
    let ty = TensorType::new(DType::Bool, Shape::scalar());
    let ok = c.reduce("in range", ty, reduce, inside.select(Expr::int(1), Expr::int(0)));
    c.checks.push(Check { ok, message: format!("{}, found another", p.expected()) });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{error, run, t};

    fn op(interleaved: bool, num_heads: usize, rotary_dim: usize) -> RotaryEmbedding {
        RotaryEmbedding { interleaved, num_heads, rotary_dim }
    }

    #[test]
    fn hand_computed() {
        // A quarter turn of the first pair, none of the second one.
        let (cos, sin) = (t([1, 1, 2], &[0.0f32, 1.0]), t([1, 1, 2], &[1.0f32, 0.0]));
        let x = t([1, 1, 1, 4], &[1.0f32, 2.0, 3.0, 4.0]);
        let y = run(&op(false, 0, 0), &[&x, &cos, &sin]).unwrap();
        assert_eq!(y, t([1, 1, 1, 4], &[-3.0f32, 2.0, 1.0, 4.0]));
        let y = run(&op(true, 0, 0), &[&x, &cos, &sin]).unwrap();
        assert_eq!(y, t([1, 1, 1, 4], &[-2.0f32, 1.0, 3.0, 4.0]));
        let short = [t([1, 1, 1], &[0.0f32]), t([1, 1, 1], &[1.0f32])];
        let y = run(&op(false, 0, 2), &[&x, &short[0], &short[1]]).unwrap();
        assert_eq!(y, t([1, 1, 1, 4], &[-2.0f32, 1.0, 3.0, 4.0]));
    }

    #[test]
    fn definition_is_reference() {
        let numbers = |shape: &[usize]| {
            let n = shape.iter().product::<usize>();
            t(shape.to_vec(), &(0..n).map(|i| (i * 7919 % 101) as f32 / 50.0 - 1.0).collect::<Vec<_>>())
        };
        let ids = t([2, 3], &[4i64, 0, 1, 2, 3, 3]);
        for interleaved in [false, true] {
            for (dim, half) in [(0, 3), (4, 2), (6, 3)] {
                let table = numbers(&[5, half]);
                let each = numbers(&[2, 3, half]);
                for x in [numbers(&[2, 4, 3, 6]), numbers(&[2, 3, 24])] {
                    run(&op(interleaved, 4, dim), &[&x, &table, &table, &ids]).unwrap();
                    run(&op(interleaved, 4, dim), &[&x, &each, &each]).unwrap();
                }
            }
        }
    }

    #[test]
    fn places_of_the_run_are_checked() {
        let (x, cache) = (t([1, 1, 1, 2], &[1.0f32, 2.0]), t([3, 1], &[1.0f32; 3]));
        for (id, fits) in [(0, true), (2, true), (3, false), (-1, false)] {
            let ids = t([1, 1], &[id as i64]);
            let args = [&x, &cache, &cache, &ids].map(|t| Some(Arg { value: None, ..Arg::from(t) }));
            let c = op(false, 0, 0).compute(Args(&args)).unwrap();
            let found = c.evaluate(&[Some(&x), Some(&cache), Some(&cache), Some(&ids)]);
            assert_eq!(found.is_ok(), fits, "{id}");
            assert_eq!(run(&op(false, 0, 0), &[&x, &cache, &cache, &ids]).is_ok(), fits);
        }
    }

    #[test]
    fn errors_say_expected_and_found() {
        let x = t([1, 1, 1, 4], &[0.0f32; 4]);
        let cache = t([1, 1, 1], &[1.0f32]);
        assert!(error(&op(false, 0, 0), &[&x, &cache, &cache]).contains("expected [1,1,2], found [1,1,1]"));
        assert!(error(&op(false, 0, 3), &[&x, &cache, &cache]).contains("even number"));
        assert!(error(&op(false, 0, 6), &[&x, &cache, &cache]).contains("at most 4, found 6"));
        let flat = t([1, 1, 4], &[0.0f32; 4]);
        assert!(error(&op(false, 3, 0), &[&flat, &cache, &cache]).contains("3 heads"));
        assert!(error(&op(false, 0, 0), &[&flat, &cache, &cache]).contains("0 heads"));
        assert!(error(&op(false, 0, 2), &[&x, &cache, &t([1, 1, 1], &[1.0f64])]).contains("sin_cache"));
    }
}
