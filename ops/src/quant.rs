//! What quantised operators share. An integer `q` stands for `(q - zero_point) * scale`; a number becomes
//! `saturate(round(x / scale) + zero_point)`, halves rounded to even.

use crate::arg::{Arg, Args};
use crate::axes::resolve_axis;
use crate::compute::{Compute, scalars};
use crate::def::conv::Problem;
use crate::dtype::DType;
use crate::elements::broadcast_positions;
use crate::error::OpError;
use crate::expr::{Expr, Scalar, UnaryFn};
use crate::index::{broadcast_index, known_scalar, vars};
use crate::invalid;
use crate::shape::{Shape, TensorType};
use crate::tensor::{Tensor, filled};
use crate::window::{output_extents, taps};

/// The types of quantised operands of products.
pub(crate) const BYTES: &[DType] = &[DType::U8, DType::I8];

/// Which element of a scale and a zero point belongs to an element of the quantised tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Grain {
    /// There is one.
    Tensor,
    /// That of the index along this axis.
    Axis(usize),
    /// That of the block along `axis` of so many neighbours; the parameters have the rank of the tensor.
    Block { axis: usize, size: usize },
}

impl Grain {
    /// Of a tensor of shape `x` with a scale of shape `scale`; a block size of 0 means none.
    ///
    /// # Errors
    /// [`OpError::Invalid`] when the shapes do not fit.
    pub(crate) fn resolve(x: &Shape, scale: &Shape, axis: i64, block: usize) -> Result<Grain, OpError> {
        if block == 0 {
            return match scale.dims() {
                [] | [1] => Ok(Grain::Tensor),
                [n] => match resolve_axis(axis, x.rank())? {
                    axis if x[axis] == *n => Ok(Grain::Axis(axis)),
                    axis => {
                        invalid!("scale: expected {} elements for axis {axis} of {x}, found {n}", x[axis])
                    }
                },
                _ => invalid!("scale: expected one element or a list, found {scale}"),
            };
        }
        let axis = resolve_axis(axis, x.rank())?;
        let mut expected = x.dims().to_vec();
        expected[axis] = x[axis].div_ceil(block);
        if scale.dims() != expected {
            let expected = Shape::new(expected);
            return invalid!(
                "scale: expected {expected} for blocks of {block} along axis {axis} of {x}, found {scale}"
            );
        }
        Ok(Grain::Block { axis, size: block })
    }

    /// The parameter, input `i`, that belongs to element `L0 ..` of a tensor of rank `rank`.
    pub(crate) fn load(self, c: &mut Compute, i: usize, arg: &Arg<'_>, rank: usize) -> Expr {
        let index = match self {
            Grain::Tensor => vec![Expr::int(0); arg.shape.rank()],
            Grain::Axis(axis) => vec![Expr::var(axis)],
            Grain::Block { axis, size } => {
                let mut index = vars(rank);
                if size > 1 {
                    index[axis] = Expr::var(axis) / Expr::int(size);
                }
                index
            }
        };
        load(c, i, arg, index)
    }

    /// The position of the parameter that belongs to the element at `at`, among parameters of shape `scale`.
    pub(crate) fn position(self, at: &[usize], scale: &Shape) -> usize {
        match self {
            Grain::Tensor => 0,
            Grain::Axis(axis) => at[axis],
            Grain::Block { axis, size } => at
                .iter()
                .enumerate()
                .fold(0, |flat, (i, &a)| flat * scale[i] + if i == axis { a / size } else { a }),
        }
    }
}

/// An element of input `i`: a literal when the input is known and has one.
fn load(c: &mut Compute, i: usize, arg: &Arg<'_>, index: Vec<Expr>) -> Expr {
    if let Some(s) = known_scalar(arg) {
        return Expr::Const(s);
    }
    let b = c.input(i, arg);
    Expr::load(b, index)
}

/// `e` in another type.
fn converted(e: Expr, to: DType) -> Expr {
    match e {
        Expr::Const(s) => Expr::Const(s.cast(to)),
        e => e.cast(to),
    }
}

