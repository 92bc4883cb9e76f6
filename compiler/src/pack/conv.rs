//! The weights of convolutions whose groups fill blocks.

use octrt_ops::tensor::scale;

use super::{ConvPacking, Weights, scaled};

pub(super) fn pack(p: &ConvPacking, w: &Weights<'_>, out: &mut [u8]) {
    let (channels, blocks) = p.inputs(w.ic);
    let group_oc = w.oc / p.groups;
    let mut rest = out.as_chunks_mut::<4>().0;
    let mut panel = Panel::default();
    for group in 0..p.groups {
        let mut first = 0;
        for &vectors in &p.tiles {
            let row = vectors * p.lanes;
            let of_block = w.taps * p.src_lanes * row;
            let Some((tile, behind)) = rest.split_at_mut_checked(blocks * of_block) else { return };
            rest = behind;
            let begins = (0..channels).step_by(p.src_lanes);
            for (begin, to) in begins.zip(tile.chunks_exact_mut(of_block.max(1))) {
                let end = (begin + p.src_lanes).min(channels);
                if p.merged > 1 {
                    diagonal(p, w, (group * group_oc, first, row), begin..end, to);
                    continue;
                }
                let lanes = row.min(group_oc.saturating_sub(first));
                let (from, n) = panel.block(w, group * group_oc + first, lanes, begin, end - begin);
                interleave(from, (w.taps, n), p.src_lanes, to, row);
            }
            first += row;
        }
    }
}

/// Elements of an output channel that a [`Panel`] holds, at least if that many are left.
const PANEL_ROW: usize = 576;

/// Kernels of a few channels, multiplied by their factors: the rows of a weight lie far from each other, often by a power of
/// two, and would evict each other from the cache if they were read element by element.
#[derive(Default)]
pub(super) struct Panel {
    /// Output channel, input channel, tap.
    pub(super) values: Vec<f32>,
    /// The first output channel, how many, the first input channel, how many.
    holds: [usize; 4],
}

impl Panel {
    /// The kernels of `lanes` output channels from `oc` on for `n` input channels from `begin` on: output channels lie as
    /// many kernels apart as the second result says. Blocks are asked for in order.
    pub(super) fn block(
        &mut self,
        w: &Weights<'_>,
        oc: usize,
        lanes: usize,
        begin: usize,
        n: usize,
    ) -> (&[f32], usize) {
        let [first, count, from, channels] = self.holds;
        if (first, count) != (oc, lanes) || begin < from || begin + n > from + channels {
            let blocks = (PANEL_ROW / (n * w.taps).max(1)).max(1);
            self.fill(w, oc, lanes, begin, n * blocks);
        }
        let [.., from, channels] = self.holds;
        (self.values.get((begin - from) * w.taps..).unwrap_or(&[]), channels)
    }

    /// Kernels that do not exist are 0.
    pub(super) fn fill(&mut self, w: &Weights<'_>, oc: usize, lanes: usize, begin: usize, channels: usize) {
        self.holds = [oc, lanes, begin, channels];
        let row = channels * w.taps;
        self.values.resize(lanes * row, 0.0);
        for (lane, to) in self.values.chunks_exact_mut(row.max(1)).enumerate() {
            let from = w.row(oc + lane, begin, channels).as_chunks::<4>().0;
            let each = to.iter_mut().zip(from).map(|(to, x)| (to, f32::from_le_bytes(*x)));
            match w.factors.get(oc + lane) {
                Some(factor) => each.for_each(|(to, x)| *to = scale(x, *factor)),
                None => each.for_each(|(to, x)| *to = x),
            }
            to[from.len()..].fill(0.0);
        }
    }
}

/// Output channels that are written side by side.
const LANES: usize = 8;

/// Element `t` of input channel `c` of output channel `i`, at `from[(i * n + c) * taps + t]`, goes to
/// `to[(t * channels + c) * row + i]`; `to` has room for no more input channels than `n`, and more output channels.
fn interleave(from: &[f32], (taps, n): (usize, usize), channels: usize, to: &mut [[u8; 4]], row: usize) {
    let (stride, len) = (n * taps, channels.min(n) * taps);
    let lanes = from.len().div_ceil(stride.max(1)).min(row);
    let kernels = |lane: usize| &from[lane * stride..][..len];
    let whole = lanes / LANES * LANES;
    for lane in (0..whole).step_by(LANES) {
        let mut rows: [&[f32]; LANES] = [&[]; LANES];
        for (i, row) in rows.iter_mut().enumerate() {
            *row = kernels(lane + i);
        }
        let [a, b, c, d, e, f, g, h] = rows;
        for (t, to) in to.chunks_exact_mut(channels * row).enumerate() {
            for (at, to) in (t..len).step_by(taps).zip(to.chunks_exact_mut(row)) {
                let Some(to) = to[lane..].first_chunk_mut::<LANES>() else { return };
                let column: [f32; LANES] = [a[at], b[at], c[at], d[at], e[at], f[at], g[at], h[at]];
                for (to, x) in to.iter_mut().zip(column) {
                    *to = x.to_le_bytes();
                }
            }
        }
    }
    for lane in whole..lanes {
        for (t, to) in to.chunks_exact_mut(channels * row).enumerate() {
            for (x, to) in kernels(lane)[t..].iter().step_by(taps).zip(to.chunks_exact_mut(row)) {
                to[lane] = x.to_le_bytes();
            }
        }
    }
}

/// The kernels of several groups of the model in one block: each output channel has those of its own group only.
fn diagonal(
    p: &ConvPacking,
    w: &Weights<'_>,
    (group, first, row): (usize, usize, usize),
    channels: std::ops::Range<usize>,
    to: &mut [[u8; 4]],
) {
    let group_oc = w.oc / p.groups;
    for lane in (0..row).filter(|lane| first + lane < group_oc) {
        let oc = first + lane;
        let model_group = oc / (group_oc / p.merged).max(1);
        let own = model_group * w.ic..(model_group + 1) * w.ic;
        let (begin, end) = (channels.start.max(own.start), channels.end.min(own.end));
        let source = if begin < end { w.row(group + oc, begin - own.start, end - begin) } else { &[] };
        let factor = w.factor(group + oc);
        for (i, kernel) in source.as_chunks::<4>().0.chunks_exact(w.taps).enumerate() {
            let c = begin + i - channels.start;
            for (tap, x) in kernel.iter().enumerate() {
                if let Some(place) = to.get_mut((tap * p.src_lanes + c) * row + lane) {
                    *place = scaled(*x, factor);
                }
            }
        }
    }
}
