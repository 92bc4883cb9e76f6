//! What an iteration of a parallel loop has for its own.

use crate::layout::Map;

use super::refusal::Refusal;

/// What each iteration of a nest's parallel loop writes of its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// A picture.
    Images,
    /// Blocks of channels: so many, of the one picture.
    Blocks(usize),
    /// One of so many equal runs of rows, of all channels of the one picture.
    Rows(usize),
}

impl Share {
    /// Pictures, or blocks of channels where there is one picture.
    pub fn usual(dst: &Map) -> Share {
        if dst.mb > 1 { Share::Images } else { Share::Blocks(1) }
    }

    /// Iterations of the parallel loop.
    pub fn extent(self, dst: &Map) -> usize {
        match self {
            Share::Images => dst.mb,
            Share::Blocks(n) => dst.blocks() / n,
            Share::Rows(n) => n,
        }
    }

    /// That a map can be shared so.
    ///
    /// # Errors
    /// [`Refusal::Unfit`] where shares would not be equal.
    pub fn of(self, dst: &Map) -> Result<(), Refusal> {
        let fits = match self {
            Share::Images => true,
            Share::Blocks(n) => dst.mb == 1 && n > 0 && dst.blocks().is_multiple_of(n),
            Share::Rows(n) => dst.mb == 1 && dst.axes == 2 && n > 0 && dst.h.is_multiple_of(n),
        };
        match fits {
            true => Ok(()),
            false => Err(Refusal::Unfit("shares of a map that are not equal")),
        }
    }
}
