//! Splitting a sum in parts.

use std::collections::BTreeMap;
use std::slice::from_ref;

use octrt_ops::compute::ReduceFn;
use octrt_ops::expr::{Expr, VarId};

use super::cut::{Run, fresh_names};
use super::{Rule, ScheduleError, loop_of, outside_sums, refused};
use crate::nest::{Define, Nest, Stmt, has_call};
use crate::nest::{Form, Loop, Reduction, Role};

/// A part of a sum, or several equal ones.
#[derive(Clone, Debug)]
pub struct Part {
    /// The loop over them.
    pub outer: VarId,
    /// The first iteration of the loop that was split.
    pub start: Expr,
    names: Run,
}

impl Part {
    /// What a loop inside is called in this part.
    pub fn of(&self, l: VarId) -> VarId {
        self.names.of(l)
    }
}

/// Splits the reduce loop `sum` of the definition inside the data loop `at` in parts of these sizes, outside of it:
/// reassociates the sum.
///
/// ```text
/// for L0 in 49 { reduce L1 in 64 { b[L0]  init i  sum e(L1)  finish f(acc) } }
/// -> split L1 outside L0 in 32 16 16
/// for L0 in 49 { reduce L1 in 32 { b[L0]  init 0.0  sum e(L1)      finish acc } }
/// for L0 in 49 { reduce L1 in 16 { b[L0]  init 0.0  sum e(L1 + 32) finish add(acc, b[L0]) } }
/// for L0 in 49 { reduce L1 in 16 { b[L0]  init i    sum e(L1 + 48) finish f(add(acc, b[L0])) } }
/// ```
///
/// Equal parts between the first and the last are a loop.
///
/// # Errors
/// [`ScheduleError`] where the loops are not those of one sum of f32, the parts do not make up the loop, or there are fewer
/// than two.
pub fn split_sum(
    nest: &mut Nest,
    (at, sum): (VarId, VarId),
    sizes: &[usize],
) -> Result<Vec<Part>, ScheduleError> {
    const NAME: &str = "split_sum";
    let Some(whole @ Stmt::Loop(outside, body)) = nest.find(at) else {
        return Err(refused(NAME, nest, Rule::Unknown(at)));
    };
    let (of, _) = loop_of(NAME, nest, sum)?;
    let other = |id, expected: String, found: String| refused(NAME, nest, Rule::Loop { id, expected, found });
    if outside.role != Role::Data || outside.form != Form::Serial {
        return Err(other(at, "a serial data loop".into(), outside.to_string()));
    }
    outside_sums(NAME, nest, at)?;
    if of.role != Role::Reduce {
        return Err(other(sum, "a reduce loop".into(), of.to_string()));
    }
    let all = sizes.iter().try_fold(0usize, |all, size| all.checked_add(*size));
    if sizes.len() < 2 || sizes.contains(&0) || all != Some(of.extent) {
        let expected = format!("two or more parts of {} iterations, none empty", of.extent);
        return Err(other(sum, expected, format!("{sizes:?}")));
    }
    let inside = |expected| refused(NAME, nest, Rule::Inside { id: at, expected });
    let (loops, define) = whole.chain();
    let Some(Define { reduce: Some(r), index, dst, .. }) = define.filter(|_| !has_call(body)) else {
        return Err(inside("loops of one reduction"));
    };
    if r.combine != ReduceFn::Sum || !loops.iter().any(|l| l.id == sum) {
        return Err(inside("a sum over the loop that is split"));
    }
    let stored = Expr::Load(*dst, index.clone());
    let finish = r.finish.map(&mut |e| (*e == Expr::Acc).then(|| Expr::Acc + stored.clone()));
    let zero = Expr::f32(0.0);
    let reduction = |init: &Expr, finish: Expr| Reduction { combine: r.combine, init: init.clone(), finish };
    let part = |i: usize| match i {
        0 => reduction(&zero, Expr::Acc),
        i if i + 1 == sizes.len() => reduction(&r.init, finish.clone()),
        _ => reduction(&zero, Expr::Acc + stored.clone()),
    };
    let mut next = nest.fresh().0;
    // The first part is of the loops themselves, the others are of copies with names of their own.
    let mut parts: Vec<(Part, Reduction, [usize; 2])> = Vec::new();
    let (mut start, mut i) = (0, 0);
    while i < sizes.len() {
        let between = 0 < i && i + 1 < sizes.len();
        let alike = sizes[i..sizes.len() - 1].iter().take_while(|s| **s == sizes[i]).count();
        let n = if between { alike } else { 1 };
        let renamed = if i == 0 { BTreeMap::new() } else { fresh_names(from_ref(whole), &mut next) };
        let outer = VarId(next);
        next += 1;
        let names = Run { outer, inner: outer, renamed };
        let size = sizes[i];
        let step =
            if n > 1 { Expr::Var(outer) * Expr::int(size) + Expr::int(start) } else { Expr::int(start) };
        parts.push((Part { outer, start: step, names }, part(i), [size, n]));
        start += size * n;
        i += n;
    }
    nest.edit(at, |l, body| {
        let mut whole = Stmt::Loop(l, body);
        let mut bodies = Vec::with_capacity(parts.len());
        for (part, reduction, [size, _]) in &parts[1..] {
            whole.each_define(&mut |d| d.reduce = Some(reduction.clone()));
            let term = Expr::Var(part.of(sum)) + part.start.clone();
            let place = |v: VarId| if v == sum { term.clone() } else { Expr::Var(part.of(v)) };
            let named = |l: &Loop| Loop {
                id: part.of(l.id),
                extent: if l.id == sum { *size } else { l.extent },
                ..l.clone()
            };
            bodies.push(whole.map(&|e| e.substitute(&place), &named));
        }
        let (_, reduction, [size, _]) = &parts[0];
        whole.each_define(&mut |d| d.reduce = Some(reduction.clone()));
        shorten(&mut whole, sum, *size);
        bodies.insert(0, whole);
        let outside = |((part, _, [_, n]), body): (&(Part, Reduction, [usize; 2]), Stmt)| {
            Stmt::Loop(Loop::serial(part.outer, *n, Role::Data), vec![body])
        };
        parts.iter().zip(bodies).map(outside).collect()
    });
    Ok(parts.into_iter().map(|(part, ..)| part).collect())
}

/// Gives a loop of a statement another extent.
fn shorten(s: &mut Stmt, id: VarId, extent: usize) {
    if let Stmt::Loop(l, body) = s {
        if l.id == id {
            l.extent = extent;
        }
        body.iter_mut().for_each(|s| shorten(s, id, extent));
    }
}
