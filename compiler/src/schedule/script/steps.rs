//! Steps of schedules as text.
//!
//! ```text
//! step       = `split` loop `by` number | `fuse` loop+ | `reorder` loop+ | `parallel` loop
//!            | `cut` loop `into` (number `x` number)+
//!            | `start_from` buffer
//!            | `split_sum` loop `outside` loop `into` number+ (`first` buffer)?
//!            | `pack` buffer `in` loop `by` loop | `flatten` buffer | `drop` buffer
//!            | `tensorize` `conv` loop `of` number `vector` loop `lane` loop `ic` loop (`taps` loop+)? `channel` loop
//!              `start` expr `of` number (`base` buffer)? (`ahead` number expr)? `width` number
//!            | `tensorize` `window` (`rows` loop)? `columns` loop `lane` loop `taps` loop+ `width` number
//! ```
//!
//! `4x6` is four tiles of six. What a step makes follows as `->` and the new loops, in the order of the code.

use octrt_ops::expr::{BufId, Expr, VarId};

use super::Schedule;
use crate::leaf::Width;
use crate::loop_ir::text::{ParseError, Parser, numbered};
use crate::schedule::ScheduleError;
use crate::schedule::tensorize::conv::ConvTile;
use crate::schedule::tensorize::window::WindowTile;
use crate::strategy::refusal::Refusal;

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

fn loop_(p: &mut Parser) -> Result<VarId, ParseError> {
    p.word("a loop", |s| numbered(s, 'L').map(VarId))
}

fn buffer(p: &mut Parser) -> Result<BufId, ParseError> {
    p.word("a buffer", |s| numbered(s, 'b').map(BufId))
}

fn number(p: &mut Parser) -> Result<usize, ParseError> {
    p.number("a number")
}

/// As many as there are.
fn several<T>(p: &mut Parser, read: fn(&mut Parser) -> Result<T, ParseError>) -> Result<Vec<T>, ParseError> {
    let mut all = vec![read(p)?];
    while let Ok(one) = read(p) {
        all.push(one);
    }
    Ok(all)
}

/// `4x6` as the size 6 and how many.
fn run(p: &mut Parser) -> Result<(usize, usize), ParseError> {
    p.word("a number of tiles, `x` and their size", |s| {
        let (n, size) = s.split_once('x')?;
        Some((size.parse().ok()?, n.parse().ok()?))
    })
}

fn conv_tile(p: &mut Parser) -> Result<(ConvTile, Width), ParseError> {
    let pixel = loop_(p)?;
    p.keyword("of")?;
    let pixels = number(p)?;
    let mut named = |name: &str| {
        p.keyword(name)?;
        loop_(p)
    };
    let (vector, lane, ic) = (named("vector")?, named("lane")?, named("ic")?);
    let taps = if p.keyword("taps").is_ok() { several(p, loop_)? } else { Vec::new() };
    p.keyword("channel")?;
    let channel = loop_(p)?;
    p.keyword("start")?;
    let start = p.expr(0)?;
    p.keyword("of")?;
    let part = (start, number(p)?);
    let mut optional = |name: &str| p.keyword(name).is_ok();
    let has_base = optional("base");
    let base = if has_base { Some(buffer(p)?) } else { None };
    let ahead = match p.keyword("ahead") {
        Ok(()) => (p.number("a number of bytes")?, p.expr(0)?),
        Err(_) => (0, Expr::int(0)),
    };
    p.keyword("width")?;
    let width = width(p)?;
    Ok((ConvTile { pixel, pixels, vector, lane, ic, taps, channel, part, base, ahead }, width))
}

fn width(p: &mut Parser) -> Result<Width, ParseError> {
    p.word("`8` or `16`", |s| Width::ALL.into_iter().find(|w| w.lanes().to_string() == s))
}

fn window_tile(p: &mut Parser) -> Result<(WindowTile, Width), ParseError> {
    let rows = if p.keyword("rows").is_ok() { Some(loop_(p)?) } else { None };
    p.keyword("columns")?;
    let columns = loop_(p)?;
    p.keyword("lane")?;
    let lane = loop_(p)?;
    p.keyword("taps")?;
    let taps = several(p, loop_)?;
    p.keyword("width")?;
    Ok((WindowTile { rows, columns, lane, taps }, width(p)?))
}

