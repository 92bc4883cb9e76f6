//! Samples at positions of a grid: ONNX `GridSample`, opsets 16 to 22.
//!
//! ```text
//! p[a] = denormalized grid[n, o.., r - 1 - a]          the position along spatial axis a, of extent D
//! dst[n, c, o..] = sum over taps k.. of X[n, c, pad(base[a] + k)..] * weight(a, k)..
//! ```
//!
//! A grid's last axis counts the spatial axes from the last one. Its numbers -1 and 1 are the centres of the first and
//! the last element with `align_corners`, their outer edges without: `p = (g + 1) / 2 * (D - 1)` or
//! `p = ((g + 1) * D - 1) / 2`, in the grid's type. `Nearest` takes the element at `p` (halves to even), `Linear` two per
//! axis, `Cubic` four with Keys' kernel, a = -0.75. What lies outside is zero, the nearest element of the border, or
//! reflected at the centres (`align_corners`) or the edges of the border elements. In the modes `Nearest` and `Linear`
//! the position itself is padded so before elements are chosen, in `Cubic` it is not, as in PyTorch and ONNX Runtime.
//!
//! | input | shape | |
//! |---|---|---|
//! | 0 `X` | `[N, C, D1 .. Dr]`, r >= 1, no extent 0 | any type with `Nearest`, floats otherwise |
//! | 1 `grid` | `[N, o1 .. or, r]` | f32 or f64; a NaN has an unspecified place |
//!
//! Output: the type of `X`, `[N, C, o1 .. or]`. Errors: ranks or batches that differ, spatial axes without elements.

mod reference;

use crate::arg::known_args;
use crate::compute::{Compute, Reduce, ReduceFn};
use crate::expr::{BufId, CompareFn, Expr, Scalar, UnaryFn};
use crate::index::vars;
use crate::window::LIMIT;
use crate::{Arg, Args, DType, OpError, Operator, Shape, Tensor, TensorType};
use crate::{attr_enum, attributes, invalid, unsupported};

/// How an element between others is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SampleMode {
    /// The nearest element.
    Nearest,
    /// Multilinear.
    Linear,
    /// Cubic convolution.
    Cubic,
}

attr_enum!(SampleMode { Nearest = "nearest", Linear = "linear", Cubic = "cubic" });

impl SampleMode {
    /// Elements per axis that a sample is made from.
    fn taps(self) -> usize {
        match self {
            SampleMode::Nearest => 1,
            SampleMode::Linear => 2,
            SampleMode::Cubic => 4,
        }
    }

    /// The first of them, from the element at or before the position.
    fn first(self) -> i64 {
        if self == SampleMode::Cubic { -1 } else { 0 }
    }
}

/// What lies outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SamplePadding {
    /// Zeros.
    Zeros,
    /// The nearest element of the border.
    Border,
    /// The elements in reverse, again and again.
    Reflection,
}

attr_enum!(SamplePadding { Zeros = "zeros", Border = "border", Reflection = "reflection" });

/// ONNX operator GridSample.
#[derive(Clone, Debug, PartialEq)]
pub struct GridSample {
    /// Interpolation.
    pub mode: SampleMode,
    /// What lies outside.
    pub padding: SamplePadding,
    /// Whether -1 and 1 are the centres of the border elements, not their edges.
    pub align_corners: bool,
}

attributes!(GridSample { mode, padding, align_corners });

/// The parameter of the cubic kernel.
const CUBIC: f64 = -0.75;

struct Problem<'a> {
    x: Arg<'a>,
    grid: Arg<'a>,
    dst: TensorType,
}

impl Problem<'_> {
    /// Extents of the positions: the batch and the grid's.
    fn points(&self) -> Vec<usize> {
        self.grid.shape[..self.grid.shape.rank() - 1].to_vec()
    }
}

