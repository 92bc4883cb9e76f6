//! Operators that slide a window: loops over three spatial axes, of which the missing ones have extent 1.

use super::{Magnitude, PART, Value, three};
use crate::problem::{Conv, Counting, Rounding, Window};
use crate::shape::{span, transposed_span};

/// Window elements that lie in the input: their flat positions in kernel and input.
type Taps = Vec<(usize, usize)>;

/// A window along three axes.
struct Geometry {
    input: [usize; 3],
    output: [usize; 3],
    kernel: [usize; 3],
    stride: [usize; 3],
    dilation: [usize; 3],
    begin: [usize; 3],
    end: [usize; 3],
}

impl Geometry {
    fn new(w: &Window, src: &[usize], dst: &[usize], rounding: Rounding) -> Self {
        let spans: Vec<_> = (0..w.kernel.len()).map(|i| span(src[2 + i], w, i, rounding).unwrap()).collect();
        let [begin, end] = [0, 1].map(|side| {
            let pads: Vec<usize> = spans.iter().map(|s| if side == 0 { s.begin } else { s.end }).collect();
            three(&pads, 0)
        });
        Geometry {
            input: three(&src[2..], 1),
            output: three(&dst[2..], 1),
            kernel: three(&w.kernel, 1),
            stride: three(&w.strides, 1),
            dilation: three(&w.dilations, 1),
            begin,
            end,
        }
    }

    /// For output `o` and window element `k` of an axis, the position in the padded input.
    fn padded(&self, axis: usize, o: usize, k: usize) -> usize {
        o * self.stride[axis] + k * self.dilation[axis]
    }

    /// The window elements of output `o` that lie in the input.
    fn taps(&self, o: [usize; 3]) -> Taps {
        let mut taps = Vec::new();
        let inside = |axis: usize, k: usize| {
            let at = self.padded(axis, o[axis], k).checked_sub(self.begin[axis])?;
            (at < self.input[axis]).then_some(at)
        };
        for kd in 0..self.kernel[0] {
            let Some(d) = inside(0, kd) else { continue };
            for kh in 0..self.kernel[1] {
                let Some(h) = inside(1, kh) else { continue };
                for kw in 0..self.kernel[2] {
                    let Some(w) = inside(2, kw) else { continue };
                    let kernel = (kd * self.kernel[1] + kh) * self.kernel[2] + kw;
                    taps.push((kernel, (d * self.input[1] + h) * self.input[2] + w));
                }
            }
        }
        taps
    }

    /// The number of window elements of output `o` that lie in the input or its padding.
    fn count_padded(&self, o: [usize; 3]) -> usize {
        let one = |axis: usize| {
            let extent = self.begin[axis] + self.input[axis] + self.end[axis];
            (0..self.kernel[axis]).filter(|&k| self.padded(axis, o[axis], k) < extent).count()
        };
        one(0) * one(1) * one(2)
    }

    /// All output positions with their taps.
    fn outputs(&self) -> Vec<([usize; 3], Taps)> {
        let mut all = Vec::new();
        for d in 0..self.output[0] {
            for h in 0..self.output[1] {
                all.extend((0..self.output[2]).map(|w| ([d, h, w], self.taps([d, h, w]))));
            }
        }
        all
    }
}

fn volume(extents: [usize; 3]) -> usize {
    extents.iter().product()
}

/// The longest filter: root of the largest sum of squares of `n` weights in a row.
fn longest(wei: &[f32], n: usize) -> f64 {
    let squares = |f: &[f32]| f.iter().map(|&w| f64::from(w) * f64::from(w)).sum::<f64>();
    wei.chunks(n.max(1)).map(squares).fold(0.0, f64::max).sqrt()
}

/// The error of sums of products: see [`super`]. `squares` is the sum over all outputs of their products' squares.
pub fn of_sums(y: Value, squares: f64, part: f64, handed_on: f64) -> Value {
    let random = (squares / y.v.len().max(1) as f64).sqrt();
    let error = part * y.rms().max(random) + handed_on;
    Value { error, ..y }
}

pub fn conv(
    conv: &Conv,
    src: &Value,
    wei: &[f32],
    bias: Option<&[f32]>,
    shape: &[usize],
    magnitude: Magnitude,
) -> Value {
    let g = Geometry::new(&conv.window, &src.shape, shape, Rounding::Floor);
    let (ic, oc) = (src.shape[1], conv.oc);
    let (group_ic, group_oc) = (ic / conv.group, oc / conv.group);
    let (plane, taps) = (volume(g.input), volume(g.kernel));
    let outputs = g.outputs();
    let mut v = Vec::new();
    let mut squares = 0.0;
    for n in 0..shape[0] {
        for o in 0..oc {
            for (_, window) in &outputs {
                let mut sum = bias.map_or(0.0, |b| f64::from(b[o]));
                squares += if sum.is_finite() { sum * sum } else { 0.0 };
                for i in 0..group_ic {
                    let image = &src.v[(n * ic + o / group_oc * group_ic + i) * plane..][..plane];
                    let filter = &wei[(o * group_ic + i) * taps..][..taps];
                    for &(k, at) in window {
                        let product = image[at] * f64::from(filter[k]);
                        sum += product;
                        squares += if product.is_finite() { product * product } else { 0.0 };
                    }
                }
                v.push(sum);
            }
        }
    }
    if magnitude == Magnitude::Unpadded {
        let filter = wei.iter().map(|&w| f64::from(w) * f64::from(w)).sum::<f64>() / oc as f64;
        squares = squares.max(filter * src.rms().powi(2) * v.len() as f64);
    }
    let handed_on = src.error * longest(wei, group_ic * taps);
    of_sums(Value { shape: shape.to_vec(), v, error: 0.0 }, squares, PART, handed_on)
}

