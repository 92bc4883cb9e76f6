//! Elementary functions of f64 scalars, good to about 1e-15 of the result where nothing else is said: for tensors of f64,
//! and for functions of f32 that are not common enough to have code of their own.

use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::types::{F64, I64};
use cranelift_codegen::ir::{InstBuilder, Value};

use super::{Math, choose};

impl Math<'_, '_> {
    fn wide(&mut self, v: f64) -> Value {
        self.b.ins().f64const(v)
    }

    /// `if cc(a, b) then x else y`.
    fn wide_choose(&mut self, cc: FloatCC, a: Value, b: Value, x: Value, y: Value) -> Value {
        choose(self.b, cc, [a, b], [x, y])
    }

    /// The polynomial with these coefficients, highest power first.
    fn wide_polynomial(&mut self, x: Value, coefficients: impl IntoIterator<Item = f64>) -> Value {
        let mut coefficients = coefficients.into_iter();
        let mut sum = self.wide(coefficients.next().unwrap_or(0.0));
        for c in coefficients {
            let c = self.wide(c);
            sum = self.mul_add(sum, x, c);
        }
        sum
    }

    /// `2^n` for an i64 `n` in -1022..=1023.
    fn wide_power_of_two(&mut self, n: Value) -> Value {
        let biased = self.b.ins().iadd_imm_s(n, 1023);
        let bits = self.b.ins().ishl_imm_u(biased, 52);
        self.cast(F64, bits)
    }

    /// `e^x`: `x = n ln 2 + r`, a polynomial in `r`, times `2^n` in two steps.
    pub fn wide_exp(&mut self, x: Value) -> Value {
        let (low, high) = (self.wide(-746.0), self.wide(710.0));
        let x = self.wide_choose(FloatCC::LessThan, x, low, low, x);
        let x = self.wide_choose(FloatCC::GreaterThan, x, high, high, x);
        let log2e = self.wide(std::f64::consts::LOG2_E);
        let n = self.b.ins().fmul(x, log2e);
        let n = self.b.ins().nearest(n);
        // ln 2 in two parts, the first with 32 bits.
        let (ln2_high, ln2_low) =
            (self.wide(-6.931_471_803_691_238e-1), self.wide(-1.908_214_929_270_587_7e-10));
        let r = self.mul_add(n, ln2_high, x);
        let r = self.mul_add(n, ln2_low, r);
        let p = self.wide_polynomial(r, inverse_factorials(14));
        let n = self.b.ins().fcvt_to_sint_sat(I64, n);
        let half = self.b.ins().sshr_imm_u(n, 1);
        let rest = self.b.ins().isub(n, half);
        let (a, b) = (self.wide_power_of_two(half), self.wide_power_of_two(rest));
        let p = self.b.ins().fmul(p, a);
        self.b.ins().fmul(p, b)
    }

    /// The natural logarithm; NaN below zero.
    pub fn wide_log(&mut self, x: Value) -> Value {
        let y = self.log_f64(x);
        let (zero, nan) = (self.wide(0.0), self.wide(f64::NAN));
        let y = self.wide_choose(FloatCC::LessThan, x, zero, nan, y);
        self.wide_choose(FloatCC::Unordered, x, x, x, y)
    }

    /// The hyperbolic tangent: `1 - 2 / (e^2x + 1)`, near zero `x - x^3 / 3 + ..`.
    pub fn wide_tanh(&mut self, x: Value) -> Value {
        let a = self.b.ins().fabs(x);
        let twice = self.b.ins().fadd(a, a);
        let e = self.wide_exp(twice);
        let (one, two) = (self.wide(1.0), self.wide(2.0));
        let d = self.b.ins().fadd(e, one);
        let q = self.b.ins().fdiv(two, d);
        let large = self.b.ins().fsub(one, q);
        let x2 = self.b.ins().fmul(a, a);
        let series = [62.0 / 2835.0, -17.0 / 315.0, 2.0 / 15.0, -1.0 / 3.0, 1.0];
        let p = self.wide_polynomial(x2, series);
        let small = self.b.ins().fmul(a, p);
        let limit = self.wide(0.03);
        let y = self.wide_choose(FloatCC::LessThan, a, limit, small, large);
        self.b.ins().fcopysign(y, x)
    }

