//! Elementary functions as straight-line code, for f32 and vectors of f32 alike.
//!
//! Compiled code calls nothing, so these take the place of a math library. Each follows the classic scheme: reduce the
//! argument, evaluate a polynomial, put the result back together. Denormal results are flushed to zero, as the whole
//! of the compiled code does.

use cranelift_codegen::ir::condcodes::FloatCC;
use cranelift_codegen::ir::types::{F32, F32X4, F64, F64X2, I32, I32X4, I64};
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Type, Value};
use cranelift_frontend::FunctionBuilder;

mod wide;

/// Emits functions of one element type: `f32` or a vector of them.
pub struct Math<'a, 'b> {
    /// Where instructions go.
    pub b: &'a mut FunctionBuilder<'b>,
    /// `F32` or `F32X4`.
    pub ty: Type,
    /// Whether the target fuses multiply and add.
    pub fma: bool,
}

/// `if cc(a, b) then x else y` for scalars, all four f32 or all f64, in vector registers: of scalar floats a `select` is a
/// jump, which data decide.
pub(super) fn choose(
    b: &mut FunctionBuilder<'_>,
    cc: FloatCC,
    operands: [Value; 2],
    values: [Value; 2],
) -> Value {
    let ty = if b.func.dfg.value_type(values[0]) == F64 { F64X2 } else { F32X4 };
    let mut vector = |v: Value| b.ins().scalar_to_vector(ty, v);
    let [a, c, x, y] = [operands[0], operands[1], values[0], values[1]].map(&mut vector);
    let mask = b.ins().fcmp(cc, a, c);
    let flags = MemFlagsData::new().with_endianness(cranelift_codegen::ir::Endianness::Little);
    let mask = b.ins().bitcast(ty, flags, mask);
    let chosen = b.ins().bitselect(mask, x, y);
    b.ins().extractlane(chosen, 0)
}

impl Math<'_, '_> {
    fn int(&self) -> Type {
        if self.ty == F32X4 { I32X4 } else { I32 }
    }

    fn constant(&mut self, v: f32) -> Value {
        let c = self.b.ins().f32const(v);
        if self.ty == F32X4 { self.b.ins().splat(F32X4, c) } else { c }
    }

    fn int_constant(&mut self, v: i32) -> Value {
        let c = self.b.ins().iconst(I32, i64::from(v) & 0xffff_ffff);
        if self.ty == F32X4 { self.b.ins().splat(I32X4, c) } else { c }
    }

    /// `x * y + z`.
    pub fn mul_add(&mut self, x: Value, y: Value, z: Value) -> Value {
        if self.fma {
            self.b.ins().fma(x, y, z)
        } else {
            let p = self.b.ins().fmul(x, y);
            self.b.ins().fadd(p, z)
        }
    }

    /// The polynomial with these coefficients, highest power first.
    fn polynomial(&mut self, x: Value, coefficients: &[f32]) -> Value {
        let mut sum = self.constant(coefficients[0]);
        for &c in &coefficients[1..] {
            let c = self.constant(c);
            sum = self.mul_add(sum, x, c);
        }
        sum
    }

    /// `if cc(a, b) then x else y`, lane by lane.
    pub fn choose(&mut self, cc: FloatCC, a: Value, b: Value, x: Value, y: Value) -> Value {
        if self.ty != F32X4 {
            return choose(self.b, cc, [a, b], [x, y]);
        }
        let mask = self.b.ins().fcmp(cc, a, b);
        let mask = self.cast(F32X4, mask);
        self.b.ins().bitselect(mask, x, y)
    }

    fn cast(&mut self, ty: Type, v: Value) -> Value {
        let mut flags = MemFlagsData::new();
        if ty.is_vector() {
            flags.set_endianness(cranelift_codegen::ir::Endianness::Little);
        }
        self.b.ins().bitcast(ty, flags, v)
    }

    /// A value that is not negative, with the sign of `x`.
    fn with_sign(&mut self, magnitude: Value, x: Value) -> Value {
        let int = self.int();
        let (magnitude, x) = (self.cast(int, magnitude), self.cast(int, x));
        let sign = self.int_constant(i32::MIN);
        let sign = self.b.ins().band(x, sign);
        let bits = self.b.ins().bor(magnitude, sign);
        self.cast(self.ty, bits)
    }

    /// `2^n` for an integer vector or scalar `n` in -126..=127.
    fn power_of_two(&mut self, n: Value) -> Value {
        let bias = self.int_constant(127);
        let biased = self.b.ins().iadd(n, bias);
        let bits = self.b.ins().ishl_imm_u(biased, 23);
        self.cast(self.ty, bits)
    }

