//! Expressions for all lanes of the vector loop at once.

use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::types::{F32X4, I8X16, I16X8, I32, I32X4, I64, I64X2};
use cranelift_codegen::ir::{Endianness, InstBuilder, MemFlagsData, Type, Value};
use octrt_ops::DType;
use octrt_ops::expr::{BinaryFn, BufId, CompareFn, Expr, Scalar, UnaryFn, VarId};

use super::emitter::{Binding, Emit, Emitter, Operand};
use super::scalar::{float_condition, int_condition};
use crate::nest::affine::{Affine, uses};
use crate::nest::lanes::{self, in_i32};
use crate::target::Target;

impl Emitter<'_, '_> {
    /// The variable of the vector loop, where all its lanes are wanted.
    fn lanes(&self) -> Option<VarId> {
        self.bindings.iter().find(|(_, b)| matches!(b, Binding::Lanes)).map(|(v, _)| *v)
    }

    /// The value of an expression; a vector only where it differs between lanes.
    pub(super) fn operand(&mut self, e: &Expr) -> Emit<Operand> {
        let Some(lane) = self.lanes() else { return self.scalar(e) };
        let acc_is_vector = matches!(self.acc, Some(Operand::Vector(..)));
        let mut varies = uses(e, lane);
        e.visit(&mut |e| varies |= acc_is_vector && matches!(e, Expr::Acc));
        if !varies {
            return self.scalar(e);
        }
        match e {
            Expr::Acc => self.acc.ok_or_else(|| "acc outside a reduction".into()),
            Expr::Load(b, index) => self.load_lanes(e, *b, index, lane),
            Expr::Unary(f, a) if self.dtype(e)? == DType::F32 => {
                let a = self.operand(a)?;
                self.unary(*f, a)
            }
            Expr::Unary(UnaryFn::Not, a) if self.dtype(e)? == DType::Bool => {
                let a = self.operand(a)?;
                let (a, one) = (self.widen(a), self.ones());
                Ok(Operand::Vector(self.b.ins().bxor(a.value(), one), DType::Bool))
            }
            Expr::Binary(f, a, b) if lanes::computes(*f, self.dtype(e)?) => {
                let (a, b) = (self.operand(a)?, self.operand(b)?);
                self.binary(*f, a, b)
            }
            Expr::Select(c, a, b) => self.select_lanes(e, c, a, b, lane),
            Expr::Cast(to, a) if lanes::converts(self.dtype(a)?, *to) => {
                let a = self.operand(a)?;
                Ok(self.convert_lanes(a, *to))
            }
            Expr::Compare(f, a, b) if matches!(self.dtype(a)?, DType::F32 | DType::I32) => {
                let (mask, one) = (self.mask(*f, a, b)?, self.ones());
                Ok(Operand::Vector(self.b.ins().band(mask, one), DType::Bool))
            }
            _ => self.each_lane(e, lane),
        }
    }

    /// What `true` is in every lane.
    fn ones(&mut self) -> Value {
        let one = self.b.ins().iconst(I32, 1);
        self.b.ins().splat(I32X4, one)
    }

    /// Evaluates lane by lane: always right, seldom fast. The result must be what lanes hold.
    fn each_lane(&mut self, e: &Expr, lane: VarId) -> Emit<Operand> {
        let acc = self.acc;
        let mut vector = None;
        for k in 0..Target::LANES {
            self.bindings.insert(lane, Binding::Constant(k as i64));
            if let Some(Operand::Vector(v, d)) = acc {
                self.acc = Some(Operand::Scalar(self.b.ins().extractlane(v, k as u8), d));
            }
            let s = self.scalar(e)?;
            if s.dtype() != DType::F32 && !in_i32(s.dtype()) {
                return Err(format!("a vector of {} in `{e}`", s.dtype()));
            }
            let value = self.as_lane(s);
            vector = Some(match vector {
                None => {
                    let ty = if s.dtype() == DType::F32 { F32X4 } else { I32X4 };
                    Operand::Vector(self.b.ins().scalar_to_vector(ty, value), s.dtype())
                }
                Some(v) => {
                    Operand::Vector(self.b.ins().insertlane(Operand::value(&v), value, k as u8), s.dtype())
                }
            });
        }
        self.acc = acc;
        self.bindings.insert(lane, Binding::Lanes);
        vector.ok_or_else(|| "no lanes".into())
    }