    /// The error function: its Maclaurin series below 2.5 (good to 1e-13), a continued fraction beyond.
    pub fn wide_erf(&mut self, x: Value) -> Value {
        let a = self.b.ins().fabs(x);
        let limit = self.wide(2.5);
        // Each form gets an argument that it can take.
        let below = self.wide_choose(FloatCC::LessThan, a, limit, a, limit);
        let x2 = self.b.ins().fmul(below, below);
        let (mut factorial, mut series) = (1.0f64, Vec::new());
        for n in 0..45u32 {
            factorial *= f64::from(n.max(1));
            let sign = if n % 2 == 0 { 1.0 } else { -1.0 };
            series.push(std::f64::consts::FRAC_2_SQRT_PI * sign / (factorial * f64::from(2 * n + 1)));
        }
        let p = self.wide_polynomial(x2, series.into_iter().rev());
        let small = self.b.ins().fmul(below, p);
        let above = self.wide_choose(FloatCC::LessThan, a, limit, limit, a);
        let mut fraction = above;
        for n in (1..40u32).rev() {
            let half = self.wide(f64::from(n) / 2.0);
            let q = self.b.ins().fdiv(half, fraction);
            fraction = self.b.ins().fadd(above, q);
        }
        let square = self.b.ins().fmul(above, above);
        let minus = self.b.ins().fneg(square);
        let e = self.wide_exp(minus);
        let root = self.wide(std::f64::consts::PI.sqrt());
        let d = self.b.ins().fmul(fraction, root);
        let q = self.b.ins().fdiv(e, d);
        let one = self.wide(1.0);
        let large = self.b.ins().fsub(one, q);
        let y = self.wide_choose(FloatCC::LessThan, a, limit, small, large);
        let y = self.b.ins().fcopysign(y, x);
        self.wide_choose(FloatCC::Unordered, x, x, x, y)
    }

    /// The sine of `x + quarter pi / 2`: `x` less the nearest multiple of `pi / 2`, of which the sine or the cosine. Good
    /// to 1e-15 for `|x|` up to 1e6; beyond that the error grows with `|x|`, and NaN where no digit would be right.
    pub fn wide_sin(&mut self, x: Value, quarter: i64) -> Value {
        let inverse = self.wide(std::f64::consts::FRAC_2_PI);
        let q = self.b.ins().fmul(x, inverse);
        let q = self.b.ins().nearest(q);
        let mut r = x;
        // pi / 2 in parts of 33 bits and a rest.
        for part in [1.570_796_326_734_125_6, 6.077_100_506_303_966e-11, 2.022_266_248_795_950_6e-21] {
            let part = self.wide(-part);
            r = self.mul_add(q, part, r);
        }
        let r2 = self.b.ins().fmul(r, r);
        let signed = |first: u32| {
            let mut f = 1.0f64;
            let terms: Vec<f64> = (0..10u32)
                .map(|k| {
                    let n = 2 * k + first;
                    f = (1..=n).map(f64::from).product();
                    if k % 2 == 0 { 1.0 / f } else { -1.0 / f }
                })
                .collect();
            terms.into_iter().rev()
        };
        let s = self.wide_polynomial(r2, signed(1));
        let sine = self.b.ins().fmul(s, r);
        let cosine = self.wide_polynomial(r2, signed(0));
        let k = self.b.ins().fcvt_to_sint_sat(I64, q);
        let k = self.b.ins().iadd_imm_s(k, quarter);
        let odd = self.b.ins().band_imm_s(k, 1);
        let y = self.b.ins().select(odd, cosine, sine);
        let half = self.b.ins().band_imm_s(k, 2);
        let negated = self.b.ins().fneg(y);
        let y = self.b.ins().select(half, negated, y);
        let (a, limit, nan) = (self.b.ins().fabs(x), self.wide(9e15), self.wide(f64::NAN));
        self.wide_choose(FloatCC::GreaterThan, a, limit, nan, y)
    }

    /// The arc tangent, good to f64.
    pub fn wide_atan(&mut self, x: Value) -> Value {
        let coefficients = [
            -0.017_805_397_205_419_446,
            0.037_965_257_453_865_93,
            -0.050_351_024_566_015_52,
            0.058_468_782_973_308_72,
            -0.066_629_518_136_291_91,
            0.076_920_453_309_022_25,
            -0.090_908_968_090_640_27,
            0.111_111_107_449_196_58,
            -0.142_857_142_792_502_45,
            0.199_999_999_999_408_93,
            -0.333_333_333_333_331_2,
            1.0,
        ];
        self.atan_by(x, coefficients)
    }

    /// The arc tangent, good to 1e-9.
    pub fn rough_atan(&mut self, x: Value) -> Value {
        let coefficients = [
            -0.060_263_052_276_584_59,
            0.105_698_288_064_144_48,
            -0.142_395_326_696_489_74,
            0.199_981_830_410_832_06,
            -0.333_333_068_930_485_14,
            0.999_999_999_371_228_2,
        ];
        self.atan_by(x, coefficients)
    }

