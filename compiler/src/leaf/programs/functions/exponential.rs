//! Functions of `e^x`: with `x = n ln 2 + r`, `e^x = 2^n + 2^n * (e^r - 1)`.
//!
//! Adding a number of units in the last place 1 rounds to an integer, which its last bits then hold: moved to where the
//! exponent is, they make the power of two.

use super::{BinaryOp, Builder, Operand, Shift, VecId, Width};

/// Its last place is 1, and its last nine bits are 0.
const ROUNDING: f32 = 12_582_912.0;

/// The exponent field of 1.
const BIAS: f32 = 127.0;

/// In the ninth bit, which becomes the sign.
const NEGATIVE: f32 = 256.0;

const LOG2_E: f32 = std::f32::consts::LOG2_E;
const LN_2: f32 = std::f32::consts::LN_2;

/// The logarithm of 2 in two parts. Multiples of the first by integers up to 2^15 are exact.
const LN_2_HIGH: f32 = 0.693_359_4;
const LN_2_LOW: f32 = -2.121_944_4e-4;

/// `(e^r - 1 - r) / r^2` for `|r| <= ln 2 / 2`, highest power first; relative to `e^r - 1` within 2^-26.
const NEAR: [f32; 5] = [0.001_388_251, 0.008_366_58, 0.041_667_2, 0.166_665_44, 0.5];

/// `(-ln(1 - erf a) - a) / a` from 0 to 4, highest power first; what it gives for erf is within 2^-27.
const ERF: [f32; 9] = [
    -9.256_182e-6,
    1.176_405e-4,
    -6.328_34e-4,
    1.667_022e-3,
    -1.603_901_5e-4,
    -0.019_153_068,
    0.102_777_83,
    0.636_619_4,
    0.128_379_17,
];

/// The coefficients of `s * f(s * r)`, where those of `f(r)` are given; `s` is a power of two, or one less than 0.
fn scaled(coefficients: [f32; 5], s: f32) -> [f32; 5] {
    let [c4, c3, c2, c1, c0] = coefficients;
    let s2 = s * s;
    [s * s2 * s2 * c4, s2 * s2 * c3, s * s2 * c2, s2 * c1, s * c0]
}

impl Builder {
    /// `n`, the integer nearest to `x * factor`, and `2^n`; the bits that `bias` has beside [`BIAS`] are added to those of
    /// the power, from its exponent on.
    fn split(&mut self, x: VecId, factor: f32, bias: f32) -> (VecId, VecId) {
        let sum = self.splat(ROUNDING + bias);
        self.add_multiple(sum, x, factor);
        let n = self.with(BinaryOp::Sub, sum, ROUNDING + bias);
        (n, self.shift(Shift::Left, sum, 23))
    }

    /// `r += r * r * polynomial(r)`.
    fn bend(&mut self, r: VecId, coefficients: &[f32]) {
        let p = self.polynomial(r, coefficients);
        self.assign(p, BinaryOp::Mul, p, Operand::Vector(r));
        self.fma(r, r, Operand::Vector(p));
    }

    /// Where `n` is 128, so that `2^n` is infinite though the result may not be, 16 lanes scale by `n` itself, and 8 double a
    /// result of `2^127`.
    pub(super) fn exp(&mut self, x: VecId) -> VecId {
        let r = self.within(x, -88.0, 89.0);
        let sum = self.splat(ROUNDING + BIAS);
        self.add_multiple(sum, r, LOG2_E);
        let n = self.with(BinaryOp::Sub, sum, ROUNDING + BIAS);
        self.add_multiple(r, n, -LN_2_HIGH);
        self.add_multiple(r, n, -LN_2_LOW);
        self.bend(r, &NEAR);
        if self.width() == Width::W16 {
            let near_one = self.with(BinaryOp::Add, r, 1.0);
            self.assign(near_one, BinaryOp::Scale, near_one, Operand::Vector(n));
            return near_one;
        }
        let most = self.of_constant(BinaryOp::Min, ROUNDING + BIAS + 127.0, sum);
        self.assign(sum, BinaryOp::Sub, sum, Operand::Vector(most));
        let y = self.shift(Shift::Left, most, 23);
        self.fma(y, y, Operand::Vector(r));
        self.fma(y, y, Operand::Vector(sum));
        y
    }

    /// With `e^-x = 2^n (1 - q)`, the sum is `1 + 2^n + (-2^n) q`.
    pub(super) fn sigmoid(&mut self, x: VecId) -> VecId {
        let q = self.within(x, -88.3, 88.3);
        let (n, power) = self.split(q, -LOG2_E, BIAS + NEGATIVE);
        self.add_multiple(q, n, LN_2_HIGH);
        self.add_multiple(q, n, LN_2_LOW);
        self.bend(q, &scaled(NEAR, -1.0));
        let sum = self.of_constant(BinaryOp::Sub, 1.0, power);
        self.fma(sum, power, Operand::Vector(q));
        self.of_constant(BinaryOp::Div, 1.0, sum)
    }

    /// Of the magnitude `a`, with `e^-2a = 2^n (1 - 2q)`, it is the quotient of `(1 - 2^n) / 2 + 2^n q` and
    /// `(1 + 2^n) / 2 - 2^n q`, each of which is rounded once.
    pub(super) fn tanh(&mut self, x: VecId) -> VecId {
        let q = self.magnitude(x, 9.02);
        let (n, power) = self.split(q, -2.0 * LOG2_E, BIAS);
        self.add_multiple(q, n, 0.5 * LN_2);
        self.bend(q, &scaled(NEAR, -2.0));
        self.assign(q, BinaryOp::Mul, power, Operand::Vector(q));
        let above = self.splat(0.5);
        self.add_multiple(above, power, -0.5);
        self.assign(above, BinaryOp::Add, above, Operand::Vector(q));
        self.assign(power, BinaryOp::Mul, power, Operand::Splat(0.5));
        self.assign(power, BinaryOp::Add, power, Operand::Splat(0.5));
        self.assign(power, BinaryOp::Sub, power, Operand::Vector(q));
        self.assign(above, BinaryOp::Div, above, Operand::Vector(power));
        self.signed(above, x)
    }

    /// Of the magnitude `a`, `1 - e^-z` with `z = a + a * polynomial(a)`. With `e^-z = 2^n (1 - q)`, it is
    /// `1 - 2^n + 2^n q`.
    pub(super) fn erf(&mut self, x: VecId) -> VecId {
        let q = self.magnitude(x, 4.0);
        let p = self.polynomial(q, &ERF);
        self.fma(q, q, Operand::Vector(p));
        let (n, power) = self.split(q, -LOG2_E, BIAS);
        self.add_multiple(q, n, LN_2);
        self.bend(q, &scaled(NEAR, -1.0));
        let sum = self.of_constant(BinaryOp::Sub, 1.0, power);
        self.fma(sum, power, Operand::Vector(q));
        self.signed(sum, x)
    }
}
