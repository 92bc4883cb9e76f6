//! Convolutions of small groups: an output block sees the input channels of the groups that it has a part of, and no
//! others.
//!
//! ```text
//! for block of oc parallel  for tile of pixels
//!   call conv: for (channel, kd, kh) from a table   (kw unrolled)
//! ```
//!
//! Where groups do not fill blocks, weights are 0 for the channels of a block's other groups. So a number that is not finite
//! reaches all groups that share its block, as Winograd's algorithm carries it to a tile: not for strict precision.

use octrt_ops::{DType, TensorType};

use crate::leaf::programs::{Conv, Epilogue, Reduction, Start};
use crate::leaf::{Program, Width, registers};
use crate::nest::{BufferRole, Distance, Nest, NestBuilder, SlotValue};
use crate::pack::GroupedPacking;
use crate::target::Target;
use octrt_ops::expr::BufId;

use super::conv::{Addend, ConvProblem};
use super::pixels::{Walk, distances, operands, table};
use super::refusal::{Refusal, distance};
use super::tiles::{self, EvenSplit};

/// Most columns of a window, which are unrolled.
const COLUMNS: usize = 16;

/// How the weights of a convolution are packed.
///
/// # Errors
/// [`Refusal::Unfit`] where a block sees so many channels that zeros are most of the work.
pub fn packing(p: &ConvProblem) -> Result<GroupedPacking, Refusal> {
    let packing = GroupedPacking { lanes: p.dst.layout.lanes, groups: p.groups };
    let seen = packing.channels(p.oc * p.groups, p.ic);
    // Zeros for each weight of a channel that has the largest part of its block.
    if seen > 8 * p.ic.max(p.dst.layout.lanes) {
        return Err(Refusal::Unfit("most of the work would be zeros of other groups"));
    }
    if p.kernel[2] > COLUMNS {
        return Err(Refusal::Unfit("a window of many columns in groups that share blocks of channels"));
    }
    Ok(packing)
}

/// The nest of a convolution with groups of any size. Buffers: src, wei, bias, what is added, tables, dst.
///
/// # Errors
/// [`Refusal`] where distances do not fit leaf programs.
pub fn nest(p: &ConvProblem, packing: &GroupedPacking, target: Target) -> Result<Nest, Refusal> {
    let width = target.width().ok_or(Refusal::NoLeafPrograms(target))?;
    let blocks = p.dst.blocks();
    let rest = (p.dst.c % p.dst.layout.lanes) as u8;
    // A last block with lanes that are no channels is one of its own, and then blocks are no parallel loop.
    let by_block = p.src.mb == 1 && rest == 0;
    let mut b = NestBuilder::new("conv_grouped", if by_block { blocks } else { p.src.mb });
    let outer = Distance::default().plus(b.parallel(), 1);
    let all = p.dst_pixels();
    let channels = packing.channels(p.oc * p.groups, p.ic);
    let trips = channels * p.kernel[0] * p.kernel[1];
    let [src, wei, bias] = operands(&mut b, p, blocks * trips * p.kernel[2] * width.lanes() as usize);
    let mut walk = |addend: Option<Addend>| match addend {
        Some(a) => a.walk(&mut b, &all).map(Some),
        None => Ok(None),
    };
    let (base, addend) = (walk(p.tail.base)?, walk(p.tail.addend)?);
    let from: Vec<i64> = all.iter().map(|at| p.src_pixel(*at)).collect();
    let to = distances(&p.dst, &all);
    let src = Walk::new(&mut b, src, 0, p.src.block_bytes(), &from)?;
    let taps = taps(&mut b, p, packing)?;
    let dst = b.buffer(p.dst.ty(), BufferRole::Dst);
    let dst = Walk::new(&mut b, dst, 0, p.dst.block_bytes(), &to)?;
    let emitter = Emitter { p, width, src, dst, base, addend, wei, bias, taps, trips };
    if by_block {
        emitter.block(&mut b, &Distance::default(), &outer, None, all.len())?;
        return Ok(b.finish());
    }
    let full = blocks - usize::from(rest > 0);
    b.each(full, |b, l| emitter.block(b, &outer, &Distance::default().plus(l, 1), None, all.len()))?;
    if rest > 0 {
        let last = Distance::new(full as i64);
        emitter.block(&mut b, &outer, &last, Some(rest), all.len())?;
    }
    Ok(b.finish())
}

