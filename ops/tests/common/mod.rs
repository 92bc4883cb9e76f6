//! What the tests of operators share: data, and the check of a definition against its reference.

use std::collections::BTreeMap;

use octrt_ops::compute::{BufferKind, Compute, Stage};
use octrt_ops::expr::{BinaryFn, BufId, Expr, Scalar};
use octrt_ops::op::known_args;
use octrt_ops::{Args, DType, Op, Shape, Tensor};

/// Reproducible data: a linear congruential generator.
pub struct Random(pub u64);

#[allow(dead_code)]
impl Random {
    /// A number below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % n
    }

    /// Multiples of 1/8 in -2 ..= 2, so that short sums of products are exact in f32.
    pub fn f32s(&mut self, shape: impl Into<Shape>) -> Tensor {
        let shape = shape.into();
        let v: Vec<f32> = (0..shape.numel()).map(|_| (self.below(33) as f32 - 16.0) / 8.0).collect();
        Tensor::new(shape, &v).unwrap()
    }

    /// Elements of any type: small numbers of both signs, bytes over the whole range.
    pub fn tensor(&mut self, dtype: DType, shape: impl Into<Shape>) -> Tensor {
        let shape = shape.into();
        let n = shape.numel();
        match dtype {
            DType::F32 => return self.f32s(shape),
            DType::I64 => Tensor::new(shape, &self.many(n, |r| r.below(41) as i64 - 20)),
            DType::I32 => Tensor::new(shape, &self.many(n, |r| r.below(41) as i32 - 20)),
            DType::U8 => Tensor::new(shape, &self.many(n, |r| r.below(256) as u8)),
            DType::Bool => Tensor::new(shape, &self.many(n, |r| r.below(2) == 1)),
        }
        .unwrap()
    }

    fn many<T>(&mut self, n: usize, f: impl Fn(&mut Self) -> T) -> Vec<T> {
        (0..n).map(|_| f(self)).collect()
    }
}

/// Checks an operator on these inputs and returns the outputs of its reference:
/// `infer` gives the types that the reference has, the definition is well typed, all its loads are provably in bounds,
/// and its value is the reference's, for floats up to the rounding of as many operations as one element takes.
pub fn check(op: impl Into<Op>, inputs: &[Option<&Tensor>]) -> Vec<Tensor> {
    let op = op.into();
    let types: Vec<_> = inputs.iter().map(|t| t.map(|t| t.ty().to_string())).collect();
    let context = format!("{op:?} on {types:?}");
    let args = known_args(inputs);
    let operator = op.as_operator();
    let expected = operator.reference(inputs).unwrap_or_else(|e| panic!("{context}: reference: {e}"));
    let inferred = operator.infer(Args(&args)).unwrap_or_else(|e| panic!("{context}: infer: {e}"));
    let compute = operator.compute(Args(&args)).unwrap_or_else(|e| panic!("{context}: compute: {e}"));
    assert_eq!(inferred, expected.iter().map(|t| t.ty().clone()).collect::<Vec<_>>(), "{context}");
    verify(&compute).unwrap_or_else(|e| panic!("{context}: {e}"));
    let found = compute.evaluate(inputs).unwrap_or_else(|e| panic!("{context}: evaluate: {e}"));
    assert_eq!(found.len(), expected.len(), "{context}");
    for (found, expected) in found.iter().zip(&expected) {
        let tolerance = tolerance(&compute, inputs.iter().flatten().copied().chain([expected]));
        compare(found, expected, tolerance, &context);
    }
    expected
}

/// Rounding of a sum with as many terms as one element of the result has, of the size of the largest number in sight.
fn tolerance<'a>(c: &Compute, tensors: impl Iterator<Item = &'a Tensor>) -> f64 {
    let terms: usize = c
        .stages
        .iter()
        .map(|s| s.reduce.as_ref().map_or(1, |r| r.extents.iter().product::<usize>() + 2))
        .sum();
    let largest = tensors
        .filter(|t| t.dtype() == DType::F32)
        .flat_map(Tensor::to_f64s)
        .filter(|v| v.is_finite())
        .fold(1.0, |a: f64, v| a.max(v.abs()));
    f64::from(f32::EPSILON) * (terms + 4) as f64 * largest
}

fn compare(found: &Tensor, expected: &Tensor, tolerance: f64, context: &str) {
    assert_eq!(found.ty(), expected.ty(), "{context}");
    let tolerance = if found.dtype() == DType::F32 { tolerance } else { 0.0 };
    for (i, (f, e)) in found.to_f64s().into_iter().zip(expected.to_f64s()).enumerate() {
        let same = f == e || (f.is_nan() && e.is_nan()) || (f - e).abs() <= tolerance;
        assert!(same, "{context}: element {i}: expected {e}, found {f}, tolerance {tolerance:e}");
    }
}

