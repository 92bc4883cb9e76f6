//! Builders: the leaf programs of each kind of operator.
//!
//! A *tile* is `pixels x vectors` accumulators. Pixel `p` is a position of the flattened map, vector `v` a block of
//! [`Width::lanes`](super::Width::lanes) channels; a [`Grid`] says where the vector of each lies in a tensor. Builders
//! name the slots that they use; [`Program::slot`](super::Program::slot) finds them:
//!
//! | slot | kind | what |
//! |---|---|---|
//! | `src` | pointer | the tile's first element, at the first tap |
//! | `wei` | pointer | packed weights, see the builder |
//! | `bias` | pointer | one vector per vector of the tile, or one element per pixel |
//! | `partial` | pointer | what is added to the accumulators first |
//! | `operand0`, .. | pointer | tensors that a [`Formula`] reads |
//! | `dst` | pointer | the results |
//! | *grid*`_offsets` | pointer | for [`Pixels::Table`]: one i32 per pixel, bytes from the grid's pointer |
//! | *axis* | count | trips of a loop over [`Axis`] |
//! | *axis*`_step` | stride | how far `src` moves after a trip, for [`Advance::Slot`] |
//! | `taps` | count | for [`Reduction::Table`]: entries of the table `tap_offsets` |
//! | `tap_offsets` | pointer | one i32 per trip: bytes from `src` to the tap |

mod builder;
mod conv;
mod copy;
mod depthwise;
mod elementwise;
mod formula;
mod functions;
mod hoist;
mod lanes;
mod pool;
mod row;
mod tile;
mod transpose;
mod weave;
mod winograd;

pub use conv::{Conv, Weights};
pub use copy::Copy;
pub use depthwise::Depthwise;
pub use elementwise::{Elementwise, Fill, Reads};
pub use formula::{Formula, OPERAND, OPERANDS};
pub use functions::Function;
pub use lanes::{Lanes, Source};
pub use pool::{Pool, PoolKind, Sums};
pub use row::{Combine, Row, Stage};
pub use transpose::{Direction, Transpose};
pub use weave::Weave;
pub use winograd::{STEP, TileOperand, Winograd, WinogradInput, WinogradOutput};

/// Where the pixels of a tile lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pixels {
    /// Pixel `p` at `p / repeat * bytes`; with `repeat` 2, each pixel of a low-resolution row serves two.
    Strided {
        /// From one pixel to the next.
        bytes: i32,
        /// Pixels that share a place; at least 1.
        repeat: u32,
    },
    /// Pixel `p` at the `p`-th distance in bytes.
    Fixed(Vec<i32>),
    /// Distances are read at run time.
    Table,
}

/// Where the vectors of a tile lie in a tensor: vector `v` of pixel `p` at `pixels(p) + v * vector_bytes` from the
/// pointer in the grid's slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grid {
    /// Distances of the pixels.
    pub pixels: Pixels,
    /// From one block of channels to the next.
    pub vector_bytes: i32,
}

/// What is added to sums, from the slot `bias`. Accumulators start from 0 all the same: a bias is often larger than the
/// terms, and each term would be rounded as the larger of the two is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bias {
    /// Nothing.
    Absent,
    /// A vector for each vector of the tile, the same for all pixels.
    Vectors,
    /// An element for each pixel, the same for all lanes.
    Pixels,
}

/// A loop of a reduction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Axis {
    /// Name of its count slot.
    pub name: &'static str,
    /// How far `src` moves after each trip. An outer loop moves it from where the inner loop has left it.
    pub src: Advance,
}

/// How far a pointer moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advance {
    /// This many bytes.
    Bytes(i32),
    /// As many bytes as the axis's step slot says.
    Slot,
}

/// What is repeated over the unrolled taps of a tile. Packed weights are used up in the order of the trips.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reduction {
    /// Up to three loops, outermost first; none runs the taps once.
    Loops(Vec<Axis>),
    /// One loop over a table of distances from `src`.
    Table,
}

/// What happens to the accumulators at the end.
#[derive(Clone, Debug, PartialEq)]
pub struct Epilogue {
    /// What is added to them first, from the slot `partial`: what parts of the sum before have stored. The destination may be
    /// the same.
    pub partial: Option<Grid>,
    /// What is added to them then.
    pub bias: Bias,
    /// What is computed of the sums, and of the operands.
    pub formula: Formula,
    /// Tensors that the formula reads, operand `k` at the slot [`OPERAND`]`[k]`: an element for each of the tile. The
    /// destination is none of them.
    pub operands: Vec<Grid>,
    /// Where results go, from the slot `dst`.
    pub dst: Grid,
    /// Lanes of the last vector that exist in `partial`, the operands and `dst`; `None` for all.
    pub tail: Option<u8>,
    /// Lanes of the last vector that mean something; the others become 0, so that they hold numbers whatever the sums are.
    /// `None` for all.
    pub used: Option<u8>,
}

impl Epilogue {
    /// Stores the accumulators as they are.
    pub fn store(dst: Grid) -> Epilogue {
        Epilogue {
            partial: None,
            bias: Bias::Absent,
            formula: Formula::identity(),
            operands: Vec::new(),
            dst,
            tail: None,
            used: None,
        }
    }
}