impl GridSample {
    fn problem<'a>(&self, args: Args<'a>) -> Result<Problem<'a>, OpError> {
        let x = args.required(0, "X")?;
        let grid = args.typed(1, "grid", DType::FLOATS)?;
        if self.mode != SampleMode::Nearest && !x.dtype.is_float() {
            return unsupported!("mode {} on {}", self.mode, x.ty());
        }
        let r = x.shape.rank().saturating_sub(2);
        if r == 0 {
            return invalid!("input 0 (X): expected [batch, channels, spatial..], found {}", x.shape);
        }
        if grid.shape.rank() != r + 2 || grid.shape[r + 1] != r || grid.shape[0] != x.shape[0] {
            let batch = x.shape[0];
            return invalid!("input 1 (grid): expected [{batch}, {r} extents, {r}], found {}", grid.shape);
        }
        if x.shape[2..].contains(&0) {
            return invalid!("input 0 (X): expected elements along all spatial axes, found {}", x.shape);
        }
        if let Some(d) = x.shape[2..].iter().find(|&&d| d > LIMIT) {
            return Err(OpError::TooLarge(format!("a spatial axis of {d} elements is too long")));
        }
        let dims = [&x.shape[..2], &grid.shape[1..=r]].concat();
        let dst = TensorType::new(x.dtype, dims);
        dst.shape.checked_bytes(dst.dtype)?;
        Ok(Problem { x, grid, dst })
    }

    /// The least and the greatest position inside an axis of extent `d`.
    fn limits(&self, d: usize) -> (f64, f64) {
        if self.align_corners { (0.0, d as f64 - 1.0) } else { (-0.5, d as f64 - 0.5) }
    }

    /// Stage `position`: `[N, o..]` of the grid's type, the position along an axis of extent `d`.
    fn position(&self, c: &mut Compute, grid: BufId, p: &Problem<'_>, axis: usize) -> BufId {
        let d = p.x.shape[2 + axis];
        let dtype = p.grid.dtype;
        let lit = |v: f64| Expr::literal(dtype, v);
        let mut index = vars(p.points().len());
        index.push(Expr::int(p.x.shape.rank() - 3 - axis));
        let g = Expr::load(grid, index) + lit(1.0);
        let at = if self.align_corners {
            g / lit(2.0) * lit(d as f64 - 1.0)
        } else {
            (g * lit(d as f64) - lit(1.0)) / lit(2.0)
        };
        let at = if self.mode == SampleMode::Nearest { Expr::unary(UnaryFn::Round, at) } else { at };
        let raw = c.map("denormalize", TensorType::new(dtype, p.points()), at);
        if self.mode == SampleMode::Cubic || self.padding == SamplePadding::Zeros {
            return raw;
        }
        let at = Expr::load(raw, vars(p.points().len()));
        let padded = match self.padding {
            SamplePadding::Reflection => self.reflected(at, d, dtype),
            _ => at.max(lit(0.0)).min(lit(d as f64 - 1.0)),
        };
        c.map("position", TensorType::new(dtype, p.points()), padded)
    }

    /// A position reflected into an axis of extent `d`.
    fn reflected(&self, at: Expr, d: usize, dtype: DType) -> Expr {
        let (low, high) = self.limits(d);
        let lit = |v: f64| Expr::literal(dtype, v);
        if high <= low {
            return lit(low);
        }
        let below = Expr::compare(CompareFn::Lt, at.clone(), lit(low));
        let above = Expr::compare(CompareFn::Gt, at.clone(), lit(high));
        let away = below.clone().select(lit(low) - at.clone(), at.clone() - lit(high));
        let turns = Expr::unary(UnaryFn::Floor, away.clone() / lit(high - low));
        let rest = away - turns.clone() * lit(high - low);
        let even = Expr::compare(CompareFn::Eq, turns % lit(2.0), lit(0.0));
        let (from_low, from_high) = (lit(low) + rest.clone(), lit(high) - rest);
        let beyond_low = even.clone().select(from_low.clone(), from_high.clone());
        let beyond_high = even.select(from_high, from_low);
        below.select(beyond_low, above.select(beyond_high, at))
    }

    /// An index padded into an axis of extent `d`; -1 where it is outside and what is there is zero.
    fn padded_index(&self, at: Expr, d: usize) -> Expr {
        let last = d as i64 - 1;
        match self.padding {
            SamplePadding::Zeros => at.clone().within(d).select(at, Expr::int(-1)),
            SamplePadding::Border => at.clamp(0, last),
            SamplePadding::Reflection => {
                let (period, edge) =
                    if self.align_corners { (2 * last, 2 * last) } else { (2 * last + 2, 2 * last + 1) };
                if period == 0 {
                    return Expr::int(0);
                }
                let at = (at % Expr::int(period) + Expr::int(period)) % Expr::int(period);
                Expr::compare(CompareFn::Le, at.clone(), Expr::int(last))
                    .select(at.clone(), Expr::int(edge) - at)
            }
        }
    }

    /// Stage `index`: `[N, o.., taps]`, the elements along an axis of extent `d`; see [`Self::padded_index`].
    fn indices(&self, c: &mut Compute, position: BufId, d: usize) -> BufId {
        let points = c.ty(position).shape.clone();
        let at = Expr::load(position, vars(points.rank()));
        let at = if self.mode == SampleMode::Nearest { at } else { Expr::unary(UnaryFn::Floor, at) };
        // Far outside is as good as just outside, and sums with it do not wrap.
        let far = 1i64 << 52;
        let base = at.cast(DType::I64).clamp(-far, far);
        let tap = base + Expr::var(points.rank()) + Expr::int(self.mode.first());
        let dims = [points.dims(), &[self.mode.taps()]].concat();
        c.map("index", TensorType::new(DType::I64, dims), self.padded_index(tap, d))
    }

    /// Stage `weight`: `[N, o.., taps]` of type `dtype`, for [`Self::indices`].
    fn weights(&self, c: &mut Compute, position: BufId, dtype: DType) -> BufId {
        let TensorType { dtype: from, shape: points } = c.ty(position).clone();
        let lit = |v: f64| Expr::literal(from, v);
        let at = Expr::load(position, vars(points.rank()));
        let rest = at.clone() - Expr::unary(UnaryFn::Floor, at);
        let k = Expr::var(points.rank());
        let weight = if self.mode == SampleMode::Linear {
            let first = Expr::compare(CompareFn::Eq, k, Expr::int(0));
            first.select(lit(1.0) - rest.clone(), rest)
        } else {
            let s = Expr::unary(UnaryFn::Abs, rest + lit(1.0) - k.cast(from));
            let near = (lit(CUBIC + 2.0) * s.clone() - lit(CUBIC + 3.0)) * s.clone() * s.clone() + lit(1.0);
            let far = (lit(CUBIC) * s.clone() - lit(5.0 * CUBIC)) * s.clone() + lit(8.0 * CUBIC);
            let far = far * s.clone() - lit(4.0 * CUBIC);
            Expr::compare(CompareFn::Le, s, lit(1.0)).select(near, far)
        };
        let weight = if from == dtype { weight } else { weight.cast(dtype) };
        c.map("weight", TensorType::new(dtype, [points.dims(), &[self.mode.taps()]].concat()), weight)
    }
}