/// Checks that a definition is well typed and that interval analysis proves all its loads in bounds.
pub fn verify(c: &Compute) -> Result<(), String> {
    let buf = |b: BufId| c.buffers.get(b.0 as usize).map(|b| b.ty.dtype);
    let mut tables = BTreeMap::new();
    for (i, b) in c.buffers.iter().enumerate() {
        if let BufferKind::Table(t) = &b.kind
            && let Ok(v) = t.to_i64s()
        {
            tables.insert(i as u32, (*v.iter().min().unwrap_or(&0), *v.iter().max().unwrap_or(&0)));
        }
    }
    for s in &c.stages {
        let typed = |e: &Expr, acc| e.dtype(&buf, acc).map_err(|e| format!("stage {}: {e}", s.name));
        let dst = c.ty(s.dst).dtype;
        let body = typed(&s.body, None)?;
        let stored = match &s.reduce {
            None => body,
            Some(r) if typed(&r.init, None)? != body => {
                return Err(format!("stage {}: the accumulator is not {body}", s.name));
            }
            Some(r) => typed(&r.finish, Some(body))?,
        };
        if stored != dst {
            return Err(format!("stage {} stores {stored} into {dst}", s.name));
        }
        let reduced = s.reduce.iter().flat_map(|r| &r.extents);
        let vars: Vec<usize> = c.ty(s.dst).shape.iter().chain(reduced).copied().collect();
        let outer = s.reduce.iter().flat_map(|r| [&r.init, &r.finish]);
        for e in outer.chain([&s.body]) {
            loads_in_bounds(c, s, e, &Ranges { vars: &vars, tables: &tables })?;
        }
    }
    Ok(())
}

fn loads_in_bounds(c: &Compute, s: &Stage, e: &Expr, ranges: &Ranges<'_>) -> Result<(), String> {
    let mut result = Ok(());
    e.visit(&mut |e| {
        let Expr::Load(b, index) = e else { return };
        let ty = c.ty(*b);
        if index.len() != ty.shape.rank() {
            result = Err(format!("stage {}: `{e}` does not index {ty}", s.name));
            return;
        }
        for (i, &d) in index.iter().zip(ty.shape.iter()) {
            let (lo, hi) = ranges.of(i);
            if lo < 0 || hi >= d as i64 {
                result = Err(format!("stage {}: `{i}` is in {lo}..={hi}, `{e}` indexes {ty}", s.name));
            }
        }
    });
    result
}

/// Interval analysis of integer expressions.
struct Ranges<'a> {
    vars: &'a [usize],
    tables: &'a BTreeMap<u32, (i64, i64)>,
}

impl Ranges<'_> {
    fn of(&self, e: &Expr) -> (i64, i64) {
        const ALL: (i64, i64) = (i64::MIN, i64::MAX);
        match e {
            Expr::Const(Scalar::I64(v)) => (*v, *v),
            Expr::Var(v) => (0, self.vars.get(v.0 as usize).map_or(i64::MAX, |&d| (d as i64 - 1).max(0))),
            Expr::Load(b, _) => self.tables.get(&b.0).copied().unwrap_or(ALL),
            Expr::Select(_, a, b) => {
                let (a, b) = (self.of(a), self.of(b));
                (a.0.min(b.0), a.1.max(b.1))
            }
            Expr::Binary(f, a, b) => {
                let (a, b) = (self.of(a), self.of(b));
                let corners = |g: fn(i64, i64) -> i64| {
                    let all = [g(a.0, b.0), g(a.0, b.1), g(a.1, b.0), g(a.1, b.1)];
                    (all.into_iter().min().unwrap(), all.into_iter().max().unwrap())
                };
                match f {
                    BinaryFn::Add => (a.0.saturating_add(b.0), a.1.saturating_add(b.1)),
                    BinaryFn::Sub => (a.0.saturating_sub(b.1), a.1.saturating_sub(b.0)),
                    BinaryFn::Mul => corners(i64::saturating_mul),
                    BinaryFn::Min => (a.0.min(b.0), a.1.min(b.1)),
                    BinaryFn::Max => (a.0.max(b.0), a.1.max(b.1)),
                    BinaryFn::Div if b.0 > 0 => corners(|x, y| x / y),
                    BinaryFn::Rem if b.0 > 0 && a.0 >= 0 => (0, a.1.min(b.1 - 1)),
                    BinaryFn::Rem if b.0 > 0 => (1 - b.1, b.1 - 1),
                    _ => ALL,
                }
            }
            _ => ALL,
        }
    }
}
