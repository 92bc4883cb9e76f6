//! Resampling: ONNX `Resize`, opsets 10 to 19, and `Upsample`, whose attributes the importer translates.
//!
//! For each axis, an output index has a position `x` in the input (see [`CoordinateTransform`]). Then
//!
//! ```text
//! dst[o..] = src[nearest(x)..]                                                          mode Nearest
//! dst[o..] = sum over i.. of src[clamp(i)..] * weight((i - x) * shrink)..  / sum of weights   Linear, Cubic
//! ```
//!
//! where `weight` is the triangle or the cubic kernel, `shrink` is `min(scale, 1)` with `antialias` and 1 without, and
//! with `exclude_outside` an `i` outside the input has the weight 0 (modes `Linear` and `Cubic`). In
//! `TfCropAndResize`, an element with any position outside the input is `extrapolation_value`.
//!
//! | input | shape | |
//! |---|---|---|
//! | 0 `X` | any | any type; `Linear` and `Cubic` not bool |
//! | 1 `roi` | begins, then ends, of `axes` | f32, known; read in `TfCropAndResize` only |
//! | 2 `scales` | one for each of `axes` | f32, known |
//! | 3 `sizes` | one for each of `axes` | integers, known |
//!
//! One of `scales` and `sizes` is given; an empty tensor counts as omitted. Output: the type of `X` with extents `sizes`
//! (see [`AspectPolicy`]) or `floor(extent * scale)`, a product in f32. Floats are interpolated in their type, integers as f32 and
//! rounded, halves to even. An axis with scale 1 is left as it is. Errors: both or none of `scales` and `sizes`, lists that do
//! not fit `axes`, scales that are not positive, an empty axis that is to grow, `antialias` in mode `Nearest`.

mod axis;
mod table;

use crate::arg::known_args;
use crate::compute::{self, Compute, Reduce, ReduceFn};
use crate::elements::floats;
use crate::expr::{BufId, Expr, Scalar, UnaryFn};
use crate::index::vars;
use crate::{Args, DType, OpError, Operator, Tensor, TensorType};
use crate::{invalid, unsupported};

use axis::Axis;

/// Elements with weights.
type Sample = Vec<(usize, f64)>;

/// Interpolation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResizeMode {
    /// The nearest element.
    Nearest,
    /// Multilinear.
    Linear,
    /// Cubic convolution.
    Cubic,
}

crate::attr_enum!(ResizeMode { Nearest = "nearest", Linear = "linear", Cubic = "cubic" });

/// Position in the input of an output index; see the ONNX operator `Resize` for the formulas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CoordinateTransform {
    /// `(x + 0.5) / scale - 0.5`
    HalfPixel,
    /// Half pixel around the centre, for scales that do not give whole extents: half pixel, plus
    /// `in / 2 * (1 - out / (in * scale))`.
    HalfPixelSymmetric,
    /// Half pixel, but 0 when the output extent is 1.
    PytorchHalfPixel,
    /// `x * (in - 1) / (out - 1)`; 0 when the output extent is 1. Where `in * scale` is no whole number, `out` is the whole
    /// number below, as in PyTorch and ONNX Runtime.
    AlignCorners,
    /// `x / scale`
    Asymmetric,
    /// `(x + 0.5) / scale`
    TfHalfPixelForNn,
    /// Corners aligned to the region of interest: `(begin + x * (end - begin) / (out - 1)) * (in - 1)`; its centre when the
    /// output extent is 1.
    TfCropAndResize,
}

crate::attr_enum!(CoordinateTransform { HalfPixel = "half_pixel", HalfPixelSymmetric = "half_pixel_symmetric", PytorchHalfPixel = "pytorch_half_pixel", AlignCorners = "align_corners", Asymmetric = "asymmetric", TfHalfPixelForNn = "tf_half_pixel_for_nn", TfCropAndResize = "tf_crop_and_resize" });

