//! The pixels that a nest walks through, and where each lies in a tensor.

use octrt_ops::Tensor;

use crate::leaf::programs::{Grid, Pixels};
use crate::tile::{BufferId, BufferRole, Distance, NestBuilder, SlotValue};

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

impl Walk {
    /// A walk through the pixels at these distances from `base` in `buffer`; `None` when one does not fit a table.
    pub fn new(
        nest: &mut NestBuilder,
        buffer: BufferId,
        base: i64,
        block_bytes: i64,
        distances: &[i64],
    ) -> Option<Walk> {
        let first = *distances.first()?;
        let step = distances.get(1).map_or(0, |d| d - first);
        let even = distances.iter().enumerate().all(|(i, &d)| d == first + step * i as i64);
        if even && i32::try_from(step.checked_mul(64)?).is_ok() {
            return Some(Walk { buffer, base: base + first, block_bytes, place: Place::Even(step) });
        }
        let entries: Option<Vec<i32>> = distances.iter().map(|&d| i32::try_from(d).ok()).collect();
        let table = Tensor::new([distances.len()], &entries?).ok()?;
        let table = nest.buffer(table.ty().clone(), BufferRole::Table(table));
        Some(Walk { buffer, base, block_bytes, place: Place::Table(table) })
    }

    /// Where a tile's pixels lie, for a leaf builder.
    pub fn grid(&self) -> Option<Grid> {
        let pixels = match self.place {
            Place::Even(bytes) => Pixels::Strided { bytes: i32::try_from(bytes).ok()?, repeat: 1 },
            Place::Table(_) => Pixels::Table,
        };
        Some(Grid { pixels, vector_bytes: i32::try_from(self.block_bytes).ok()? })
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
