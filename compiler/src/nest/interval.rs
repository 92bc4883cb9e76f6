//! Interval analysis: between which bounds the value of an integer expression lies, whatever the iteration.

use octrt_ops::DType;
use octrt_ops::expr::{BinaryFn, Expr, Scalar, UnaryFn};

use super::Definition;

/// All integers from `lo` to `hi`, both included; `lo <= hi`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    /// The smallest.
    pub lo: i64,
    /// The largest.
    pub hi: i64,
}

impl Interval {
    /// Whether every number of the interval is an index of a dimension with this extent.
    pub fn indexes(self, extent: usize) -> bool {
        self.lo >= 0 && i128::from(self.hi) < extent as i128
    }
}

/// An interval that contains every value that an integer expression can have in any iteration of the loops around the definition.
///
/// Variables lie between 0 and their loop's extent less 1, elements of a buffer in its declared range, those of a table
/// between its smallest and largest; each occurrence is taken to vary on its own, and the condition of a `select` is not used. Where the arithmetic could
/// wrap, the result is every number of the type. `None` for expressions that are not integers, are ill-typed, or
/// name a loop or buffer that the nest does not have.
pub fn range(e: &Expr, at: &Definition<'_>) -> Option<Interval> {
    let v = value(e, at)?;
    let bound = |b: i128| i64::try_from(b).ok();
    // Of all integers only those of u64 are no i64s.
    v.dtype.is_int().then(|| Some(Interval { lo: bound(v.lo)?, hi: bound(v.hi)? })).flatten()
}

/// A typed interval. `bool` is 0 or 1; the bounds of a float mean nothing.
#[derive(Clone, Copy)]
struct Value {
    dtype: DType,
    lo: i128,
    hi: i128,
}

impl Value {
    /// Every value of a type.
    fn any(dtype: DType) -> Value {
        let (lo, hi) = Scalar::limits(dtype);
        Value { dtype, lo: lo.int().unwrap_or(0), hi: hi.int().unwrap_or(0) }
    }

    /// The interval if its numbers are all of the type, else every value of the type: the result wraps.
    fn wrapping(dtype: DType, lo: i128, hi: i128) -> Value {
        let any = Value::any(dtype);
        if !dtype.is_float() && any.lo <= lo && lo <= hi && hi <= any.hi {
            Value { dtype, lo, hi }
        } else {
            any
        }
    }
}

fn value(e: &Expr, at: &Definition<'_>) -> Option<Value> {
    match e {
        Expr::Const(s) => Some(constant(*s)),
        Expr::Var(id) => {
            let extent = at.loops.iter().find(|l| l.id == *id)?.extent;
            Some(Value::wrapping(DType::I64, 0, extent as i128 - 1))
        }
        Expr::Load(b, _) => {
            let buffer = at.buffer(*b)?;
            Some(match buffer.bounds() {
                Some((lo, hi)) => Value::wrapping(buffer.ty.dtype, lo.into(), hi.into()),
                None => Value::any(buffer.ty.dtype),
            })
        }
        Expr::Acc => {
            let dtype = |b: octrt_ops::expr::BufId| at.buffers.get(b.0 as usize).map(|b| b.ty.dtype);
            at.define.value.dtype(&dtype, None).ok().map(Value::any)
        }
        Expr::Unary(f, a) => Some(unary(*f, value(a, at)?)),
        Expr::Binary(f, a, b) => binary(*f, value(a, at)?, value(b, at)?),
        Expr::Compare(..) => Some(Value::any(DType::Bool)),
        Expr::Select(_, a, b) => {
            let (a, b) = (value(a, at)?, value(b, at)?);
            (a.dtype == b.dtype).then(|| Value { dtype: a.dtype, lo: a.lo.min(b.lo), hi: a.hi.max(b.hi) })
        }
        Expr::Cast(to, a) => Some(match (value(a, at)?, *to) {
            (a, to) if a.dtype.is_float() || to.is_float() || to == DType::Bool => Value::any(to),
            (a, to) => Value::wrapping(to, a.lo, a.hi),
        }),
        Expr::Bits(a) => Some(Value::any(match value(a, at)?.dtype {
            DType::F32 => DType::I32,
            DType::F64 => DType::I64,
            _ => return None,
        })),
    }
}

fn constant(s: Scalar) -> Value {
    let v = s.int().unwrap_or(0);
    Value { dtype: s.dtype(), lo: v, hi: v }
}

