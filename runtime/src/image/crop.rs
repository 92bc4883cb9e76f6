//! Centre crop with the offsets of torchvision's `CenterCrop`.

/// What a centre crop does along one axis: `len` pixels from `start` go to `pad` and after; the rest is zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AxisCrop {
    /// First pixel taken.
    pub start: usize,
    /// Pixels taken.
    pub len: usize,
    /// Zero pixels before them in the result.
    pub pad: usize,
}

/// The middle `crop` of `len` pixels.
///
/// A longer axis loses `round((len - crop) / 2)` pixels at its start, halves rounded to even as Python's `round`;
/// a shorter one gets `floor((crop - len) / 2)` zero pixels there.
pub(super) fn centre(len: usize, crop: usize) -> AxisCrop {
    if len < crop {
        AxisCrop { start: 0, len, pad: (crop - len) / 2 }
    } else {
        let (half, rest) = ((len - crop) / 2, (len - crop) % 2);
        AxisCrop { start: half + rest * (half % 2), len: crop, pad: 0 }
    }
}

/// Sets `src` (rows of RGB, `h.len` x `w.len` pixels) into zeros of `size` = `[height, width]` pixels.
pub(super) fn pad(src: Vec<u8>, [h, w]: [AxisCrop; 2], [height, width]: [usize; 2]) -> Vec<u8> {
    if [h.len, w.len] == [height, width] {
        return src;
    }
    let mut dst = vec![0; height * width * 3];
    let rows = dst.chunks_exact_mut(width * 3).skip(h.pad);
    for (dst, src) in rows.zip(src.chunks_exact(w.len * 3)) {
        dst[w.pad * 3..][..src.len()].copy_from_slice(src);
    }
    dst
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longer_axes_round_halves_to_even() {
        let start = |len, crop| centre(len, crop).start;
        // (len - crop) / 2 = 0, 0.5, 1, 1.5, 2, 2.5, 3.5
        let starts = [4, 5, 6, 7, 8, 9, 11].map(|len| start(len, 4));
        assert_eq!(starts, [0, 0, 1, 2, 2, 2, 4]);
    }

    #[test]
    fn shorter_axes_are_padded_less_at_the_start() {
        assert_eq!(centre(5, 8), AxisCrop { start: 0, len: 5, pad: 1 });
        assert_eq!(centre(4, 8), AxisCrop { start: 0, len: 4, pad: 2 });
    }

    #[test]
    fn padding_is_zero_around_the_pixels() {
        let (h, w) = (centre(1, 2), centre(1, 3));
        let padded = pad(vec![7, 8, 9], [h, w], [2, 3]);
        assert_eq!(padded, [0, 0, 0, 7, 8, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    }
}
