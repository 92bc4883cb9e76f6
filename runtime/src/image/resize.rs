//! Antialiased resize of 8-bit RGB, level for level that of Pillow's `Image.resize`.
//!
//! Two passes, one per axis, each a weighted sum over a window of the source; [`vertical_first`] says which comes
//! first. A pass whose length does not change is skipped. When an axis shrinks, the filter is stretched by the ratio, so that every source
//! pixel counts. Weights are computed in `f64`, normalised to sum 1 and rounded to integers of
//! [`PRECISION_BITS`] fractional bits; sums are rounded to nearest and clamped to 0..=255 after each pass.

use serde::{Deserialize, Serialize};

use super::names::named;
use super::{ImageError, LimitKind, Picture};

/// The kernel of a resize.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Filter {
    /// Triangle, support 1: Pillow's `BILINEAR`.
    Bilinear,
    /// Keys' cubic with a = -0.5, support 2: Pillow's `BICUBIC`.
    Bicubic,
}

named!(Filter, "filter", { Bilinear => "bilinear", Bicubic => "bicubic" });

/// Fractional bits of a weight: 32 less 8 for the level and 2 for the sign and overshoot.
const PRECISION_BITS: u32 = 32 - 8 - 2;
/// Half a level, the start of each sum.
const HALF: i32 = 1 << (PRECISION_BITS - 1);
/// Most pixels held between the two passes (805 MB).
const MAX_PIXELS_BETWEEN_PASSES: usize = 1 << 28;
/// Keys' parameter of the cubic.
const CUBIC_A: f64 = -0.5;

impl Filter {
    /// Half the width of the kernel, in source pixels of an axis that grows.
    fn support(self) -> f64 {
        match self {
            Self::Bilinear => 1.0,
            Self::Bicubic => 2.0,
        }
    }

    /// The kernel at distance `x` from its centre.
    fn weight(self, x: f64) -> f64 {
        let x = x.abs();
        match self {
            Self::Bilinear if x < 1.0 => 1.0 - x,
            Self::Bicubic if x < 1.0 => ((CUBIC_A + 2.0) * x - (CUBIC_A + 3.0)) * x * x + 1.0,
            Self::Bicubic if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * CUBIC_A,
            _ => 0.0,
        }
    }
}

/// Part of an axis: `len` pixels from `start`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub start: usize,
    pub len: usize,
}

/// Source window and weights of every destination pixel in a span of an axis.
struct Taps {
    /// First source pixel and number of weights, per destination pixel.
    windows: Vec<Span>,
    /// The weights of all destination pixels, one after another.
    weights: Vec<i32>,
}

impl Taps {
    /// Taps for the pixels `span` of an axis resized from `src_len` to `dst_len` pixels.
    fn new(filter: Filter, src_len: usize, dst_len: usize, span: Span) -> Self {
        let scale = src_len as f64 / dst_len as f64;
        let stretch = scale.max(1.0);
        let support = filter.support() * stretch;
        let inverse = 1.0 / stretch;
        let mut taps = Self { windows: Vec::with_capacity(span.len), weights: Vec::new() };
        let mut exact = Vec::new();
        for dst in span.start..span.start + span.len {
            let center = (dst as f64 + 0.5) * scale;
            let first = (center - support + 0.5).max(0.0) as usize;
            let end = ((center + support + 0.5) as usize).min(src_len);
            exact.clear();
            exact.extend((first..end).map(|x| filter.weight((x as f64 - center + 0.5) * inverse)));
            let sum: f64 = exact.iter().sum();
            taps.windows.push(Span { start: first, len: exact.len() });
            taps.weights.extend(exact.iter().map(|&w| to_fixed(if sum == 0.0 { w } else { w / sum })));
        }
        taps
    }

    /// The source pixels that any window touches.
    fn reach(&self) -> Span {
        let start = self.windows.first().map_or(0, |w| w.start);
        let end = self.windows.last().map_or(0, |w| w.start + w.len);
        Span { start, len: end - start }
    }

    /// Window and weights of every destination pixel.
    fn iter(&self) -> impl Iterator<Item = (Span, &[i32])> {
        let mut rest = self.weights.as_slice();
        self.windows.iter().map(move |&window| {
            let (weights, after) = rest.split_at(window.len);
            rest = after;
            (window, weights)
        })
    }
}

/// `weight` with [`PRECISION_BITS`] fractional bits, halves rounded away from zero.
fn to_fixed(weight: f64) -> i32 {
    (weight * f64::from(1 << PRECISION_BITS) + 0.5f64.copysign(weight)) as i32
}

/// A sum of weighted levels as a level.
fn to_level(sum: i32) -> u8 {
    (sum >> PRECISION_BITS).clamp(0, 255) as u8
}

