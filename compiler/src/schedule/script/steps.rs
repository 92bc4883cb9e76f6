//! Steps of schedules as text.
//!
//! ```text
//! step       = `split` loop `by` number | `fuse` loop+ | `reorder` loop+ | `parallel` loop | `unroll` loop | `vectorize` loop
//!            | `stage_write` loop | `stage_read` buffer `in` loop | `compute_at` loop `in` loop
//!            | `relayout` buffer `dimension` number `by` number
//!            | `cut` loop `into` (number `x` number)+
//!            | `start_from` buffer
//!            | `split_sum` loop `outside` loop `into` number+
//!            | `pack` buffer `in` loop `by` loop | `flatten` buffer | `drop` buffer
//!            | `tensorize` `conv` loop `of` number `vector` loop `lane` loop `ic` loop (`taps` loop+)? `channel` loop
//!              `start` expr `of` number (`ahead` number expr)? `width` number
//!            | `tensorize` `window` (`rows` loop)? `columns` loop `lane` loop `taps` loop+ `width` number
//!            | `tensorize` `copy` loop `vector` loop `lane` loop `width` number
//!            | `tensorize` `elementwise` loop `inner` loop `width` number
//! ```
//!
//! `4x6` is four tiles of six. What a step makes follows as `->` and the new loops, in the order of the code.

use std::fmt::{self, Display};

use octrt_ops::expr::{BufId, Expr, VarId};

use super::Schedule;
use crate::leaf::Width;
use crate::nest::text::expr::expr;
use crate::schedule::ScheduleError;
use crate::schedule::tensorize::conv::ConvTile;
use crate::schedule::tensorize::copy::CopyTile;
use crate::schedule::tensorize::elementwise::ElementwiseTile;
use crate::schedule::tensorize::window::WindowTile;
use crate::strategy::refusal::Refusal;
use crate::text::{ParseError, Words, numbered};

