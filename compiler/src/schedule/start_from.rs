//! Starting a sum from what is added to it.

use octrt_ops::expr::{BinaryFn, BufId, Expr};

use super::{Rule, ScheduleError, refused};
use crate::nest::Reduction;
use crate::nest::{Define, Nest};
use octrt_ops::compute::ReduceFn;

/// Starts every sum of a nest from the element of a buffer that is added to it first: reassociates the sum.
///
/// ```text
/// init 0.0f32  sum e  finish f(add(acc, b2[i]))
/// -> start from b2
/// init b2[i]   sum e  finish f(acc)
/// ```
///
/// # Errors
/// [`ScheduleError`] where no sum that starts from 0 is followed by adding an element of the buffer.
pub fn start_from(nest: &Nest, buffer: BufId) -> Result<Nest, ScheduleError> {
    let moved = |d: &Define| {
        let r = d.reduce.as_ref().filter(|r| r.combine == ReduceFn::Sum && r.init == Expr::f32(0.0))?;
        let mut init = None;
        let finish = r.finish.map(&mut |e| match e {
            Expr::Binary(BinaryFn::Add, a, b) => match (&**a, &**b) {
                (Expr::Acc, Expr::Load(from, _)) if *from == buffer => {
                    init = Some((**b).clone());
                    Some(Expr::Acc)
                }
                _ => None,
            },
            _ => None,
        });
        Some(Define { reduce: Some(Reduction { combine: r.combine, init: init?, finish }), ..d.clone() })
    };
    let expected = "a sum from 0 to which the buffer's element is added";
    nest.each_define(&moved).ok_or_else(|| {
        let id = nest.loops().first().map_or(octrt_ops::expr::VarId(0), |l| l.id);
        refused("start_from", nest, Rule::Inside { id, expected })
    })
}
