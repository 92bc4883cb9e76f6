//! Cutting a loop into runs of tiles.

use std::collections::BTreeMap;

use octrt_ops::expr::{Expr, VarId};

use super::{Rule, ScheduleError, loop_of, outside_sums, refused};
use crate::loop_ir::{Form, Loop, Role};
use crate::nest::{Nest, Stmt};

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

    /// What a loop inside the one that was cut is called in this run.
    pub fn of(&self, l: VarId) -> VarId {
        self.renamed.get(&l).copied().unwrap_or(l)
    }
}

/// Statements with new names for all their loops, from `next` on.
pub(super) fn renamed(stmts: &[Stmt], next: &mut u32) -> (Vec<Stmt>, BTreeMap<VarId, VarId>) {
    let mut names = BTreeMap::new();
    let mut note = |s: &Stmt| {
        if let Stmt::Loop(l, _) = s {
            names.insert(l.id, VarId(*next));
            *next += 1;
        }
    };
    stmts.iter().for_each(|s| s.visit(&mut note));
    let of = |l: VarId| names.get(&l).copied().unwrap_or(l);
    let expr = |e: &Expr| e.substitute(&|l| Expr::Var(of(l)));
    let named = |l: &Loop| Loop { id: of(l.id), ..l.clone() };
    (stmts.iter().map(|s| s.map(&expr, &named)).collect(), names)
}

/// What a serial data loop becomes that is cut into runs of tiles, which stand one after the other: `(size, how many)` of
/// each run.
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
pub fn cut(nest: &Nest, l: VarId, runs: &[(usize, usize)]) -> Result<(Vec<Stmt>, Vec<Run>), ScheduleError> {
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
    let mut next = nest.fresh().0;
    let (mut stmts, mut out, mut first) = (Vec::new(), Vec::new(), 0);
    for (i, &(size, n)) in runs.iter().enumerate() {
        let (body, names) = match i {
            0 => (body.to_vec(), BTreeMap::new()),
            _ => renamed(body, &mut next),
        };
        let (outer, inner) = (VarId(next), VarId(next + 1));
        next += 2;
        let at = Expr::Var(outer) * Expr::int(size) + Expr::Var(inner);
        let at = if first == 0 { at } else { at + Expr::int(first) };
        let place = |e: &Expr| e.substitute(&|v| if v == l { at.clone() } else { Expr::Var(v) });
        let body = body.iter().map(|s| s.map(&place, &Loop::clone)).collect();
        let of = |id, extent| Loop { id, extent, role: Role::Data, form: Form::Serial };
        stmts.push(Stmt::Loop(of(outer, n), vec![Stmt::Loop(of(inner, size), body)]));
        out.push(Run { outer, inner, renamed: names });
        first += size * n;
    }
    Ok((stmts, out))
}

/// Whether a call stands in statements.
pub(super) fn has_call(stmts: &[Stmt]) -> bool {
    let mut found = false;
    stmts.iter().for_each(|s| s.visit(&mut |s| found |= matches!(s, Stmt::Call { .. })));
    found
}