/// Every element of the input is multiplied by the kernel and added where it falls.
pub fn transposed(
    conv: &Conv,
    output_padding: &[usize],
    src: &Value,
    wei: &[f32],
    bias: Option<&[f32]>,
    shape: &[usize],
) -> Value {
    let w = &conv.window;
    let begin: Vec<usize> = (0..w.kernel.len())
        .map(|i| transposed_span(src.shape[2 + i], w, i, output_padding[i]).unwrap().1)
        .collect();
    let (begin, input, output) = (three(&begin, 0), three(&src.shape[2..], 1), three(&shape[2..], 1));
    let [kernel, stride, dilation] = [&w.kernel, &w.strides, &w.dilations].map(|v| three(v, 1));
    let (ic, group_ic, group_oc) = (src.shape[1], src.shape[1] / conv.group, conv.oc / conv.group);
    let place = |axis: usize, i: usize, k: usize| {
        let at = (i * stride[axis] + k * dilation[axis]).checked_sub(begin[axis])?;
        (at < output[axis]).then_some(at)
    };
    // Pairs of input and kernel elements with the output element that they add to.
    let mut pairs = Vec::new();
    for (i, at) in positions(input).into_iter().enumerate() {
        for (k, tap) in positions(kernel).into_iter().enumerate() {
            let to = [0, 1, 2].map(|axis| place(axis, at[axis], tap[axis]));
            if let [Some(d), Some(h), Some(w)] = to {
                pairs.push((i, k, (d * output[1] + h) * output[2] + w));
            }
        }
    }
    let (plane, taps) = (volume(output), volume(kernel));
    let mut v = Vec::new();
    let mut squares = 0.0;
    for n in 0..shape[0] {
        for o in 0..conv.oc {
            let mut sums = vec![bias.map_or(0.0, |b| f64::from(b[o])); plane];
            squares += sums.iter().map(|s| s * s).sum::<f64>();
            for i in 0..group_ic {
                let c = o / group_oc * group_ic + i;
                let image = &src.v[(n * ic + c) * volume(input)..];
                let filter = &wei[(c * group_oc + o % group_oc) * taps..];
                for &(i, k, to) in &pairs {
                    let product = image[i] * f64::from(filter[k]);
                    sums[to] += product;
                    squares += product * product;
                }
            }
            v.extend(sums);
        }
    }
    // One output meets at most `group_ic * taps` weights, of which the largest is taken for all.
    let largest = wei.iter().fold(0.0f64, |a, &w| a.max(f64::from(w).abs()));
    let handed_on = src.error * largest * ((group_ic * taps) as f64).sqrt();
    of_sums(Value { shape: shape.to_vec(), v, error: 0.0 }, squares, PART, handed_on)
}

fn positions(extents: [usize; 3]) -> Vec<[usize; 3]> {
    let [_, h, w] = extents;
    (0..volume(extents)).map(|i| [i / w / h, i / w % h, i % w]).collect()
}

/// The results of `f` for every window: the elements of the input in it, and the output position.
fn pooled(g: &Geometry, src: &Value, shape: &[usize], f: impl Fn(&[f64], [usize; 3]) -> f64) -> Value {
    let outputs = g.outputs();
    let mut v = Vec::new();
    for image in src.v.chunks(volume(g.input)) {
        for (o, taps) in &outputs {
            let elements: Vec<f64> = taps.iter().map(|&(_, at)| image[at]).collect();
            v.push(f(&elements, *o));
        }
    }
    Value { shape: shape.to_vec(), v, error: src.error }
}

/// NaN when there is one.
fn maximum(elements: &[f64]) -> f64 {
    elements
        .iter()
        .fold(f64::NEG_INFINITY, |a, &b| if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) })
}

pub fn max_pool(w: &Window, rounding: Rounding, src: &Value, shape: &[usize]) -> Value {
    pooled(&Geometry::new(w, &src.shape, shape, rounding), src, shape, |elements, _| maximum(elements))
}

pub fn average_pool(
    w: &Window,
    rounding: Rounding,
    counting: Counting,
    src: &Value,
    shape: &[usize],
) -> Value {
    let g = Geometry::new(w, &src.shape, shape, rounding);
    let y = pooled(&g, src, shape, |elements, o| {
        let count = match counting {
            Counting::Inside => elements.len(),
            Counting::Padded => g.count_padded(o),
        };
        // Without any element the sum is 0, whatever it is divided by.
        elements.iter().sum::<f64>() / count.max(1) as f64
    });
    mean(y, src)
}

/// The error of means: of a few dozen or hundred numbers, in any order.
fn mean(y: Value, src: &Value) -> Value {
    let error = src.error + PART * src.rms();
    Value { error, ..y }
}

pub fn global_average(src: &Value, shape: &[usize]) -> Value {
    let plane: usize = src.shape[2..].iter().product();
    let v = src.v.chunks(plane).map(|p| p.iter().sum::<f64>() / plane as f64).collect();
    mean(Value { shape: shape.to_vec(), v, error: 0.0 }, src)
}

pub fn global_max(src: &Value, shape: &[usize]) -> Value {
    let plane: usize = src.shape[2..].iter().product();
    Value { shape: shape.to_vec(), v: src.v.chunks(plane).map(maximum).collect(), error: src.error }
}
