//! Transformed weights of Winograd's algorithm: `G g G^T` of each kernel `g`, computed in f64 and rounded once. A kernel of
//! several planes is as many kernels, and sums over them.

use std::f64::consts::SQRT_2;

use super::conv::Panel;
use super::{ConvPacking, Weights};
use crate::leaf::programs::Winograd;

/// Kernels that are transformed side by side: those of as many output channels for one input channel.
const WIDTH: usize = 8;

/// Input channels whose kernels are transformed before the results are written.
const CHANNELS: usize = 16;

pub(super) fn pack(size: Winograd, p: &ConvPacking, w: &Weights<'_>, out: &mut [u8]) {
    let elements = size.input() * size.input();
    let blocks = w.ic.div_ceil(p.src_lanes);
    let planes = w.taps / 9;
    let plane = p.vectors() * p.lanes * blocks * p.src_lanes * planes;
    let out = out.as_chunks_mut::<4>().0;
    // Rows of one element of the transform lie far from those of the next, so results are collected first.
    let (mut panel, mut results) = (Panel::default(), Vec::new());
    let (mut first, mut at) = (0, 0);
    for &vectors in &p.tiles {
        let row = vectors * p.lanes;
        let lanes = row.min(w.oc.saturating_sub(first));
        for begin in (0..w.ic).step_by(CHANNELS) {
            let channels = CHANNELS.min(w.ic - begin);
            let kernels = channels * planes;
            results.clear();
            results.resize(elements * kernels * row, [0; 4]);
            panel.fill(w, first, lanes, begin, channels);
            for lane in (0..lanes).step_by(WIDTH) {
                let from = &panel.values[lane * 9 * kernels..];
                transform_kernels(size, from, kernels, &mut results[lane..], row);
            }
            for (i, from) in results.chunks_exact(row.max(1)).enumerate() {
                let (element, channel, k) = (i / kernels, begin + i % kernels / planes, i % planes);
                // Within a block of channels all have the first plane of their kernels before the second one.
                let (block, lane) = (channel / p.src_lanes, channel % p.src_lanes);
                let at = element * plane + at + ((block * planes + k) * p.src_lanes + lane) * row;
                let Some(to) = out.get_mut(at..at + row) else { return };
                to.copy_from_slice(from);
            }
        }
        first += row;
        at += blocks * p.src_lanes * planes * row;
    }
}

/// A number of each kernel.
type Lanes = [f64; WIDTH];

/// Element `e` of the transform of the kernel at `(i * count + c) * 9` goes to `(e * count + c) * row + i`.
fn transform_kernels(size: Winograd, from: &[f32], count: usize, to: &mut [[u8; 4]], row: usize) {
    let mut g = [[0.0; WIDTH]; 9];
    for c in 0..count {
        for (i, kernel) in from.chunks(9 * count).take(WIDTH).enumerate() {
            for (g, x) in g.iter_mut().zip(&kernel[9 * c..]) {
                g[i] = f64::from(*x);
            }
        }
        let put = |e: usize, u: &Lanes| {
            let to = &mut to[(e * count + c) * row..];
            let n = WIDTH.min(to.len());
            for (to, x) in to[..n].iter_mut().zip(u) {
                *to = (*x as f32).to_le_bytes();
            }
        };
        match size {
            Winograd::F2 => transform(&g, f2, put),
            Winograd::F4 => transform(&g, f4, put),
        }
    }
}

/// Hands each element of `G g G^T` to `put`, `column` being `G` times a vector.
#[inline(always)]
fn transform<const N: usize>(
    g: &[Lanes; 9],
    column: impl Fn([&Lanes; 3], &mut [Lanes; N]),
    mut put: impl FnMut(usize, &Lanes),
) {
    let mut half = [[[0.0; WIDTH]; N]; 3];
    for (j, half) in half.iter_mut().enumerate() {
        column([&g[j], &g[3 + j], &g[6 + j]], half);
    }
    let (mut row, [x, y, z]) = ([[0.0; WIDTH]; N], &half);
    for (i, ((x, y), z)) in x.iter().zip(y).zip(z).enumerate() {
        column([x, y, z], &mut row);
        for (j, u) in row.iter().enumerate() {
            put(N * i + j, u);
        }
    }
}

/// `G` of F(2x2, 3x3), which [`Winograd::kernel`] lists, times a vector.
#[inline(always)]
fn f2([a, b, c]: [&Lanes; 3], u: &mut [Lanes; 4]) {
    for i in 0..WIDTH {
        let outer = a[i] + c[i];
        u[0][i] = a[i];
        u[1][i] = 0.5 * (outer + b[i]);
        u[2][i] = 0.5 * (outer - b[i]);
        u[3][i] = c[i];
    }
}

/// `G` of F(4x4, 3x3) times a vector.
#[inline(always)]
fn f4([a, b, c]: [&Lanes; 3], u: &mut [Lanes; 6]) {
    for i in 0..WIDTH {
        let near = (2.0 * a[i] + c[i]) * (SQRT_2 / -6.0);
        let far = (a[i] + 2.0 * c[i]) * (1.0 / 3.0);
        u[0][i] = a[i];
        u[1][i] = near - b[i] * (1.0 / 3.0);
        u[2][i] = near + b[i] * (1.0 / 3.0);
        u[3][i] = far + b[i] * (SQRT_2 / 3.0);
        u[4][i] = far - b[i] * (SQRT_2 / 3.0);
        u[5][i] = c[i];
    }
}