    /// Rounded to the nearest IEEE half, halves to even.
    pub fn round_f16(&mut self, x: Value) -> Value {
        let a = self.b.ins().fabs(x);
        let y = self.without_bits(a, 13);
        // Below the normal halves, steps are those of f32 from 1/2 on.
        let (least, half) = (self.constant(6.103_515_6e-5), self.constant(0.5));
        let sum = self.b.ins().fadd(a, half);
        let small = self.b.ins().fsub(sum, half);
        let y = self.choose(FloatCC::LessThan, a, least, small, y);
        let (most, infinite) = (self.constant(65504.0), self.constant(f32::INFINITY));
        let y = self.choose(FloatCC::GreaterThan, y, most, infinite, y);
        let y = self.with_sign(y, x);
        self.choose(FloatCC::Unordered, x, x, x, y)
    }

    /// Rounded to the nearest bfloat16, halves to even.
    pub fn round_bf16(&mut self, x: Value) -> Value {
        let a = self.b.ins().fabs(x);
        let y = self.without_bits(a, 16);
        let y = self.with_sign(y, x);
        self.choose(FloatCC::Unordered, x, x, x, y)
    }

    /// A number that is not negative, rounded to a mantissa without its last `n` bits, halves to even. Above the largest it
    /// becomes infinite by itself.
    fn without_bits(&mut self, a: Value, n: i64) -> Value {
        let bits = self.cast(self.int(), a);
        let last = self.b.ins().ushr_imm_u(bits, n);
        let one = self.int_constant(1);
        let odd = self.b.ins().band(last, one);
        let almost_half = self.int_constant((1 << (n - 1)) - 1);
        let sum = self.b.ins().iadd(bits, almost_half);
        let sum = self.b.ins().iadd(sum, odd);
        let kept = self.int_constant(-1 << n);
        let rounded = self.b.ins().band(sum, kept);
        self.cast(self.ty, rounded)
    }

    /// `e^x`: `x = n ln 2 + r`, `|r| <= ln 2 / 2`, Taylor polynomial in `r`, times `2^n` in two steps.
    pub fn exp(&mut self, x: Value) -> Value {
        let (low, high) = (self.constant(-104.0), self.constant(89.0));
        // Comparisons with NaN are false: NaN passes both.
        let x = self.choose(FloatCC::LessThan, x, low, low, x);
        let x = self.choose(FloatCC::GreaterThan, x, high, high, x);
        let log2e = self.constant(std::f32::consts::LOG2_E);
        let n = self.b.ins().fmul(x, log2e);
        let n = self.b.ins().nearest(n);
        let (ln2_high, ln2_low) = (self.constant(-0.693_359_4), self.constant(2.121_944_4e-4));
        let r = self.mul_add(n, ln2_high, x);
        let r = self.mul_add(n, ln2_low, r);
        let p = self
            .polynomial(r, &[1.0 / 5040.0, 1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0]);
        let int = self.int();
        let n = self.b.ins().fcvt_to_sint_sat(int, n);
        let half = self.b.ins().sshr_imm_u(n, 1);
        let rest = self.b.ins().isub(n, half);
        let (a, b) = (self.power_of_two(half), self.power_of_two(rest));
        let p = self.b.ins().fmul(p, a);
        self.b.ins().fmul(p, b)
    }

    /// The natural logarithm: mantissa in `[sqrt(1/2), sqrt(2))`, series of atanh, plus exponent times ln 2.
    pub fn log(&mut self, x: Value) -> Value {
        let bits = self.cast(self.int(), x);
        // Adding the difference to sqrt(1/2) puts the mantissa's range where it belongs.
        let offset = self.int_constant(0x3f80_0000 - 0x3f35_04f3);
        let shifted = self.b.ins().iadd(bits, offset);
        let e = self.b.ins().sshr_imm_u(shifted, 23);
        let bias = self.int_constant(127);
        let e = self.b.ins().isub(e, bias);
        let fraction = self.int_constant(0x007f_ffff);
        let m = self.b.ins().band(shifted, fraction);
        let base = self.int_constant(0x3f35_04f3);
        let m = self.b.ins().iadd(m, base);
        let m = self.cast(self.ty, m);
        let e = self.b.ins().fcvt_from_sint(self.ty, e);
        let one = self.constant(1.0);
        let (num, den) = (self.b.ins().fsub(m, one), self.b.ins().fadd(m, one));
        let s = self.b.ins().fdiv(num, den);
        let s2 = self.b.ins().fmul(s, s);
        let p = self.polynomial(s2, &[2.0 / 11.0, 2.0 / 9.0, 2.0 / 7.0, 0.4, 2.0 / 3.0]);
        let s3 = self.b.ins().fmul(s, s2);
        let tail = self.b.ins().fmul(p, s3);
        let s_twice = self.b.ins().fadd(s, s);
        let (ln2_low, ln2_high) = (self.constant(-2.121_944_4e-4), self.constant(0.693_359_4));
        let tail = self.mul_add(e, ln2_low, tail);
        let sum = self.b.ins().fadd(s_twice, tail);
        let y = self.mul_add(e, ln2_high, sum);
        let (zero, inf) = (self.constant(0.0), self.constant(f32::INFINITY));
        let (minus_inf, nan) = (self.constant(f32::NEG_INFINITY), self.constant(f32::NAN));
        let y = self.choose(FloatCC::Equal, x, inf, inf, y);
        let y = self.choose(FloatCC::Equal, x, zero, minus_inf, y);
        // Not greater or equal: negative, or NaN.
        self.choose(FloatCC::UnorderedOrLessThan, x, zero, nan, y)
    }