impl Operator for GridSample {
    fn name(&self) -> &'static str {
        "GridSample"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        Ok(vec![self.problem(args)?.dst])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let p = self.problem(args)?;
        let zero = Scalar::zero(p.dst.dtype);
        if p.dst.shape.numel() == 0 {
            return Ok(Compute::filled(p.dst, zero));
        }
        let mut c = Compute::new();
        let (x, grid) = (c.input(0, &p.x), c.input(1, &p.grid));
        let r = p.x.shape.rank() - 2;
        // Variables: n, c, o.., then the taps of each axis.
        let point: Vec<Expr> = [0].into_iter().chain(2..r + 2).map(Expr::var).collect();
        let mut at = vec![Expr::var(0), Expr::var(1)];
        let (mut inside, mut weight): (Option<Expr>, Option<Expr>) = (None, None);
        for axis in 0..r {
            let d = p.x.shape[2 + axis];
            let position = self.position(&mut c, grid, &p, axis);
            let tap = if self.mode == SampleMode::Nearest { Expr::int(0) } else { Expr::var(r + 2 + axis) };
            let here = [&point[..], &[tap]].concat();
            let index = Expr::load(self.indices(&mut c, position, d), here.clone());
            if self.padding == SamplePadding::Zeros {
                let ok = Expr::compare(CompareFn::Ge, index.clone(), Expr::int(0));
                inside = Some(inside.map_or(ok.clone(), |i| i.and(ok)));
            }
            at.push(index.clamp(0, d as i64 - 1));
            if self.mode != SampleMode::Nearest {
                let w = Expr::load(self.weights(&mut c, position, p.dst.dtype), here);
                weight = Some(weight.map_or(w.clone(), |v| v * w));
            }
        }
        let element = Expr::load(x, at);
        let element = inside.map_or(element.clone(), |i| i.select(element, Expr::Const(zero)));
        let out = match weight {
            None => c.map("sample", p.dst, element),
            Some(w) => {
                let extents = vec![self.mode.taps(); r];
                let reduce =
                    Reduce { extents, combine: ReduceFn::Sum, init: Expr::Const(zero), finish: Expr::Acc };
                c.reduce("sample", p.dst, reduce, element * w)
            }
        };
        c.output(out);
        Ok(c)
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        let args = known_args(inputs);
        let args = Args(&args);
        let p = self.problem(args)?;
        let (x, grid) = (args.known(0, "X")?, args.known(1, "grid")?);
        Ok(vec![reference::sample(self, x, grid, p.dst)?])
    }
}