/// The one element of input `i`, a tensor of one element.
pub(crate) fn single(c: &mut Compute, i: usize, arg: &Arg<'_>) -> Expr {
    load(c, i, arg, vec![Expr::int(0); arg.shape.rank()])
}

/// An f32 as a quantised number of type `to`: `saturate(round(v) + zero_point)`; NaN is 0.
pub(crate) fn quantized(v: Expr, zero_point: Option<Expr>, to: DType) -> Expr {
    let rounded = Expr::unary(UnaryFn::Round, v);
    let moved = match zero_point {
        Some(z) if z != Expr::Const(Scalar::zero(to)) => rounded + converted(z, DType::F32),
        _ => rounded,
    };
    // The conversion saturates, and makes 0 of NaN.
    moved.cast(to)
}

/// [`quantized`] of a number.
pub(crate) fn quantize(v: f32, zero_point: i64, to: DType) -> Scalar {
    let (low, high) = Scalar::limits(to);
    let moved = f64::from(v.round_ties_even()) + zero_point as f64;
    Scalar::F64(moved.clamp(low.to_f64(), high.to_f64())).cast(to)
}

/// `a * b / y`, the factor from a sum of products of quantised numbers to a quantised result, in f32 in this order.
pub(crate) fn factor(a: Expr, b: Expr, y: Expr) -> Expr {
    match (&a, &b, &y) {
        (Expr::Const(Scalar::F32(a)), Expr::Const(Scalar::F32(b)), Expr::Const(Scalar::F32(y))) => {
            Expr::f32(a * b / y)
        }
        _ => a * b / y,
    }
}

/// Input `i` as i32 less its zero point, as a stage; `zero` has its position and the index of its element that belongs
/// to element `L0 ..`.
pub(crate) fn centered(
    c: &mut Compute,
    name: &'static str,
    (i, arg): (usize, &Arg<'_>),
    zero: Option<(usize, Arg<'_>, Vec<Expr>)>,
) -> crate::expr::BufId {
    let b = c.input(i, arg);
    let q = Expr::load(b, vars(arg.shape.rank())).cast(DType::I32);
    let zero = zero.map(|(i, zero, index)| converted(load(c, i, &zero, index), DType::I32));
    let body = match zero {
        Some(z) if z != Expr::Const(Scalar::I32(0)) => q - z,
        _ => q,
    };
    c.map(name, TensorType::new(DType::I32, arg.shape.dims().to_vec()), body)
}

/// Input `i`, a tensor of one element of one of these types.
///
/// # Errors
/// [`OpError::Invalid`] when it is omitted or another tensor.
pub(crate) fn one<'a>(args: Args<'a>, i: usize, name: &str, dtypes: &[DType]) -> Result<Arg<'a>, OpError> {
    let arg = args.typed(i, name, dtypes)?;
    match arg.shape.numel() {
        1 => Ok(arg),
        _ => invalid!("input {i} ({name}): expected one element, found {}", arg.ty()),
    }
}

/// Input `i`, one element or one for each of `n` channels, of type `dtype`.
///
/// # Errors
/// [`OpError::Invalid`] when it is omitted or another tensor.
pub(crate) fn per_channel<'a>(
    args: Args<'a>,
    i: usize,
    name: &str,
    dtype: DType,
    n: usize,
) -> Result<Arg<'a>, OpError> {
    let arg = args.typed(i, name, &[dtype])?;
    if arg.shape.numel() == 1 || arg.shape.dims() == [n] {
        return Ok(arg);
    }
    invalid!("input {i} ({name}): expected one element or one for each of {n} channels, found {}", arg.ty())
}

/// The index of the parameter of channel `L<axis>`.
pub(crate) fn channel_index(arg: &Arg<'_>, axis: usize) -> Vec<Expr> {
    if arg.shape.numel() == 1 { vec![Expr::int(0); arg.shape.rank()] } else { vec![Expr::var(axis)] }
}

