//! AVX2: registers of 8 lanes; the lanes of partial accesses are the signs of a vector register.

use iced_x86::code_asm::{AsmRegisterYmm, registers, ymmword_ptr};
use iced_x86::{Code, Instruction, Register};

use super::{Codes, Defect, Emitter, predicate};
use crate::leaf::Inst;

pub(super) const CODES: Codes = Codes {
    first: Register::YMM0,
    load: Code::VEX_Vmovups_ymm_ymmm256,
    store: Code::VEX_Vmovups_ymmm256_ymm,
    copy: Code::VEX_Vmovaps_ymm_ymmm256,
    broadcast: Code::VEX_Vbroadcastss_ymm_m32,
    fma: Code::VEX_Vfmadd231ps_ymm_ymm_ymmm256,
    horner: Code::VEX_Vfmadd213ps_ymm_ymm_ymmm256,
    add: Code::VEX_Vaddps_ymm_ymm_ymmm256,
    sub: Code::VEX_Vsubps_ymm_ymm_ymmm256,
    mul: Code::VEX_Vmulps_ymm_ymm_ymmm256,
    div: Code::VEX_Vdivps_ymm_ymm_ymmm256,
    min: Code::VEX_Vminps_ymm_ymm_ymmm256,
    max: Code::VEX_Vmaxps_ymm_ymm_ymmm256,
    and: Code::VEX_Vandps_ymm_ymm_ymmm256,
    and_not: Code::VEX_Vandnps_ymm_ymm_ymmm256,
    or: Code::VEX_Vorps_ymm_ymm_ymmm256,
    xor: Code::VEX_Vxorps_ymm_ymm_ymmm256,
    sub_bits: Code::VEX_Vpsubd_ymm_ymm_ymmm256,
    scale: None,
    sqrt: Code::VEX_Vsqrtps_ymm_ymmm256,
    round: Code::VEX_Vroundps_ymm_ymmm256_imm8,
    from_int: Code::VEX_Vcvtdq2ps_ymm_ymmm256,
    exponent: None,
    mantissa: None,
    shift: [Code::VEX_Vpslld_ymm_ymm_imm8, Code::VEX_Vpsrad_ymm_ymm_imm8],
    interleave: [Code::VEX_Vunpcklps_ymm_ymm_ymmm256, Code::VEX_Vunpckhps_ymm_ymm_ymmm256],
    join: [Code::VEX_Vunpcklpd_ymm_ymm_ymmm256, Code::VEX_Vunpckhpd_ymm_ymm_ymmm256],
    quads: Code::VEX_Vperm2f128_ymm_ymm_ymmm256_imm8,
    select: [0x20, 0x31],
};

pub(super) fn typed(r: Register) -> Result<AsmRegisterYmm, Defect> {
    registers::ymm::get_ymm(r).ok_or_else(|| "not a register of 8 lanes".into())
}

/// The statements that other widths write otherwise.
pub(super) fn inst(e: &mut Emitter, inst: &Inst) -> Result<(), Defect> {
    match inst {
        Inst::Load { dst, from, lanes } => {
            let (dst, memory) = (e.vector(*dst)?, e.memory(from)?);
            mask(e, dst, *lanes)?;
            Ok(e.a.add_instruction(Instruction::with3(
                Code::VEX_Vmaskmovps_ymm_ymm_m256,
                dst,
                dst,
                memory,
            )?)?)
        }
        Inst::Store { to, lanes, src } => {
            let (memory, src) = (e.memory(to)?, e.vector(*src)?);
            let free = e.registers.store_masks.get(e.partial_stores);
            let free = *free.ok_or("a partial store has no register")?;
            e.partial_stores += 1;
            let free = e.vector_register(free);
            mask(e, free, *lanes)?;
            Ok(e.a.add_instruction(Instruction::with3(
                Code::VEX_Vmaskmovps_m256_ymm_ymm,
                memory,
                free,
                src,
            )?)?)
        }
        Inst::Compare { op, dst, a, b } => {
            let (dst, a, b) = (e.vector(*dst)?, e.vector(*a)?, e.vector(*b)?);
            let code = Code::VEX_Vcmpps_ymm_ymm_ymmm256_imm8;
            Ok(e.a.add_instruction(Instruction::with4(code, dst, a, b, predicate(*op))?)?)
        }
        Inst::Select { dst, mask, a, b } => {
            let (dst, mask) = (e.vector(*dst)?, e.vector(*mask)?);
            let code = Code::VEX_Vblendvps_ymm_ymm_ymmm256_ymm;
            Ok(e.a.add_instruction(Instruction::with4(code, dst, e.vector(*b)?, e.vector(*a)?, mask)?)?)
        }
        _ => Err("not a vector statement".into()),
    }
}

/// Loads the mask of the first `lanes`: the 8 words of the table from `8 - lanes` on.
fn mask(e: &mut Emitter, dst: Register, lanes: u8) -> Result<(), Defect> {
    if e.masks.is_empty() {
        e.masks = (0..8).map(|_| e.a.create_label()).collect();
    }
    let label = e.masks.get(usize::from(8 - lanes)).ok_or("a partial access of too many lanes")?;
    Ok(e.a.vmovups(typed(dst)?, ymmword_ptr(*label))?)
}

/// Words of the table of masks.
pub(super) fn mask_words(e: &Emitter) -> usize {
    if e.masks.is_empty() { 0 } else { 16 }
}

/// Writes the table of masks behind the code: 8 words of ones, each with a label, and 8 of zeros.
pub(super) fn mask_table(e: &mut Emitter) -> Result<(), Defect> {
    if e.masks.is_empty() {
        return Ok(());
    }
    for mut label in std::mem::take(&mut e.masks) {
        e.a.set_label(&mut label)?;
        e.a.dd(&[u32::MAX])?;
    }
    Ok(e.a.dd(&[0; 8])?)
}