fn unary(f: UnaryFn, a: Value) -> Value {
    if a.dtype.is_float() {
        return Value::any(a.dtype);
    }
    match f {
        UnaryFn::Neg => Value::wrapping(a.dtype, -a.hi, -a.lo),
        UnaryFn::Abs => {
            let lo = if a.lo <= 0 && a.hi >= 0 { 0 } else { a.lo.abs().min(a.hi.abs()) };
            Value::wrapping(a.dtype, lo, a.lo.abs().max(a.hi.abs()))
        }
        _ => Value::any(a.dtype),
    }
}

fn binary(f: BinaryFn, a: Value, b: Value) -> Option<Value> {
    if a.dtype != b.dtype {
        return None;
    }
    if !a.dtype.is_int() {
        return Some(Value::any(a.dtype));
    }
    // Bounds are i64s: no product of two leaves i128.
    let corners = |f: &dyn Fn(i128, i128) -> i128| {
        let all = [f(a.lo, b.lo), f(a.lo, b.hi), f(a.hi, b.lo), f(a.hi, b.hi)];
        all.into_iter().fold((all[0], all[0]), |(lo, hi), v| (lo.min(v), hi.max(v)))
    };
    let (lo, hi) = match f {
        BinaryFn::Add => (a.lo + b.lo, a.hi + b.hi),
        BinaryFn::Sub => (a.lo - b.hi, a.hi - b.lo),
        BinaryFn::Mul => corners(&|a, b| a * b),
        BinaryFn::Min => (a.lo.min(b.lo), a.hi.min(b.hi)),
        BinaryFn::Max => (a.lo.max(b.lo), a.hi.max(b.hi)),
        BinaryFn::Div if b.lo > 0 || b.hi < 0 => corners(&|a, b| a / b),
        // Divisors of either sign, or zero (which gives zero): no quotient is larger than the dividend.
        BinaryFn::Div => {
            let most = a.lo.abs().max(a.hi.abs());
            (-most, most)
        }
        BinaryFn::Rem => remainder(a, b),
        // No bit of the result lies above those of numbers that are not negative.
        BinaryFn::And if a.lo >= 0 || b.lo >= 0 => {
            let most = |v: Value| if v.lo >= 0 { v.hi } else { i128::MAX };
            (0, most(a).min(most(b)))
        }
        BinaryFn::And | BinaryFn::Or | BinaryFn::Xor | BinaryFn::Shl => return Some(Value::any(a.dtype)),
        BinaryFn::Shr => (a.lo.min(0), a.hi.max(0)),
        BinaryFn::Pow => return None,
    };
    Some(Value::wrapping(a.dtype, lo, hi))
}

/// The remainder has the dividend's sign and is smaller than the divisor, both in absolute value; `x % 0 = 0`.
fn remainder(a: Value, b: Value) -> (i128, i128) {
    if b.lo == b.hi && b.lo > 0 && a.lo >= 0 && a.lo / b.lo == a.hi / b.lo {
        return (a.lo % b.lo, a.hi % b.lo);
    }
    let most = (b.lo.abs().max(b.hi.abs()) - 1).max(0);
    (a.lo.min(0).max(-most), a.hi.max(0).min(most))
}

#[cfg(test)]
mod tests {
    use octrt_ops::TensorType;
    use octrt_ops::expr::{BufId, CompareFn, VarId, binary as eval_binary};

    use super::*;
    use crate::nest::samples::Sample;
    use crate::nest::{Buffer, BufferRole, Loop, Role};

    /// `L0` in 0..10, `L1` in 0..4; `b0` is i64 in 0..=7, `b1` any i64, `b2` f32.
    fn sample() -> Sample {
        let for_ = |id, extent| Loop::serial(VarId(id), extent, Role::Data);
        let buffer = |dtype, range| Buffer { ty: TensorType::new(dtype, [4]), role: BufferRole::Src, range };
        Sample {
            name: "k".into(),
            buffers: vec![
                buffer(DType::I64, Some((0, 7))),
                buffer(DType::I64, None),
                buffer(DType::F32, None),
            ],
            dst: BufId(2),
            loops: vec![for_(0, 10), for_(1, 4)],
            index: vec![],
            reduce: None,
            body: Expr::f32(0.0),
            update: false,
        }
    }

    fn bounds(e: Expr) -> Option<(i64, i64)> {
        range(&e, &sample().nest().perfect()?).map(|i| (i.lo, i.hi))
    }

