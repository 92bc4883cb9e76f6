//! Schedules: primitives applied to a nest one after the other, and what was applied as text.
//!
//! ```text
//! fuse L3 L4 -> L12
//! split L12 by 392 -> L13 L14
//! parallel L13
//! ```
//!
//! The text of a schedule, [`apply`](Schedule::apply)ed to the same nest, makes the same schedule.

use std::fmt::{self, Write};
use std::sync::Arc;

use octrt_ops::expr::{BufId, VarId};

use super::ScheduleError;
use super::compute_at::compute_at;
use super::cut::{Run, cut};
use super::drop::drop;
use super::fuse::fuse;
use super::pack::{flatten, pack};
use super::parallel::parallel;
use super::relayout::relayout;
use super::reorder::reorder;
use super::split::split;
use super::split_sum::{Part, split_sum};
use super::stage::{stage_read, stage_write};
use super::start_from::start_from;
use super::tensorize::Tables;
use super::tensorize::conv::{self, ConvTile};
use super::tensorize::copy::{self, CopyTile};
use super::tensorize::elementwise::{self, ElementwiseTile};
use super::tensorize::window::{self, WindowTile};
use super::unroll::unroll;
use super::vectorize::vectorize;
use crate::leaf::Width;
use crate::leaf::programs::Conv;
use crate::nest::Nest;
use crate::strategy::refusal::Refusal;

mod steps;

pub use steps::StepError;

/// A nest that is being scheduled.
#[derive(Clone, Debug)]
pub struct Schedule {
    naive: Nest,
    nest: Nest,
    steps: String,
    /// Tables that were made already.
    tables: Tables,
}

/// A nest for code generation, and the schedules that made it or parts of it.
#[derive(Clone, Debug)]
pub struct Scheduled {
    /// The nest.
    pub nest: Arc<Nest>,
    /// How it was made, where a schedule made all of it.
    pub schedule: Option<Arc<Schedule>>,
    /// How the nests were made that are parts of it, see [`embed`](crate::nest::build::Builder::embed).
    pub parts: Vec<Arc<Schedule>>,
}

impl From<Nest> for Scheduled {
    fn from(nest: Nest) -> Scheduled {
        Scheduled { nest: Arc::new(nest), schedule: None, parts: Vec::new() }
    }
}

/// The primitives that made the nest, one on a line.
impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.steps)
    }
}