/// Rounding of a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NearestMode {
    /// To nearest, halves down.
    RoundPreferFloor,
    /// To nearest, halves up.
    RoundPreferCeil,
    /// Down.
    Floor,
    /// Up.
    Ceil,
}

crate::attr_enum!(NearestMode { RoundPreferFloor = "round_prefer_floor", RoundPreferCeil = "round_prefer_ceil", Floor = "floor", Ceil = "ceil" });

/// How `sizes` are adapted to the input's aspect ratio.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AspectPolicy {
    /// Not at all.
    Stretch,
    /// The largest size with the input's aspect ratio within `sizes`.
    NotLarger,
    /// The smallest size with the input's aspect ratio not below `sizes`.
    NotSmaller,
}

crate::attr_enum!(AspectPolicy { Stretch = "stretch", NotLarger = "not_larger", NotSmaller = "not_smaller" });

/// ONNX operator Resize.
#[derive(Clone, Debug, PartialEq)]
pub struct Resize {
    /// Interpolation.
    pub mode: ResizeMode,
    /// Position in the input of an output index.
    pub coordinates: CoordinateTransform,
    /// Rounding of positions in mode `Nearest`.
    pub nearest_mode: NearestMode,
    /// Parameter of the cubic kernel.
    pub cubic_coeff_a: f32,
    /// Whether weights outside the input are set to 0 and the rest scaled to sum to 1.
    pub exclude_outside: bool,
    /// Value outside the region of interest (`TfCropAndResize`).
    pub extrapolation_value: f32,
    /// Whether downsampling widens the kernel.
    pub antialias: bool,
    /// How `sizes` are adapted to the input's aspect ratio.
    pub aspect: AspectPolicy,
    /// The axes that `roi`, `scales` and `sizes` speak of; empty: all.
    pub axes: Vec<i64>,
}

crate::attributes!(Resize {
    mode,
    coordinates,
    nearest_mode,
    cubic_coeff_a,
    exclude_outside,
    extrapolation_value,
    antialias,
    aspect,
    axes
});

impl Resize {
    /// Nearest neighbours, output index `i` showing input index `floor(i / scale)`; other attributes as ONNX has them where
    /// they are left out.
    pub fn nearest() -> Self {
        Resize {
            mode: ResizeMode::Nearest,
            coordinates: CoordinateTransform::Asymmetric,
            nearest_mode: NearestMode::Floor,
            cubic_coeff_a: -0.75,
            exclude_outside: false,
            extrapolation_value: 0.0,
            antialias: false,
            aspect: AspectPolicy::Stretch,
            axes: Vec::new(),
        }
    }

    /// The output's type, and the axes that differ from the input's.
    fn problem(&self, args: Args<'_>) -> Result<(TensorType, Vec<Axis>), OpError> {
        let src = args.required(0, "X")?;
        if self.mode == ResizeMode::Nearest && self.antialias {
            return invalid!("antialias does not go with mode nearest");
        }
        if self.mode != ResizeMode::Nearest && src.dtype == DType::Bool {
            return unsupported!("mode {} on {}", self.mode, src.ty());
        }
        let (shape, axes) = self.resampled(args)?;
        Ok((TensorType { dtype: src.dtype, shape }, axes))
    }

    /// What an element outside the region of interest is.
    fn outside(&self, dtype: DType) -> Scalar {
        match dtype {
            DType::F32 => Scalar::F32(self.extrapolation_value),
            DType::F64 => Scalar::F64(self.extrapolation_value.into()),
            _ => Scalar::F32(self.extrapolation_value.round_ties_even()).cast(dtype),
        }
    }