    /// A scalar as a lane holds it.
    fn as_lane(&mut self, s: Operand) -> Value {
        match s.dtype() {
            d if in_i32(d) && d != DType::I32 => self.integer(s.value(), d, DType::I32),
            _ => s.value(),
        }
    }

    fn load_lanes(&mut self, e: &Expr, b: BufId, index: &[Expr], lane: VarId) -> Emit<Operand> {
        let buffer = &self.nest.buffers[b.0 as usize];
        let contiguous = Affine::flat(&buffer.ty.shape, index).stride(lane) == Some(1);
        let dtype = buffer.ty.dtype;
        if !contiguous || !(dtype == DType::F32 || in_i32(dtype)) {
            return self.each_lane(e, lane);
        }
        let (address, offset) = self.address(b, index)?;
        let flags = self.load_flags(b);
        let mut load = |ty: Type| self.b.ins().load(ty, flags, address, offset);
        let lanes = match dtype.size() {
            4 => load(if dtype == DType::F32 { F32X4 } else { I32X4 }),
            2 => {
                let four = load(I64);
                let four = self.b.ins().scalar_to_vector(I64X2, four);
                let words = self.bits_of(I16X8, four);
                self.widen_low(words, dtype)
            }
            _ => {
                let four = load(I32);
                let four = self.b.ins().scalar_to_vector(I32X4, four);
                let bytes = self.bits_of(I8X16, four);
                let words = self.widen_low(bytes, dtype);
                self.widen_low(words, dtype)
            }
        };
        Ok(Operand::Vector(lanes, dtype))
    }

    /// The first half of the lanes, twice as wide.
    fn widen_low(&mut self, v: Value, dtype: DType) -> Value {
        match dtype.is_unsigned() || dtype == DType::Bool {
            true => self.b.ins().uwiden_low(v),
            false => self.b.ins().swiden_low(v),
        }
    }

    fn bits_of(&mut self, ty: Type, v: Value) -> Value {
        let flags = MemFlagsData::new().with_endianness(Endianness::Little);
        self.b.ins().bitcast(ty, flags, v)
    }

    fn select_lanes(&mut self, e: &Expr, c: &Expr, a: &Expr, b: &Expr, lane: VarId) -> Emit<Operand> {
        let dtype = self.dtype(a)?;
        if dtype != DType::F32 {
            return self.each_lane(e, lane);
        }
        if !uses(c, lane) && !matches!(self.acc, Some(Operand::Vector(..))) {
            let c = self.scalar(c)?;
            let (a, b) = (self.operand(a)?, self.operand(b)?);
            let (a, b) = (self.widen(a), self.widen(b));
            return Ok(Operand::Vector(self.b.ins().select(c.value(), a.value(), b.value()), dtype));
        }
        let mask = match c {
            Expr::Compare(f, x, y) if matches!(self.dtype(x)?, DType::F32 | DType::I32) => {
                self.mask(*f, x, y)?
            }
            c => {
                let c = self.operand(c)?;
                let (c, one) = (self.widen(c), self.ones());
                self.b.ins().icmp(IntCC::Equal, c.value(), one)
            }
        };
        let mask = self.bits_of(F32X4, mask);
        let (a, b) = (self.operand(a)?, self.operand(b)?);
        let (a, b) = (self.widen(a), self.widen(b));
        Ok(Operand::Vector(self.b.ins().bitselect(mask, a.value(), b.value()), dtype))
    }

    /// All bits of the lanes in which a comparison of f32 or i32 holds.
    fn mask(&mut self, f: CompareFn, x: &Expr, y: &Expr) -> Emit<Value> {
        let (x, y) = (self.operand(x)?, self.operand(y)?);
        let (x, y) = (self.widen(x), self.widen(y));
        Ok(match x.dtype() {
            DType::F32 => self.b.ins().fcmp(float_condition(f), x.value(), y.value()),
            d => self.b.ins().icmp(int_condition(f, d), x.value(), y.value()),
        })
    }