/// Names between spaces.
fn names(loops: &[VarId]) -> String {
    loops.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

impl Schedule {
    /// Begins with a naive nest.
    pub fn new(nest: Nest) -> Schedule {
        Schedule { naive: nest.clone(), nest, steps: String::new(), tables: Tables::default() }
    }

    /// The nest that the schedule began with.
    pub fn naive(&self) -> &Nest {
        &self.naive
    }

    /// The nest as it is now.
    pub fn nest(&self) -> &Nest {
        &self.nest
    }

    fn note(&mut self, step: fmt::Arguments<'_>) {
        // Writing into a string does not fail.
        let _ = writeln!(self.steps, "{step}");
    }

    /// Number of iterations of a loop.
    pub fn extent(&self, l: VarId) -> usize {
        self.nest.extent(l).unwrap_or(1)
    }

    /// See [`split`](fn@split).
    ///
    /// # Errors
    /// As there.
    pub fn split(&mut self, l: VarId, factor: usize) -> Result<[VarId; 2], ScheduleError> {
        let [outer, inner] = split(&mut self.nest, l, factor)?;
        self.note(format_args!("split {l} by {factor} -> {outer} {inner}"));
        Ok([outer, inner])
    }

    /// See [`fuse`](fn@fuse).
    ///
    /// # Errors
    /// As there.
    pub fn fuse(&mut self, loops: &[VarId]) -> Result<VarId, ScheduleError> {
        let id = fuse(&mut self.nest, loops)?;
        if loops != [id] {
            self.note(format_args!("fuse {} -> {id}", names(loops)));
        }
        Ok(id)
    }

    /// See [`reorder`](fn@reorder).
    ///
    /// # Errors
    /// As there.
    pub fn reorder(&mut self, order: &[VarId]) -> Result<(), ScheduleError> {
        reorder(&mut self.nest, order)?;
        self.note(format_args!("reorder {}", names(order)));
        Ok(())
    }

    /// See [`parallel`](fn@parallel).
    ///
    /// # Errors
    /// As there.
    pub fn parallel(&mut self, l: VarId) -> Result<(), ScheduleError> {
        parallel(&mut self.nest, l)?;
        self.note(format_args!("parallel {l}"));
        Ok(())
    }

    /// See [`unroll`](fn@unroll).
    ///
    /// # Errors
    /// As there.
    pub fn unroll(&mut self, l: VarId) -> Result<(), ScheduleError> {
        unroll(&mut self.nest, l)?;
        self.note(format_args!("unroll {l}"));
        Ok(())
    }

    /// See [`vectorize`](fn@vectorize).
    ///
    /// # Errors
    /// As there.
    pub fn vectorize(&mut self, l: VarId) -> Result<(), ScheduleError> {
        vectorize(&mut self.nest, l)?;
        self.note(format_args!("vectorize {l}"));
        Ok(())
    }

    /// See [`cut`](fn@cut).
    ///
    /// # Errors
    /// As there.
    pub fn cut(&mut self, l: VarId, runs: &[(usize, usize)]) -> Result<Vec<Run>, ScheduleError> {
        let made = cut(&mut self.nest, l, runs)?;
        let sizes: Vec<String> = runs.iter().map(|(size, n)| format!("{n}x{size}")).collect();
        let loops: Vec<String> = made.iter().map(|r| format!("{} {}", r.outer, r.inner)).collect();
        self.note(format_args!("cut {l} into {} -> {}", sizes.join(" "), loops.join(", ")));
        Ok(made)
    }

    /// See [`stage_write`].
    ///
    /// # Errors
    /// As there.
    pub fn stage_write(&mut self, l: VarId) -> Result<BufId, ScheduleError> {
        let scratch = stage_write(&mut self.nest, l)?;
        self.note(format_args!("stage_write {l} -> {scratch}"));
        Ok(scratch)
    }

    /// See [`stage_read`].
    ///
    /// # Errors
    /// As there.
    pub fn stage_read(&mut self, buffer: BufId, l: VarId) -> Result<(BufId, Vec<VarId>), ScheduleError> {
        let (scratch, loops) = stage_read(&mut self.nest, buffer, l)?;
        self.note(format_args!("stage_read {buffer} in {l} -> {scratch}"));
        Ok((scratch, loops))
    }

    /// See [`compute_at`](fn@compute_at).
    ///
    /// # Errors
    /// As there.
    pub fn compute_at(&mut self, producer: VarId, consumer: VarId) -> Result<(), ScheduleError> {
        compute_at(&mut self.nest, producer, consumer)?;
        self.note(format_args!("compute_at {producer} in {consumer}"));
        Ok(())
    }

    /// See [`relayout`](fn@relayout).
    ///
    /// # Errors
    /// As there.
    pub fn relayout(&mut self, buffer: BufId, dim: usize, by: usize) -> Result<(), ScheduleError> {
        relayout(&mut self.nest, buffer, dim, by)?;
        self.note(format_args!("relayout {buffer} dimension {dim} by {by}"));
        Ok(())
    }

    /// See [`start_from`](fn@start_from).
    ///
    /// # Errors
    /// As there.
    pub fn start_from(&mut self, buffer: BufId) -> Result<(), ScheduleError> {
        start_from(&mut self.nest, buffer)?;
        self.note(format_args!("start_from {buffer}"));
        Ok(())
    }

    /// See [`split_sum`](fn@split_sum).
    ///
    /// # Errors
    /// As there.
    pub fn split_sum(
        &mut self,
        (at, sum): (VarId, VarId),
        sizes: &[usize],
    ) -> Result<Vec<Part>, ScheduleError> {
        let parts = split_sum(&mut self.nest, (at, sum), sizes)?;
        let outer: Vec<VarId> = parts.iter().map(|p| p.outer).collect();
        let sizes: Vec<String> = sizes.iter().map(ToString::to_string).collect();
        self.note(format_args!("split_sum {sum} outside {at} into {} -> {}", sizes.join(" "), names(&outer)));
        Ok(parts)
    }

    /// See [`pack`](fn@pack).
    ///
    /// # Errors
    /// As there.
    pub fn pack(&mut self, buffer: BufId, at: VarId, vectors: VarId) -> Result<(), ScheduleError> {
        pack(&mut self.nest, buffer, (at, vectors))?;
        self.note(format_args!("pack {buffer} in {at} by {vectors}"));
        Ok(())
    }

    /// See [`flatten`](fn@flatten).
    ///
    /// # Errors
    /// As there.
    pub fn flatten(&mut self, buffer: BufId) -> Result<(), ScheduleError> {
        flatten(&mut self.nest, buffer)?;
        self.note(format_args!("flatten {buffer}"));
        Ok(())
    }

    /// See [`drop`](fn@drop).
    ///
    /// # Errors
    /// As there.
    pub fn drop(&mut self, buffer: BufId) -> Result<(), ScheduleError> {
        self.nest = drop(&self.nest, buffer)?;
        self.note(format_args!("drop {buffer}"));
        Ok(())
    }

    /// The leaf program that [`tensorize_conv`](Self::tensorize_conv) would call.
    ///
    /// # Errors
    /// As there.
    pub fn conv(&mut self, tile: &ConvTile, width: Width) -> Result<Conv, Refusal> {
        conv::describe(&self.nest, tile, width, &mut self.tables).map(|call| call.leaf)
    }

    /// See [`conv::conv`].
    ///
    /// # Errors
    /// As there.
    pub fn tensorize_conv(&mut self, tile: &ConvTile, width: Width) -> Result<(), Refusal> {
        let program = conv::conv(&mut self.nest, tile, width, &mut self.tables)?;
        self.note(format_args!("tensorize conv {} -> {program}", steps::conv(tile, width)));
        Ok(())
    }

    /// See [`window::window`].
    ///
    /// # Errors
    /// As there.
    pub fn tensorize_window(&mut self, tile: &WindowTile, width: Width) -> Result<(), Refusal> {
        let program = window::window(&mut self.nest, tile, width)?;
        self.note(format_args!("tensorize window {} -> {program}", steps::window(tile, width)));
        Ok(())
    }

    /// See [`elementwise::elementwise`].
    ///
    /// # Errors
    /// As there.
    pub fn tensorize_elementwise(&mut self, tile: &ElementwiseTile, width: Width) -> Result<(), Refusal> {
        let program = elementwise::elementwise(&mut self.nest, tile, width)?;
        let (run, inner) = (tile.run, tile.inner);
        self.note(format_args!(
            "tensorize elementwise {run} inner {inner} width {} -> {program}",
            width.lanes()
        ));
        Ok(())
    }

    /// See [`copy::copy`].
    ///
    /// # Errors
    /// As there.
    pub fn tensorize_copy(&mut self, tile: &CopyTile, width: Width) -> Result<(), Refusal> {
        let program = copy::copy(&mut self.nest, tile, width)?;
        self.note(format_args!("tensorize copy {} -> {program}", steps::copy(tile, width)));
        Ok(())
    }

    /// The finished nest.
    ///
    /// # Errors
    /// [`Refusal::Defect`] where no call has replaced a sum yet.
    pub fn finish(mut self) -> Result<Scheduled, Refusal> {
        self.tables = Tables::default();
        let nest = self.nest.canonical().ok_or(Refusal::Defect("a schedule that leaves sums"))?;
        Ok(Scheduled { nest: Arc::new(nest), schedule: Some(Arc::new(self)), parts: Vec::new() })
    }

    /// The naive nest, the steps and what they make, as a test file.
    pub fn test(&self) -> String {
        let steps: String = self.steps.lines().map(|step| format!("; {step}\n")).collect();
        format!("{steps}\n{}; ---- expect\n{}", self.naive, self.nest.outline())
    }
}