    /// `value`, or what is outside the region of interest, at the element in variables `L0 ..`.
    fn or_outside(&self, c: &mut Compute, axes: &[Axis], dtype: DType, value: Expr) -> Result<Expr, OpError> {
        let mut inside: Option<Expr> = None;
        for a in axes {
            if let Some(table) = self.inside_table(a)? {
                let table = c.table(table);
                let here = Expr::load(table, [Expr::var(a.axis)]);
                inside = Some(inside.map_or(here.clone(), |i| i.and(here)));
            }
        }
        let outside = Expr::Const(self.outside(dtype));
        Ok(inside.map_or(value.clone(), |i| i.select(value, outside)))
    }

    fn compute_nearest(
        &self,
        c: &mut Compute,
        src: BufId,
        dst: TensorType,
        axes: &[Axis],
    ) -> Result<BufId, OpError> {
        let mut index = vars(dst.shape.rank());
        for a in axes {
            let table = c.table(self.nearest_table(a)?);
            index[a.axis] = Expr::load(table, [Expr::var(a.axis)]);
        }
        let value = self.or_outside(c, axes, dst.dtype, Expr::load(src, index))?;
        Ok(c.map("nearest", dst, value))
    }

    /// One stage for each axis, those that shrink most first.
    fn compute_weighted(
        &self,
        c: &mut Compute,
        src: BufId,
        dst: TensorType,
        axes: &[Axis],
    ) -> Result<BufId, OpError> {
        let mut order: Vec<&Axis> = axes.iter().collect();
        order.sort_by(|a, b| (a.output as u128 * b.input as u128).cmp(&(b.output as u128 * a.input as u128)));
        let rank = dst.shape.rank();
        let inner = if dst.dtype.is_float() { dst.dtype } else { DType::F32 };
        let mut from = src;
        for (i, a) in order.iter().enumerate() {
            let taps = self.taps(a)?;
            let weight = floats(TensorType::new(inner, [a.output, taps.count]), taps.weights)?;
            let (table, weight) = (c.table(taps.index), c.table(weight));
            let tap = [Expr::var(a.axis), Expr::var(rank)];
            let mut index = vars(rank);
            index[a.axis] = Expr::load(table, tap.clone());
            let value = Expr::load(from, index);
            let value = if c.ty(from).dtype == inner { value } else { value.cast(inner) };
            let mut dims = c.ty(from).shape.dims().to_vec();
            dims[a.axis] = a.output;
            let last = i + 1 == order.len();
            let ty = TensorType::new(if last { dst.dtype } else { inner }, dims);
            ty.shape.checked_bytes(ty.dtype)?;
            let mut finish = Expr::Acc;
            if last && dst.dtype != inner {
                finish = Expr::unary(UnaryFn::Round, finish).cast(dst.dtype);
            }
            if last {
                finish = self.or_outside(c, axes, dst.dtype, finish)?;
            }
            let reduce = Reduce {
                extents: vec![taps.count],
                combine: ReduceFn::Sum,
                init: Expr::literal(inner, 0.0),
                finish,
            };
            from = c.reduce(self.mode.name(), ty, reduce, value * Expr::load(weight, tap));
        }
        Ok(from)
    }

