//! How axes are cut into register tiles.

use crate::leaf::Width;

/// A number of equal tiles, then a number of tiles that are smaller by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EvenSplit {
    /// Extent of the larger tiles.
    pub size: usize,
    /// Number of larger tiles.
    pub large: usize,
    /// Number of tiles of `size - 1`.
    pub small: usize,
}

impl EvenSplit {
    /// Cuts `extent` into as few tiles of at most `most` as there can be, as even as they can be:
    /// `49 = 6+6+6+6+5+5+5+5+5`.
    pub fn new(extent: usize, most: usize) -> EvenSplit {
        let tiles = extent.div_ceil(most.max(1)).max(1);
        let size = extent.div_ceil(tiles);
        let small = tiles * size - extent;
        EvenSplit { size, large: tiles - small, small }
    }

    /// First element, extent and number of each run of equal tiles.
    pub fn runs(self) -> impl Iterator<Item = (usize, usize, usize)> {
        let runs =
            [(0, self.size, self.large), (self.large * self.size, self.size.saturating_sub(1), self.small)];
        runs.into_iter().filter(|&(_, size, n)| size > 0 && n > 0)
    }
}

/// Pixels of a tile with `vectors` vectors of channels whose pixels' offsets lie in registers: what the machine's vector
/// and general registers allow.
pub fn pixels(width: Width, vectors: usize) -> usize {
    match (width, vectors) {
        (Width::W8, 1) => 10,
        (Width::W8, 2) => 6,
        (Width::W8, 3) => 4,
        (Width::W8, _) => 3,
        (Width::W16, 1 | 2) => 12,
        (Width::W16, 3) => 8,
        (Width::W16, _) => 6,
    }
}

/// Vectors of each tile of `blocks` blocks of channels: pairs, the last with a third where they are odd.
pub fn vectors(blocks: usize) -> Vec<usize> {
    match blocks {
        0 => Vec::new(),
        1 => vec![1],
        b if b % 2 == 0 => vec![2; b / 2],
        b => std::iter::repeat_n(2, (b - 3) / 2).chain([3]).collect(),
    }
}

/// Runs of equal numbers: first position, number, value.
pub fn runs(tiles: &[usize]) -> Vec<(usize, usize, usize)> {
    let mut out: Vec<(usize, usize, usize)> = Vec::new();
    for (i, &t) in tiles.iter().enumerate() {
        match out.last_mut() {
            Some((_, n, value)) if *value == t => *n += 1,
            _ => out.push((i, 1, t)),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_are_even() {
        assert_eq!(EvenSplit::new(49, 6), EvenSplit { size: 6, large: 4, small: 5 });
        assert_eq!(EvenSplit::new(3, 6), EvenSplit { size: 3, large: 1, small: 0 });
        for extent in 1..200 {
            for most in 1..13 {
                let split = EvenSplit::new(extent, most);
                assert!(split.size <= most);
                let covered: usize = split.runs().map(|(_, size, n)| size * n).sum();
                assert_eq!(covered, extent, "{extent} {most}");
            }
        }
    }

    #[test]
    fn vectors_cover_blocks() {
        for blocks in 1..40 {
            let tiles = vectors(blocks);
            assert_eq!(tiles.iter().sum::<usize>(), blocks);
            assert_eq!(runs(&tiles).iter().map(|(_, n, v)| n * v).sum::<usize>(), blocks);
        }
    }
}