    /// `tanh x`: a polynomial near zero, `1 - 2 / (e^2|x| + 1)` beyond.
    pub fn tanh(&mut self, x: Value) -> Value {
        let a = self.b.ins().fabs(x);
        let x2 = self.b.ins().fmul(x, x);
        let p = self.polynomial(
            x2,
            &[
                21_844.0 / 6_081_075.0,
                -1382.0 / 155_925.0,
                62.0 / 2835.0,
                -17.0 / 315.0,
                2.0 / 15.0,
                -1.0 / 3.0,
            ],
        );
        let x3 = self.b.ins().fmul(x, x2);
        let small = self.mul_add(x3, p, x);
        let twice = self.b.ins().fadd(a, a);
        let e = self.exp(twice);
        let (one, two) = (self.constant(1.0), self.constant(2.0));
        let d = self.b.ins().fadd(e, one);
        let q = self.b.ins().fdiv(two, d);
        let large = self.b.ins().fsub(one, q);
        let large = self.with_sign(large, x);
        let limit = self.constant(0.5);
        self.choose(FloatCC::LessThan, a, limit, small, large)
    }

    /// The error function: its Maclaurin series below 1, Abramowitz and Stegun 7.1.26 (1.5e-7) beyond.
    pub fn erf(&mut self, x: Value) -> Value {
        let a = self.b.ins().fabs(x);
        let x2 = self.b.ins().fmul(x, x);
        let scale = std::f64::consts::FRAC_2_SQRT_PI;
        let mut coefficients = [0.0f32; 11];
        let mut factorial = 1.0;
        for n in 0..11u32 {
            factorial *= f64::from(n.max(1));
            let sign = if n % 2 == 0 { 1.0 } else { -1.0 };
            coefficients[10 - n as usize] = (scale * sign / (factorial * f64::from(2 * n + 1))) as f32;
        }
        let p = self.polynomial(x2, &coefficients);
        let small = self.b.ins().fmul(x, p);
        let (one, p1) = (self.constant(1.0), self.constant(0.327_591_1));
        let d = self.mul_add(a, p1, one);
        let t = self.b.ins().fdiv(one, d);
        let q = self.polynomial(t, &[1.061_405_4, -1.453_152, 1.421_413_7, -0.284_496_74, 0.254_829_6, 0.0]);
        let minus_x2 = self.b.ins().fneg(x2);
        let e = self.exp(minus_x2);
        let qe = self.b.ins().fmul(q, e);
        let large = self.b.ins().fsub(one, qe);
        let large = self.with_sign(large, x);
        self.choose(FloatCC::LessThan, a, one, small, large)
    }

    /// `x^y` for scalars, in f64: `e^(y ln |x|)` with the sign that an odd integer `y` gives a negative `x`.
    pub fn pow(&mut self, x: Value, y: Value) -> Value {
        debug_assert_eq!(self.ty, F32);
        let (xd, yd) = (self.b.ins().fpromote(F64, x), self.b.ins().fpromote(F64, y));
        let a = self.b.ins().fabs(xd);
        let log = self.log_f64(a);
        let z = self.b.ins().fmul(yd, log);
        let magnitude = self.exp_f64(z);
        let magnitude = self.b.ins().fdemote(F32, magnitude);
        let (zero, one, nan) = (self.constant(0.0), self.constant(1.0), self.constant(f32::NAN));
        // Also for an infinite exponent, which times ln 1 is no number.
        let ax = self.b.ins().fabs(x);
        let magnitude = self.choose(FloatCC::Equal, ax, one, one, magnitude);
        // y is an integer when rounding keeps it, odd when rounding y / 2 does not keep that.
        let whole = self.b.ins().nearest(y);
        let half = self.constant(0.5);
        let halved = self.b.ins().fmul(y, half);
        let even = self.b.ins().nearest(halved);
        let negated = self.b.ins().fneg(magnitude);
        let signed = self.choose(FloatCC::Equal, even, halved, magnitude, negated);
        let signed = self.choose(FloatCC::Equal, whole, y, signed, nan);
        // The sign bit decides, so that (-0.0)^-1 is -inf; a base of -inf or -0.0 takes a fractional exponent too.
        let sign = self.b.ins().fcopysign(one, x);
        let infinite = self.constant(f32::INFINITY);
        let special = self.choose(FloatCC::Equal, whole, y, signed, magnitude);
        let signed = self.choose(FloatCC::Equal, x, zero, special, signed);
        let signed = self.choose(FloatCC::Equal, ax, infinite, special, signed);
        let result = self.choose(FloatCC::LessThan, sign, zero, signed, magnitude);
        let not_a_number = self.b.ins().fadd(x, y);
        let result = self.choose(FloatCC::Unordered, x, y, not_a_number, result);
        let result = self.choose(FloatCC::Equal, x, one, one, result);
        self.choose(FloatCC::Equal, y, zero, one, result)
    }