/// The part `window` = `[rows, columns]` of `picture` resized to `size` = `[height, width]`.
///
/// Only the pixels of the window are computed; they are those of the whole resized picture. Returns
/// `rows.len * columns.len * 3` bytes. The window must lie in `size` and not be empty.
pub(super) fn resize_window(
    picture: &Picture,
    size: [usize; 2],
    filter: Filter,
    [rows, columns]: [Span; 2],
) -> Result<Vec<u8>, ImageError> {
    let [src_height, src_width] = picture.size();
    let [height, width] = size;
    let vertical = (height != src_height).then(|| Taps::new(filter, src_height, height, rows));
    let horizontal = (width != src_width).then(|| Taps::new(filter, src_width, width, columns));
    let src_rows = vertical.as_ref().map_or(rows, Taps::reach);
    let src_columns = horizontal.as_ref().map_or(columns, Taps::reach);
    let src_row = |y| &picture.rgb()[(y * src_width + src_columns.start) * 3..][..src_columns.len * 3];

    if vertical_first(picture.size(), size) {
        check_between_passes(picture, [rows.len, src_columns.len])?;
        let between = blend(rows, src_columns.len * 3, vertical.as_ref(), src_row);
        let between_rows = between.chunks_exact(src_columns.len * 3);
        Ok(stretch(between_rows, src_columns.start, horizontal.as_ref()))
    } else {
        check_between_passes(picture, [src_rows.len, columns.len])?;
        let between_rows = (src_rows.start..src_rows.start + src_rows.len).map(src_row);
        let between = stretch(between_rows, src_columns.start, horizontal.as_ref());
        let row_len = columns.len * 3;
        let row = |y| &between[(y - src_rows.start) * row_len..][..row_len];
        Ok(blend(rows, row_len, vertical.as_ref(), row))
    }
}

/// Whether the vertical pass comes first: when the height shrinks by more than twice the pixels that the width
/// shrinks by. That is Pillow's rule from version 13 on; earlier ones always start with the horizontal pass. As
/// levels are rounded between the passes, the order shows: by one level mostly, a few with the cubic.
fn vertical_first([src_height, src_width]: [usize; 2], [height, width]: [usize; 2]) -> bool {
    let shrink = |src: usize, dst: usize| src as i128 - dst as i128;
    shrink(src_height, height) > (2 * shrink(src_width, width)).max(0)
}

/// Refuses a resize that would hold too many pixels between its passes.
fn check_between_passes(picture: &Picture, [height, width]: [usize; 2]) -> Result<(), ImageError> {
    let found = height.saturating_mul(width);
    if found > MAX_PIXELS_BETWEEN_PASSES {
        return Err(ImageError::LimitExceeded {
            name: picture.name().to_owned(),
            kind: LimitKind::ResizePixels,
            found: found as u64,
            allowed: MAX_PIXELS_BETWEEN_PASSES as u64,
        });
    }
    Ok(())
}

/// Horizontal pass over rows of RGB whose first pixel is `first_column` of the axis; no taps, no change.
fn stretch<'a>(rows: impl Iterator<Item = &'a [u8]>, first_column: usize, taps: Option<&Taps>) -> Vec<u8> {
    let mut dst = Vec::new();
    for row in rows {
        match taps {
            Some(taps) => dst.extend(taps.iter().flat_map(|(window, weights)| {
                weighted_pixel(&row[(window.start - first_column) * 3..], weights)
            })),
            None => dst.extend_from_slice(row),
        }
    }
    dst
}

/// The weighted sum of the first `weights.len()` RGB pixels of `row`.
fn weighted_pixel(row: &[u8], weights: &[i32]) -> [u8; 3] {
    let mut sum = [HALF; 3];
    for (pixel, &weight) in row.as_chunks::<3>().0.iter().zip(weights) {
        for (sum, &level) in sum.iter_mut().zip(pixel) {
            *sum += i32::from(level) * weight;
        }
    }
    sum.map(to_level)
}

/// Vertical pass giving the rows `rows`, of `row_len` bytes each; `row(y)` is source row `y`. No taps, no change.
fn blend<'a>(rows: Span, row_len: usize, taps: Option<&Taps>, row: impl Fn(usize) -> &'a [u8]) -> Vec<u8> {
    let mut dst = Vec::with_capacity(rows.len * row_len);
    let Some(taps) = taps else {
        (rows.start..rows.start + rows.len).for_each(|y| dst.extend_from_slice(row(y)));
        return dst;
    };
    let mut sums = vec![HALF; row_len];
    for (window, weights) in taps.iter() {
        sums.fill(HALF);
        for (y, &weight) in (window.start..).zip(weights) {
            for (sum, &level) in sums.iter_mut().zip(row(y)) {
                *sum += i32::from(level) * weight;
            }
        }
        dst.extend(sums.iter().map(|&sum| to_level(sum)));
    }
    dst
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vertical_pass_comes_first_when_the_height_shrinks_by_more_than_twice_as_much() {
        for (src, dst, first) in [
            ([10, 10], [6, 8], false),
            ([10, 10], [5, 8], true),
            ([5, 7], [4, 70], true),
            ([5, 7], [5, 70], false),
            ([5, 7], [9, 2], false),
        ] {
            assert_eq!(vertical_first(src, dst), first, "{src:?} to {dst:?}");
        }
    }

    #[test]
    fn taps_of_a_crop_are_those_of_the_whole() {
        let whole = Taps::new(Filter::Bicubic, 50, 20, Span { start: 0, len: 20 });
        let part = Taps::new(Filter::Bicubic, 50, 20, Span { start: 7, len: 4 });
        let expected: Vec<_> = whole.iter().skip(7).take(4).collect();
        assert_eq!(part.iter().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn weights_sum_to_one_within_their_rounding() {
        for &filter in Filter::all() {
            for (src, dst) in [(7, 3), (3, 7), (1, 9), (1000, 1)] {
                let taps = Taps::new(filter, src, dst, Span { start: 0, len: dst });
                for (window, weights) in taps.iter() {
                    let error = weights.iter().sum::<i32>() - (1 << PRECISION_BITS);
                    assert!(error.unsigned_abs() as usize <= window.len, "{filter} {src} to {dst}: {error}");
                }
            }
        }
    }
}