struct Emitter<'a> {
    p: &'a ConvProblem,
    width: Width,
    src: Walk,
    dst: Walk,
    base: Option<Walk>,
    addend: Option<Walk>,
    wei: BufId,
    bias: BufId,
    taps: BufId,
    /// Entries of the table for each block.
    trips: usize,
}

impl Emitter<'_> {
    /// The calls for all pixels of a block of output channels.
    fn block(
        &self,
        b: &mut NestBuilder,
        image: &Distance,
        block: &Distance,
        used: Option<u8>,
        pixels: usize,
    ) -> Result<(), Refusal> {
        let p = self.p;
        let fits = |n: &usize| self.program(*n, used).is_ok_and(|p| registers::fits(&p));
        let most = (1..=tiles::pixels(self.width, 1).min(10).min(pixels)).rev().find(fits);
        let most = most.ok_or(Refusal::Registers)?;
        let lane_bytes = i64::from(self.width.bytes());
        let of_image = |a: Option<Addend>| a.map(|a| image.times(a.map.image_bytes()));
        let (base, addend) = (of_image(p.tail.base), of_image(p.tail.addend));
        for (first, size, n) in EvenSplit::new(pixels, most).runs() {
            let program = self.program(size, used)?;
            b.each(n, |b, l| {
                let pixel = Distance::new(first as i64).plus(l, size as i64);
                let zero = Distance::default();
                b.call(program, &|name| match name {
                    // The table tells the blocks of the input apart.
                    "src" => Some(self.src.pointer(&pixel, &zero, &image.times(p.src.image_bytes()))),
                    "src_offsets" => self.src.offsets(&pixel),
                    "tap_offsets" => Some(SlotValue::Pointer(self.taps, block.times(4 * self.trips as i64))),
                    "taps" => Some(SlotValue::Number(self.trips as i64)),
                    "wei" => {
                        let bytes = (self.trips * p.kernel[2]) as i64 * lane_bytes;
                        Some(SlotValue::Pointer(self.wei, block.times(bytes)))
                    }
                    "bias" => Some(SlotValue::Pointer(self.bias, block.times(lane_bytes))),
                    "dst" => Some(self.dst.pointer(&pixel, block, &image.times(p.dst.image_bytes()))),
                    "dst_offsets" => self.dst.offsets(&pixel),
                    "base" => Some(self.base.as_ref()?.pointer(&pixel, block, base.as_ref()?)),
                    "base_offsets" => self.base.as_ref()?.offsets(&pixel),
                    "residual" => Some(self.addend.as_ref()?.pointer(&pixel, block, addend.as_ref()?)),
                    "residual_offsets" => self.addend.as_ref()?.offsets(&pixel),
                    _ => None,
                })
            })?;
        }
        Ok(())
    }

    fn program(&self, pixels: usize, used: Option<u8>) -> Result<Program, Refusal> {
        let p = self.p;
        let column = distance(p.tap_steps()[2])?;
        let epilogue = p.tail.epilogue(&self.dst, self.base.as_ref(), self.addend.as_ref())?;
        let leaf = Conv {
            width: self.width,
            pixels,
            vectors: 1,
            channels: 1,
            taps: (0..p.kernel[2] as i32).map(|k| k * column).collect(),
            src: self.src.grid()?,
            reduction: Reduction::Table,
            merged: 1,
            ahead: 0,
            start: Start::Bias,
            epilogue: Epilogue { used, ..epilogue },
        };
        Ok(leaf.program())
    }
}

/// For each block of output channels: the distances of the rows of windows, channel by channel, in the order of the packed
/// weights.
fn taps(b: &mut NestBuilder, p: &ConvProblem, packing: &GroupedPacking) -> Result<BufId, Refusal> {
    let lanes = p.src.layout.lanes;
    let ([planes, rows, _], [plane, row, _]) = (p.kernel.map(|k| k as i64), p.tap_steps());
    let mut entries = Vec::new();
    for channels in packing.blocks(p.oc * p.groups, p.ic) {
        for channel in channels {
            let at = (channel / lanes) as i64 * p.src.block_bytes() + 4 * (channel % lanes) as i64;
            for (kd, kh) in (0..planes).flat_map(|kd| (0..rows).map(move |kh| (kd, kh))) {
                entries.push(distance(kd * plane + kh * row + at)?);
            }
        }
    }
    let table = table(&entries)?;
    Ok(b.buffer(TensorType::new(DType::I32, [entries.len()]), BufferRole::Table(table)))
}
