//! Computing what a loop needs inside it.

use octrt_ops::expr::{BufId, Expr, VarId};

use super::cut::has_call;
use super::{Rule, ScheduleError, loop_of, refused};
use crate::nest::{Define, Form, Loop, Nest, Role, Stmt};

/// Moves what a loop computes into the loop directly behind it, which reads of it what the same iteration computes.
///
/// ```text
/// for L0 in 9 { reduce L1 in 8 { b1[L0] sum b0[L0, L1] .. } }
/// for L2 in 9 { for L3 in 8 { b2[L2, L3] = div(b0[L2, L3], b1[L2]) } }
/// -> compute_at L0 in L2
/// for L2 in 9 {
///   reduce L1 in 8 { b1[L2] sum b0[L2, L1] .. }
///   for L3 in 8 { b2[L2, L3] = div(b0[L2, L3], b1[L2]) }
/// }
/// ```
///
/// # Errors
/// [`ScheduleError`] for loops that are no serial data loops of equal extents, one directly behind the other; around calls;
/// where what one computes and the other loads does not lie apart by iterations; and where the second writes what the first
/// touches.
pub fn compute_at(nest: &mut Nest, producer: VarId, consumer: VarId) -> Result<(), ScheduleError> {
    const NAME: &str = "compute_at";
    let (first, made) = loop_of(NAME, nest, producer)?;
    let (second, used) = loop_of(NAME, nest, consumer)?;
    for l in [first, second] {
        if (l.role, l.form) != (Role::Data, Form::Serial) || l.extent != first.extent {
            let expected = format!("a serial data loop of extent {}", first.extent);
            return Err(refused(NAME, nest, Rule::Loop { id: l.id, expected, found: l.to_string() }));
        }
    }
    let inside = |id, expected| Err(refused(NAME, nest, Rule::Inside { id, expected }));
    if place(&nest.body, producer, consumer).is_none() {
        return inside(consumer, "the other loop directly before it");
    }
    if has_call(made) || has_call(used) {
        return inside(producer, "definitions, which no call has replaced");
    }
    let (makes, uses) = (definitions(made), definitions(used));
    if uses.iter().any(|u| makes.iter().any(|m| touches(m, u.dst))) {
        return inside(consumer, "nothing written that the other loop touches");
    }
    for m in &makes {
        let own = apart(&m.index, producer);
        let loads_of = |of: &[&Define], l: VarId| {
            of.iter().all(|d| {
                loads(d, m.dst).iter().all(|index| own.is_some_and(|k| index.get(k) == Some(&Expr::Var(l))))
            })
        };
        let used = uses.iter().any(|u| touches(u, m.dst));
        if used && (own.is_none() || !loads_of(&makes, producer) || !loads_of(&uses, consumer)) {
            return inside(consumer, "loads of what the same iteration of the other loop has computed");
        }
        // Definitions of one buffer lie apart along one dimension.
        let alike = makes.iter().filter(|o| o.dst == m.dst).all(|o| apart(&o.index, producer) == own);
        if used && !alike {
            return inside(consumer, "loads of what the same iteration of the other loop has computed");
        }
    }
    let Some((stmts, at)) = place_mut(&mut nest.body, producer, consumer) else { return Ok(()) };
    if let Stmt::Loop(_, mut body) = stmts.remove(at)
        && let Some(Stmt::Loop(_, behind)) = stmts.get_mut(at)
    {
        body.iter_mut().for_each(|s| s.substitute(producer, &Expr::Var(consumer)));
        behind.splice(0..0, body);
    }
    Ok(())
}

/// The dimension whose index is the loop itself, where no other one has it.
fn apart(index: &[Expr], l: VarId) -> Option<usize> {
    let own = index.iter().position(|e| *e == Expr::Var(l))?;
    let others = index.iter().enumerate().filter(|(i, _)| *i != own);
    let uses = |e: &Expr| crate::nest::affine::uses(e, l);
    others.into_iter().all(|(_, e)| !uses(e)).then_some(own)
}

fn definitions(stmts: &[Stmt]) -> Vec<&Define> {
    let mut all = Vec::new();
    stmts.iter().for_each(|s| {
        s.visit(&mut |s| {
            if let Stmt::Define(d) = s {
                all.push(d);
            }
        });
    });
    all
}

/// Indices of a definition's loads of a buffer.
fn loads(d: &Define, b: BufId) -> Vec<Vec<Expr>> {
    let mut all = Vec::new();
    d.expressions().for_each(|e| {
        e.visit(&mut |e| {
            if let Expr::Load(of, index) = e
                && *of == b
            {
                all.push(index.clone());
            }
        });
    });
    all
}

fn touches(d: &Define, b: BufId) -> bool {
    d.dst == b || !loads(d, b).is_empty()
}

/// Where the two loops stand, one directly behind the other.
fn place(stmts: &[Stmt], first: VarId, second: VarId) -> Option<usize> {
    let is = |s: &Stmt, id: VarId| matches!(s, Stmt::Loop(Loop { id: l, .. }, _) if *l == id);
    let here = stmts.array_windows().position(|[a, b]| is(a, first) && is(b, second));
    here.or_else(|| {
        stmts.iter().find_map(|s| match s {
            Stmt::Loop(_, body) => place(body, first, second),
            _ => None,
        })
    })
}

fn place_mut(stmts: &mut Vec<Stmt>, first: VarId, second: VarId) -> Option<(&mut Vec<Stmt>, usize)> {
    let is = |s: &Stmt, id: VarId| matches!(s, Stmt::Loop(Loop { id: l, .. }, _) if *l == id);
    if let Some(at) = stmts.array_windows().position(|[a, b]| is(a, first) && is(b, second)) {
        return Some((stmts, at));
    }
    stmts.iter_mut().find_map(|s| match s {
        Stmt::Loop(_, body) => place_mut(body, first, second),
        _ => None,
    })
}