    #[test]
    fn index_arithmetic() {
        let (l0, l1) = (Expr::var(0), Expr::var(1));
        let i = |v: i64| Expr::int(v);
        assert_eq!(bounds(l0.clone() * i(4) + l1.clone()), Some((0, 39)));
        assert_eq!(bounds(l0.clone() - i(1)), Some((-1, 8)));
        assert_eq!(bounds((l0.clone() - i(1)).clamp(0, 5)), Some((0, 5)));
        assert_eq!(bounds((l0.clone() * i(4)).min(i(30)) + l1.clone()), Some((0, 33)));
        assert_eq!(bounds(l0.clone() / i(3)), Some((0, 3)));
        assert_eq!(bounds(l0.clone() % i(3)), Some((0, 2)));
        assert_eq!(bounds(l1.clone() % i(4)), Some((0, 3)));
        assert_eq!(bounds((i(8) + l1.clone()) % i(8)), Some((0, 3)));
        assert_eq!(bounds(Expr::unary(UnaryFn::Neg, l0.clone())), Some((-9, 0)));
        assert_eq!(bounds(Expr::unary(UnaryFn::Abs, l1.clone() - l0.clone())), Some((0, 9)));
        let c = Expr::compare(CompareFn::Lt, l0.clone(), i(3));
        assert_eq!(bounds(c.clone().select(l1, i(17))), Some((0, 17)));
        assert_eq!(bounds(c), None);
        assert_eq!(bounds(l0.cast(DType::F32)), None);
    }

    #[test]
    fn tables_and_unknown_elements() {
        let load = |b| Expr::load(BufId(b), [Expr::int(0)]);
        assert_eq!(bounds(load(0) + Expr::int(1)), Some((1, 8)));
        assert_eq!(bounds(load(1).clamp(0, 3)), Some((0, 3)));
        // The sum may wrap; the clamp holds all the same.
        assert_eq!(bounds(load(1) + Expr::int(1)), Some((i64::MIN, i64::MAX)));
        assert_eq!(bounds((load(1) + Expr::int(1)).clamp(0, 3)), Some((0, 3)));
        assert_eq!(bounds(load(2).cast(DType::I64).clamp(0, 3)), Some((0, 3)));
        assert_eq!(bounds(load(2).cast(DType::U8)), Some((0, 255)));
        assert_eq!(bounds(load(9)), None);
        assert_eq!(bounds(Expr::var(9)), None);
        assert_eq!(bounds(load(0).cast(DType::I32)), Some((0, 7)));
        assert_eq!(bounds((load(0) * Expr::int(100)).cast(DType::U8)), Some((0, 255)));
    }

    #[test]
    fn nothing_wraps_silently() {
        let i = |v: i64| Expr::int(v);
        let all = Some((i64::MIN, i64::MAX));
        assert_eq!(bounds(i(i64::MAX) + i(1)), all);
        assert_eq!(bounds(i(i64::MIN) - i(1)), all);
        assert_eq!(bounds(i(i64::MIN) * i(i64::MIN)), all);
        assert_eq!(bounds(i(i64::MIN) / i(-1)), all);
        assert_eq!(bounds(Expr::unary(UnaryFn::Neg, i(i64::MIN))), all);
        assert_eq!(bounds(Expr::unary(UnaryFn::Abs, i(i64::MIN))), all);
        assert_eq!(bounds(i(i64::MIN) % i(0)), Some((0, 0)));
        assert_eq!(bounds(Expr::Const(Scalar::U8(200)) + Expr::Const(Scalar::U8(100))), Some((0, 255)));
    }

    #[test]
    fn intervals_contain_every_value() {
        let ints = [-7, -3, -1, 0, 1, 2, 5];
        let of = |lo: i64, hi: i64| Value { dtype: DType::I64, lo: lo.into(), hi: hi.into() };
        let functions = [
            BinaryFn::Add,
            BinaryFn::Sub,
            BinaryFn::Mul,
            BinaryFn::Div,
            BinaryFn::Rem,
            BinaryFn::Min,
            BinaryFn::Max,
        ];
        for f in functions {
            for (i, &alo) in ints.iter().enumerate() {
                for &ahi in &ints[i..] {
                    for (j, &blo) in ints.iter().enumerate() {
                        for &bhi in &ints[j..] {
                            let r = binary(f, of(alo, ahi), of(blo, bhi)).unwrap();
                            for a in alo..=ahi {
                                for b in blo..=bhi {
                                    let v = eval_binary(f, Scalar::I64(a), Scalar::I64(b));
                                    let Some(Scalar::I64(v)) = v else { panic!("{f:?}") };
                                    assert!(r.lo <= v.into() && r.hi >= v.into(), "{f:?} {a} {b}");
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
