//! Some lanes of every pixel.

use super::builder::Builder;
use crate::leaf::{Address, Program, Width};

/// What lanes are filled with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Source {
    /// The lanes at the pointer slot `src`, whose pixels lie so many bytes apart.
    Pixels(i32),
    /// A number that is not NaN.
    Number(f32),
}

/// The first lanes at `dst + i * pixel_bytes` for `i` below `trips`, a count slot; other lanes stay.
#[derive(Clone, Debug, PartialEq)]
pub struct Lanes {
    /// Width of the vectors.
    pub width: Width,
    /// How many lanes.
    pub lanes: u8,
    /// From one pixel to the next.
    pub pixel_bytes: i32,
    /// What they are filled with.
    pub source: Source,
}

impl Lanes {
    /// The program.
    pub fn program(&self) -> Program {
        let mut b = Builder::new(format!("lanes_{}", self.lanes), self.width);
        let src = match self.source {
            Source::Pixels(bytes) => Ok((b.pointer("src"), bytes)),
            Source::Number(x) => Err(b.splat(x)),
        };
        let dst = b.pointer("dst");
        b.repeat("trips", |b| {
            let x = match src {
                Ok((src, _)) => b.load_lanes(Address::new(src, 0), self.lanes),
                Err(x) => x,
            };
            b.store(Address::new(dst, 0), self.lanes, x);
            if let Ok((src, bytes)) = src {
                b.advance(src, bytes);
            }
            b.advance(dst, self.pixel_bytes);
        });
        b.finish()
    }
}
