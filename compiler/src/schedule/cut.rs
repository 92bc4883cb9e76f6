//! Cutting a loop into runs of tiles.

use std::collections::BTreeMap;

use octrt_ops::expr::{Expr, VarId};

use super::{Rule, ScheduleError, loop_of, outside_sums, refused};
use crate::nest::{Form, Loop, Nest, Role, Stmt, has_call};

/// A run of equal tiles, or another copy of what was one statement.
#[derive(Clone, Debug)]
pub struct Run {
    /// The loop over its tiles.
    pub outer: VarId,
    /// The loop in a tile.
    pub inner: VarId,
    pub(super) renamed: BTreeMap<VarId, VarId>,
}

impl Run {
    /// A run whose loops inside keep their names.
    pub fn new(outer: VarId, inner: VarId) -> Run {
        Run { outer, inner, renamed: BTreeMap::new() }
    }

    /// The same run where the loop over its tiles is another one.
    #[must_use]
    pub fn with_outer(self, outer: VarId) -> Run {
        Run { outer, ..self }
    }

    /// What a loop inside the one that was cut is called in this run.
    pub fn of(&self, l: VarId) -> VarId {
        self.renamed.get(&l).copied().unwrap_or(l)
    }
}

/// New names for all loops of statements, from `next` on.
pub(super) fn fresh_names(stmts: &[Stmt], next: &mut u32) -> BTreeMap<VarId, VarId> {
    let mut names = BTreeMap::new();
    let mut note = |s: &Stmt| {
        if let Stmt::Loop(l, _) = s {
            names.insert(l.id, VarId(*next));
            *next += 1;
        }
    };
    stmts.iter().for_each(|s| s.visit(&mut note));
    names
}

/// Cuts a serial data loop into runs of tiles, which stand one after the other: `(size, how many)` of each run.
///
/// ```text
/// for L in 49 { e(L) }
/// -> cut into (6, 4) (5, 5)
/// for Lo in 4 { for Li in 6 { e(add(mul(Lo, 6), Li)) } }
/// for Lp in 5 { for Lj in 5 { e(add(add(mul(Lp, 5), Lj), 24)) } }
/// ```
///
/// # Errors
/// [`ScheduleError`] when the runs do not make up the loop, or it is not a serial data loop around definitions.
pub fn cut(nest: &mut Nest, l: VarId, runs: &[(usize, usize)]) -> Result<Vec<Run>, ScheduleError> {
    const NAME: &str = "cut";
    let (of, body) = loop_of(NAME, nest, l)?;
    let other = |expected: String, found: String| refused(NAME, nest, Rule::Loop { id: l, expected, found });
    if of.role != Role::Data || of.form != Form::Serial {
        return Err(other("a serial data loop".into(), of.to_string()));
    }
    outside_sums(NAME, nest, l)?;
    let all = runs.iter().try_fold(0usize, |all, (size, n)| all.checked_add(size.checked_mul(*n)?));
    if all != Some(of.extent) || runs.iter().any(|(size, n)| *size == 0 || *n == 0) {
        return Err(other(format!("runs of {} iterations, none empty", of.extent), format!("{runs:?}")));
    }
    if has_call(body) {
        return Err(refused(
            NAME,
            nest,
            Rule::Inside { id: l, expected: "definitions, which no call has replaced" },
        ));
    }
    // The first run is of the statements themselves, the others are of copies with names of their own.
    let mut next = nest.fresh().0;
    let mut made: Vec<Run> = Vec::with_capacity(runs.len());
    for i in 0..runs.len() {
        let renamed = if i == 0 { BTreeMap::new() } else { fresh_names(body, &mut next) };
        made.push(Run { outer: VarId(next), inner: VarId(next + 1), renamed });
        next += 2;
    }
    // The iteration of the loop that is cut.
    let iteration = |i: usize| {
        let (run, size) = (&made[i], runs[i].0);
        let within = Expr::Var(run.outer) * Expr::int(size) + Expr::Var(run.inner);
        let before: usize = runs[..i].iter().map(|(size, n)| size * n).sum();
        if before == 0 { within } else { within + Expr::int(before) }
    };
    nest.edit(l, |_, mut body| {
        let copy = |i: usize| -> Vec<Stmt> {
            let (run, at) = (&made[i], iteration(i));
            let place = |v: VarId| if v == l { at.clone() } else { Expr::Var(run.of(v)) };
            let named = |l: &Loop| Loop { id: run.of(l.id), ..l.clone() };
            body.iter().map(|s| s.map(&|e| e.substitute(&place), &named)).collect()
        };
        let copies: Vec<Vec<Stmt>> = (1..runs.len()).map(copy).collect();
        let first = iteration(0);
        body.iter_mut().for_each(|s| s.substitute(l, &first));
        let bodies = std::iter::once(body).chain(copies);
        let tiles = |((run, &(size, n)), body): ((&Run, &(usize, usize)), Vec<Stmt>)| {
            let of = |id, extent| Loop::serial(id, extent, Role::Data);
            Stmt::Loop(of(run.outer, n), vec![Stmt::Loop(of(run.inner, size), body)])
        };
        made.iter().zip(runs).zip(bodies).map(tiles).collect()
    });
    Ok(made)
}
