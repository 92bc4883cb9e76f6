//! Vector instructions.

use iced_x86::{Instruction, Mnemonic, OpKind, Register};

use super::machine::{Machine, Stop, index, place};
use crate::leaf::interp::{binary, compare, shift, unary};
use crate::leaf::{BinaryOp, Predicate, Shift, UnaryOp};

/// A vector register as bits.
type Bits = [u32; 16];

impl Machine {
    /// Executes one vector instruction.
    pub(super) fn vector_step(&mut self, i: &Instruction) -> Result<(), Stop> {
        match i.mnemonic() {
            Mnemonic::Vzeroupper => {
                self.vectors[..16].iter_mut().for_each(|v| v[4..].fill(0));
                return Ok(());
            }
            Mnemonic::Vmaskmovps => return self.vmaskmovps(i),
            Mnemonic::Vcmpps => return self.vcmpps(i),
            Mnemonic::Vpmovd2m => {
                let signs = self.vectors[number(i, 1)?].map(|bits| bits >> 31 == 1);
                return self.set_mask(i, signs, lanes(i.op1_register())?);
            }
            Mnemonic::Vblendmps => return self.vblendmps(i),
            Mnemonic::Vmovups | Mnemonic::Vmovaps if i.op0_kind() == OpKind::Memory => {
                let (to, value) = (self.effective(i)?, self.vectors[number(i, 1)?]);
                let (lanes, mask) = (lanes(i.op1_register())?, op_mask(&self.masks, i));
                return self.store(to, value, |lane| selected(lane, lanes, mask));
            }
            _ => {}
        }
        let lanes = lanes(i.op0_register())?;
        let value = match i.mnemonic() {
            Mnemonic::Vmovups | Mnemonic::Vmovaps => self.source(i, 1, lanes)?,
            Mnemonic::Vbroadcastss => [self.load(self.effective(i)?, |lane| lane == 0)?[0]; 16],
            Mnemonic::Vfmadd231ps | Mnemonic::Vfmadd213ps => {
                let (first, a, last) =
                    (self.source(i, 0, lanes)?, self.source(i, 1, lanes)?, self.source(i, 2, lanes)?);
                let (c, b) = match i.mnemonic() {
                    Mnemonic::Vfmadd231ps => (first, last),
                    _ => (last, first),
                };
                let f = f32::from_bits;
                std::array::from_fn(|lane| f(a[lane]).mul_add(f(b[lane]), f(c[lane])).to_bits())
            }
            Mnemonic::Vunpcklps | Mnemonic::Vunpckhps | Mnemonic::Vunpcklpd | Mnemonic::Vunpckhpd => {
                unpack(i.mnemonic(), self.source(i, 1, lanes)?, self.source(i, 2, lanes)?)
            }
            Mnemonic::Vperm2f128 | Mnemonic::Vshuff32x4 => {
                let sources = [self.source(i, 1, lanes)?, self.source(i, 2, lanes)?];
                let groups = quads(i.mnemonic(), i.immediate8().into(), lanes / 4).ok_or(Stop::Unknown)?;
                std::array::from_fn(|lane| {
                    let (of, quad) = groups[lane / 4];
                    sources[of][4 * quad + lane % 4]
                })
            }
            Mnemonic::Vpmovm2d => {
                let mask = self.masks[index(i.op1_register(), Register::K0)?];
                std::array::from_fn(|lane| if mask >> lane & 1 == 1 { u32::MAX } else { 0 })
            }
            Mnemonic::Vblendvps => {
                let (b, a) = (self.source(i, 1, lanes)?, self.source(i, 2, lanes)?);
                let mask = self.source(i, 3, lanes)?;
                std::array::from_fn(|lane| if mask[lane] >> 31 == 1 { a[lane] } else { b[lane] })
            }
            Mnemonic::Vpslld | Mnemonic::Vpsrad if i.op2_kind() == OpKind::Immediate8 => {
                let op = if i.mnemonic() == Mnemonic::Vpslld { Shift::Left } else { Shift::Right };
                self.source(i, 1, lanes)?.map(|bits| shift(op, bits, i.immediate8().into()))
            }
            m => {
                if let Some(op) = function(m, i) {
                    let a = self.source(i, 1, lanes)?;
                    return self.assign(i, a.map(|bits| unary(op, f32::from_bits(bits)).to_bits()), lanes);
                }
                let op = operation(m).ok_or(Stop::Unknown)?;
                let (a, b) = (self.source(i, 1, lanes)?, self.source(i, 2, lanes)?);
                let f = f32::from_bits;
                std::array::from_fn(|lane| binary(op, f(a[lane]), f(b[lane])).to_bits())
            }
        };
        self.assign(i, value, lanes)
    }

