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

use octrt_ops::expr::{BufId, Expr, VarId};

use super::cut::{Run, cut, has_call};
use super::drop::drop;
use super::pack::{flatten, pack};
use super::split_sum::{Part, split_sum};
use super::start_from::start_from;
use super::tensorize::Tables;
use super::tensorize::conv::{self, ConvTile};
use super::tensorize::window::{self, WindowTile};
use super::{Rule, ScheduleError, loop_of, refused};
use crate::leaf::Width;
use crate::leaf::programs::Conv;
use crate::loop_ir::{Form, Loop, Role};
use crate::nest::{Nest, Stmt, around};
use crate::strategy::refusal::Refusal;
use crate::tile::TileNest;

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
    pub nest: Arc<TileNest>,
    /// How it was made, where a schedule made all of it.
    pub schedule: Option<Arc<Schedule>>,
    /// How the nests were made that are parts of it, see [`embed`](crate::nest::build::Builder::embed).
    pub parts: Vec<Arc<Schedule>>,
}

impl From<TileNest> for Scheduled {
    fn from(nest: TileNest) -> Scheduled {
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

/// The variable of a loop.
fn whole_id(s: &Stmt) -> VarId {
    match s {
        Stmt::Loop(l, _) => l.id,
        _ => VarId(u32::MAX),
    }
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

    /// Splits a serial loop into loops over tiles and in a tile of `factor` iterations, which divides its extent.
    ///
    /// # Errors
    /// [`ScheduleError`] where it does not (see [`cut`](Self::cut)), for another loop, or one around calls.
    pub fn split(&mut self, l: VarId, factor: usize) -> Result<[VarId; 2], ScheduleError> {
        let (of, body) = loop_of("split", &self.nest, l)?;
        if of.form != Form::Serial {
            let (expected, found) = ("a serial loop".into(), of.to_string());
            return Err(refused("split", &self.nest, Rule::Loop { id: l, expected, found }));
        }
        if has_call(body) {
            let expected = "definitions, which no call has replaced";
            return Err(refused("split", &self.nest, Rule::Inside { id: l, expected }));
        }
        if of.extent.checked_rem(factor) != Some(0) {
            let (expected, found) = (format!("a factor that divides {}", of.extent), factor.to_string());
            return Err(refused("split", &self.nest, Rule::Loop { id: l, expected, found }));
        }
        let next = self.nest.fresh().0;
        let [outer, inner] = [VarId(next), VarId(next + 1)];
        let at = Expr::Var(outer) * Expr::int(factor) + Expr::Var(inner);
        let place = |e: &Expr| e.substitute(&|v| if v == l { at.clone() } else { Expr::Var(v) });
        let body = body.iter().map(|s| s.map(&place, &Loop::clone)).collect();
        let loops = [(outer, of.extent / factor), (inner, factor)];
        let loops = loops.map(|(id, extent)| Loop { id, extent, ..of.clone() });
        let stmts = around(loops.into_iter(), body);
        self.nest.replace(l, stmts);
        self.note(format_args!("split {l} by {factor} -> {outer} {inner}"));
        Ok([outer, inner])
    }

    /// Makes one loop of loops directly inside each other, all serial and of one role.
    ///
    /// # Errors
    /// [`ScheduleError`] where they are not, or around other statements than one definition.
    pub fn fuse(&mut self, loops: &[VarId]) -> Result<VarId, ScheduleError> {
        let Some((&first, rest)) = loops.split_first() else {
            return Err(refused("fuse", &self.nest, Rule::Order(0)));
        };
        let whole = self.nest.find(first).ok_or_else(|| refused("fuse", &self.nest, Rule::Unknown(first)))?;
        let (chain, define) = whole.chain();
        if rest.is_empty() {
            return Ok(first);
        }
        let names_match = chain.len() >= loops.len() && chain.iter().zip(loops).all(|(l, id)| l.id == *id);
        let alike = |l: &&Loop| l.form == Form::Serial && l.role == chain[0].role;
        let alike = names_match && chain.iter().take(loops.len()).all(alike);
        let extent = chain.iter().take(loops.len()).try_fold(1usize, |all, l| all.checked_mul(l.extent));
        let (true, Some(define), Some(extent)) = (alike, define, extent) else {
            let expected = "the other loops directly inside, serial and of one role, and one definition";
            return Err(refused("fuse", &self.nest, Rule::Inside { id: first, expected }));
        };
        let id = self.nest.fresh();
        let role = chain[0].role;
        // The last loop moves fastest.
        let mut values = Vec::new();
        let mut rest = Expr::Var(id);
        for (i, l) in chain[..loops.len()].iter().enumerate().rev() {
            let n = Expr::int(l.extent);
            values.push((l.id, if i == 0 { rest.clone() } else { rest.clone() % n.clone() }));
            rest = rest / n;
        }
        let place = |e: &Expr| {
            e.substitute(&|v| values.iter().find(|(l, _)| *l == v).map_or(Expr::Var(v), |(_, e)| e.clone()))
        };
        let inner =
            around(chain[loops.len()..].iter().map(|l| (*l).clone()), vec![Stmt::Define(define.map(&place))]);
        let fused = Stmt::Loop(Loop { id, extent, role, form: Form::Serial }, inner);
        self.nest.replace(first, vec![fused]);
        self.note(format_args!("fuse {} -> {id}", names(loops)));
        Ok(id)
    }

    /// Puts serial loops that stand directly inside each other in a new order, outermost first. Reduce loops keep theirs.
    ///
    /// # Errors
    /// [`ScheduleError`] where these are no such loops, or reduce loops change places.
    pub fn reorder(&mut self, order: &[VarId]) -> Result<(), ScheduleError> {
        let refuse = |rule| Err(refused("reorder", &self.nest, rule));
        let outermost = self.nest.loops().into_iter().find(|l| order.contains(&l.id)).map(|l| l.id);
        let Some(whole) = outermost.and_then(|l| self.nest.find(l)) else { return refuse(Rule::Order(0)) };
        let mut chain = Vec::new();
        let mut inside = std::slice::from_ref(whole);
        while let [Stmt::Loop(l, body)] = inside
            && chain.len() < order.len()
        {
            chain.push(l);
            inside = body;
        }
        let find = |id: &VarId| chain.iter().find(|l| l.id == *id).copied();
        let found: Vec<&Loop> = order.iter().filter_map(find).collect();
        let twice = |(i, id): (usize, &VarId)| order[..i].contains(id);
        if found.len() != chain.len() || order.len() != chain.len() || order.iter().enumerate().any(twice) {
            return refuse(Rule::Order(order.len()));
        }
        if let Some(l) = chain.iter().find(|l| l.form != Form::Serial) {
            let (expected, found) = ("serial loops".into(), l.to_string());
            return refuse(Rule::Loop { id: l.id, expected, found });
        }
        let reduce = |loops: &[&Loop]| -> Vec<VarId> {
            loops.iter().filter(|l| l.role == Role::Reduce).map(|l| l.id).collect()
        };
        let (before, after) = (reduce(&chain), reduce(&found));
        if let Some((id, was)) = after.iter().zip(&before).find(|(a, b)| a != b) {
            let (expected, found) = (format!("reduce loop {was} here, as before"), id.to_string());
            return refuse(Rule::Loop { id: *id, expected, found });
        }
        let at = whole_id(whole);
        let body = around(found.into_iter().cloned(), inside.to_vec());
        self.nest.replace(at, body);
        self.note(format_args!("reorder {}", names(order)));
        Ok(())
    }

    /// Splits the iterations of the outermost loop, a serial data loop, between threads.
    ///
    /// # Errors
    /// [`ScheduleError`] for any other loop.
    pub fn parallel(&mut self, l: VarId) -> Result<(), ScheduleError> {
        let (of, body) = loop_of("parallel", &self.nest, l)?;
        let outermost = matches!(&self.nest.body[..], [Stmt::Loop(first, _)] if first.id == l);
        if !outermost || of.role != Role::Data || of.form != Form::Serial {
            let expected = "the outermost loop, a serial data loop".into();
            let found = of.to_string();
            return Err(refused("parallel", &self.nest, Rule::Loop { id: l, expected, found }));
        }
        let of = Loop { form: Form::Parallel, ..of.clone() };
        let body = body.to_vec();
        self.nest.body = vec![Stmt::Loop(of, body)];
        self.note(format_args!("parallel {l}"));
        Ok(())
    }

    /// See [`cut`](fn@cut).
    ///
    /// # Errors
    /// As there.
    pub fn cut(&mut self, l: VarId, runs: &[(usize, usize)]) -> Result<Vec<Run>, ScheduleError> {
        let (stmts, made) = cut(&self.nest, l, runs)?;
        self.nest.replace(l, stmts);
        let sizes: Vec<String> = runs.iter().map(|(size, n)| format!("{n}x{size}")).collect();
        let loops: Vec<String> = made.iter().map(|r| format!("{} {}", r.outer, r.inner)).collect();
        self.note(format_args!("cut {l} into {} -> {}", sizes.join(" "), loops.join(", ")));
        Ok(made)
    }

    /// See [`start_from`](fn@start_from).
    ///
    /// # Errors
    /// As there.
    pub fn start_from(&mut self, buffer: BufId) -> Result<(), ScheduleError> {
        self.nest = start_from(&self.nest, buffer)?;
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
        first: Option<BufId>,
    ) -> Result<Vec<Part>, ScheduleError> {
        let (stmts, parts) = split_sum(&self.nest, (at, sum), sizes, first)?;
        self.nest.replace(at, stmts);
        let outer: Vec<VarId> = parts.iter().map(|p| p.outer).collect();
        let sizes: Vec<String> = sizes.iter().map(ToString::to_string).collect();
        let first = first.map_or(String::new(), |b| format!(" first {b}"));
        self.note(format_args!(
            "split_sum {sum} outside {at} into {}{first} -> {}",
            sizes.join(" "),
            names(&outer)
        ));
        Ok(parts)
    }

    /// See [`pack`](fn@pack).
    ///
    /// # Errors
    /// As there.
    pub fn pack(&mut self, buffer: BufId, at: VarId, vectors: VarId) -> Result<(), ScheduleError> {
        let stmt = pack(&self.nest, buffer, (at, vectors))?;
        self.nest.replace(at, vec![stmt]);
        self.note(format_args!("pack {buffer} in {at} by {vectors}"));
        Ok(())
    }

    /// See [`flatten`](fn@flatten).
    ///
    /// # Errors
    /// As there.
    pub fn flatten(&mut self, buffer: BufId) -> Result<(), ScheduleError> {
        let ty = flatten(&self.nest, buffer)?;
        if let Some(b) = self.nest.buffers.get_mut(buffer.0 as usize) {
            b.ty = ty;
        }
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

    /// The finished nest.
    ///
    /// # Errors
    /// [`Refusal::Defect`] where no call has replaced a definition yet.
    pub fn finish(mut self) -> Result<Scheduled, Refusal> {
        self.tables = Tables::default();
        let nest = self.nest.tiles().ok_or(Refusal::Defect("a schedule that leaves definitions"))?;
        Ok(Scheduled { nest: Arc::new(nest), schedule: Some(Arc::new(self)), parts: Vec::new() })
    }

    /// The naive nest, the steps and what they make, as a test file.
    pub fn test(&self) -> String {
        let steps: String = self.steps.lines().map(|step| format!("; {step}\n")).collect();
        format!("{steps}\n{}; ---- expect\n{}", self.naive, self.nest)
    }
}
