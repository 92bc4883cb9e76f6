//! AVX-512 F and DQ: registers of 16 lanes; `k1` to `k6` hold the lanes of partial accesses, `k7` is free for one statement.

use iced_x86::code_asm::{AsmRegisterZmm, eax, registers};
use iced_x86::{Code, Instruction, Register};

use super::{Codes, Defect, Emitter, predicate};
use crate::leaf::Inst;

pub(super) const CODES: Codes = Codes {
    first: Register::ZMM0,
    load: Code::EVEX_Vmovups_zmm_k1z_zmmm512,
    store: Code::EVEX_Vmovups_zmmm512_k1z_zmm,
    copy: Code::EVEX_Vmovaps_zmm_k1z_zmmm512,
    broadcast: Code::EVEX_Vbroadcastss_zmm_k1z_xmmm32,
    fma: Code::EVEX_Vfmadd231ps_zmm_k1z_zmm_zmmm512b32_er,
    horner: Code::EVEX_Vfmadd213ps_zmm_k1z_zmm_zmmm512b32_er,
    add: Code::EVEX_Vaddps_zmm_k1z_zmm_zmmm512b32_er,
    sub: Code::EVEX_Vsubps_zmm_k1z_zmm_zmmm512b32_er,
    mul: Code::EVEX_Vmulps_zmm_k1z_zmm_zmmm512b32_er,
    div: Code::EVEX_Vdivps_zmm_k1z_zmm_zmmm512b32_er,
    min: Code::EVEX_Vminps_zmm_k1z_zmm_zmmm512b32_sae,
    max: Code::EVEX_Vmaxps_zmm_k1z_zmm_zmmm512b32_sae,
    and: Code::EVEX_Vpandd_zmm_k1z_zmm_zmmm512b32,
    and_not: Code::EVEX_Vpandnd_zmm_k1z_zmm_zmmm512b32,
    or: Code::EVEX_Vpord_zmm_k1z_zmm_zmmm512b32,
    xor: Code::EVEX_Vpxord_zmm_k1z_zmm_zmmm512b32,
    sub_bits: Code::EVEX_Vpsubd_zmm_k1z_zmm_zmmm512b32,
    scale: Some(Code::EVEX_Vscalefps_zmm_k1z_zmm_zmmm512b32_er),
    sqrt: Code::EVEX_Vsqrtps_zmm_k1z_zmmm512b32_er,
    round: Code::EVEX_Vrndscaleps_zmm_k1z_zmmm512b32_imm8_sae,
    from_int: Code::EVEX_Vcvtdq2ps_zmm_k1z_zmmm512b32_er,
    exponent: Some(Code::EVEX_Vgetexpps_zmm_k1z_zmmm512b32_sae),
    // From 3/4 up to 3/2; NaN below zero.
    mantissa: Some((Code::EVEX_Vgetmantps_zmm_k1z_zmmm512b32_imm8_sae, 0b10_11)),
    shift: [Code::EVEX_Vpslld_zmm_k1z_zmmm512b32_imm8, Code::EVEX_Vpsrad_zmm_k1z_zmmm512b32_imm8],
    interleave: [Code::EVEX_Vunpcklps_zmm_k1z_zmm_zmmm512b32, Code::EVEX_Vunpckhps_zmm_k1z_zmm_zmmm512b32],
    join: [Code::EVEX_Vunpcklpd_zmm_k1z_zmm_zmmm512b64, Code::EVEX_Vunpckhpd_zmm_k1z_zmm_zmmm512b64],
    quads: Code::EVEX_Vshuff32x4_zmm_k1z_zmm_zmmm512b32_imm8,
    select: [0b10_00_10_00, 0b11_01_11_01],
};

pub(super) fn typed(r: Register) -> Result<AsmRegisterZmm, Defect> {
    registers::zmm::get_zmm(r).ok_or_else(|| "not a register of 16 lanes".into())
}

/// Fills the mask registers; `eax` is free at the entry.
pub(super) fn set_masks(e: &mut Emitter) -> Result<(), Defect> {
    for (lanes, register) in e.registers.lane_masks.clone() {
        e.a.mov(eax, (1 << lanes) - 1)?;
        let mask = Register::K1 + u32::from(register);
        e.a.add_instruction(Instruction::with2(Code::VEX_Kmovw_kr_r32, mask, Register::EAX)?)?;
    }
    Ok(())
}

/// The statements that other widths write otherwise.
pub(super) fn inst(e: &mut Emitter, inst: &Inst) -> Result<(), Defect> {
    match inst {
        Inst::Load { dst, from, lanes } => {
            let mut load = Instruction::with2(CODES.load, e.vector(*dst)?, e.memory(from)?)?;
            load.set_op_mask(mask(e, *lanes)?);
            load.set_zeroing_masking(true);
            Ok(e.a.add_instruction(load)?)
        }
        Inst::Store { to, lanes, src } => {
            let mut store = Instruction::with2(CODES.store, e.memory(to)?, e.vector(*src)?)?;
            store.set_op_mask(mask(e, *lanes)?);
            Ok(e.a.add_instruction(store)?)
        }
        Inst::Compare { op, dst, a, b } => {
            let (dst, a, b) = (e.vector(*dst)?, e.vector(*a)?, e.vector(*b)?);
            let code = Code::EVEX_Vcmpps_kr_k1_zmm_zmmm512b32_imm8_sae;
            e.a.add_instruction(Instruction::with4(code, Register::K7, a, b, predicate(*op))?)?;
            Ok(e.a.add_instruction(Instruction::with2(Code::EVEX_Vpmovm2d_zmm_kr, dst, Register::K7)?)?)
        }
        Inst::Select { dst, mask, a, b } => {
            let (dst, mask) = (e.vector(*dst)?, e.vector(*mask)?);
            e.a.add_instruction(Instruction::with2(Code::EVEX_Vpmovd2m_kr_zmm, Register::K7, mask)?)?;
            let code = Code::EVEX_Vblendmps_zmm_k1z_zmm_zmmm512b32;
            let mut blend = Instruction::with3(code, dst, e.vector(*b)?, e.vector(*a)?)?;
            blend.set_op_mask(Register::K7);
            Ok(e.a.add_instruction(blend)?)
        }
        _ => Err("not a vector statement".into()),
    }
}

fn mask(e: &Emitter, lanes: u8) -> Result<Register, Defect> {
    let found = e.registers.lane_masks.get(&lanes);
    found.map(|r| Register::K1 + u32::from(*r)).ok_or_else(|| "no mask for these lanes".into())
}