/// The shape of the spatial axes of a tensor `[batch, channels, spatial..]`.
fn spatial(shape: &Shape) -> Shape {
    Shape::new(&shape[2..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{error, run, t};

    fn all() -> impl Iterator<Item = GridSample> {
        SampleMode::ALL.iter().flat_map(|&mode| {
            SamplePadding::ALL.iter().flat_map(move |&padding| {
                [false, true].map(|align_corners| GridSample { mode, padding, align_corners })
            })
        })
    }

    fn ramp(shape: &[usize], factor: f32, offset: f32) -> Tensor {
        let n = shape.iter().product::<usize>();
        let v: Vec<f32> = (0..n).map(|i| (i * 7919 % 101) as f32 * factor - offset).collect();
        t(shape.to_vec(), &v)
    }

    #[test]
    fn definition_is_reference() {
        for op in all() {
            let x = ramp(&[2, 2, 3, 4], 0.01, 0.5);
            run(&op, &[&x, &ramp(&[2, 3, 5, 2], 0.0613, 3.0)]).unwrap();
            run(&op, &[&ramp(&[1, 1, 2, 1, 3], 0.01, 0.5), &ramp(&[1, 2, 2, 2, 3], 0.0413, 2.0)]).unwrap();
            run(&op, &[&ramp(&[1, 2, 5], 0.01, 0.5), &ramp(&[1, 4, 1], 0.0413, 2.0)]).unwrap();
            let wide: Vec<f64> = x.to_f64s();
            let grid: Vec<f64> = (0..12).map(|i| f64::from(i) * 0.31 - 1.7).collect();
            run(&op, &[&t([2, 2, 3, 4], &wide), &t([2, 1, 3, 2], &grid)]).unwrap();
        }
    }

    #[test]
    fn hand_computed() {
        let x = t([1, 1, 1, 3], &[1.0f32, 2.0, 4.0]);
        // Along the row; the only row is at 0.
        let grid = |g: &[f32]| {
            let pairs: Vec<f32> = g.iter().flat_map(|&g| [g, 0.0]).collect();
            t([1, 1, g.len(), 2], &pairs)
        };
        let of = |mode, padding, align_corners, g: &[f32]| {
            let op = GridSample { mode, padding, align_corners };
            run(&op, &[&x, &grid(g)]).unwrap().to_vec::<f32>().unwrap()
        };
        let ends = [-1.0, -0.5, 0.0, 0.5, 1.0];
        let (linear, nearest) = (SampleMode::Linear, SampleMode::Nearest);
        assert_eq!(of(linear, SamplePadding::Zeros, true, &ends), [1.0, 1.5, 2.0, 3.0, 4.0]);
        assert_eq!(of(linear, SamplePadding::Zeros, false, &[-1.0, 1.0]), [0.5, 2.0]);
        assert_eq!(of(linear, SamplePadding::Border, false, &[-3.0, 9.0]), [1.0, 4.0]);
        assert_eq!(of(linear, SamplePadding::Reflection, true, &[2.0, -2.0, 3.0]), [2.0, 2.0, 1.0]);
        // Positions 0.5 and 1.5: halves to even.
        assert_eq!(of(nearest, SamplePadding::Zeros, true, &[-0.5, 0.5, 3.0]), [1.0, 4.0, 0.0]);
        assert_eq!(of(SampleMode::Cubic, SamplePadding::Border, true, &ends[..3]), [1.0, 1.3125, 2.0]);
    }

    #[test]
    fn what_lies_outside_is_not_read() {
        let x = t([1, 1, 2, 2], &[f32::INFINITY; 4]);
        for op in all().filter(|op| op.padding == SamplePadding::Zeros) {
            let y = run(&op, &[&x, &t([1, 1, 2, 2], &[9.0f32, 9.0, -1e30, f32::INFINITY])]).unwrap();
            assert_eq!(y.to_vec::<f32>().unwrap()[0], 0.0, "{op:?}");
        }
        let bools = t([1, 1, 1, 2], &[true, true]);
        let op =
            GridSample { mode: SampleMode::Nearest, padding: SamplePadding::Zeros, align_corners: false };
        assert_eq!(run(&op, &[&bools, &t([1, 1, 1, 2], &[5.0f32, 0.0])]).unwrap(), t([1, 1, 1, 1], &[false]));
    }

    #[test]
    fn errors_say_expected_and_found() {
        let op = |mode| GridSample { mode, padding: SamplePadding::Zeros, align_corners: false };
        let linear = op(SampleMode::Linear);
        let x = t([1, 1, 2, 2], &[0.0f32; 4]);
        let grid = t([1, 1, 1, 2], &[0.0f32; 2]);
        assert!(error(&linear, &[&x, &t([2, 1, 1, 2], &[0.0f32; 4])]).contains("expected [1, 2 extents, 2]"));
        assert!(error(&linear, &[&x, &t([1, 1, 1, 3], &[0.0f32; 3])]).contains("found [1,1,1,3]"));
        assert!(error(&linear, &[&t([2, 2], &[0.0f32; 4]), &grid]).contains("spatial"));
        assert!(error(&linear, &[&t([1, 1, 1, 2], &[1i64, 2]), &grid]).contains("mode linear on i64"));
        assert!(error(&linear, &[&t::<f32>([1, 1, 0, 2], &[]), &grid]).contains("expected elements"));
        assert!(error(&linear, &[&x, &t([1, 1, 1, 2], &[0i64; 2])]).contains("f32 or f64"));
    }
}