    /// Elements and weights that output index `o` takes along an axis; none where the position is outside.
    fn sample(&self, a: &Axis, o: usize) -> Option<Sample> {
        let (x, outside) = a.position(o);
        let clamp = |i: f64| i.clamp(0.0, a.input as f64 - 1.0) as usize;
        if outside {
            return None;
        }
        if self.mode == ResizeMode::Nearest {
            let nearest = match self.nearest_mode {
                NearestMode::RoundPreferFloor => (x - 0.5).ceil(),
                NearestMode::RoundPreferCeil => (x + 0.5).floor(),
                NearestMode::Floor => x.floor(),
                NearestMode::Ceil => x.ceil(),
            };
            return Some(vec![(clamp(nearest), 1.0)]);
        }
        let shrink = if self.antialias { a.scale.value().min(1.0) } else { 1.0 };
        let alpha = f64::from(self.cubic_coeff_a);
        let (radius, kernel): (f64, &dyn Fn(f64) -> f64) = match self.mode {
            ResizeMode::Cubic => (2.0, &|d| {
                if d <= 1.0 {
                    (alpha + 2.0) * d.powi(3) - (alpha + 3.0) * d.powi(2) + 1.0
                } else {
                    alpha * (d.powi(3) - 5.0 * d.powi(2) + 8.0 * d - 4.0)
                }
            }),
            _ => (1.0, &|d| 1.0 - d),
        };
        let mut taps = Vec::new();
        let mut sum = 0.0;
        let mut i = (x - radius / shrink).ceil();
        while i <= x + radius / shrink {
            let weight = kernel(((i - x) * shrink).abs().min(radius));
            if !self.exclude_outside || (0.0..a.input as f64).contains(&i) {
                taps.push((clamp(i), weight));
                sum += weight;
            }
            i += 1.0;
        }
        let sum = if sum == 0.0 { 1.0 } else { sum };
        Some(taps.into_iter().map(|(i, w)| (i, w / sum)).collect())
    }
}

impl Operator for Resize {
    fn name(&self) -> &'static str {
        "Resize"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        Ok(vec![self.problem(args)?.0])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let (dst, axes) = self.problem(args)?;
        if dst.shape.numel() == 0 {
            let zero = Scalar::zero(dst.dtype);
            return Ok(Compute::filled(dst, zero));
        }
        let mut c = Compute::new();
        let src = c.input(0, &args.required(0, "X")?);
        let out = if axes.is_empty() {
            let index = vars(dst.shape.rank());
            c.map("copy", dst, Expr::load(src, index))
        } else if self.mode == ResizeMode::Nearest {
            self.compute_nearest(&mut c, src, dst, &axes)?
        } else {
            self.compute_weighted(&mut c, src, dst, &axes)?
        };
        c.output(out);
        Ok(c)
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        let args = known_args(inputs);
        let args = Args(&args);
        let (dst, axes) = self.problem(args)?;
        let src = args.known(0, "X")?;
        if dst.shape.numel() == 0 {
            return Ok(vec![Tensor::from_bytes(dst, Vec::new())?]);
        }
        // For each axis and output index, elements and weights.
        let mut samples: Vec<Vec<Option<Sample>>> =
            dst.shape.iter().map(|&d| (0..d).map(|i| Some(vec![(i, 1.0)])).collect()).collect();
        for a in &axes {
            samples[a.axis] = (0..a.output).map(|o| self.sample(a, o)).collect();
        }
        let strides = src.shape().strides();
        let elements = compute::scalars(src)?;
        let mut results = Vec::new();
        for index in dst.shape.indices() {
            let mut taps = Some(vec![(0, 1.0)]);
            for ((samples, &o), stride) in samples.iter().zip(&index).zip(&strides) {
                taps = taps.zip(samples[o].as_ref()).map(|(taps, axis)| product(&taps, axis, *stride));
            }
            results.push(match taps.as_deref() {
                None => self.outside(dst.dtype),
                Some([(i, _)]) => elements[*i],
                Some(taps) => blend(taps, &elements),
            });
        }
        Ok(vec![compute::tensor(&dst, &results)?])
    }
}

/// Places and weights extended along one more axis.
fn product(taps: &[(usize, f64)], axis: &[(usize, f64)], stride: usize) -> Sample {
    taps.iter().flat_map(|&(p, w)| axis.iter().map(move |&(i, v)| (p + i * stride, w * v))).collect()
}

