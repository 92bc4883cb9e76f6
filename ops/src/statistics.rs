//! Means and variances of groups of elements, in two passes: what the normalisations share.
//!
//! ```text
//! mean[g..]    = sum over r.. of src[element(g, r)] / n
//! inverse[g..] = 1 / sqrt(sum over r.. of (src[element(g, r)] - mean[g])^2 / n + epsilon)
//! ```

use crate::arg::Arg;
use crate::compute::{Compute, Reduce, ReduceFn};
use crate::dtype::DType;
use crate::error::OpError;
use crate::expr::{BufId, Expr, UnaryFn};
use crate::index::vars;
use crate::invalid;
use crate::shape::{Shape, TensorType};

/// How the elements of a tensor fall into groups of `n`.
#[derive(Clone, Debug)]
pub struct Groups {
    /// Extents of a tensor with one element for each group.
    pub dims: Vec<usize>,
    /// Extents of the elements of a group.
    pub extents: Vec<usize>,
    /// The element `r..` of group `g..`, over the variables of `dims` and then of `extents`.
    pub element: Vec<Expr>,
    /// The group of an element, over the axes of the tensor.
    pub group: Vec<Expr>,
}

impl Groups {
    /// Elements that differ only along the axes which are `reduced`; these have extent 1 in `dims`.
    pub fn over(shape: &Shape, reduced: &[bool]) -> Groups {
        let rank = shape.rank();
        let mut groups =
            Groups { dims: shape.dims().to_vec(), extents: vec![], element: vars(rank), group: vars(rank) };
        for (i, _) in reduced.iter().enumerate().filter(|(_, r)| **r) {
            groups.dims[i] = 1;
            groups.element[i] = Expr::var(rank + groups.extents.len());
            groups.extents.push(shape[i]);
            groups.group[i] = Expr::int(0);
        }
        groups
    }

    /// The elements of `channels / count` neighbouring channels of one image: `shape` is `[images, channels, ..]`, and
    /// `count` divides the channels.
    pub fn of_channels(shape: &Shape, count: usize) -> Groups {
        let each = shape[1] / count.max(1);
        let mut groups = Groups {
            dims: vec![shape[0], count],
            extents: if each == 1 { vec![] } else { vec![each] },
            element: vars(2),
            group: vars(2),
        };
        if each > 1 {
            groups.element[1] = Expr::var(1) * Expr::int(each) + Expr::var(2);
            groups.group[1] = Expr::var(1) / Expr::int(each);
        }
        for &d in &shape.dims()[2..] {
            groups.element.push(Expr::var(2 + groups.extents.len()));
            groups.extents.push(d);
        }
        groups
    }

    /// The number of elements of a group.
    pub fn size(&self) -> usize {
        Shape::new(self.extents.clone()).numel()
    }

    /// For each group the sum of `body`, an expression of type `work` over the variables of [`Groups::element`], after
    /// which `finish` is computed of the sum.
    pub fn sum(&self, c: &mut Compute, name: &'static str, work: DType, body: Expr, finish: Expr) -> BufId {
        let reduce = Reduce {
            extents: self.extents.clone(),
            combine: ReduceFn::Sum,
            init: Expr::literal(work, 0.0),
            finish,
        };
        c.reduce_blocked(name, TensorType::new(work, self.dims.clone()), reduce, body)
    }

    /// The sum as a mean: for `finish` of [`Groups::sum`].
    pub fn acc_mean(&self, work: DType) -> Expr {
        Expr::Acc / Expr::literal(work, self.size() as f64)
    }

    /// The element that a reduction over groups reads, as `work`.
    pub fn load(&self, c: &Compute, src: BufId, work: DType) -> Expr {
        converted(Expr::load(src, self.element.clone()), c.ty(src).dtype, work)
    }

