//! Octave convolutions: maps of two resolutions that exchange what they know.

use crate::draft::Draft;
use crate::parts::{activation, plain};
use crate::problem::{Binary, Counting, Fill, Kind, Rounding, Up, Window};

/// Channels of one resolution.
const CHANNELS: [usize; 12] = [2, 3, 6, 8, 8, 13, 16, 16, 24, 27, 29, 51];

fn halved(d: &mut Draft, x: usize) -> Option<usize> {
    let counting = d.r.pick(&[Counting::Inside, Counting::Padded]);
    d.add(Kind::AveragePool(Window::uniform(d.axes(x), 2, 2, 0), Rounding::Floor, counting), &[x])
}

fn doubled(d: &mut Draft, x: usize) -> Option<usize> {
    let up = d.r.pick(&[Up::Asymmetric, Up::HalfPixel]);
    d.add(Kind::Up(up), &[x])
}

/// What may stand on a path before the sum.
fn path(d: &mut Draft, x: usize) -> Option<usize> {
    match d.r.below(8) {
        0 => d.add(Kind::BatchNorm, &[x]),
        1 => activation(d, x),
        _ => Some(x),
    }
}

/// What stands behind the sum, a residual among it.
fn end(d: &mut Draft, x: usize) -> Option<usize> {
    let x = if d.r.one_in(2) { d.add(Kind::BatchNorm, &[x])? } else { x };
    let x = if d.r.one_in(4) {
        let shape = d.shape(x).to_vec();
        let other = d.input(&shape, Fill::Unit)?;
        d.binary(Binary::Add, x, other)?
    } else {
        x
    };
    if d.r.one_in(4) { Some(x) } else { activation(d, x) }
}

/// The high half of the output.
fn high(d: &mut Draft, h: usize, l: usize, oc: usize, kernel: usize) -> Option<usize> {
    let hh = plain(d, h, oc, kernel)?;
    let hh = path(d, hh)?;
    let lh = if d.r.one_in(6) {
        let up = doubled(d, l)?;
        plain(d, up, oc, kernel)?
    } else {
        let lh = plain(d, l, oc, kernel)?;
        let lh = path(d, lh)?;
        doubled(d, lh)?
    };
    let sum = d.binary(Binary::Add, hh, lh)?;
    end(d, sum)
}

/// The low half of the output.
fn low(d: &mut Draft, h: usize, l: usize, oc: usize, kernel: usize) -> Option<usize> {
    let ll = plain(d, l, oc, kernel)?;
    let ll = path(d, ll)?;
    let pooled = halved(d, h)?;
    let hl = plain(d, pooled, oc, kernel)?;
    let hl = path(d, hl)?;
    let sum = d.binary(Binary::Add, ll, hl)?;
    end(d, sum)
}

/// One or two octave convolutions, of stride 1 or 2, of maps with `axes` spatial axes.
pub fn octave(d: &mut Draft, axes: usize) -> Option<()> {
    let mb = d.r.pick(&[1, 1, 2]);
    let extent = d.r.pick(&[1, 2, 3, 4, 5, 7, 7, 8, 14]);
    let extents = [vec![extent; axes - 1], vec![extent + d.r.below(3)]].concat();
    let (hc, lc) = (d.r.pick(&CHANNELS), d.r.pick(&CHANNELS));
    let doubled: Vec<usize> = extents.iter().map(|e| 2 * e).collect();
    let mut h = d.input(&[&[mb, hc], &doubled[..]].concat(), Fill::Unit)?;
    let mut l =
        if d.r.one_in(3) { halved(d, h)? } else { d.input(&[&[mb, lc], &extents[..]].concat(), Fill::Unit)? };
    for _ in 0..d.r.pick(&[1, 1, 2]) {
        let kernel = d.r.pick(&[1, 3, 3]);
        if d.r.one_in(5) {
            (h, l) = (halved(d, h)?, halved(d, l)?);
        }
        let (oc_h, oc_l) = (d.r.pick(&CHANNELS), d.r.pick(&CHANNELS));
        let new_h = high(d, h, l, oc_h, kernel)?;
        let new_l = low(d, h, l, oc_l, kernel)?;
        (h, l) = (new_h, new_l);
    }
    if d.r.one_in(3) {
        let oc = d.r.pick(&CHANNELS);
        return high(d, h, l, oc, 1).map(drop);
    }
    d.output(h);
    Some(())
}