    pub(super) fn dtype(&self, e: &Expr) -> Emit<DType> {
        let buffers = |b: BufId| self.nest.buffers.get(b.0 as usize).map(|k| k.ty.dtype);
        e.dtype(&buffers, self.acc.map(|a| a.dtype())).map_err(|e| e.to_string())
    }

    /// The operand in every lane.
    pub(super) fn widen(&mut self, v: Operand) -> Operand {
        match v {
            Operand::Scalar(_, d) if d == DType::F32 || in_i32(d) => {
                let ty = if d == DType::F32 { F32X4 } else { I32X4 };
                let lane = self.as_lane(v);
                Operand::Vector(self.b.ins().splat(ty, lane), d)
            }
            other => other,
        }
    }

    /// Functions of i32 that [`lanes::computes`] names.
    pub(super) fn int_lanes(&mut self, f: BinaryFn, x: Value, y: Value) -> Emit<Value> {
        Ok(match f {
            BinaryFn::Add => self.b.ins().iadd(x, y),
            BinaryFn::Sub => self.b.ins().isub(x, y),
            BinaryFn::Mul => self.b.ins().imul(x, y),
            BinaryFn::Min => self.b.ins().smin(x, y),
            BinaryFn::Max => self.b.ins().smax(x, y),
            BinaryFn::And => self.b.ins().band(x, y),
            BinaryFn::Or => self.b.ins().bor(x, y),
            BinaryFn::Xor => self.b.ins().bxor(x, y),
            _ => return Err(format!("{} of a vector of i32", f.name())),
        })
    }

    /// A conversion that [`lanes::converts`] names.
    fn convert_lanes(&mut self, a: Operand, to: DType) -> Operand {
        let a = self.widen(a);
        let v = match (a.dtype(), to) {
            (from, to) if from == to => a.value(),
            (DType::F32, DType::Bool) => {
                let zero = self.b.ins().f32const(0.0);
                let (zero, one) = (self.b.ins().splat(F32X4, zero), self.ones());
                let mask = self.b.ins().fcmp(FloatCC::NotEqual, a.value(), zero);
                self.b.ins().band(mask, one)
            }
            (DType::F32, to) => {
                let whole = self.b.ins().fcvt_to_sint_sat(I32X4, a.value());
                if to == DType::I32 { whole } else { self.limited(whole, to) }
            }
            (_, DType::F32) => self.b.ins().fcvt_from_sint(F32X4, a.value()),
            // As wide as lanes are.
            _ => a.value(),
        };
        Operand::Vector(v, to)
    }

    /// Lanes of i32 limited to the range of a narrower type.
    fn limited(&mut self, v: Value, to: DType) -> Value {
        let (low, high) = Scalar::limits(to);
        let [low, high] = [low, high].map(|s| {
            let limit = self.b.ins().iconst(I32, s.int().unwrap_or(0) as i64 & 0xffff_ffff);
            self.b.ins().splat(I32X4, limit)
        });
        let v = self.b.ins().smax(v, low);
        self.b.ins().smin(v, high)
    }

    /// What is stored of an operand: lanes that are in i32, in their own width.
    pub(super) fn narrowed(&mut self, value: Operand) -> Value {
        let Operand::Vector(v, d) = value else { return value.value() };
        if matches!(d, DType::F32 | DType::I32) {
            return v;
        }
        // Every lane is in the range of its type, so that nothing saturates.
        let words = match d {
            DType::U16 => self.b.ins().unarrow(v, v),
            _ => self.b.ins().snarrow(v, v),
        };
        match d.size() {
            2 => {
                let pairs = self.bits_of(I64X2, words);
                self.b.ins().extractlane(pairs, 0)
            }
            _ => {
                let bytes = match d {
                    DType::U8 => self.b.ins().unarrow(words, words),
                    _ => self.b.ins().snarrow(words, words),
                };
                let four = self.bits_of(I32X4, bytes);
                self.b.ins().extractlane(four, 0)
            }
        }
    }
}
