//! Expressions: scalars, and functions of scalars and vectors.

use cranelift_codegen::ir::types::{F32, F32X4, I64};
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Type, Value};
use octrt_ops::DType;
use octrt_ops::expr::{BinaryFn, BufId, Expr, Scalar, UnaryFn};

use super::emitter::{Binding, Emit, Emitter, Operand};
use super::math::{self, Math};
use super::scalar::{clif_type, float_condition};
use crate::nest::BufferRole;
use crate::nest::affine::{Affine, uses};
use crate::target::Target;

impl Emitter<'_, '_> {
    pub(super) fn load_flags(&self, b: BufId) -> MemFlagsData {
        let flags = MemFlagsData::new().with_notrap();
        // What a nest does not write it may load at any time, and once for many uses.
        match self.nest.buffers[b.index()].role {
            BufferRole::Src | BufferRole::Table(_) => flags.with_readonly().with_can_move(),
            BufferRole::Dst | BufferRole::Scratch => flags,
        }
    }

    /// Address of an element (of lane 0) and a constant offset, both in bytes.
    pub(super) fn address(&mut self, b: BufId, index: &[Expr]) -> Emit<(Value, i32)> {
        let buffer = &self.nest.buffers[b.0 as usize];
        let size = buffer.ty.dtype.size() as i64;
        let flat = Affine::flat(&buffer.ty.shape, index);
        // Terms that change in outer loops come first, so that their sums stay outside inner loops.
        let mut terms: Vec<(usize, i64, &Expr)> =
            flat.terms.iter().map(|(c, e)| (self.depth(e), c.wrapping_mul(size), e)).collect();
        terms.sort_by_key(|t| t.0);
        let mut offset = flat.constant.wrapping_mul(size);
        let mut address = self.bases[b.0 as usize];
        for (_, c, e) in terms {
            if let Expr::Var(v) = e {
                match self.bindings.get(v) {
                    Some(Binding::Constant(k)) => {
                        offset = offset.wrapping_add(c.wrapping_mul(*k));
                        continue;
                    }
                    Some(Binding::Lanes) => continue,
                    _ => {}
                }
            }
            let v = self.scalar(e)?.value();
            let scaled = if c == 1 { v } else { self.b.ins().imul_imm_s(v, c) };
            address = self.b.ins().iadd(address, scaled);
        }
        match i32::try_from(offset) {
            Ok(offset) => Ok((address, offset)),
            Err(_) => Ok((self.b.ins().iadd_imm_s(address, offset), 0)),
        }
    }

    /// Position of the innermost loop that the expression depends on, from 1; 0 when it depends on none.
    fn depth(&self, e: &Expr) -> usize {
        self.loops.iter().rposition(|l| uses(e, l.id)).map_or(0, |p| p + 1)
    }

    /// The value of an expression that is the same for all lanes.
    pub(super) fn scalar(&mut self, e: &Expr) -> Emit<Operand> {
        match e {
            Expr::Const(s) => Ok(self.constant(*s)),
            Expr::Var(v) => {
                let value = match self.bindings.get(v) {
                    Some(Binding::Counter(c)) => *c,
                    Some(Binding::Constant(k)) => self.b.ins().iconst(I64, *k),
                    other => return Err(format!("{v} is {other:?} in a scalar expression")),
                };
                Ok(Operand::Scalar(value, DType::I64))
            }
            Expr::Acc => self.acc.ok_or_else(|| "acc outside a reduction".into()),
            Expr::Load(b, index) => {
                let dtype = self.nest.buffers[b.0 as usize].ty.dtype;
                let (address, offset) = self.address(*b, index)?;
                let flags = self.load_flags(*b);
                Ok(Operand::Scalar(self.b.ins().load(clif_type(dtype), flags, address, offset), dtype))
            }
            Expr::Unary(f, a) => {
                let a = self.scalar(a)?;
                self.unary(*f, a)
            }
            Expr::Binary(f, a, b) => {
                if let Some(v) = self.div_by_constant(*f, a, b)? {
                    return Ok(v);
                }
                let (a, b) = (self.scalar(a)?, self.scalar(b)?);
                self.binary(*f, a, b)
            }
            Expr::Compare(f, a, b) => {
                let (a, b) = (self.scalar(a)?, self.scalar(b)?);
                Ok(Operand::Scalar(self.compare(*f, a, b), DType::Bool))
            }
            Expr::Select(c, a, b) => {
                if let Expr::Compare(f, x, y) = &**c
                    && let dtype @ (DType::F32 | DType::F64) = self.dtype(x)?
                    && self.dtype(a)? == dtype
                {
                    let operands = [self.scalar(x)?.value(), self.scalar(y)?.value()];
                    let values = [self.scalar(a)?.value(), self.scalar(b)?.value()];
                    let chosen = math::choose(self.b, float_condition(*f), operands, values);
                    return Ok(Operand::Scalar(chosen, dtype));
                }
                let (c, a, b) = (self.scalar(c)?, self.scalar(a)?, self.scalar(b)?);
                Ok(Operand::Scalar(self.b.ins().select(c.value(), a.value(), b.value()), a.dtype()))
            }
            Expr::Bits(a) => {
                let a = self.scalar(a)?;
                self.bits(a)
            }
            Expr::Cast(d, a) => {
                let a = self.scalar(a)?;
                Ok(Operand::Scalar(self.convert(a, *d), *d))
            }
        }
    }