    fn polynomial_f64(&mut self, x: Value, coefficients: &[f64]) -> Value {
        let mut sum = self.b.ins().f64const(coefficients[0]);
        for &c in &coefficients[1..] {
            let c = self.b.ins().f64const(c);
            let p = self.b.ins().fmul(sum, x);
            sum = self.b.ins().fadd(p, c);
        }
        sum
    }

    /// Natural logarithm of a non-negative f64 that was an f32; `log 0 = -inf`, `log inf = inf`.
    fn log_f64(&mut self, x: Value) -> Value {
        let bits = self.cast(I64, x);
        let base = 0x3fe6_a09e_667f_3bcd_i64;
        let shifted = self.b.ins().iadd_imm_s(bits, 0x3ff0_0000_0000_0000 - base);
        let e = self.b.ins().sshr_imm_u(shifted, 52);
        let e = self.b.ins().iadd_imm_s(e, -1023);
        let m = self.b.ins().band_imm_s(shifted, 0x000f_ffff_ffff_ffff);
        let m = self.b.ins().iadd_imm_s(m, base);
        let m = self.cast(F64, m);
        let e = self.b.ins().fcvt_from_sint(F64, e);
        let one = self.b.ins().f64const(1.0);
        let (num, den) = (self.b.ins().fsub(m, one), self.b.ins().fadd(m, one));
        let s = self.b.ins().fdiv(num, den);
        let s2 = self.b.ins().fmul(s, s);
        let coefficients: Vec<f64> = (0..11).rev().map(|n| 2.0 / f64::from(2 * n + 1)).collect();
        let p = self.polynomial_f64(s2, &coefficients);
        let p = self.b.ins().fmul(p, s);
        let ln2 = self.b.ins().f64const(std::f64::consts::LN_2);
        let scaled = self.b.ins().fmul(e, ln2);
        let y = self.b.ins().fadd(scaled, p);
        let zero = self.b.ins().f64const(0.0);
        let (inf, minus_inf) =
            (self.b.ins().f64const(f64::INFINITY), self.b.ins().f64const(f64::NEG_INFINITY));
        let y = choose(self.b, FloatCC::Equal, [x, inf], [inf, y]);
        choose(self.b, FloatCC::Equal, [x, zero], [minus_inf, y])
    }

    /// `e^x` in f64, good to about 1e-13, limited to what f32 can show.
    fn exp_f64(&mut self, x: Value) -> Value {
        let (low, high) = (self.b.ins().f64const(-200.0), self.b.ins().f64const(200.0));
        let x = choose(self.b, FloatCC::LessThan, [x, low], [low, x]);
        let x = choose(self.b, FloatCC::GreaterThan, [x, high], [high, x]);
        let log2e = self.b.ins().f64const(std::f64::consts::LOG2_E);
        let n = self.b.ins().fmul(x, log2e);
        let n = self.b.ins().nearest(n);
        let ln2 = self.b.ins().f64const(std::f64::consts::LN_2);
        let whole = self.b.ins().fmul(n, ln2);
        let r = self.b.ins().fsub(x, whole);
        let mut coefficients = vec![1.0f64];
        (1..12).for_each(|k| coefficients.push(coefficients[k - 1] / k as f64));
        coefficients.reverse();
        let p = self.polynomial_f64(r, &coefficients);
        let n = self.b.ins().fcvt_to_sint_sat(I64, n);
        let n = self.b.ins().iadd_imm_s(n, 1023);
        let bits = self.b.ins().ishl_imm_u(n, 52);
        let scale = self.cast(F64, bits);
        self.b.ins().fmul(p, scale)
    }
}
