//! The pixels that an emitted nest walks through, and where each lies in a tensor, in bytes.

use octrt_ops::Tensor;

use crate::layout::{AXES, Map};
use crate::leaf::programs::{Epilogue, Grid, Pixels, Residual};
use crate::nest::{BufferRole, Distance, NestBuilder, SlotValue};
use octrt_ops::expr::BufId;

use super::conv::{Addend, ConvProblem, Tail};
use super::refusal::{Refusal, distance};

/// Pixels of a tensor in the order in which tiles take them.
pub struct Walk {
    buffer: BufId,
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
    Table(BufId),
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
        buffer: BufId,
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

impl Addend {
    /// Its walk over these output pixels, in a buffer that is added now.
    ///
    /// # Errors
    /// [`Refusal::Distance`]; [`Refusal::Unfit`] where maps of other than two axes are upsampled.
    pub fn walk(&self, nest: &mut NestBuilder, pixels: &[Pixel]) -> Result<Walk, Refusal> {
        if self.repeat != 1 && self.map.axes != 2 {
            return Err(Refusal::Unfit("an upsampled addend of other than rows and columns"));
        }
        let buffer = nest.buffer(self.map.ty(), BufferRole::Src);
        let at = |&[d, h, w]: &Pixel| self.map.pixel([d, h / self.repeat, w / self.repeat].map(|i| i as i64));
        let distances: Vec<i64> = pixels.iter().map(at).collect();
        Walk::new(nest, buffer, 0, self.map.block_bytes(), &distances)
    }
}

impl Tail {
    /// The end of a leaf program whose results go to `dst`.
    ///
    /// # Errors
    /// [`Refusal::Distance`].
    pub fn epilogue(
        &self,
        dst: &Walk,
        base: Option<&Walk>,
        addend: Option<&Walk>,
    ) -> Result<Epilogue, Refusal> {
        let residual = match (addend, &self.addend) {
            (Some(walk), Some(a)) if a.after => Residual::After(walk.grid()?),
            (Some(walk), Some(_)) => Residual::Before(walk.grid()?),
            _ => Residual::Absent,
        };
        let base = base.map(Walk::grid).transpose()?;
        Ok(Epilogue {
            base,
            residual,
            activation: self.activation,
            dst: dst.grid()?,
            tail: None,
            used: None,
            pool: None,
        })
    }
}

impl ConvProblem {
    /// The distance of the input pixel under the first tap of the window at an output pixel.
    pub fn src_pixel(&self, at: Pixel) -> i64 {
        self.src.pixel(std::array::from_fn(|i| (at[i] * self.strides[i]) as i64 - self.pads[i] as i64))
    }

    /// Bytes of the input from one plane, row and column of a window to the next.
    pub fn tap_steps(&self) -> [i64; AXES] {
        let steps = self.src.steps();
        std::array::from_fn(|i| self.dilations[i] as i64 * steps[i])
    }

    /// All output pixels, row-major.
    pub fn dst_pixels(&self) -> Vec<Pixel> {
        all_pixels(&self.dst)
    }
}

/// Plane, row and column.
pub type Pixel = [usize; AXES];

/// All pixels of a map, row-major.
pub fn all_pixels(map: &Map) -> Vec<Pixel> {
    let rows = (0..map.d).flat_map(|d| (0..map.h).map(move |h| (d, h)));
    rows.flat_map(|(d, h)| (0..map.w).map(move |w| [d, h, w])).collect()
}

/// Distances of pixels of a map from the first byte of a block.
pub fn distances(map: &Map, pixels: &[Pixel]) -> Vec<i64> {
    pixels.iter().map(|at| map.pixel(at.map(|i| i as i64))).collect()
}

/// Buffers that every convolution has first: src, wei and bias.
pub fn operands(nest: &mut NestBuilder, p: &ConvProblem, wei_elements: usize) -> [BufId; 3] {
    let vector = |n: usize| octrt_ops::TensorType::new(octrt_ops::DType::F32, [n]);
    let bias = p.bias_elements();
    let src = nest.buffer(p.src.ty(), BufferRole::Src);
    let wei = nest.buffer(vector(wei_elements), BufferRole::Src);
    [src, wei, nest.buffer(vector(bias), BufferRole::Src)]
}