/// Prints what follows `tensorize window`.
pub(super) fn window(t: &WindowTile, width: Width) -> String {
    let rows = t.rows.map_or(String::new(), |l| format!("rows {l} "));
    let taps: Vec<String> = t.taps.iter().map(ToString::to_string).collect();
    let lanes = width.lanes();
    format!("{rows}columns {} lane {} taps {} width {lanes}", t.columns, t.lane, taps.join(" "))
}

/// Prints what follows `tensorize conv`.
pub(super) fn conv(t: &ConvTile, width: Width) -> String {
    let taps: Vec<String> = t.taps.iter().map(|l| format!(" {l}")).collect();
    let taps = if taps.is_empty() { String::new() } else { format!(" taps{}", taps.concat()) };
    let mut out = format!(
        "{} of {} vector {} lane {} ic {}{} channel {} start {} of {}",
        t.pixel, t.pixels, t.vector, t.lane, t.ic, taps, t.channel, t.part.0, t.part.1
    );
    if let Some(base) = t.base {
        out += &format!(" base {base}");
    }
    if t.ahead.0 > 0 {
        out += &format!(" ahead {} {}", t.ahead.0, t.ahead.1);
    }
    out + &format!(" width {}", width.lanes())
}

impl Schedule {
    /// Applies a step that is given as text; what it made, behind `->`, is not read.
    ///
    /// # Errors
    /// [`StepError`] where it is no step, or its primitive refuses.
    pub fn apply(&mut self, step: &str) -> Result<(), StepError> {
        let step = step.split("->").next().unwrap_or_default();
        let mut p = Parser::new(step)?;
        let name = p.word("a primitive", |s| Some(s.to_string()))?;
        match name.as_str() {
            "split" => {
                let l = loop_(&mut p)?;
                p.keyword("by")?;
                let by = number(&mut p)?;
                p.end()?;
                self.split(l, by)?;
            }
            "fuse" => {
                let loops = several(&mut p, loop_)?;
                p.end()?;
                self.fuse(&loops)?;
            }
            "reorder" => {
                let loops = several(&mut p, loop_)?;
                p.end()?;
                self.reorder(&loops)?;
            }
            "parallel" => {
                let l = loop_(&mut p)?;
                p.end()?;
                self.parallel(l)?;
            }
            "cut" => {
                let l = loop_(&mut p)?;
                p.keyword("into")?;
                let runs = several(&mut p, run)?;
                p.end()?;
                self.cut(l, &runs)?;
            }
            "start_from" => {
                let b = buffer(&mut p)?;
                p.end()?;
                self.start_from(b)?;
            }
            "split_sum" => {
                let sum = loop_(&mut p)?;
                p.keyword("outside")?;
                let at = loop_(&mut p)?;
                p.keyword("into")?;
                let sizes = several(&mut p, number)?;
                let first = if p.keyword("first").is_ok() { Some(buffer(&mut p)?) } else { None };
                p.end()?;
                self.split_sum((at, sum), &sizes, first)?;
            }
            "pack" => {
                let b = buffer(&mut p)?;
                p.keyword("in")?;
                let at = loop_(&mut p)?;
                p.keyword("by")?;
                let vectors = loop_(&mut p)?;
                p.end()?;
                self.pack(b, at, vectors)?;
            }
            "flatten" => {
                let b = buffer(&mut p)?;
                p.end()?;
                self.flatten(b)?;
            }
            "drop" => {
                let b = buffer(&mut p)?;
                p.end()?;
                self.drop(b)?;
            }
            "tensorize" => {
                if p.keyword("window").is_ok() {
                    let (tile, width) = window_tile(&mut p)?;
                    p.end()?;
                    return Ok(self.tensorize_window(&tile, width)?);
                }
                p.keyword("conv")?;
                let (tile, width) = conv_tile(&mut p)?;
                p.end()?;
                self.tensorize_conv(&tile, width)?;
            }
            _ => return Err(Parser::new(step)?.token().error("a primitive").into()),
        }
        Ok(())
    }
}
