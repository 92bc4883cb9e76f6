//! Transposed convolutions as plain ones.
//!
//! The positions of an output axis that are `stride` apart see the same elements of the kernel, those whose distance to
//! each other is `stride`, too: they are a *phase* of the axis, and what is computed there is a convolution in steps of 1
//! with a part of the kernel, flipped. A transposed convolution of several axes has a phase for each choice of one
//! phase an axis.

use super::{Axis, ConvTranspose};
use crate::window::WindowAxis;
use crate::{Args, OpError};

/// The positions of an output axis that see the same elements of the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phase {
    /// The first of them.
    pub first: usize,
    /// From each to the next.
    pub step: usize,
    /// The elements of the kernel that they see.
    pub taps: Taps,
    /// The windows of the convolution that computes them.
    pub window: WindowAxis,
}

/// Elements of a kernel along an axis, the last of them first: the windows of a plain convolution see them in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taps {
    /// The last of them.
    pub last: usize,
    /// From each to the one before.
    pub step: usize,
    /// How many.
    pub count: usize,
}

impl Taps {
    /// Whether a kernel of this extent has them.
    pub fn are_of(&self, kernel: usize) -> bool {
        let first = self.count.checked_sub(1).and_then(|n| n.checked_mul(self.step));
        first.is_some_and(|reach| reach <= self.last && self.last < kernel)
    }

    /// Their positions in the kernel.
    pub fn positions(&self) -> impl Iterator<Item = usize> {
        let Taps { last, step, count } = *self;
        (0..count).map(move |i| last - i * step)
    }
}

impl Phase {
    /// That of the output positions `first`, `first + stride`, ...; `None` where no element of the kernel or of the input is
    /// seen there, or the first one of the input is not.
    fn of(a: &Axis, first: usize) -> Option<Phase> {
        let at = (first + a.pad_begin) as i64;
        let input = |k: usize| at - (k * a.dilation) as i64;
        let seen = |k: &usize| input(*k).rem_euclid(a.stride as i64) == 0;
        let all: Vec<usize> = (0..a.kernel).filter(seen).collect();
        let (&begin, &last) = (all.first()?, all.last()?);
        let step = all.get(1).map_or(1, |next| next - begin);
        let pad_begin = usize::try_from(-(input(last) / a.stride as i64)).ok()?;
        let window = WindowAxis {
            input: a.input,
            kernel: all.len(),
            stride: 1,
            dilation: if all.len() > 1 { step * a.dilation / a.stride } else { 1 },
            pad_begin,
            pad_end: 0,
            output: (a.output - first).div_ceil(a.stride),
        };
        // Where all windows lie before the input, they are no windows of a convolution.
        if window.output - 1 + window.extent() <= pad_begin {
            return None;
        }
        let window = WindowAxis { pad_end: window.reach_end(), ..window };
        Some(Phase { first, step: a.stride, taps: Taps { last, step, count: all.len() }, window })
    }
}

impl ConvTranspose {
    /// The phases of each output axis, in the order of their first positions; `None` where one of them is no convolution:
    /// it sees no element of the kernel, or begins behind the first element of the input.
    ///
    /// # Errors
    /// Arguments that do not fit.
    pub fn phases(&self, args: Args<'_>) -> Result<Option<Vec<Vec<Phase>>>, OpError> {
        let of_axis = |a: &Axis| (0..a.stride.min(a.output)).map(|first| Phase::of(a, first)).collect();
        Ok(self.problem(args)?.axes.iter().map(of_axis).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::window::Window;
    use crate::{Arg, DType, Operator, Shape, Tensor};

    fn phases(op: &ConvTranspose, input: usize, kernel: usize) -> Option<Vec<Phase>> {
        let shapes = [Shape::from([1, 1, input]), Shape::from([1, 1, kernel])];
        let args = shapes.each_ref().map(|shape| Some(Arg { dtype: DType::F32, shape, value: None }));
        op.phases(Args(&args)).unwrap().map(|mut axes| axes.remove(0))
    }

    /// What the convolutions of the phases give.
    fn by_phases(op: &ConvTranspose, src: &[f32], wei: &[f32], output: usize) -> Option<Vec<f32>> {
        let mut dst = vec![f32::NAN; output];
        for Phase { first, step, taps, window: w } in phases(op, src.len(), wei.len())? {
            assert!(taps.are_of(wei.len()));
            let kernel: Vec<f32> = taps.positions().map(|k| wei[k]).collect();
            assert_eq!(kernel.len(), w.kernel);
            for i in 0..w.output {
                let sum = (0..w.kernel).map(|k| match (i + k * w.dilation).checked_sub(w.pad_begin) {
                    Some(at) if at < w.input => src[at] * kernel[k],
                    _ => 0.0,
                });
                dst[first + i * step] = sum.sum();
            }
            assert!(w.output - 1 + w.extent() <= w.pad_begin + w.input + w.pad_end);
        }
        Some(dst)
    }

    #[test]
    fn convolutions_of_phases_are_the_transposed_one() {
        let (mut equal, mut none) = (0, 0);
        for i in 0..4000usize {
            let digit = |of: usize, n: usize| i / of % n;
            let (stride, dilation) = (1 + digit(1, 4), [1, 2, 3, 5][digit(4, 4)]);
            let (kernel, pads) = (1 + digit(16, 6), vec![digit(96, 3), digit(288, 4)]);
            let window =
                Window { strides: vec![stride], dilations: vec![dilation], pads, ..Window::default() };
            let output_padding = vec![digit(1152, 2)];
            let op = ConvTranspose { window, group: 1, output_padding, output_shape: vec![] };
            let src: Vec<f32> = (0..1 + i % 5).map(|i| (i * i + 1) as f32).collect();
            let wei: Vec<f32> = (0..kernel).map(|i| (7 * i + 2) as f32).collect();
            let tensor = |x: &[f32]| Tensor::new([1, 1, x.len()], x).unwrap();
            let Ok(expected) = op.reference(&[Some(&tensor(&src)), Some(&tensor(&wei)), None]) else {
                continue;
            };
            let expected: Vec<f32> = expected[0].to_vec().unwrap();
            if expected.is_empty() {
                continue;
            }
            match by_phases(&op, &src, &wei, expected.len()) {
                Some(found) => {
                    assert_eq!(found, expected, "{op:?}");
                    equal += 1;
                }
                None => none += 1,
            }
        }
        assert!(equal > 1500 && none > 100, "{equal} {none}");
    }

    #[test]
    fn a_kernel_of_four_in_steps_of_two_is_two_pairs() {
        let window = Window { strides: vec![2], pads: vec![1, 1], ..Window::default() };
        let op = ConvTranspose { window, group: 1, output_padding: vec![], output_shape: vec![] };
        let phases = phases(&op, 8, 4).unwrap();
        let seen: Vec<Vec<usize>> = phases.iter().map(|p| p.taps.positions().collect()).collect();
        assert_eq!(seen, [[3, 1], [2, 0]]);
        let pads: Vec<_> = phases.iter().map(|p| (p.first, p.window.pad_begin, p.window.pad_end)).collect();
        assert_eq!(pads, [(0, 1, 0), (1, 0, 1)]);
        assert!(phases.iter().all(|p| p.step == 2 && p.window.output == 8 && p.window.dilation == 1));
    }
}
