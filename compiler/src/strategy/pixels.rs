//! The pixels that a nest walks through, and where each lies in a tensor.

use octrt_ops::Tensor;

use crate::leaf::programs::{Grid, Pixels};
use crate::tile::{BufferId, BufferRole, Distance, NestBuilder, SlotValue};

use super::refusal::{Refusal, distance};

/// Pixels of a tensor in the order in which tiles take them.
pub struct Walk {
    buffer: BufferId,
    /// Distance of the first pixel of the walk's origin from the buffer's first byte.
    base: i64,
    /// From one block of channels to the next.
    block_bytes: i64,
    place: Place,
}

enum Place {
    /// Every pixel as many bytes after the one before.
    Even(i64),
    /// Distances in a table.
    Table(BufferId),
}

/// Distances as a table.
///
/// # Errors
/// [`Refusal::Defect`]: never, the tensor has as many elements as there are entries.
pub fn table(entries: &[i32]) -> Result<Tensor, Refusal> {
    Tensor::new([entries.len()], entries).map_err(|_| Refusal::Defect("a table of another extent"))
}

impl Walk {
    /// A walk through the pixels at these distances from `base` in `buffer`; refused when one does not fit a table.
    pub fn new(
        nest: &mut NestBuilder,
        buffer: BufferId,
        base: i64,
        block_bytes: i64,
        distances: &[i64],
    ) -> Result<Walk, Refusal> {
        let first = *distances.first().ok_or(Refusal::Unfit("there are no pixels"))?;
        let step = distances.get(1).map_or(0, |d| d - first);
        let even = distances.iter().enumerate().all(|(i, &d)| d == first + step * i as i64);
        if even && step.checked_mul(64).is_some_and(|far| distance(far).is_ok()) {
            return Ok(Walk { buffer, base: base + first, block_bytes, place: Place::Even(step) });
        }
        let entries: Vec<i32> = distances.iter().map(|&d| distance(d)).collect::<Result<_, _>>()?;
        let table = table(&entries)?;
        let table = nest.buffer(table.ty().clone(), BufferRole::Table(table));
        Ok(Walk { buffer, base, block_bytes, place: Place::Table(table) })
    }

    /// Where a tile's pixels lie, for a leaf builder.
    pub fn grid(&self) -> Result<Grid, Refusal> {
        let pixels = match self.place {
            Place::Even(bytes) => Pixels::Strided { bytes: distance(bytes)?, repeat: 1 },
            Place::Table(_) => Pixels::Table,
        };
        Ok(Grid { pixels, vector_bytes: distance(self.block_bytes)? })
    }

    /// The address for a tile whose first pixel is `pixel` (in pixels), at a block of channels and further bytes.
    pub fn pointer(&self, pixel: &Distance, block: &Distance, bytes: &Distance) -> SlotValue {
        let at = block.times(self.block_bytes).and(bytes).offset(self.base);
        SlotValue::Pointer(
            self.buffer,
            match self.place {
                Place::Even(step) => at.and(&pixel.times(step)),
                Place::Table(_) => at,
            },
        )
    }

    /// The address of the tile's distances, where they are in a table.
    pub fn offsets(&self, pixel: &Distance) -> Option<SlotValue> {
        match self.place {
            Place::Even(_) => None,
            Place::Table(table) => Some(SlotValue::Pointer(table, pixel.times(4))),
        }
    }
}
