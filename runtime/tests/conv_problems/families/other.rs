//! Problems without convolutions, or with transposed ones.

use crate::draft::Draft;
use crate::parts::{activation, bias, conv, source, tail, try_hard};
use crate::problem::{Conv, Counting, Fill, Gemm, GemmBias, Kind, Pads, Rounding, Window};

const ROWS: [usize; 10] = [1, 1, 2, 3, 5, 7, 8, 13, 16, 33];
const COLUMNS: [usize; 12] = [1, 2, 3, 5, 8, 10, 13, 16, 17, 31, 64, 100];

/// Any product of a matrix with a constant one of `n` columns.
pub fn gemm_of(d: &mut Draft, a: usize, n: usize) -> Option<usize> {
    let trans_b = d.r.one_in(2);
    let c = d.r.pick(&[GemmBias::None, GemmBias::Row, GemmBias::Row]);
    let (alpha, beta) = (d.r.pick(&[1.0, 1.0, 0.5, -2.0]), d.r.pick(&[1.0, 1.0, 2.0]));
    d.add(Kind::Gemm(Gemm { n, trans_a: false, trans_b, c, alpha, beta }), &[a])
}

/// A matrix product with constants, and perhaps another.
pub fn gemm(d: &mut Draft) -> Option<()> {
    let (m, k, n) = (d.r.pick(&ROWS), d.r.pick(&COLUMNS), d.r.pick(&COLUMNS));
    let trans_a = d.r.one_in(3);
    let a = d.input(&if trans_a { [k, m] } else { [m, k] }, Fill::Unit)?;
    let c = d.r.pick(&[GemmBias::None, GemmBias::Row, GemmBias::Row, GemmBias::Column]);
    let (alpha, beta) = (d.r.pick(&[1.0, 1.0, 0.5, -2.0]), d.r.pick(&[1.0, 1.0, 2.0, 0.0]));
    let trans_b = d.r.one_in(2);
    let y = d.add(Kind::Gemm(Gemm { n, trans_a, trans_b, c, alpha, beta }), &[a])?;
    if d.r.one_in(2) {
        let y = activation(d, y)?;
        let n = d.r.pick(&COLUMNS);
        return gemm_of(d, y, n).map(drop);
    }
    Some(())
}

/// A product of stacks of matrices, with a constant or with another input.
pub fn matmul(d: &mut Draft) -> Option<()> {
    let (m, k, n) = (d.r.pick(&ROWS), d.r.pick(&COLUMNS), d.r.pick(&COLUMNS));
    let (mut lead_a, mut lead_b) = (d.r.list(2, &[1, 2, 3]), vec![]);
    match d.r.below(5) {
        0 => lead_a.clear(),
        1 => {}
        2 => lead_b = lead_a.clone(),
        3 => (lead_a, lead_b) = (vec![lead_a[0], 1], vec![1, lead_a[1]]),
        _ => (lead_a, lead_b) = (vec![], lead_a),
    }
    let (a, b) = ([&lead_a[..], &[m, k]].concat(), [&lead_b[..], &[k, n]].concat());
    let a = d.input(&a, Fill::Unit)?;
    let b = if d.r.one_in(2) { d.constant(&b, Fill::Unit)? } else { d.input(&b, Fill::Unit)? };
    let y = d.add(Kind::MatMul, &[a, b])?;
    if d.r.one_in(3) { activation(d, y).map(drop) } else { Some(()) }
}

/// Any window of a pooling.
fn window(d: &mut Draft, axes: usize) -> Window {
    let r = &mut d.r;
    let kernel = r.list(axes, &[1, 2, 2, 3, 3, 3, 4, 5, 7]);
    // Padding below the kernel's extent: no window lies in it entirely.
    let pads: Vec<usize> = kernel.repeat(2).iter().map(|&k| r.below(k.min(4))).collect();
    let pads = match r.below(6) {
        0 => Pads::SameUpper,
        1 => Pads::SameLower,
        2 => Pads::Valid,
        _ => Pads::Explicit(pads),
    };
    let dilations = if r.one_in(5) { r.list(axes, &[1, 2, 3]) } else { vec![1; axes] };
    Window { strides: r.list(axes, &[1, 2, 2, 3]), dilations, pads, ..Window::new(&kernel) }
}

/// A pooling of an input with numbers of `fill`.
pub fn pooling(d: &mut Draft, fill: Fill) -> Option<()> {
    let x = source(d, 2)?;
    let shape = d.shape(x).to_vec();
    let axes = d.r.pick(&[1, 2, 2, 2, 2, 3]);
    let shape = match axes {
        1 => vec![shape[0], shape[1], shape[2] * shape[3]],
        3 => vec![shape[0], shape[1], 1 + shape[2] % 5, 1 + shape[3] % 7, 4],
        _ => shape,
    };
    // A second draft, whose only input has the shape and the numbers.
    let mut new = Draft::new(d.problem.seed);
    std::mem::swap(&mut new.r, &mut d.r);
    let x = new.input(&shape, fill)?;
    try_hard(&mut new, |d| {
        let rounding = d.r.pick(&[Rounding::Floor, Rounding::Floor, Rounding::Ceil]);
        let window = window(d, axes);
        let kind = match d.r.below(9) {
            0 => Kind::GlobalAverage,
            1 => Kind::GlobalMax,
            2..=5 => Kind::MaxPool(window, rounding),
            _ => Kind::AveragePool(window, rounding, d.r.pick(&[Counting::Inside, Counting::Padded])),
        };
        d.add(kind, &[x])
    })?;
    *d = new;
    Some(())
}

/// A transposed convolution, alone or between convolutions.
pub fn transposed(d: &mut Draft) -> Option<()> {
    let axes = d.r.pick(&[1, 2, 2, 2, 2, 3]);
    let x = source(d, axes)?;
    let x = if d.r.one_in(3) { conv(d, x)? } else { x };
    let y = try_hard(d, |d| {
        let ic = d.channels(x);
        let group = d.r.pick(&[1, 1, 1, 2, 3, ic]);
        let oc = group * d.r.pick(&[1, 2, 3, 5, 8, 16]);
        let (kernel, strides) = (d.r.list(axes, &[1, 2, 2, 3, 4]), d.r.list(axes, &[1, 2, 2, 3]));
        let dilations = if d.r.one_in(4) { d.r.list(axes, &[1, 2]) } else { vec![1; axes] };
        let pads = match d.r.below(6) {
            0 => Pads::SameUpper,
            1 => Pads::SameLower,
            _ => Pads::Explicit(d.r.list(2 * axes, &[0, 0, 1])),
        };
        let output_padding = if d.r.one_in(3) { d.r.list(axes, &[0, 1]) } else { vec![0; axes] };
        let window = Window { strides, dilations, pads, ..Window::new(&kernel) };
        let bias = bias(&mut d.r);
        d.add(Kind::ConvTranspose { conv: Conv { oc, group, bias, window }, output_padding }, &[x])
    })?;
    let y = tail(d, y)?;
    if d.r.one_in(3) { conv(d, y).map(drop) } else { Some(()) }
}
