//! Calls of assembled leaf programs, which lie behind the loops in the same function, so that the calls are relative and
//! nothing is left to relocate.

use cranelift_codegen::binemit::Reloc;
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{
    AbiParam, ExtFuncData, ExternalName, InstBuilder, Signature, StackSlotData, StackSlotKind,
    UserExternalName, Value,
};
use cranelift_codegen::isa::CallConv;
use cranelift_codegen::{CompiledCode, FinalizedRelocTarget};
use iced_x86::{Code, Decoder, DecoderOptions, Formatter, GasFormatter};

use super::Leaves;
use super::emitter::{Binding, Emit, Emitter};
use crate::artifact::Function;
use crate::leaf::x64;
use crate::nest::{Distance, Nest, SlotValue, Stmt};

/// Names of leaf programs among the external functions of Cranelift.
const LEAVES: u32 = 1;

impl Emitter<'_, '_> {
    /// Makes the leaf programs known as functions behind this one.
    pub(super) fn declare_leaves(&mut self) {
        if self.nest.leaves.is_empty() {
            return;
        }
        let mut signature = Signature::new(CallConv::SystemV);
        signature.params.push(AbiParam::new(I64));
        let signature = self.b.import_signature(signature);
        for i in 0..self.nest.leaves.len() {
            let name = UserExternalName { namespace: LEAVES, index: i as u32 };
            let name = ExternalName::user(self.b.func.declare_imported_user_function(name));
            let data = ExtFuncData { name, signature, colocated: true, patchable: false };
            self.calls.leaves.push(self.b.import_function(data));
        }
    }

    /// Makes room for the arguments of every call and stores those that never change.
    pub(super) fn frames(&mut self, stmts: &[Stmt]) {
        for stmt in stmts {
            match stmt {
                Stmt::Loop(_, body) => self.frames(body),
                Stmt::Define(_) => {}
                Stmt::Call { slots, .. } => {
                    let data =
                        StackSlotData::new(StackSlotKind::ExplicitSlot, 8 * slots.len().max(1) as u32, 3);
                    let frame = self.b.create_sized_stack_slot(data);
                    self.calls.frames.push(frame);
                    for (i, slot) in slots.iter().enumerate() {
                        if let Some(value) = self.fixed(slot) {
                            self.b.ins().stack_store(I64, value, frame, 8 * i as i32);
                        }
                    }
                }
            }
        }
    }

    /// The value of a slot that is the same in all iterations.
    fn fixed(&mut self, slot: &SlotValue) -> Option<Value> {
        match slot {
            SlotValue::Number(n) => Some(self.b.ins().iconst(I64, *n)),
            SlotValue::Pointer(b, at) if at.terms.is_empty() => {
                let base = *self.bases.get(b.index())?;
                Some(self.b.ins().iadd_imm_s(base, at.base))
            }
            SlotValue::Pointer(..) => None,
        }
    }

    /// Emits a call.
    pub(super) fn call(&mut self, leaf: usize, slots: &[SlotValue]) -> Emit<()> {
        let frame = *self.calls.frames.get(self.calls.next).ok_or("a call without a frame")?;
        self.calls.next += 1;
        for (i, slot) in slots.iter().enumerate() {
            if let SlotValue::Pointer(b, at) = slot
                && !at.terms.is_empty()
            {
                let base = *self.bases.get(b.index()).ok_or("a buffer that is not there")?;
                let address = self.moved(base, at)?;
                self.b.ins().stack_store(I64, address, frame, 8 * i as i32);
            }
        }
        let arguments = self.b.ins().stack_addr(I64, frame, 0);
        let leaf = *self.calls.leaves.get(leaf).ok_or("a leaf that is not there")?;
        self.b.ins().call(leaf, &[arguments]);
        Ok(())
    }

    fn moved(&mut self, base: Value, at: &Distance) -> Emit<Value> {
        let mut sum = self.b.ins().iadd_imm_s(base, at.base);
        for (id, factor) in &at.terms {
            let Some(Binding::Counter(counter)) = self.bindings.get(id) else {
                return Err(format!("{id} is no counted loop around the call"));
            };
            let moved = self.b.ins().imul_imm_s(*counter, *factor);
            sum = self.b.ins().iadd(sum, moved);
        }
        Ok(sum)
    }
}

/// The finished function: the loops, then the leaves, with the calls between them resolved.
pub(super) fn link(
    leaves: &Leaves,
    nest: &Nest,
    code: &CompiledCode,
    names: &[UserExternalName],
    symbol: String,
) -> Emit<Function> {
    let mut bytes = code.code_buffer().to_vec();
    let mut at = Vec::with_capacity(nest.leaves.len());
    for program in &nest.leaves {
        let leaf = leaves.assemble(program).map_err(|e| e.to_string())?;
        bytes.resize(bytes.len().next_multiple_of(leaf.alignment as usize), 0xcc);
        at.push(bytes.len());
        bytes.extend_from_slice(&leaf.bytes);
    }
    for reloc in code.buffer.relocs() {
        let target = match &reloc.target {
            FinalizedRelocTarget::ExternalName(ExternalName::User(name)) => {
                let name = names.get(name.as_u32() as usize).filter(|n| n.namespace == LEAVES);
                name.and_then(|n| at.get(n.index as usize))
            }
            _ => None,
        };
        let (Some(&target), Reloc::X86CallPCRel4) = (target, reloc.kind) else {
            return Err(format!("the code needs the relocation {reloc:?}"));
        };
        let place = reloc.offset as usize;
        let relative = target as i64 + reloc.addend - place as i64;
        let relative = i32::try_from(relative).map_err(|e| e.to_string())?;
        let hole = bytes.get_mut(place..place + 4).ok_or("a relocation outside the code")?;
        hole.copy_from_slice(&relative.to_le_bytes());
    }
    Ok(Function { symbol, alignment: code.buffer.alignment.max(x64::ALIGNMENT), bytes })
}

/// The machine code of a nest's leaf programs as text, each under its name.
pub(super) fn listing(nest: &Nest) -> Emit<String> {
    let mut out = String::new();
    for (i, program) in nest.leaves.iter().enumerate() {
        let leaf = x64::assemble(program).map_err(|e| e.to_string())?;
        out.push_str(&format!("leaf {i} {}:\n", program.name));
        let mut formatter = GasFormatter::new();
        for instruction in &mut Decoder::new(64, &leaf.bytes, DecoderOptions::NONE) {
            out.push_str(&format!("{:6x}  ", instruction.ip()));
            formatter.format(&instruction, &mut out);
            out.push('\n');
            // Constants follow the return.
            if instruction.code() == Code::Retnq {
                break;
            }
        }
    }
    Ok(out)
}
