//! Computing what a loop needs inside it.

use octrt_ops::expr::{BufId, Expr, VarId};

use super::{Rule, ScheduleError, loop_of, refused};
use crate::nest::{Define, Form, Loop, Nest, Role, Stmt, defines, has_call};

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
    [producer, consumer].iter().try_for_each(|l| loop_of(NAME, nest, *l).map(|_| ()))?;
    let adjoin = place(&mut nest.body, producer, consumer).is_some();
    let (first, made) = loop_of(NAME, nest, producer)?;
    let (second, used) = loop_of(NAME, nest, consumer)?;
    for l in [first, second] {
        if (l.role, l.form) != (Role::Data, Form::Serial) || l.extent != first.extent {
            let expected = format!("a serial data loop of extent {}", first.extent);
            return Err(refused(NAME, nest, Rule::Loop { id: l.id, expected, found: l.to_string() }));
        }
    }
    let inside = |id, expected| Err(refused(NAME, nest, Rule::Inside { id, expected }));
    if !adjoin {
        return inside(consumer, "the other loop directly before it");
    }
    if has_call(made) || has_call(used) {
        return inside(producer, "definitions, which no call has replaced");
    }
    let (makes, uses) = (defines(made), defines(used));
    if uses.iter().any(|u| makes.iter().any(|m| touches(m, u.dst))) {
        return inside(consumer, "nothing written that the other loop touches");
    }
    for m in &makes {
        let own = apart(&m.index, producer);
        let loads_of = |of: &[&Define], l: VarId| {
            of.iter().all(|d| {
                d.loads()
                    .iter()
                    .all(|(b, index)| *b != m.dst || own.is_some_and(|k| index.get(k) == Some(&Expr::Var(l))))
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
    let Some((stmts, at)) = place(&mut nest.body, producer, consumer) else { return Ok(()) };
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

fn touches(d: &Define, b: BufId) -> bool {
    d.dst == b || d.loads_of(b)
}

/// Where the two loops stand, one directly behind the other.
fn place(stmts: &mut Vec<Stmt>, first: VarId, second: VarId) -> Option<(&mut Vec<Stmt>, usize)> {
    let is = |s: &Stmt, id: VarId| matches!(s, Stmt::Loop(Loop { id: l, .. }, _) if *l == id);
    if let Some(at) = stmts.array_windows().position(|[a, b]| is(a, first) && is(b, second)) {
        return Some((stmts, at));
    }
    stmts.iter_mut().find_map(|s| match s {
        Stmt::Loop(_, body) => place(body, first, second),
        _ => None,
    })
}
