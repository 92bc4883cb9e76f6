//! Strategies: ordinary functions, value to value.
//!
//! From a naive kernel through schedule primitives: [`elementwise`] serves kernels without reduction, [`reduction`] the
//! others. Both only look at the shape of the nest and at strides, never at the operator's name.
//!
//! From a problem on blocked activations to a [tile nest](crate::tile): [`conv_direct`] and [`conv_winograd`], between which
//! [`conv_choice`] decides, [`window`] for depthwise convolution and pooling, [`gemm`], [`conv_plain`] for convolutions between plain
//! maps, [`rows`] for what is computed
//! element by element, and [`reorder`] where plain tensors and blocks meet.

use octrt_ops::DType;
use octrt_ops::expr::{Expr, VarId};

use crate::loop_ir::affine::Affine;
use crate::loop_ir::{Form, Kernel, Role};
use crate::schedule::{ScheduleError, parallel};

pub mod conv;
pub mod conv_choice;
pub mod conv_direct;
pub mod conv_grouped;
pub mod conv_plain;
pub mod conv_tiling;
pub mod conv_winograd;
pub mod elementwise;
pub mod gemm;
pub mod global_pool;
pub mod pixels;
pub mod problem;
pub mod reduction;
pub mod refusal;
pub mod reorder;
pub mod rows;
pub mod shift;
pub mod tiles;
pub mod window;

/// Schedules a naive kernel.
///
/// # Errors
/// [`ScheduleError`] when a primitive refuses what a strategy asked for: a defect of the strategy.
pub fn schedule(kernel: &Kernel) -> Result<Kernel, ScheduleError> {
    if kernel.update {
        return Ok(kernel.clone());
    }
    let k = match kernel.reduce {
        None => elementwise::schedule(kernel)?,
        Some(_) => reduction::schedule(kernel)?,
    };
    match k.loops.first() {
        Some(l) if l.role == Role::Data && l.form == Form::Serial => {
            let outer = l.id;
            // Overlapping tiles would be written by two threads.
            if splits_exactly(&k, outer) { parallel::parallel(&k, outer) } else { Ok(k) }
        }
        _ => Ok(k),
    }
}

/// Whether different iterations of a loop write different elements: no index takes the smaller of two bounds.
fn splits_exactly(k: &Kernel, l: VarId) -> bool {
    k.index.iter().all(|e| Affine::of(e).stride(l).is_some())
}

/// How the nest touches memory along one data loop.
#[derive(Clone, Debug)]
struct Axis {
    id: VarId,
    extent: usize,
    /// Stride in the written buffer, in elements.
    dst: Option<i64>,
    /// Strides of the loads of the body, in elements; `None` where it is not constant.
    loads: Vec<Option<i64>>,
}

/// The data loops of a nest but for turns, outermost first.
fn axes(k: &Kernel) -> Vec<Axis> {
    let mut loads = Vec::new();
    k.body.visit(&mut |e| {
        if let Expr::Load(b, index) = e {
            loads.push(Affine::flat(&k.buffers[b.0 as usize], index));
        }
    });
    let dst = Affine::flat(&k.buffers[k.dst.0 as usize], &k.index);
    k.loops
        .iter()
        .filter(|l| l.role == Role::Data && l.form != Form::Turn)
        .map(|l| Axis {
            id: l.id,
            extent: l.extent,
            dst: dst.stride(l.id),
            loads: loads.iter().map(|a| a.stride(l.id)).collect(),
        })
        .collect()
}

/// Whether every load of the kernel is of f32 and so is what it stores: what vectors are made of.
fn all_f32(k: &Kernel) -> bool {
    k.buffers.iter().all(|b| b.ty.dtype == DType::F32)
}
