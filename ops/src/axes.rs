//! Axes, extents and lists of integers as operators receive them: signed, in an attribute or in an input.

use crate::arg::Args;
use crate::error::OpError;
use crate::invalid;

/// The axis that `axis` means in a tensor of rank `rank`; negative values count from the end.
///
/// # Errors
/// [`OpError::Invalid`] outside `-rank..rank`.
pub fn resolve_axis(axis: i64, rank: usize) -> Result<usize, OpError> {
    let at = i128::from(axis) + if axis < 0 { rank as i128 } else { 0 };
    match usize::try_from(at) {
        Ok(a) if a < rank => Ok(a),
        _ => {
            invalid!("axis: expected one of the {rank} axes (negative ones count from the end), found {axis}")
        }
    }
}

/// [`resolve_axis`] for a list of axes, which must differ.
///
/// # Errors
/// [`OpError::Invalid`] when one is out of range or named twice.
pub fn resolve_axes(axes: &[i64], rank: usize) -> Result<Vec<usize>, OpError> {
    let mut seen = vec![false; rank];
    axes.iter()
        .map(|&a| {
            let axis = resolve_axis(a, rank)?;
            match std::mem::replace(&mut seen[axis], true) {
                false => Ok(axis),
                true => invalid!("axes: expected distinct axes, found {axis} twice in {axes:?}"),
            }
        })
        .collect()
}

/// The integers of input `i`, which the operator cannot do without and a shape depends on.
///
/// # Errors
/// [`OpError::Invalid`] when it is omitted, not a list or not of integers; [`OpError::DataDependent`] when it is not
/// known before the run.
pub fn required_ints(args: Args<'_>, i: usize, name: &str) -> Result<Vec<i64>, OpError> {
    args.required(i, name)?;
    optional_ints(args, i, name).map(Option::unwrap_or_default)
}

/// The integers of input `i`, which a shape depends on; `None` when it is omitted.
///
/// # Errors
/// As [`required_ints`].
pub fn optional_ints(args: Args<'_>, i: usize, name: &str) -> Result<Option<Vec<i64>>, OpError> {
    match args.optional(i) {
        Some(a) if a.shape.rank() > 1 => {
            invalid!("input {i} ({name}): expected a list of integers, found {}", a.ty())
        }
        _ => args.known_ints(i, name),
    }
}

/// The product of extents.
///
/// # Errors
/// [`OpError::TooLarge`] when it cannot be addressed.
pub fn product(extents: &[usize]) -> Result<usize, OpError> {
    if extents.contains(&0) {
        return Ok(0);
    }
    extents
        .iter()
        .try_fold(1usize, |a, &d| a.checked_mul(d))
        .filter(|&n| isize::try_from(n).is_ok())
        .ok_or_else(|| OpError::TooLarge(format!("the product of the extents {extents:?} is out of range")))
}

/// An extent from exact arithmetic.
///
/// # Errors
/// [`OpError::Invalid`] when negative, [`OpError::TooLarge`] when it cannot be addressed; `what` names it.
pub fn extent(value: i128, what: &str) -> Result<usize, OpError> {
    match isize::try_from(value) {
        Ok(v) if v >= 0 => Ok(v as usize),
        _ if value < 0 => invalid!("{what}: expected an extent of at least 0, found {value}"),
        _ => Err(OpError::TooLarge(format!("{what}: extent {value} is out of range"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_count_from_both_ends() {
        for (axis, rank, want) in [(0, 1, 0), (-1, 1, 0), (2, 4, 2), (-4, 4, 0)] {
            assert_eq!(resolve_axis(axis, rank), Ok(want), "{axis} of {rank}");
        }
        for (axis, rank) in [(0, 0), (-1, 0), (3, 3), (-4, 3), (i64::MIN, 2), (i64::MAX, 2)] {
            assert!(resolve_axis(axis, rank).is_err(), "{axis} of {rank}");
        }
        assert_eq!(resolve_axes(&[-1, 0], 3), Ok(vec![2, 0]));
        assert!(resolve_axes(&[-1, 2], 3).unwrap_err().message().contains("twice"));
    }

    #[test]
    fn products_do_not_wrap() {
        assert_eq!(product(&[]), Ok(1));
        assert_eq!(product(&[1 << 62, 1 << 62, 0]), Ok(0));
        assert!(matches!(product(&[1 << 62, 4]), Err(OpError::TooLarge(_))));
        assert!(matches!(product(&[1 << 62, 2]), Err(OpError::TooLarge(_))));
        assert!(matches!(extent(1 << 70, "x"), Err(OpError::TooLarge(_))));
        assert!(matches!(extent(-1, "x"), Err(OpError::Invalid(_))));
    }
}
