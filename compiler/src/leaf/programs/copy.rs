//! Runs of vectors from one place to another.

use super::builder::Builder;
use crate::leaf::{Address, Program, Width};

/// `dst = src` for `trips` (a count slot) runs of vectors; no run of `dst` touches one of `src`.
#[derive(Clone, Debug, PartialEq)]
pub struct Copy {
    /// Width of the vectors.
    pub width: Width,
    /// Vectors of a run, side by side.
    pub vectors: usize,
    /// Elements of a run behind those vectors, fewer than a vector has.
    pub rest: u8,
    /// From one run of `src` to the next.
    pub src_bytes: i32,
    /// From one run of `dst` to the next.
    pub dst_bytes: i32,
}

impl Copy {
    /// The program.
    pub fn program(&self) -> Program {
        let mut b = Builder::new(format!("copy_{}", self.vectors), self.width);
        let (src, dst) = (b.pointer("src"), b.pointer("dst"));
        let (lanes, bytes) = (self.width.lanes() as u8, self.width.bytes());
        b.repeat("trips", |b| {
            for v in 0..self.vectors as i32 {
                let x = b.load(Address::new(src, v * bytes));
                b.store(Address::new(dst, v * bytes), lanes, x);
            }
            if self.rest > 0 && self.vectors > 0 {
                // The last vector of the run: a partial store takes many times as long as writing some elements twice.
                let last = (self.vectors as i32 - 1) * bytes + 4 * i32::from(self.rest);
                let x = b.load(Address::new(src, last));
                b.store(Address::new(dst, last), lanes, x);
            } else if self.rest > 0 {
                let behind = self.vectors as i32 * bytes;
                let x = b.load_lanes(Address::new(src, behind), self.rest);
                b.store(Address::new(dst, behind), self.rest, x);
            }
            b.advance(src, self.src_bytes);
            b.advance(dst, self.dst_bytes);
        });
        b.finish()
    }
}
