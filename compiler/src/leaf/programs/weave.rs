//! Elements of two rows in turn.

use super::builder::Builder;
use crate::leaf::{Address, Program, PtrId, Shuffle, VecId, Width};

/// Element `i` of the rows at the slots `even` and `odd` goes to `2 i` and `2 i + 1` from the slot `dst` on, for `trips`
/// vectors; the slot `trips` is a count.
#[derive(Clone, Debug, PartialEq)]
pub struct Weave {
    /// Width of the vectors.
    pub width: Width,
    /// Whether both rows are the one at `even`; there is no slot `odd` then.
    pub repeats: bool,
}

impl Weave {
    /// The program.
    pub fn program(&self) -> Program {
        let mut b = Builder::new(if self.repeats { "repeat" } else { "weave" }.into(), self.width);
        let even = b.pointer("even");
        let odd = (!self.repeats).then(|| b.pointer("odd"));
        let dst = b.pointer("dst");
        b.repeat("trips", |b| {
            let x = b.load(Address::new(even, 0));
            let y = odd.map_or(x, |p| b.load(Address::new(p, 0)));
            // In each quad the first and the last two of either; then quads in their order.
            let [low, high] = [Shuffle::InterleaveLow, Shuffle::InterleaveHigh].map(|op| b.shuffle(op, x, y));
            for (i, v) in self.in_order(b, low, high).into_iter().enumerate() {
                b.store(at(dst, i, self.width), self.width.lanes() as u8, v);
            }
            for p in [Some(even), odd].into_iter().flatten() {
                b.advance(p, self.width.bytes());
            }
            b.advance(dst, 2 * self.width.bytes());
        });
        b.finish()
    }

    /// The quads of two vectors by turns, as two vectors.
    fn in_order(&self, b: &mut Builder, low: VecId, high: VecId) -> [VecId; 2] {
        // Quads of 16 lanes: l0 l2 h0 h2 and l1 l3 h1 h3; then l0 h0 l1 h1 and l2 h2 l3 h3.
        let [even, odd] = [Shuffle::EvenQuads, Shuffle::OddQuads].map(|op| b.shuffle(op, low, high));
        match self.width {
            Width::W8 => [even, odd],
            Width::W16 => [Shuffle::EvenQuads, Shuffle::OddQuads].map(|op| b.shuffle(op, even, odd)),
        }
    }
}

fn at(base: PtrId, vector: usize, width: Width) -> Address {
    Address::new(base, vector as i32 * width.bytes())
}
