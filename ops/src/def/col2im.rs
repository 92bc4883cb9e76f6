//! Sums overlapping blocks to an image, the reverse of cutting it into columns: ONNX `Col2Im`, opset 18.
//!
//! ```text
//! dst[n, c, i..] = sum over k.., and o.. with o * stride + k * dilation - pad_begin = i, of
//!     src[n, c * K + k, o]        k and o row-major over block and positions, K the number of places of a block
//! ```
//!
//! Inputs: 0 (`input`) `[N, C * K, O]`, numbers; 1 (`image_shape`) and 2 (`block_shape`), integers for each spatial axis,
//! known before the run. Output: `[N, C, image..]` of the type of input 0. Errors: extents that do not fit, lists that do
//! not fit the spatial axes, a block larger than the padded image.

use crate::arg::{Arg, Args, known_args};
use crate::axes::{extent, product, required_ints};
use crate::compute::{Compute, Update, scalars, tensor};
use crate::def::scatter::ScatterReduction;
use crate::dtype::DType;
use crate::elements::input;
use crate::error::OpError;
use crate::expr::{Expr, Scalar};
use crate::index::vars;
use crate::invalid;
use crate::operator::Operator;
use crate::shape::TensorType;
use crate::tensor::Tensor;
use crate::window::{Rounding, Window, WindowAxis, output_extents, taps};

/// ONNX operator Col2Im.
#[derive(Clone, Debug, PartialEq)]
pub struct Col2Im {
    /// Steps between the places of a block, one per spatial axis; empty: all 1.
    pub dilations: Vec<usize>,
    /// Padding of the image, all begins then all ends; empty: all 0.
    pub pads: Vec<usize>,
    /// Steps between blocks; empty: all 1.
    pub strides: Vec<usize>,
}

crate::attributes!(Col2Im { dilations, pads, strides });

struct Problem<'a> {
    src: Arg<'a>,
    channels: usize,
    /// Places of a block.
    places: usize,
    window: Vec<WindowAxis>,
    dst: TensorType,
}

fn extents(args: Args<'_>, i: usize, name: &str) -> Result<Vec<usize>, OpError> {
    required_ints(args, i, name)?.into_iter().map(|d| extent(d.into(), name)).collect()
}

impl Col2Im {
    /// The window of blocks on the image, without extents.
    pub fn window(&self) -> Window {
        Window {
            strides: self.strides.clone(),
            dilations: self.dilations.clone(),
            pads: self.pads.clone(),
            ..Window::default()
        }
    }

    fn problem<'a>(&self, args: Args<'a>) -> Result<Problem<'a>, OpError> {
        let src = args.typed(0, "input", DType::NUMBERS)?;
        let (image, block) = (extents(args, 1, "image_shape")?, extents(args, 2, "block_shape")?);
        let window = self.window().axes_with(&block, &image, Rounding::Floor)?;
        let (places, positions) = (product(&block)?, product(output_extents(&window).dims())?);
        let (n, channels) = match src.shape.dims() {
            [n, columns, o] if *o == positions && places > 0 && columns % places == 0 => {
                (*n, columns / places)
            }
            _ => {
                return invalid!(
                    "input 0 (input): expected [batch, a multiple of {places}, {positions}] for the image {image:?} \
                     and the block {block:?}, found {}",
                    src.ty()
                );
            }
        };
        let dst = TensorType::new(src.dtype, [&[n, channels], &image[..]].concat());
        dst.shape.checked_bytes(dst.dtype)?;
        Ok(Problem { src, channels, places, window, dst })
    }
}

