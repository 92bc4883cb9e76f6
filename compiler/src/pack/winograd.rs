//! Transformed weights of Winograd's algorithm: `G g G^T` of each kernel `g`, computed in f64 and rounded once.

use super::{ConvPacking, Weights};
use crate::leaf::build::Winograd;

/// Kernels that are transformed side by side.
const WIDTH: usize = 16;

pub(super) fn pack(size: Winograd, p: &ConvPacking, w: &Weights<'_>, out: &mut [u8]) {
    let n = size.input();
    let blocks = w.ic.div_ceil(p.src_lanes);
    let plane = p.vectors() * p.lanes * blocks * p.src_lanes;
    let out = out.as_chunks_mut::<4>().0;
    let (mut first, mut at) = (0, 0);
    for &vectors in &p.tiles {
        let row = vectors * p.lanes;
        for ic in 0..w.ic {
            let place = at + ic * row;
            for lane in (0..row).step_by(WIDTH) {
                let mut g = [[0.0f64; WIDTH]; 9];
                for (i, oc) in (first + lane..first + row).take(WIDTH).enumerate() {
                    for (tap, x) in w.row(oc, ic, 1).as_chunks::<4>().0.iter().enumerate() {
                        g[tap][i] = f64::from(f32::from_le_bytes(*x));
                    }
                }
                let u = transform(size, &g);
                for (element, u) in u.iter().take(n * n).enumerate() {
                    let at = element * plane + place + lane;
                    let Some(to) = out.get_mut(at..at + WIDTH.min(row - lane)) else { return };
                    to.iter_mut().zip(u).for_each(|(to, x)| *to = (*x as f32).to_le_bytes());
                }
            }
        }
        first += row;
        at += blocks * p.src_lanes * row;
    }
}

/// `G g G^T` of [`WIDTH`] kernels at once, row-major.
fn transform(size: Winograd, g: &[[f64; WIDTH]; 9]) -> [[f64; WIDTH]; 36] {
    let matrix = size.kernel();
    let n = matrix.len();
    let mut half = [[0.0; WIDTH]; 18];
    for (i, row) in matrix.iter().enumerate() {
        for j in 0..3 {
            for (k, factor) in row.iter().enumerate() {
                for (h, x) in half[3 * i + j].iter_mut().zip(&g[3 * k + j]) {
                    *h += factor * x;
                }
            }
        }
    }
    let mut u = [[0.0; WIDTH]; 36];
    for i in 0..n {
        for (j, row) in matrix.iter().enumerate() {
            for (k, factor) in row.iter().enumerate() {
                for (u, x) in u[n * i + j].iter_mut().zip(&half[3 * i + k]) {
                    *u += factor * x;
                }
            }
        }
    }
    u
}
