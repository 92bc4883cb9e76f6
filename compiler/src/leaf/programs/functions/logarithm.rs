//! `ln x = e ln 2 + ln m` with `x = m * 2^e` and `m` from 3/4 up to 3/2.

use super::{BinaryOp, Builder, Inst, Operand, Predicate, Shift, UnaryOp, VecId, Width};

/// `(ln(1 + f) - f) / f^2` from -1/4 to 1/2, highest power first; relative to `ln(1 + f)` within 2^-27.
const LN_1_PLUS: [f32; 9] = [
    -0.044_909_62,
    0.104_483_33,
    -0.131_622_33,
    0.144_820_62,
    -0.166_477_67,
    0.199_906_07,
    -0.250_000_54,
    0.333_334_54,
    -0.5,
];

impl Builder {
    pub(super) fn log(&mut self, x: VecId) -> VecId {
        let (e, f) = match self.width() {
            Width::W8 => self.by_bits(x),
            Width::W16 => self.by_parts(x),
        };
        let p = self.polynomial(f, &LN_1_PLUS);
        self.assign(p, BinaryOp::Mul, p, Operand::Vector(f));
        self.fma(f, f, Operand::Vector(p));
        self.add_multiple(f, e, std::f32::consts::LN_2);
        match self.width() {
            Width::W8 => self.at_the_ends(f, x),
            Width::W16 => f,
        }
    }

    /// `e` and `m - 1` where `x` is positive and not denormal.
    fn by_bits(&mut self, x: VecId) -> (VecId, VecId) {
        let above = self.with(BinaryOp::SubBits, x, 0.75);
        let e = self.shift(Shift::Right, above, 23);
        let e = self.unary(UnaryOp::FromInt, e);
        // The bits of -inf are those of sign and exponent.
        let exponent = self.with(BinaryOp::And, above, f32::NEG_INFINITY);
        let m = self.binary(BinaryOp::SubBits, x, exponent);
        (e, self.with(BinaryOp::Sub, m, 1.0))
    }

    /// `e` and `m - 1`; of 0 and inf `e` is infinite, below 0 `m` is NaN.
    fn by_parts(&mut self, x: VecId) -> (VecId, VecId) {
        let e = self.unary(UnaryOp::Exponent, x);
        let m = self.unary(UnaryOp::Mantissa, x);
        let of_m = self.unary(UnaryOp::Exponent, m);
        self.assign(e, BinaryOp::Sub, e, Operand::Vector(of_m));
        (e, self.with(BinaryOp::Sub, m, 1.0))
    }

    /// `y` where `x` is positive and not denormal; inf of inf, -inf of zeros and denormals, NaN of NaN and below zero.
    fn at_the_ends(&mut self, y: VecId, x: VecId) -> VecId {
        // Far below every logarithm, but for inf and NaN.
        let far = self.with(BinaryOp::Sub, x, f32::MAX);
        self.assign(y, BinaryOp::Max, y, Operand::Vector(far));
        let zero = self.zero();
        let low = self.compare(Predicate::Lt, x, zero);
        let low = self.with(BinaryOp::Or, low, f32::NEG_INFINITY);
        let least = self.splat(f32::MIN_POSITIVE);
        let mask = self.compare(Predicate::Lt, x, least);
        let dst = self.vector();
        self.push(Inst::Select { dst, mask, a: low, b: y });
        dst
    }

    fn compare(&mut self, op: Predicate, a: VecId, b: VecId) -> VecId {
        let dst = self.vector();
        self.push(Inst::Compare { op, dst, a, b });
        dst
    }
}