    /// `pi / 2 + atan(-1 / a)` above `tan(3 pi / 8)`, `pi / 4 + atan((a - 1) / (a + 1))` above `tan(pi / 8)`, a polynomial in
    /// `a^2` (of Chebyshev nodes, highest power first) below; `a` is the magnitude.
    fn atan_by(&mut self, x: Value, coefficients: impl IntoIterator<Item = f64>) -> Value {
        use std::f64::consts::{FRAC_PI_2, FRAC_PI_4, SQRT_2};
        let a = self.b.ins().fabs(x);
        let [zero, one, minus_one] = [0.0, 1.0, -1.0].map(|v| self.wide(v));
        let [low, high, eighth, quarter] =
            [SQRT_2 - 1.0, SQRT_2 + 1.0, FRAC_PI_4, FRAC_PI_2].map(|v| self.wide(v));
        let (below, above) = (self.b.ins().fsub(a, one), self.b.ins().fadd(a, one));
        let mut pick = |near: Value, middle: Value, far: Value| {
            let v = self.wide_choose(FloatCC::GreaterThan, a, low, middle, near);
            self.wide_choose(FloatCC::GreaterThan, a, high, far, v)
        };
        let (over, under, base) =
            (pick(a, below, minus_one), pick(one, above, a), pick(zero, eighth, quarter));
        let u = self.b.ins().fdiv(over, under);
        let u2 = self.b.ins().fmul(u, u);
        let p = self.wide_polynomial(u2, coefficients);
        let y = self.mul_add(u, p, base);
        self.b.ins().fcopysign(y, x)
    }

    /// C's `fmod`; exact while the quotient is below 2^53 (of f32 numbers in f64: below 2^29 without fused multiply-add).
    pub fn wide_rem(&mut self, x: Value, y: Value) -> Value {
        let (a, d) = (self.b.ins().fabs(x), self.b.ins().fabs(y));
        let q = self.b.ins().fdiv(a, d);
        let q = self.b.ins().floor(q);
        let minus = self.b.ins().fneg(q);
        let r = self.mul_add(minus, d, a);
        // The quotient may have been rounded up to a whole number, or down from one.
        let zero = self.wide(0.0);
        let (more, less) = (self.b.ins().fadd(r, d), self.b.ins().fsub(r, d));
        let high = self.wide_choose(FloatCC::GreaterThanOrEqual, r, d, less, r);
        let r = self.wide_choose(FloatCC::LessThan, r, zero, more, high);
        let infinite = self.wide(f64::INFINITY);
        let r = self.wide_choose(FloatCC::LessThan, a, d, a, r);
        let nan = self.wide(f64::NAN);
        let r = self.wide_choose(FloatCC::Equal, a, infinite, nan, r);
        self.b.ins().fcopysign(r, x)
    }

    /// `x^y`, good to about 1e-13: `e^(y ln |x|)` with the sign that an odd integer `y` gives a negative `x`.
    pub fn wide_pow(&mut self, x: Value, y: Value) -> Value {
        let a = self.b.ins().fabs(x);
        let log = self.wide_log(a);
        let z = self.b.ins().fmul(y, log);
        let e = self.wide_exp(z);
        let (zero, one, half) = (self.wide(0.0), self.wide(1.0), self.wide(0.5));
        let e = self.wide_choose(FloatCC::Equal, a, one, one, e);
        let whole = self.b.ins().nearest(y);
        let halved = self.b.ins().fmul(y, half);
        let even = self.b.ins().nearest(halved);
        let negated = self.b.ins().fneg(e);
        let signed = self.wide_choose(FloatCC::Equal, even, halved, e, negated);
        let nan = self.wide(f64::NAN);
        // A base that is zero or infinite takes every exponent.
        let infinite = self.wide(f64::INFINITY);
        let fractional = self.wide_choose(FloatCC::Equal, a, infinite, e, nan);
        let fractional = self.wide_choose(FloatCC::Equal, a, zero, e, fractional);
        let signed = self.wide_choose(FloatCC::Equal, whole, y, signed, fractional);
        let bits = self.cast(I64, x);
        let negative = self.b.ins().icmp_imm_s(IntCC::SignedLessThan, bits, 0);
        let result = self.b.ins().select(negative, signed, e);
        let sum = self.b.ins().fadd(x, y);
        let result = self.wide_choose(FloatCC::Unordered, x, y, sum, result);
        let result = self.wide_choose(FloatCC::Equal, x, one, one, result);
        self.wide_choose(FloatCC::Equal, y, zero, one, result)
    }
}

/// `1 / n!` for n below `count`, the last one first.
fn inverse_factorials(count: u32) -> impl Iterator<Item = f64> {
    (0..count).rev().map(|n| 1.0 / (1..=n).map(f64::from).product::<f64>())
}