impl Operator for Col2Im {
    fn name(&self) -> &'static str {
        "Col2Im"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        Ok(vec![self.problem(args)?.dst])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let Problem { src, places, window, dst, .. } = self.problem(args)?;
        let zero = Scalar::zero(dst.dtype);
        if dst.shape.numel() == 0 || src.shape.numel() == 0 {
            return Ok(Compute::filled(dst, zero));
        }
        let mut c = Compute::new();
        let columns = c.input(0, &src);
        // Sums in an image, [N, C, axes..]; what falls into the padding of an axis goes behind its end.
        let (axes, outer) = (window.len(), &dst.shape[..2]);
        let reach = |w: &WindowAxis| (w.output - 1) * w.stride + (w.kernel - 1) * w.dilation;
        let inside = |w: &WindowAxis| w.pad_begin == 0 && reach(w) < w.input;
        let extents: Vec<usize> = window.iter().map(|w| w.input + usize::from(!inside(w))).collect();
        let ty = TensorType::new(dst.dtype, [outer, &extents].concat());
        ty.shape.checked_bytes(ty.dtype)?;
        let sums = c.map("sums", ty, Expr::Const(zero));
        // An element of the columns: [N, C, places.., blocks..].
        let (mut place, mut block) = (Expr::int(0), Expr::int(0));
        let mut index = vars(2);
        for (i, w) in window.iter().enumerate() {
            let (k, o) = (Expr::var(2 + i), Expr::var(2 + axes + i));
            place = place * Expr::int(w.kernel) + k.clone();
            block = block * Expr::int(w.output) + o.clone();
            let at = o * Expr::int(w.stride) + k * Expr::int(w.dilation);
            index.push(if inside(w) {
                at
            } else {
                let at = at - Expr::int(w.pad_begin);
                at.clone().within(w.input).select(at.clamp(0, w.input as i64 - 1), Expr::int(w.input))
            });
        }
        let element = Expr::load(columns, [Expr::var(0), Expr::var(1) * Expr::int(places) + place, block]);
        let sum = Expr::load(sums, index.clone()) + element;
        let (kernel, output) = (window.iter().map(|w| w.kernel), window.iter().map(|w| w.output));
        let extents = outer.iter().copied().chain(kernel).chain(output).collect();
        c.update("col2im", sums, Update { extents, index }, sum);
        let out = match window.iter().all(inside) {
            true => sums,
            false => c.map("image", dst, Expr::load(sums, vars(2 + axes))),
        };
        c.output(out);
        Ok(c)
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        let args = known_args(inputs);
        let Problem { channels, places, window, dst, .. } = self.problem(Args(&args))?;
        let columns = scalars(input(inputs, 0, "input")?)?;
        let plane: usize = window.iter().map(|w| w.input).product();
        let positions = output_extents(&window);
        let mut image = vec![Scalar::zero(dst.dtype); dst.shape.numel()];
        let maps = image.len().checked_div(plane).unwrap_or(0);
        for (o, at) in positions.indices().enumerate() {
            for tap in taps(&window, &at) {
                for map in 0..maps {
                    let (n, c) = (map / channels, map % channels);
                    let column = (n * channels + c) * places + tap.kernel;
                    let sum = &mut image[map * plane + tap.input];
                    *sum = ScatterReduction::Add.of(*sum, columns[column * positions.numel() + o]);
                }
            }
        }
        Ok(vec![tensor(&dst, &image)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{error, run, t};

    fn op() -> Col2Im {
        Col2Im { dilations: vec![], pads: vec![], strides: vec![] }
    }

    #[test]
    fn hand_computed() {
        let shapes = (t([1], &[4i64]), t([1], &[2i64]));
        // Blocks [1, 4], [2, 5], [3, 6] at 0, 1, 2.
        let x = t([1, 2, 3], &[1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let y = run(&op(), &[&x, &shapes.0, &shapes.1]);
        assert_eq!(y, Ok(t([1, 1, 4], &[1.0f32, 6.0, 8.0, 6.0])));
        let strided = Col2Im { strides: vec![2], pads: vec![1, 0], ..op() };
        let y = run(&strided, &[&t([1, 4, 2], &[1i64, 2, 3, 4, 5, 6, 7, 8]), &t([1], &[3i64]), &shapes.1]);
        assert_eq!(y, Ok(t([1, 2, 3], &[3i64, 2, 4, 7, 6, 8])));
        let dilated = Col2Im { dilations: vec![3], ..op() };
        let y = run(&dilated, &[&t([1, 2, 1], &[1u8, 2]), &shapes.0, &shapes.1]);
        assert_eq!(y, Ok(t([1, 1, 4], &[1u8, 0, 0, 2])));
        let plane = run(&op(), &[&t([1, 4, 1], &[1i32, 2, 3, 4]), &t([2], &[2i64, 2]), &t([2], &[2i64, 2])]);
        assert_eq!(plane, Ok(t([1, 1, 2, 2], &[1i32, 2, 3, 4])));
    }

    /// A block far away in the padding takes no memory on the way there.
    #[test]
    fn padding_is_not_stored() {
        let far = Col2Im { pads: vec![1 << 39, 0], strides: vec![1 << 39], ..op() };
        let y = run(&far, &[&t([1, 2, 2], &[5i32, 1, 6, 2]), &t([1], &[4i64]), &t([1], &[2i64])]);
        assert_eq!(y, Ok(t([1, 1, 4], &[1i32, 2, 0, 0])));
    }

    #[test]
    fn errors() {
        let (image, block) = (t([1], &[4i64]), t([1], &[2i64]));
        let of = |x: &Tensor, block: &Tensor| error(&op(), &[x, &image, block]);
        assert!(of(&t([1, 3, 3], &[0.0f32; 9]), &block).contains("a multiple of 2, 3]"));
        assert!(of(&t([1, 2, 2], &[0.0f32; 4]), &block).contains("found f32[1,2,2]"));
        assert!(of(&t([1, 2, 3], &[0.0f32; 6]), &t([2], &[1i64, 2])).contains("kernel has 2 axes"));
        assert!(of(&t([1, 2, 3], &[0.0f32; 6]), &t([1], &[5i64])).contains("does not fit"));
        assert!(of(&t([1, 2, 3], &[0.0f32; 6]), &t([1], &[-1i64])).contains("found -1"));
    }
}
