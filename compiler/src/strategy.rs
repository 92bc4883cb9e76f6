//! Strategies: ordinary functions, value to value.
//!
//! From a naive nest of any definition: [`elementwise`] serves those without reduction, [`reduction`] the others. Both only
//! look at the shape of the nest and at strides, never at the operator's name.
//!
//! From a problem on blocked activations to a [nest of calls](crate::nest): [`conv_direct`], [`conv_winograd`],
//! [`conv_grouped`] for groups that share blocks of channels, [`window`] for depthwise convolution and pooling, [`gemm`], [`rows`] and [`plain`] for what is computed element by element,
//! and [`reorder`] where plain tensors and blocks meet.

use octrt_ops::DType;
use octrt_ops::expr::{Expr, VarId};

use crate::nest::affine::Affine;
use crate::nest::{Definition, Form, Nest, Role};
use crate::schedule::ScheduleError;
use crate::schedule::script::Schedule;

pub mod conv;
pub mod conv_direct;
pub mod conv_grouped;
pub mod conv_plan;
pub mod conv_tiling;
pub mod conv_winograd;
pub mod decision;
pub mod elementwise;
pub mod gemm;
pub mod gemm_tiling;
pub mod global_pool;
pub mod moves;
pub mod nearest;
pub mod plain;
pub mod pooled;
pub mod problem;
pub mod reduction;
pub mod refusal;
pub mod relayout;
pub mod reorder;
pub mod row_stages;
pub mod rows;
pub mod share;
pub mod shift;
pub mod tail;
pub mod tiles;
pub mod window;

/// Schedules a naive nest of one definition.
///
/// # Errors
/// [`ScheduleError`] when a primitive refuses what a strategy asked for: a defect of the strategy.
pub fn schedule(naive: &Nest) -> Result<Schedule, ScheduleError> {
    let mut s = Schedule::new(naive.clone());
    let Some(d) = naive.perfect().filter(|d| !d.define.update) else { return Ok(s) };
    match d.define.reduce {
        None => elementwise::schedule(&mut s, &d)?,
        Some(_) => reduction::schedule(&mut s, &d)?,
    }
    let Some(scheduled) = s.nest().perfect() else { return Ok(s) };
    if let Some(l) = scheduled.loops.first().filter(|l| l.role == Role::Data && l.form == Form::Serial) {
        let outer = l.id;
        // Overlapping tiles would be written by two threads.
        if splits_exactly(&scheduled, outer) {
            s.parallel(outer)?;
        }
    }
    Ok(s)
}

/// Whether different iterations of a loop write different elements: no index takes the smaller of two bounds.
fn splits_exactly(d: &Definition<'_>, l: VarId) -> bool {
    d.define.index.iter().all(|e| Affine::of(e).stride(l).is_some())
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
fn axes(d: &Definition<'_>) -> Vec<Axis> {
    let mut loads = Vec::new();
    d.define.value.visit(&mut |e| {
        if let Expr::Load(b, index) = e {
            loads.push(Affine::flat(&d.buffers[b.index()].ty.shape, index));
        }
    });
    let dst = Affine::flat(&d.dst_ty().shape, &d.define.index);
    d.loops
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

/// Whether every buffer of the nest is of f32 and so is what it stores: what vectors are made of.
fn all_f32(d: &Definition<'_>) -> bool {
    d.buffers.iter().all(|b| b.ty.dtype == DType::F32)
}
