//! AVX-512 F: registers of 16 lanes; `k1` to `k6` hold the lanes of partial accesses, `k7` is free for one statement.

use iced_x86::code_asm::{AsmRegisterZmm, eax, registers};
use iced_x86::{Code, Instruction, Register};

use super::avx2::UNORDERED;
use super::{Codes, Defect, Emitter};
use crate::leaf::Inst;

pub(super) const CODES: Codes = Codes {
    first: Register::ZMM0,
    load: Code::EVEX_Vmovups_zmm_k1z_zmmm512,
    store: Code::EVEX_Vmovups_zmmm512_k1z_zmm,
    copy: Code::EVEX_Vmovaps_zmm_k1z_zmmm512,
    broadcast: Code::EVEX_Vbroadcastss_zmm_k1z_xmmm32,
    zero: Code::EVEX_Vpxord_zmm_k1z_zmm_zmmm512b32,
    fma: Code::EVEX_Vfmadd231ps_zmm_k1z_zmm_zmmm512b32_er,
    add: Code::EVEX_Vaddps_zmm_k1z_zmm_zmmm512b32_er,
    sub: Code::EVEX_Vsubps_zmm_k1z_zmm_zmmm512b32_er,
    mul: Code::EVEX_Vmulps_zmm_k1z_zmm_zmmm512b32_er,
    min: Code::EVEX_Vminps_zmm_k1z_zmm_zmmm512b32_sae,
    max: Code::EVEX_Vmaxps_zmm_k1z_zmm_zmmm512b32_sae,
    or: Code::EVEX_Vpord_zmm_k1z_zmm_zmmm512b32,
    interleave: [Code::EVEX_Vunpcklps_zmm_k1z_zmm_zmmm512b32, Code::EVEX_Vunpckhps_zmm_k1z_zmm_zmmm512b32],
    join: [Code::EVEX_Vunpcklpd_zmm_k1z_zmm_zmmm512b64, Code::EVEX_Vunpckhpd_zmm_k1z_zmm_zmmm512b64],
    quads: Code::EVEX_Vshuff32x4_zmm_k1z_zmm_zmmm512b32_imm8,
    select: [0b10_00_10_00, 0b11_01_11_01],
};

/// Sets every bit of every lane: the truth table of `vpternlogd` that is true throughout.
const ALL_ONES: u32 = 0xff;

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
        Inst::Unordered { dst, src } => {
            let (dst, src) = (e.vector(*dst)?, e.vector(*src)?);
            let code = Code::EVEX_Vcmpps_kr_k1_zmm_zmmm512b32_imm8_sae;
            e.a.add_instruction(Instruction::with4(code, Register::K7, src, src, UNORDERED)?)?;
            let code = Code::EVEX_Vpternlogd_zmm_k1z_zmm_zmmm512b32_imm8;
            let mut ones = Instruction::with4(code, dst, dst, dst, ALL_ONES)?;
            ones.set_op_mask(Register::K7);
            ones.set_zeroing_masking(true);
            Ok(e.a.add_instruction(ones)?)
        }
        _ => Err("not a vector statement".into()),
    }
}

fn mask(e: &Emitter, lanes: u8) -> Result<Register, Defect> {
    let found = e.registers.lane_masks.get(&lanes);
    found.map(|r| Register::K1 + u32::from(*r)).ok_or_else(|| "no mask for these lanes".into())
}
