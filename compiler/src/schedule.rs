//! Schedule primitives (temporary forms).
use crate::loop_ir::{Form, Kernel, Loop, Role};
use octrt_ops::expr::{Expr, VarId};
/// Why a primitive refuses.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ScheduleError(String);
/// Stub.
pub mod split {
    use super::*;
    /// Stub.
    #[allow(clippy::missing_errors_doc)]
    pub fn split(k: &Kernel, l: VarId, f: usize) -> Result<(Kernel, VarId, VarId), ScheduleError> {
        let p = k.position(l).ok_or(ScheduleError("loop".into()))?;
        let old = k.loops[p].clone();
        if old.extent <= f {
            return Err(ScheduleError("factor".into()));
        }
        let (o, i) = (k.fresh(), VarId(k.fresh().0 + 1));
        let exact = old.extent % f == 0;
        let base = Expr::Var(o) * Expr::int(f);
        let base = if exact { base } else { base.min(Expr::int(old.extent - f)) };
        let e = base + Expr::Var(i);
        let mut n = k.map_expressions(|x| x.substitute(&|v| if v == l { e.clone() } else { Expr::Var(v) }));
        n.loops[p] = Loop { id: o, extent: old.extent.div_ceil(f), ..old.clone() };
        n.loops.insert(p + 1, Loop { id: i, extent: f, form: Form::Serial, ..old });
        Ok((n, o, i))
    }
}
/// Stub.
pub mod reorder {
    use super::*;
    /// Stub.
    #[allow(clippy::missing_errors_doc)]
    pub fn reorder(k: &Kernel, order: &[VarId]) -> Result<Kernel, ScheduleError> {
        let mut n = k.clone();
        n.loops = order.iter().map(|&v| k.loops[k.position(v).unwrap()].clone()).collect();
        assert_eq!(n.loops.len(), k.loops.len());
        Ok(n)
    }
}
fn form(k: &Kernel, l: VarId, f: Form) -> Result<Kernel, ScheduleError> {
    let mut n = k.clone();
    let p = k.position(l).unwrap();
    assert!(n.loops[p].role == Role::Data);
    n.loops[p].form = f;
    Ok(n)
}
macro_rules! form_ { ($($m:ident $f:ident),*) => { $(#[doc = "Stub."] pub mod $m { use super::*; #[doc = "Stub."] #[allow(clippy::missing_errors_doc)] pub fn $m(k: &Kernel, l: VarId) -> Result<Kernel, ScheduleError> { form(k, l, Form::$f) } })* } }
form_! { unroll Unrolled, vectorize Vector, parallel Parallel }