    /// Writes the first operand; lanes that a mask leaves out become zero, as do those past the register's width.
    fn assign(&mut self, i: &Instruction, value: Bits, lanes: usize) -> Result<(), Stop> {
        let mask = op_mask(&self.masks, i);
        if i.op_mask() != Register::None && !i.zeroing_masking() {
            return Err(Stop::Unknown);
        }
        self.vectors[number(i, 0)?] =
            std::array::from_fn(|lane| if selected(lane, lanes, mask) { value[lane] } else { 0 });
        Ok(())
    }

    /// The lanes of an operand: a register or memory. Memory is read in the lanes of the mask only.
    fn source(&self, i: &Instruction, operand: u32, lanes: usize) -> Result<Bits, Stop> {
        match i.op_kind(operand) {
            OpKind::Register => Ok(self.vectors[number(i, operand)?]),
            OpKind::Memory if i.is_broadcast() => {
                Ok([self.load(self.effective(i)?, |lane| lane == 0)?[0]; 16])
            }
            OpKind::Memory => {
                let mask = op_mask(&self.masks, i);
                self.load(self.effective(i)?, |lane| selected(lane, lanes, mask))
            }
            _ => Err(Stop::Unknown),
        }
    }

    fn load(&self, from: u64, wanted: impl Fn(usize) -> bool) -> Result<Bits, Stop> {
        let mut out = [0; 16];
        for lane in (0..16).filter(|&lane| wanted(lane)) {
            let mut bytes = [0; 4];
            self.memory.load(place(from.wrapping_add(4 * lane as u64)), &mut bytes)?;
            out[lane] = u32::from_le_bytes(bytes);
        }
        Ok(out)
    }

    fn store(&mut self, to: u64, value: Bits, wanted: impl Fn(usize) -> bool) -> Result<(), Stop> {
        for lane in (0..16).filter(|&lane| wanted(lane)) {
            self.memory.store(place(to.wrapping_add(4 * lane as u64)), &value[lane].to_le_bytes())?;
        }
        Ok(())
    }

    fn vmaskmovps(&mut self, i: &Instruction) -> Result<(), Stop> {
        let mask = self.vectors[number(i, 1)?];
        let at = self.effective(i)?;
        let wanted = |lane: usize| lane < 8 && mask[lane] >> 31 == 1;
        if i.op0_kind() == OpKind::Memory {
            let value = self.vectors[number(i, 2)?];
            return self.store(at, value, wanted);
        }
        let value = self.load(at, wanted)?;
        self.assign(i, value, 8)
    }

    fn vcmpps(&mut self, i: &Instruction) -> Result<(), Stop> {
        let op = asked(i.immediate8()).filter(|_| i.op_mask() == Register::None).ok_or(Stop::Unknown)?;
        let lanes = lanes(i.op1_register())?;
        let (a, b) = (self.source(i, 1, lanes)?, self.source(i, 2, lanes)?);
        let f = f32::from_bits;
        let found: [bool; 16] = std::array::from_fn(|lane| compare(op, f(a[lane]), f(b[lane])));
        if i.op0_register().is_k() {
            return self.set_mask(i, found, lanes);
        }
        self.assign(i, found.map(|yes| if yes { u32::MAX } else { 0 }), lanes)
    }

    /// Assigns the first operand, a mask.
    fn set_mask(&mut self, i: &Instruction, set: [bool; 16], lanes: usize) -> Result<(), Stop> {
        let bits = (0..lanes).filter(|&lane| set[lane]).map(|lane| 1 << lane).sum();
        self.masks[index(i.op0_register(), Register::K0)?] = bits;
        Ok(())
    }

    /// The second source in the lanes of the mask, the first in the others.
    fn vblendmps(&mut self, i: &Instruction) -> Result<(), Stop> {
        if i.zeroing_masking() {
            return Err(Stop::Unknown);
        }
        let mask = op_mask(&self.masks, i);
        let [b, a] = [self.vectors[number(i, 1)?], self.vectors[number(i, 2)?]];
        let chosen = |lane: usize| if selected(lane, 16, mask) { a[lane] } else { b[lane] };
        self.vectors[number(i, 0)?] = std::array::from_fn(chosen);
        Ok(())
    }
}

