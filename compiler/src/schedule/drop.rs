//! Leaving out tables.

use octrt_ops::expr::{BufId, Expr};

use super::{Rule, ScheduleError, refused};
use crate::nest::{BufferRole, SlotValue};
use crate::nest::{Define, Nest, Stmt, pointer};

/// The nest without a table that nothing reads, as when calls read distances in its place; buffers behind it move up.
///
/// ```text
/// table b4: i64[2,3] = [0, 1, 2, 3, 4, 5]   table b5: i32[6] = [0, 4, 8, 12, 16, 20]   .. b5 + 12*L0 ..
/// -> drop b4
/// table b4: i32[6] = [0, 4, 8, 12, 16, 20]  .. b4 + 12*L0 ..
/// ```
///
/// # Errors
/// [`ScheduleError`] for a buffer that is no table, or that is read.
pub fn drop(nest: &Nest, buffer: BufId) -> Result<Nest, ScheduleError> {
    let refuse =
        |expected, found: String| Err(refused("drop", nest, Rule::Buffer { id: buffer, expected, found }));
    match nest.buffers.get(buffer.0 as usize).map(|b| &b.role) {
        Some(BufferRole::Table(_)) => {}
        Some(other) => return refuse("a table", format!("`{}`", other.word())),
        None => return refuse("a table", "none".into()),
    }
    if nest.body.iter().any(|s| reads(s, buffer)) {
        return refuse("a table that nothing reads", "one that is read".into());
    }
    let mut buffers = nest.buffers.clone();
    buffers.remove(buffer.0 as usize);
    let body = nest.body.iter().map(|s| moved_up(s, buffer)).collect();
    Ok(Nest { buffers, body, ..nest.clone() })
}

fn reads(s: &Stmt, buffer: BufId) -> bool {
    let mut found = false;
    s.visit(&mut |s| match s {
        Stmt::Loop(..) => {}
        Stmt::Define(d) => {
            found |= d.loads_of(buffer);
        }
        Stmt::Call { slots, .. } => {
            found |= slots.iter().any(|v| matches!(v, SlotValue::Pointer(b, _) if b.0 == buffer.0));
        }
    });
    found
}

fn moved_up(s: &Stmt, above: BufId) -> Stmt {
    let of = |b: BufId| if b.0 > above.0 { BufId(b.0 - 1) } else { b };
    match s {
        Stmt::Loop(l, body) => Stmt::Loop(l.clone(), body.iter().map(|s| moved_up(s, above)).collect()),
        Stmt::Define(d) => {
            let d = d.map(&|e| moved_in(e, &of));
            Stmt::Define(Define { dst: of(d.dst), ..d })
        }
        Stmt::Call { leaf, slots } => {
            let value = |v: &SlotValue| match v {
                SlotValue::Pointer(b, at) => pointer(of(BufId(b.0)), at.clone()),
                SlotValue::Number(n) => SlotValue::Number(*n),
            };
            Stmt::Call { leaf: *leaf, slots: slots.iter().map(value).collect() }
        }
    }
}

fn moved_in(e: &Expr, of: &dyn Fn(BufId) -> BufId) -> Expr {
    e.map(&mut |e| match e {
        Expr::Load(b, index) => Some(Expr::Load(of(*b), index.iter().map(|e| moved_in(e, of)).collect())),
        _ => None,
    })
}