    /// The groups' means and the mean squares of the differences from them, of which `finish` is computed.
    pub fn moments(
        &self,
        c: &mut Compute,
        src: BufId,
        work: DType,
        finish: impl FnOnce(Expr) -> Expr,
    ) -> (BufId, BufId) {
        let load = self.load(c, src, work);
        let mean = self.sum(c, "mean", work, load.clone(), self.acc_mean(work));
        let difference = load - Expr::load(mean, vars(self.dims.len()));
        let variance = finish(self.acc_mean(work));
        (mean, self.sum(c, "deviation", work, difference.clone() * difference, variance))
    }
}

/// `e`, which is of type `from`, as `to`.
pub fn converted(e: Expr, from: DType, to: DType) -> Expr {
    if from == to { e } else { e.cast(to) }
}

/// `1 / sqrt(v + epsilon)`
pub fn inverse_deviation(v: Expr, epsilon: f32, work: DType) -> Expr {
    let shifted = v + Expr::literal(work, epsilon.into());
    Expr::literal(work, 1.0) / Expr::unary(UnaryFn::Sqrt, shifted)
}

/// The type in which statistics are computed: the wider of the input's and the one asked for.
///
/// # Errors
/// [`OpError::Invalid`] when `stash` is no float.
pub fn work_type(input: DType, stash: DType) -> Result<DType, OpError> {
    match (input, stash) {
        (DType::F32, DType::F32) => Ok(DType::F32),
        (_, DType::F32 | DType::F64) => Ok(DType::F64),
        _ => invalid!("stash: expected f32 or f64, found {stash}"),
    }
}

/// Checks that `arg`, input `i`, can be broadcast to `shape` without changing it.
///
/// # Errors
/// [`OpError::Invalid`] when it cannot.
pub fn check_broadcast(arg: &Arg<'_>, i: usize, name: &str, shape: &Shape) -> Result<(), OpError> {
    match arg.shape.broadcast(shape) {
        Ok(both) if both == *shape => Ok(()),
        _ => invalid!("input {i} ({name}): expected a shape that broadcasts to {shape}, found {}", arg.shape),
    }
}

/// Mean and mean square of the differences from it for each of `count` groups, in plain f64; `group` has the group of
/// each element.
pub fn moments(x: &[f64], group: &[usize], count: usize) -> Vec<(f64, f64)> {
    let mut members = vec![0.0; count];
    let mut moments = vec![(0.0, 0.0); count];
    for (v, &g) in x.iter().zip(group) {
        members[g] += 1.0;
        moments[g].0 += v;
    }
    moments.iter_mut().zip(&members).for_each(|(m, n)| m.0 /= n);
    for (v, &g) in x.iter().zip(group) {
        moments[g].1 += (v - moments[g].0).powi(2);
    }
    moments.iter_mut().zip(&members).for_each(|(m, n)| m.1 /= n);
    moments
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(index: &[Expr]) -> String {
        index.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn groups() {
        let g = Groups::over(&Shape::new([2, 3, 4]), &[false, true, true]);
        assert_eq!((g.dims.clone(), g.extents.clone(), g.size()), (vec![2, 1, 1], vec![3, 4], 12));
        assert_eq!((text(&g.element), text(&g.group)), ("L0 L3 L4".into(), "L0 0 0".into()));
        let g = Groups::of_channels(&Shape::new([2, 6, 5]), 2);
        assert_eq!((g.dims.clone(), g.extents.clone()), (vec![2, 2], vec![3, 5]));
        assert_eq!(
            (text(&g.element), text(&g.group)),
            ("L0 add(mul(L1, 3), L2) L3".into(), "L0 div(L1, 3)".into())
        );
        let g = Groups::of_channels(&Shape::new([2, 6, 5]), 6);
        assert_eq!(
            (g.extents.clone(), text(&g.element), text(&g.group)),
            (vec![5], "L0 L1 L2".into(), "L0 L1".into())
        );
    }

    #[test]
    fn two_passes_keep_a_small_variance_beside_a_large_mean() {
        let x = [1e8 + 1.0, 1e8 + 3.0, 7.0];
        assert_eq!(moments(&x, &[0, 0, 1], 2), [(1e8 + 2.0, 1.0), (7.0, 0.0)]);
    }
}
