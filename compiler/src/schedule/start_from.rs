//! Starting a sum from what is added to it.

use octrt_ops::expr::{BinaryFn, BufId, Expr};

use super::{Rule, ScheduleError, refused};
use crate::nest::{Nest, Reduction, Stmt};
use octrt_ops::compute::ReduceFn;

/// Starts every sum of a nest from the element of a buffer that is added to it first: reassociates the sum. A leaf program
/// adds it at the end all the same, see [`Bias`](crate::leaf::programs::Bias).
///
/// ```text
/// init 0.0f32  sum e  finish f(add(acc, b2[i]))
/// -> start from b2
/// init b2[i]   sum e  finish f(acc)
/// ```
///
/// # Errors
/// [`ScheduleError`] where no sum that starts from 0 is followed by adding an element of the buffer.
pub fn start_from(nest: &mut Nest, buffer: BufId) -> Result<(), ScheduleError> {
    let mut moved = Vec::new();
    let mut each = |s: &Stmt| {
        if let Stmt::Define(d) = s {
            moved.push(d.reduce.as_ref().and_then(|r| started(r, buffer)));
        }
    };
    nest.body.iter().for_each(|s| s.visit(&mut each));
    if moved.contains(&None) {
        let id = nest.loops().first().map_or(octrt_ops::expr::VarId(0), |l| l.id);
        let expected = "a sum from 0 to which the buffer's element is added";
        return Err(refused("start_from", nest, Rule::Inside { id, expected }));
    }
    let mut moved = moved.into_iter();
    nest.body.iter_mut().for_each(|s| s.each_define(&mut |d| d.reduce = moved.next().flatten()));
    Ok(())
}

/// A sum that starts from what is added to it first.
fn started(r: &Reduction, buffer: BufId) -> Option<Reduction> {
    if r.combine != ReduceFn::Sum || r.init != Expr::f32(0.0) {
        return None;
    }
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
    Some(Reduction { combine: r.combine, init: init?, finish })
}