/// Input `i` as it is loaded for channel `L<axis>`.
pub(crate) fn load_channel(c: &mut Compute, i: usize, arg: &Arg<'_>, axis: usize) -> Expr {
    let index = channel_index(arg, axis);
    load(c, i, arg, index)
}

/// Which operand of a matrix product a parameter belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operand {
    /// `A`: one for each row.
    Rows,
    /// `B`: one for each column.
    Columns,
}

impl Operand {
    /// A parameter's shape as one that broadcasts to the operand and to the product.
    ///
    /// # Errors
    /// [`OpError::Invalid`] when it is neither one element nor one for each row (column) of `matrix`.
    pub(crate) fn parameter(self, name: &str, parameter: &Shape, matrix: &Shape) -> Result<Shape, OpError> {
        let dims = parameter.dims();
        if parameter.numel() == 1 {
            return Ok(Shape::scalar());
        }
        let fits = |aligned: &[usize]| match (aligned, matrix.dims()) {
            ([lead @ .., p, q], [outer @ .., m, n]) => {
                let own = match self {
                    Operand::Rows => p == m && *q == 1,
                    Operand::Columns => *p == 1 && q == n,
                };
                own && (lead.is_empty() || lead == outer)
            }
            _ => false,
        };
        let aligned = match (self, dims) {
            (Operand::Rows, [n]) => vec![*n, 1],
            (Operand::Columns, [n]) => vec![1, *n],
            _ => dims.to_vec(),
        };
        if fits(&aligned) {
            return Ok(Shape::new(aligned));
        }
        let each = if self == Operand::Rows { "row" } else { "column" };
        invalid!("{name}: expected one element or one for each {each} of {matrix}, found {parameter}")
    }

    /// The index, by a parameter's own rank, of the element for element `L0 ..` of a tensor of rank `rank`; `aligned`
    /// is its [`Operand::parameter`].
    pub(crate) fn index(self, own_rank: usize, aligned: &Shape, rank: usize) -> Vec<Expr> {
        if aligned.rank() == 0 {
            return vec![Expr::int(0); own_rank];
        }
        let index = broadcast_index(aligned, rank);
        match (self, own_rank) {
            (Operand::Rows, 1) => index[..1].to_vec(),
            (Operand::Columns, 1) => index[1..].to_vec(),
            _ => index,
        }
    }

    /// An element of a parameter, input `i`; see [`Operand::index`].
    pub(crate) fn load(self, c: &mut Compute, i: usize, arg: &Arg<'_>, aligned: &Shape, rank: usize) -> Expr {
        let index = self.index(arg.shape.rank(), aligned, rank);
        load(c, i, arg, index)
    }
}

/// The elements of a tensor of integers.
///
/// # Errors
/// [`OpError::Invalid`] for other element types.
pub(crate) fn whole(t: &Tensor) -> Result<Vec<i64>, OpError> {
    let each = |s: Scalar| s.int().and_then(|v| i64::try_from(v).ok());
    let values = scalars(t)?.into_iter().map(each).collect::<Option<Vec<i64>>>();
    values.ok_or_else(|| OpError::Invalid(format!("expected integers, found {}", t.ty())))
}

/// The integers of `t` less their zero points; `aligned` is the shape by which `zero` broadcasts to `t`.
///
/// # Errors
/// [`OpError::Invalid`] when it does not, or elements are no integers.
pub(crate) fn less_zero_points(t: &Tensor, zero: Option<(&Tensor, Shape)>) -> Result<Vec<i64>, OpError> {
    let mut values = whole(t)?;
    if let Some((zero, aligned)) = zero {
        let zeros = whole(zero)?;
        for (v, at) in values.iter_mut().zip(broadcast_positions(&aligned, t.shape())?) {
            *v -= zeros[at];
        }
    }
    Ok(values)
}