/// In each 128 bits, the low or high halves of both by turns: elements of 32 or 64 bits.
fn unpack(m: Mnemonic, a: Bits, b: Bits) -> Bits {
    let mut out = [0; 16];
    for at in (0..16).step_by(4) {
        let [a, b] = [&a[at..at + 4], &b[at..at + 4]];
        let quad = match m {
            Mnemonic::Vunpcklps => [a[0], b[0], a[1], b[1]],
            Mnemonic::Vunpckhps => [a[2], b[2], a[3], b[3]],
            Mnemonic::Vunpcklpd => [a[0], a[1], b[0], b[1]],
            _ => [a[2], a[3], b[2], b[3]],
        };
        out[at..at + 4].copy_from_slice(&quad);
    }
    out
}

/// Where each 128 bits of the result come from: an operand and 128 bits of it. Those beyond the width do not matter.
fn quads(m: Mnemonic, select: usize, width: usize) -> Option<[(usize, usize); 4]> {
    match (m, width) {
        (Mnemonic::Vperm2f128, 2) if select & 0x88 == 0 => {
            let of = |control: usize| (control >> 1 & 1, control & 1);
            Some([of(select), of(select >> 4), (0, 0), (0, 0)])
        }
        (Mnemonic::Vshuff32x4, 4) => Some(std::array::from_fn(|q| (q / 2, select >> (2 * q) & 3))),
        _ => None,
    }
}

fn operation(m: Mnemonic) -> Option<BinaryOp> {
    Some(match m {
        Mnemonic::Vaddps => BinaryOp::Add,
        Mnemonic::Vsubps => BinaryOp::Sub,
        Mnemonic::Vmulps => BinaryOp::Mul,
        Mnemonic::Vdivps => BinaryOp::Div,
        Mnemonic::Vminps => BinaryOp::Min,
        Mnemonic::Vmaxps => BinaryOp::Max,
        Mnemonic::Vandps | Mnemonic::Vpandd => BinaryOp::And,
        Mnemonic::Vandnps | Mnemonic::Vpandnd => BinaryOp::AndNot,
        Mnemonic::Vorps | Mnemonic::Vpord => BinaryOp::Or,
        Mnemonic::Vxorps | Mnemonic::Vpxord => BinaryOp::Xor,
        Mnemonic::Vpsubd => BinaryOp::SubBits,
        Mnemonic::Vscalefps => BinaryOp::Scale,
        _ => return None,
    })
}

fn function(m: Mnemonic, i: &Instruction) -> Option<UnaryOp> {
    Some(match m {
        Mnemonic::Vsqrtps => UnaryOp::Sqrt,
        Mnemonic::Vcvtdq2ps => UnaryOp::FromInt,
        Mnemonic::Vgetexpps => UnaryOp::Exponent,
        Mnemonic::Vgetmantps if i.immediate8() == 0b10_11 => UnaryOp::Mantissa,
        Mnemonic::Vroundps | Mnemonic::Vrndscaleps => match i.immediate8() {
            8 => UnaryOp::Round,
            9 => UnaryOp::Floor,
            10 => UnaryOp::Ceil,
            _ => return None,
        },
        _ => return None,
    })
}

/// What an immediate of `vcmpps` asks, where it raises nothing.
fn asked(immediate: u8) -> Option<Predicate> {
    Some(match immediate {
        0x00 => Predicate::Eq,
        0x03 => Predicate::Unordered,
        0x04 => Predicate::Ne,
        0x11 => Predicate::Lt,
        0x12 => Predicate::Le,
        0x1d => Predicate::Ge,
        0x1e => Predicate::Gt,
        _ => return None,
    })
}

/// Lanes of a vector register.
fn lanes(r: Register) -> Result<usize, Stop> {
    match r {
        r if r.is_ymm() => Ok(8),
        r if r.is_zmm() => Ok(16),
        _ => Err(Stop::Unknown),
    }
}

/// Number of the vector register that an operand is.
fn number(i: &Instruction, operand: u32) -> Result<usize, Stop> {
    index(
        i.op_register(operand),
        if lanes(i.op_register(operand))? == 8 { Register::YMM0 } else { Register::ZMM0 },
    )
}

/// The lanes that an instruction's mask selects, as bits; all without a mask.
fn op_mask(masks: &[u64; 8], i: &Instruction) -> u64 {
    match i.op_mask() {
        Register::None => u64::MAX,
        k => index(k, Register::K0).map_or(0, |k| masks[k]),
    }
}

fn selected(lane: usize, lanes: usize, mask: u64) -> bool {
    lane < lanes && mask >> lane & 1 == 1
}
