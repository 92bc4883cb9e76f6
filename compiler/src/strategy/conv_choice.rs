//! The algorithm of a convolution.

use crate::leaf::programs::Winograd;
use crate::options::Options;
use crate::pack::Packing;
use crate::precision::Precision;
use crate::target::Target;

use super::conv::{ConvProblem, Sharing};
use super::conv_winograd::{self, Plan};
use super::refusal::Refusal;
use super::{conv_direct, conv_grouped};

/// Most input channels of F(4x4, 3x3): its errors grow with the root of their number, up to 5e-5 of the results' root mean
/// square here.
const F4_CHANNELS: usize = 128;

/// Bytes of weights that come from memory in a cycle.
const COLD_BYTES: f64 = 5.0;

/// Winograd's part of the direct cycles above which it is not taken: three steps have costs of their own.
const WORTH_IT: f64 = 0.9;

/// The nests of a convolution and how its weights are packed.
///
/// # Errors
/// [`Refusal`] where no schedule takes it.
pub fn choose(p: &ConvProblem, options: Options) -> Result<(Plan, Packing), Refusal> {
    if p.sharing == Sharing::Mixed {
        let packing = conv_grouped::packing(p)?;
        let nest = conv_grouped::schedule(p, options.target)?.finish()?;
        return Ok((Plan::Whole(nest), Packing::Grouped(packing)));
    }
    let direct = || {
        let nest = conv_direct::schedule(p, options.target)?.finish()?;
        Ok((Plan::Whole(nest), Packing::Conv(p.packing())))
    };
    if options.precision == Precision::Strict || p.whole || !p.is_3x3_s1() {
        return direct();
    }
    let mut sizes: Vec<(f64, Winograd)> =
        [Winograd::F2, Winograd::F4].map(|s| (winograd_cycles(p, s, options.target), s)).into();
    sizes.retain(|(cycles, size)| {
        let exact = *size == Winograd::F2 || p.ic <= F4_CHANNELS;
        exact && *cycles < WORTH_IT * direct_cycles(p, options.target)
    });
    sizes.sort_by(|a, b| a.0.total_cmp(&b.0));
    let plan = |(_, size): &(f64, Winograd)| {
        let plan = conv_winograd::plan(p, *size, options.target).ok()?;
        Some((plan, Packing::Winograd(*size, p.packing())))
    };
    sizes.iter().find_map(plan).map_or_else(direct, Ok)
}

/// Multiply-accumulates in a cycle.
fn rate(target: Target) -> f64 {
    2.0 * target.width().map_or(4.0, |w| f64::from(w.lanes()))
}

fn direct_cycles(p: &ConvProblem, target: Target) -> f64 {
    let macs = (p.dst.mb * p.dst.h * p.dst.w * p.ic * p.oc * 9) as f64;
    macs / rate(target) / 0.9 + (p.ic * p.oc * 9 * 4) as f64 / COLD_BYTES
}

fn winograd_cycles(p: &ConvProblem, size: Winograd, target: Target) -> f64 {
    let tiles = (p.dst.mb * p.dst.h.div_ceil(size.output()) * p.dst.w.div_ceil(size.output())) as f64;
    let weights = (size.input() * size.input() * p.ic * p.oc) as f64;
    // Cycles of the transforms of a block of channels of a tile.
    let (input, output) = match size {
        Winograd::F2 => (60.0, 40.0),
        Winograd::F4 => (180.0, 130.0),
    };
    let transforms = tiles * (p.src_blocks() as f64 * input + p.dst_blocks() as f64 * output);
    weights * tiles / rate(target) / 0.85 + transforms + weights * 4.0 / COLD_BYTES
}