/// The shape by which a zero point of one element or one for each channel broadcasts to a weight `[oc, ..]`.
pub(crate) fn channels_of_weight(zero: &Tensor, weight: &Tensor) -> Shape {
    if zero.numel() == 1 {
        return Shape::scalar();
    }
    let mut dims = vec![1; weight.shape().rank()];
    dims[0] = zero.numel();
    Shape::new(dims)
}

/// The sums of products of a convolution in integers, row-major.
///
/// # Errors
/// [`OpError::TooLarge`] when there is no memory for them.
pub(crate) fn integer_conv(p: &Problem, src: &[i64], wei: &[i64]) -> Result<Vec<i64>, OpError> {
    let spatial: usize = p.window.iter().map(|w| w.input).product();
    let kernel: usize = p.window.iter().map(|w| w.kernel).product();
    let windows = output_extents(&p.window);
    let mut sums = filled(&p.dst(DType::I32).shape, 0i64)?;
    for (o, at) in windows.indices().enumerate() {
        let taps = if src.is_empty() { Vec::new() } else { taps(&p.window, &at) };
        for (n, oc) in (0..p.mb).flat_map(|n| (0..p.oc).map(move |oc| (n, oc))) {
            let mut sum = 0i64;
            for r in 0..p.group_ic {
                let plane = (n * p.ic + oc / p.group_oc * p.group_ic + r) * spatial;
                let filter = (oc * p.group_ic + r) * kernel;
                sum += taps.iter().map(|t| src[plane + t.input] * wei[filter + t.kernel]).sum::<i64>();
            }
            sums[(n * p.oc + oc) * windows.numel() + o] = sum;
        }
    }
    Ok(sums)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_round_to_even_and_saturate() {
        let cases = [(0.5, 0, 0), (1.5, 0, 2), (-0.5, 3, 3), (300.0, 0, 127), (-1e30, 5, -128), (2.5, -1, 1)];
        for (v, zero, expected) in cases {
            assert_eq!(quantize(v, zero, DType::I8), Scalar::I8(expected), "{v} + {zero}");
        }
        assert_eq!(quantize(f32::NAN, 7, DType::U8), Scalar::U8(0));
        assert_eq!(quantize(f32::INFINITY, -7, DType::U16), Scalar::U16(u16::MAX));
    }

    #[test]
    fn grains_follow_from_shapes() {
        let s = |d: &[usize]| Shape::new(d);
        let x = s(&[2, 5, 3]);
        let of = |scale: &[usize], axis, block| Grain::resolve(&x, &s(scale), axis, block);
        assert_eq!(of(&[], 9, 0), Ok(Grain::Tensor));
        assert_eq!(of(&[1], 1, 0), Ok(Grain::Tensor));
        assert_eq!(of(&[3], -1, 0), Ok(Grain::Axis(2)));
        assert_eq!(of(&[2, 3, 3], 1, 2), Ok(Grain::Block { axis: 1, size: 2 }));
        assert_eq!(of(&[2, 3, 3], 1, 2).map(|g| g.position(&[1, 4, 2], &s(&[2, 3, 3]))), Ok(17));
        for (scale, axis, block) in [(&[3][..], 1, 0), (&[3], 3, 0), (&[2, 3, 3], 1, 0), (&[2, 3, 3], 1, 5)] {
            assert!(of(scale, axis, block).is_err(), "{scale:?} {axis} {block}");
        }
    }

    #[test]
    fn parameters_of_products_align() {
        let s = |d: &[usize]| Shape::new(d);
        let of = |o: Operand, p: &[usize]| o.parameter("zero", &s(p), &s(&[2, 4, 3]));
        assert_eq!(of(Operand::Rows, &[4]), Ok(s(&[4, 1])));
        assert_eq!(of(Operand::Rows, &[2, 4, 1]), Ok(s(&[2, 4, 1])));
        assert_eq!(of(Operand::Columns, &[3]), Ok(s(&[1, 3])));
        assert_eq!(of(Operand::Columns, &[1, 1]), Ok(s(&[])));
        assert!(of(Operand::Columns, &[4]).is_err());
        assert!(of(Operand::Rows, &[3, 4, 1]).is_err());
    }
}