/// The weighted sum of elements, as one of them.
fn blend(taps: &[(usize, f64)], elements: &[Scalar]) -> Scalar {
    let sum = taps.iter().map(|&(i, w)| elements[i].to_f64() * w).sum::<f64>();
    match elements[taps[0].0].dtype() {
        DType::F64 => Scalar::F64(sum),
        DType::F32 => Scalar::F32(sum as f32),
        other => Scalar::F32((sum as f32).round_ties_even()).cast(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Shape;

    fn resize(mode: ResizeMode, coordinates: CoordinateTransform) -> Resize {
        Resize {
            mode,
            coordinates,
            nearest_mode: NearestMode::RoundPreferFloor,
            cubic_coeff_a: -0.75,
            exclude_outside: false,
            extrapolation_value: -1.0,
            antialias: false,
            aspect: AspectPolicy::Stretch,
            axes: vec![],
        }
    }

    /// The line `src` with these scales or sizes.
    fn line(op: &Resize, src: &[f32], scales: &[f32], sizes: &[i64]) -> Result<Vec<f32>, OpError> {
        let src = Tensor::new([src.len()], src)?;
        let roi = Tensor::new([2], &[0.5f32, 1.5])?;
        let (scales, sizes) = (Tensor::new([scales.len()], scales)?, Tensor::new([sizes.len()], sizes)?);
        op.reference(&[Some(&src), Some(&roi), Some(&scales), Some(&sizes)])?[0].to_vec()
    }

    #[test]
    fn positions() {
        use CoordinateTransform::*;
        let src = [0.0, 10.0, 20.0];
        let f = |coordinates, size: i64| {
            line(&resize(ResizeMode::Linear, coordinates), &src, &[], &[size]).unwrap()
        };
        assert_eq!(f(HalfPixel, 6), [0.0, 2.5, 7.5, 12.5, 17.5, 20.0]);
        assert_eq!(f(HalfPixel, 1), [10.0]);
        assert_eq!(f(PytorchHalfPixel, 1), [0.0]);
        assert_eq!(f(AlignCorners, 5), [0.0, 5.0, 10.0, 15.0, 20.0]);
        assert_eq!(f(AlignCorners, 1), [0.0]);
        assert_eq!(f(Asymmetric, 6), [0.0, 5.0, 10.0, 15.0, 20.0, 20.0]);
        assert_eq!(f(TfHalfPixelForNn, 6), [2.5, 7.5, 12.5, 17.5, 20.0, 20.0]);
        // From 1 to 3, of which what is over 2 is outside.
        assert_eq!(f(TfCropAndResize, 5), [10.0, 15.0, 20.0, -1.0, -1.0]);
        assert_eq!(f(TfCropAndResize, 1), [20.0]);
    }

    #[test]
    fn corners_are_aligned_also_by_a_factor_that_gives_no_whole_extent() {
        let line = |coordinates, scale: f32| {
            let src: Vec<f32> = (0..7).map(|v| v as f32).collect();
            line(&resize(ResizeMode::Linear, coordinates), &src, &[scale], &[]).unwrap()
        };
        // 10.5 becomes 10.
        let thirds: Vec<f32> = (0..10).map(|v| (f64::from(v) * 6.0 / 9.0) as f32).collect();
        assert_eq!(line(CoordinateTransform::AlignCorners, 1.5), thirds);
        // 4.2 becomes 4.
        assert_eq!(line(CoordinateTransform::AlignCorners, 0.6), [0.0, 2.0, 4.0, 6.0]);
        // From 3 to 9, of which what is over 6 is outside.
        assert_eq!(line(CoordinateTransform::TfCropAndResize, 0.6), [3.0, 5.0, -1.0, -1.0]);
    }

    #[test]
    fn modes() {
        use CoordinateTransform::*;
        let src = [0.0, 10.0, 20.0, 40.0];
        let nearest = |nearest_mode| {
            let op = Resize { nearest_mode, ..resize(ResizeMode::Nearest, Asymmetric) };
            line(&op, &src, &[2.0], &[]).unwrap()[1]
        };
        assert_eq!(NearestMode::ALL.iter().map(|&m| nearest(m)).collect::<Vec<_>>(), [0.0, 10.0, 0.0, 10.0]);
        let scaled = |op: &Resize, s| line(op, &src, &[s], &[]).unwrap();
        let linear = resize(ResizeMode::Linear, HalfPixel);
        assert_eq!(scaled(&linear, 0.5), [5.0, 30.0]);
        // Weights 1/8, 3/8, 3/8, 1/8 at -1 .. 3 and 1 .. 5.
        let antialias = Resize { antialias: true, ..linear };
        assert_eq!(scaled(&antialias, 0.5), [6.25, 28.75]);
        let exclude = Resize { exclude_outside: true, ..antialias };
        assert_eq!(scaled(&exclude, 0.5), [(30.0 + 20.0) / 7.0, (10.0 + 60.0 + 120.0) / 7.0]);
        // Weights of the cubic kernel at distances 1.5, 0.5, 0.5, 1.5: -3/32, 19/32, 19/32, -3/32.
        let cubic = Resize { axes: vec![-1], ..resize(ResizeMode::Cubic, HalfPixel) };
        assert_eq!(scaled(&cubic, 0.5)[0], (190.0 - 60.0) / 32.0);
        // 3 / 0.6 is 5, 10 * 0.7 is 7.
        let tenths: Vec<f32> = (0..10).map(|v| v as f32).collect();
        let floor = Resize { nearest_mode: NearestMode::Floor, ..resize(ResizeMode::Nearest, Asymmetric) };
        assert_eq!(line(&floor, &tenths, &[0.6], &[]).unwrap(), [0.0, 1.0, 3.0, 5.0, 6.0, 8.0]);
        assert_eq!(line(&floor, &tenths, &[0.7], &[]).unwrap().len(), 7);
    }

    #[test]
    fn aspect_is_kept() {
        let src = Shape::from([1, 3, 4]);
        let sizes = Tensor::new([2], &[6i64, 10]).unwrap();
        let x = crate::Arg { dtype: DType::U8, shape: &src, value: None };
        let shape = |aspect| {
            let op = Resize {
                aspect,
                axes: vec![1, 2],
                ..resize(ResizeMode::Nearest, CoordinateTransform::HalfPixel)
            };
            op.infer(Args(&[Some(x), None, None, Some((&sizes).into())])).unwrap()[0].shape.to_vec()
        };
        assert_eq!(shape(AspectPolicy::Stretch), [1, 6, 10]);
        assert_eq!(shape(AspectPolicy::NotLarger), [1, 6, 8]);
        assert_eq!(shape(AspectPolicy::NotSmaller), [1, 8, 10]);
    }

    #[test]
    fn errors_say_expected_and_found() {
        let op = resize(ResizeMode::Nearest, CoordinateTransform::HalfPixel);
        let fail = |op: &Resize, src: &[f32], scales: &[f32], sizes: &[i64]| {
            line(op, src, scales, sizes).unwrap_err().to_string()
        };
        assert!(fail(&op, &[1.0], &[], &[]).contains("neither"));
        assert!(fail(&op, &[1.0], &[1.0], &[1]).contains("both"));
        assert!(fail(&op, &[1.0], &[1.0, 2.0], &[]).contains("expected 1 positive numbers"));
        assert!(fail(&op, &[1.0], &[f32::NAN], &[]).contains("NaN"));
        assert!(fail(&op, &[1.0], &[], &[-1]).contains("negative"));
        assert!(fail(&op, &[], &[], &[1]).contains("empty"));
        assert!(fail(&op, &[1.0], &[1e30], &[]).contains("resized from 1 to"));
        let axes = |axes: &[i64]| Resize { axes: axes.to_vec(), ..op.clone() };
        assert!(fail(&axes(&[1]), &[1.0], &[1.0], &[]).contains("found 1"));
        assert!(fail(&axes(&[0, -1]), &[1.0], &[1.0, 1.0], &[]).contains("twice"));
        assert!(fail(&Resize { antialias: true, ..op.clone() }, &[1.0], &[1.0], &[]).contains("antialias"));
    }
}
