//! How large the partial sums of a product of integers may become.

use octrt_ops::expr::Scalar;
use octrt_ops::{DType, Shape, Tensor};

/// Every integer up to this magnitude is an f32.
const EXACT: i64 = 1 << 24;

/// How a product sums.
pub(super) struct Sums {
    /// The shape of the weight.
    pub(super) weight: Shape,
    /// Its axis along which sums may be cut.
    pub(super) axis: usize,
    /// Whether the axes after `axis` are those of outputs, as in a matrix; they belong to the sum in a convolution.
    pub(super) columns: bool,
}

/// The weight's elements, and its zero points: one, or one for each output channel; or between what their differences lie.
pub(super) enum Weight {
    Known { values: Vec<i64>, zeros: Vec<i64> },
    Range([i64; 2]),
}

impl Weight {
    /// A weight with its zero points: none, not known, known.
    pub(super) fn new(dtype: DType, weight: Option<&Tensor>, zero: Option<Option<&Tensor>>) -> Weight {
        match (weight, zero) {
            (Some(w), None) => Weight::Known { values: integers(w), zeros: vec![0] },
            (Some(w), Some(Some(z))) => Weight::Known { values: integers(w), zeros: integers(z) },
            (_, zero) => Weight::Range(range(dtype, zero)),
        }
    }
}

/// Between what integers less their zero points lie, 0 included. `zeros`: none, not known, known.
pub(super) fn range(dtype: DType, zeros: Option<Option<&Tensor>>) -> [i64; 2] {
    let (low, high) = Scalar::limits(dtype);
    let [low, high] = [low, high].map(|s| s.int().unwrap_or(0) as i64);
    match zeros {
        None => [low, high],
        Some(None) => [low - high, high - low],
        Some(Some(zeros)) => {
            let zeros = integers(zeros);
            let [least, most] = [zeros.iter().min(), zeros.iter().max()].map(|z| z.copied().unwrap_or(0));
            [(low - most).min(0), (high - least).max(0)]
        }
    }
}

/// The elements of a tensor of integers of at most 32 bits.
pub(super) fn integers(t: &Tensor) -> Vec<i64> {
    t.to_f64s().into_iter().map(|v| v as i64).collect()
}

impl Sums {
    /// Even parts `[from, to)` of the axis of the sum, at most `most`, of which no partial sum is above 2^24 in magnitude,
    /// whatever the data and the order; `bias` is a part of the first. As few as a power of two, or all, can be.
    pub(super) fn exact_parts(
        &self,
        weight: &Weight,
        range: [i64; 2],
        bias: Option<&Tensor>,
        most: usize,
    ) -> Option<Vec<[usize; 2]>> {
        let mut count = 1;
        loop {
            let parts = cut(self.weight[self.axis], count);
            if self.largest(weight, range, bias, &parts) <= EXACT {
                return Some(parts);
            }
            if count == most {
                return None;
            }
            count = (2 * count).min(most);
        }
    }

    /// The largest magnitude of a partial sum of any part.
    fn largest(
        &self,
        weight: &Weight,
        [low, high]: [i64; 2],
        bias: Option<&Tensor>,
        parts: &[[usize; 2]],
    ) -> i64 {
        let biases = bias.map(integers).unwrap_or_default();
        let bias = |part: usize, output: usize| if part == 0 { biases.get(output).copied() } else { None };
        let (values, zeros) = match weight {
            Weight::Known { values, zeros } => (values, zeros),
            Weight::Range([least, most]) => {
                let longest = parts.iter().map(|[from, to]| (to - from) * self.elements()).max().unwrap_or(0);
                let largest = low.abs().max(high.abs()) * least.abs().max(most.abs());
                let bias = biases.iter().map(|b| b.saturating_abs()).max().unwrap_or(0);
                return (longest as i64).saturating_mul(largest).saturating_add(bias);
            }
        };
        let mut largest = 0;
        for (p, part) in parts.iter().enumerate() {
            let mut sums = vec![[0i64; 2]; self.outputs()];
            self.visit(values, zeros, *part, |output, w| {
                let [a, b] = [w * low, w * high];
                sums[output][0] += a.min(b);
                sums[output][1] += a.max(b);
            });
            for (output, [least, most]) in sums.into_iter().enumerate() {
                let b = bias(p, output).unwrap_or(0);
                let least = least.saturating_add(b.min(0));
                largest = largest.max(most.saturating_add(b.max(0))).max(least.saturating_neg());
            }
        }
        largest
    }

    /// Elements of the weight at one position of the axis that go into one output.
    fn elements(&self) -> usize {
        if self.columns { 1 } else { self.behind() }
    }

    /// Elements of the weight at one position of the axis.
    fn behind(&self) -> usize {
        self.weight.dims()[self.axis + 1..].iter().product()
    }

    /// Number of outputs of one row of data, in all matrices.
    fn outputs(&self) -> usize {
        let outer: usize = self.weight.dims()[..self.axis].iter().product();
        if self.columns { outer * self.behind() } else { outer }
    }

    /// Calls `f` with the output and the centred value of each element of a part of the weight, in order.
    fn visit(&self, values: &[i64], zeros: &[i64], [from, to]: [usize; 2], mut f: impl FnMut(usize, i64)) {
        let behind = self.behind();
        for (outer, block) in values.chunks_exact((self.weight[self.axis] * behind).max(1)).enumerate() {
            for (i, w) in block[from * behind..to * behind].iter().enumerate() {
                // Zero points belong to columns of a matrix, and to the output channels of a convolution.
                let (output, channel) = match self.columns {
                    true => (outer * behind + i % behind, i % behind),
                    false => (outer, outer),
                };
                f(output, w - zeros.get(channel).or(zeros.first()).copied().unwrap_or(0));
            }
        }
    }

    /// A part of the weight less its zero points, in f32, if known.
    pub(super) fn part(&self, weight: &Weight, [from, to]: [usize; 2]) -> Option<Tensor> {
        let Weight::Known { values, zeros } = weight else { return None };
        let mut part = Vec::with_capacity(self.weight.numel());
        self.visit(values, zeros, [from, to], |_, w| part.push(w as f32));
        let mut dims = self.weight.dims().to_vec();
        dims[self.axis] = to - from;
        Tensor::new(dims, &part).ok()
    }
}

/// `count` parts of `0..length`, of lengths that differ by one at most.
fn cut(length: usize, count: usize) -> Vec<[usize; 2]> {
    (0..count).map(|i| [i * length / count, (i + 1) * length / count]).collect()
}