    pub(super) fn unary(&mut self, f: UnaryFn, a: Operand) -> Emit<Operand> {
        let v = a.value();
        Ok(match a {
            Operand::Vector(_, DType::F32) => Operand::Vector(self.f32_unary(f, v, F32X4)?, DType::F32),
            Operand::Vector(_, d) => return Err(format!("{} of a vector of {d}", f.name())),
            Operand::Scalar(_, DType::F32) => Operand::Scalar(self.f32_unary(f, v, F32)?, DType::F32),
            Operand::Scalar(_, DType::F64) => Operand::Scalar(self.f64_unary(f, v)?, DType::F64),
            Operand::Scalar(_, d) => Operand::Scalar(self.int_unary(f, v, d)?, d),
        })
    }

    /// A function of an f32, or of a vector of them.
    fn f32_unary(&mut self, f: UnaryFn, v: Value, ty: Type) -> Emit<Value> {
        let fma = self.target.has_fma();
        let mut math = Math { b: &mut *self.b, ty, fma };
        Ok(match f {
            UnaryFn::Exp => math.exp(v),
            UnaryFn::Log => math.log(v),
            UnaryFn::Tanh => math.tanh(v),
            UnaryFn::Erf => math.erf(v),
            UnaryFn::RoundF16 => math.round_f16(v),
            UnaryFn::RoundBf16 => math.round_bf16(v),
            UnaryFn::Neg => self.b.ins().fneg(v),
            UnaryFn::Abs => self.b.ins().fabs(v),
            UnaryFn::Sqrt => self.b.ins().sqrt(v),
            UnaryFn::Floor => self.b.ins().floor(v),
            UnaryFn::Ceil => self.b.ins().ceil(v),
            UnaryFn::Round => self.b.ins().nearest(v),
            UnaryFn::Not => return Err("not of f32".into()),
            _ if ty == F32 => self.promoted_unary(f, v)?,
            _ => {
                let mut lanes = v;
                for k in 0..Target::LANES as u8 {
                    let lane = self.b.ins().extractlane(v, k);
                    let y = self.promoted_unary(f, lane)?;
                    lanes = self.b.ins().insertlane(lanes, y, k);
                }
                lanes
            }
        })
    }

    pub(super) fn binary(&mut self, f: BinaryFn, a: Operand, b: Operand) -> Emit<Operand> {
        let (a, b) = match (a, b) {
            (Operand::Vector(..), b) => (a, self.widen(b)),
            (a, Operand::Vector(..)) => (self.widen(a), b),
            _ => (a, b),
        };
        let (x, y) = (a.value(), b.value());
        if a.dtype() != b.dtype() {
            return Err(format!("{} of {} and {}", f.name(), a.dtype(), b.dtype()));
        }
        let value = match a.dtype() {
            DType::F32 => self.float_binary(f, x, y, matches!(a, Operand::Vector(..)))?,
            DType::I32 if matches!(a, Operand::Vector(..)) => self.int_lanes(f, x, y)?,
            DType::F64 => self.f64_binary(f, x, y)?,
            DType::Bool => match f {
                BinaryFn::And => self.b.ins().band(x, y),
                BinaryFn::Or => self.b.ins().bor(x, y),
                BinaryFn::Xor => self.b.ins().bxor(x, y),
                _ => return Err(format!("{} of bool", f.name())),
            },
            d => self.int_binary(f, x, y, d)?,
        };
        Ok(match a {
            Operand::Vector(_, d) => Operand::Vector(value, d),
            Operand::Scalar(_, d) => Operand::Scalar(value, d),
        })
    }

    fn float_binary(&mut self, f: BinaryFn, x: Value, y: Value, vector: bool) -> Emit<Value> {
        Ok(match f {
            BinaryFn::Add => self.b.ins().fadd(x, y),
            BinaryFn::Sub => self.b.ins().fsub(x, y),
            BinaryFn::Mul => self.b.ins().fmul(x, y),
            BinaryFn::Div => self.b.ins().fdiv(x, y),
            BinaryFn::Min => self.b.ins().fmin(x, y),
            BinaryFn::Max => self.b.ins().fmax(x, y),
            BinaryFn::Pow | BinaryFn::Rem if !vector => {
                let fma = self.target.has_fma();
                match f {
                    BinaryFn::Pow => Math { b: &mut *self.b, ty: F32, fma }.pow(x, y),
                    _ => self.f32_rem(x, y),
                }
            }
            BinaryFn::Pow | BinaryFn::Rem => {
                let mut lanes = x;
                for k in 0..Target::LANES as u8 {
                    let (xk, yk) = (self.b.ins().extractlane(x, k), self.b.ins().extractlane(y, k));
                    let p = self.float_binary(f, xk, yk, false)?;
                    lanes = self.b.ins().insertlane(lanes, p, k);
                }
                lanes
            }
            _ => return Err(format!("{} of f32", f.name())),
        })
    }

    /// Division of an i64 by a positive literal needs no guard.
    fn div_by_constant(&mut self, f: BinaryFn, a: &Expr, b: &Expr) -> Emit<Option<Operand>> {
        let Expr::Const(Scalar::I64(d)) = b else { return Ok(None) };
        if *d <= 0 || !matches!(f, BinaryFn::Div | BinaryFn::Rem) {
            return Ok(None);
        }
        let a = self.scalar(a)?.value();
        let d = self.b.ins().iconst(I64, *d);
        let v = if f == BinaryFn::Div { self.b.ins().sdiv(a, d) } else { self.b.ins().srem(a, d) };
        Ok(Some(Operand::Scalar(v, DType::I64)))
    }
}