/// Why a step that is given as text is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StepError {
    /// It is no step.
    #[error(transparent)]
    Text(#[from] ParseError),
    /// The primitive refuses.
    #[error(transparent)]
    Primitive(#[from] ScheduleError),
    /// No leaf program stands for the loops.
    #[error(transparent)]
    Tensorize(#[from] Refusal),
}

fn loop_(p: &mut Words<'_>) -> Result<VarId, ParseError> {
    p.read("a loop", |s| numbered(s, 'L').map(VarId))
}

fn buffer(p: &mut Words<'_>) -> Result<BufId, ParseError> {
    p.read("a buffer", |s| numbered(s, 'b').map(BufId))
}

fn number(p: &mut Words<'_>) -> Result<usize, ParseError> {
    p.number("a number")
}

/// An operand and the word behind it.
fn before<T>(
    p: &mut Words<'_>,
    read: fn(&mut Words<'_>) -> Result<T, ParseError>,
    word: &str,
) -> Result<T, ParseError> {
    let value = read(p)?;
    p.expect(word)?;
    Ok(value)
}

/// The last operand.
fn last<T>(p: &mut Words<'_>, read: fn(&mut Words<'_>) -> Result<T, ParseError>) -> Result<T, ParseError> {
    let value = read(p)?;
    p.end()?;
    Ok(value)
}

/// As many as there are.
fn several<T>(
    p: &mut Words<'_>,
    read: fn(&mut Words<'_>) -> Result<T, ParseError>,
) -> Result<Vec<T>, ParseError> {
    let mut all = vec![read(p)?];
    while let Ok(one) = read(p) {
        all.push(one);
    }
    Ok(all)
}

/// `4x6` as the size 6 and how many.
fn run(p: &mut Words<'_>) -> Result<(usize, usize), ParseError> {
    p.read("a number of tiles, `x` and their size", |s| {
        let (n, size) = s.split_once('x')?;
        Some((size.parse().ok()?, n.parse().ok()?))
    })
}

fn conv_tile(p: &mut Words<'_>) -> Result<(ConvTile, Width), ParseError> {
    let pixel = loop_(p)?;
    p.expect("of")?;
    let pixels = number(p)?;
    let mut named = |name: &str| {
        p.expect(name)?;
        loop_(p)
    };
    let (vector, lane, ic) = (named("vector")?, named("lane")?, named("ic")?);
    let taps = if p.takes("taps") { several(p, loop_)? } else { Vec::new() };
    p.expect("channel")?;
    let channel = loop_(p)?;
    p.expect("start")?;
    let start = expr(p)?;
    p.expect("of")?;
    let part = (start, number(p)?);
    let ahead = match p.expect("ahead") {
        Ok(()) => (p.number("a number of bytes")?, expr(p)?),
        Err(_) => (0, Expr::int(0)),
    };
    p.expect("width")?;
    let width = width(p)?;
    Ok((ConvTile { pixel, pixels, vector, lane, ic, taps, channel, part, ahead }, width))
}

fn width(p: &mut Words<'_>) -> Result<Width, ParseError> {
    p.read("`8` or `16`", |s| Width::ALL.into_iter().find(|w| w.lanes().to_string() == s))
}

fn window_tile(p: &mut Words<'_>) -> Result<(WindowTile, Width), ParseError> {
    let rows = if p.takes("rows") { Some(loop_(p)?) } else { None };
    p.expect("columns")?;
    let columns = loop_(p)?;
    p.expect("lane")?;
    let lane = loop_(p)?;
    p.expect("taps")?;
    let taps = several(p, loop_)?;
    p.expect("width")?;
    Ok((WindowTile { rows, columns, lane, taps }, width(p)?))
}

fn copy_tile(p: &mut Words<'_>) -> Result<(CopyTile, Width), ParseError> {
    let run = before(p, loop_, "vector")?;
    let vector = before(p, loop_, "lane")?;
    let lane = before(p, loop_, "width")?;
    Ok((CopyTile { run, vector, lane }, width(p)?))
}

/// What follows `tensorize copy`.
pub(super) fn copy(t: &CopyTile, width: Width) -> impl Display {
    fmt::from_fn(move |f| write!(f, "{} vector {} lane {} width {}", t.run, t.vector, t.lane, width.lanes()))
}

/// What follows `tensorize window`.
pub(super) fn window(t: &WindowTile, width: Width) -> impl Display {
    fmt::from_fn(move |f| {
        if let Some(rows) = t.rows {
            write!(f, "rows {rows} ")?;
        }
        write!(f, "columns {} lane {} taps", t.columns, t.lane)?;
        t.taps.iter().try_for_each(|l| write!(f, " {l}"))?;
        write!(f, " width {}", width.lanes())
    })
}

/// What follows `tensorize conv`.
pub(super) fn conv(t: &ConvTile, width: Width) -> impl Display {
    fmt::from_fn(move |f| {
        write!(f, "{} of {} vector {} lane {} ic {}", t.pixel, t.pixels, t.vector, t.lane, t.ic)?;
        if !t.taps.is_empty() {
            f.write_str(" taps")?;
            t.taps.iter().try_for_each(|l| write!(f, " {l}"))?;
        }
        write!(f, " channel {} start {} of {}", t.channel, t.part.0, t.part.1)?;
        if t.ahead.0 > 0 {
            write!(f, " ahead {} {}", t.ahead.0, t.ahead.1)?;
        }
        write!(f, " width {}", width.lanes())
    })
}

impl Schedule {
    /// Applies a step that is given as text; what it made, behind `->`, is not read.
    ///
    /// # Errors
    /// [`StepError`] where it is no step, or its primitive refuses.
    pub fn apply(&mut self, step: &str) -> Result<(), StepError> {
        let step = step.split("->").next().unwrap_or_default();
        let mut p = Words::new(step);
        let name = p.read("a primitive", |s| Some(s.to_string()))?;
        match name.as_str() {
            "split" => {
                let l = before(&mut p, loop_, "by")?;
                let by = last(&mut p, number)?;
                self.split(l, by)?;
            }
            "fuse" => {
                let loops = last(&mut p, |p| several(p, loop_))?;
                self.fuse(&loops)?;
            }
            "reorder" => {
                let loops = last(&mut p, |p| several(p, loop_))?;
                self.reorder(&loops)?;
            }
            "parallel" => self.parallel(last(&mut p, loop_)?)?,
            "unroll" => self.unroll(last(&mut p, loop_)?)?,
            "vectorize" => self.vectorize(last(&mut p, loop_)?)?,
            "cut" => {
                let l = before(&mut p, loop_, "into")?;
                let runs = last(&mut p, |p| several(p, run))?;
                self.cut(l, &runs)?;
            }
            "stage_write" => {
                self.stage_write(last(&mut p, loop_)?)?;
            }
            "stage_read" => {
                let b = before(&mut p, buffer, "in")?;
                let l = last(&mut p, loop_)?;
                self.stage_read(b, l)?;
            }
            "compute_at" => {
                let producer = before(&mut p, loop_, "in")?;
                let consumer = last(&mut p, loop_)?;
                self.compute_at(producer, consumer)?;
            }
            "relayout" => {
                let b = before(&mut p, buffer, "dimension")?;
                let dim = before(&mut p, number, "by")?;
                let by = last(&mut p, number)?;
                self.relayout(b, dim, by)?;
            }
            "start_from" => self.start_from(last(&mut p, buffer)?)?,
            "split_sum" => {
                let sum = before(&mut p, loop_, "outside")?;
                let at = before(&mut p, loop_, "into")?;
                let sizes = several(&mut p, number)?;
                p.end()?;
                self.split_sum((at, sum), &sizes)?;
            }
            "pack" => {
                let b = before(&mut p, buffer, "in")?;
                let at = before(&mut p, loop_, "by")?;
                let vectors = last(&mut p, loop_)?;
                self.pack(b, at, vectors)?;
            }
            "flatten" => self.flatten(last(&mut p, buffer)?)?,
            "drop" => self.drop(last(&mut p, buffer)?)?,
            "tensorize" => {
                if p.takes("window") {
                    let (tile, width) = window_tile(&mut p)?;
                    p.end()?;
                    return Ok(self.tensorize_window(&tile, width)?);
                }
                if p.takes("elementwise") {
                    let run = before(&mut p, loop_, "inner")?;
                    let inner = before(&mut p, loop_, "width")?;
                    let width = last(&mut p, width)?;
                    return Ok(self.tensorize_elementwise(&ElementwiseTile { run, inner }, width)?);
                }
                if p.takes("copy") {
                    let (tile, width) = copy_tile(&mut p)?;
                    p.end()?;
                    return Ok(self.tensorize_copy(&tile, width)?);
                }
                p.expect("conv")?;
                let (tile, width) = conv_tile(&mut p)?;
                p.end()?;
                self.tensorize_conv(&tile, width)?;
            }
            _ => return Err(Words::new(step).error("a primitive").into()),
        }
        Ok(())
    }
}
