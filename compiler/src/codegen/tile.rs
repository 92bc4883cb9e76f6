//! Tile nests: counted loops in Cranelift around calls of assembled leaf programs, which lie behind them in the same
//! function, so that the calls are relative and nothing is left to relocate.

use cranelift_codegen::binemit::Reloc;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{
    AbiParam, BlockArg, ExtFuncData, ExternalName, FuncRef, InstBuilder, MemFlagsData, Signature, StackSlot,
    StackSlotData, StackSlotKind, UserExternalName, Value,
};
use cranelift_codegen::isa::CallConv;
use cranelift_codegen::{CompiledCode, FinalizedRelocTarget};
use cranelift_frontend::FunctionBuilder;
use iced_x86::{Code, Decoder, DecoderOptions, Formatter, GasFormatter};

use super::Leaves;
use super::emitter::Emit;
use crate::artifact::Function;
use crate::leaf::x64;
use crate::nest::{Distance, Nest, SlotValue, Stmt};
use octrt_ops::expr::VarId;

/// Names of leaf programs among the external functions of Cranelift.
const LEAVES: u32 = 1;

/// Emits the loops of a nest.
pub(super) struct TileEmitter<'a, 'b> {
    b: &'a mut FunctionBuilder<'b>,
    nest: &'a Nest,
    bases: Vec<Value>,
    counters: Vec<(VarId, Value)>,
    leaves: Vec<FuncRef>,
    /// The arguments of each call, in the order in which calls are emitted; constants are stored once, at the beginning.
    frames: Vec<StackSlot>,
    next_call: usize,
}

impl<'a, 'b> TileEmitter<'a, 'b> {
    pub(super) fn new(b: &'a mut FunctionBuilder<'b>, nest: &'a Nest) -> Self {
        TileEmitter {
            b,
            nest,
            bases: Vec::new(),
            counters: Vec::new(),
            leaves: Vec::new(),
            frames: Vec::new(),
            next_call: 0,
        }
    }

    /// Emits the whole function.
    pub(super) fn function(&mut self) -> Emit<()> {
        let entry = self.b.create_block();
        self.b.append_block_params_for_function_params(entry);
        self.b.switch_to_block(entry);
        let params = self.b.block_params(entry).to_vec();
        let [buffers, begin, end] = params[..] else { return Err("signature".into()) };
        let flags = MemFlagsData::trusted().with_readonly().with_can_move();
        self.bases = (0..self.nest.buffers.len())
            .map(|i| self.b.ins().load(I64, flags, buffers, 8 * i as i32))
            .collect();
        self.declare_leaves();
        self.frames(&self.nest.body);
        let (head, exit) = (self.b.create_block(), self.b.create_block());
        self.b.append_block_param(head, I64);
        let some = self.b.ins().icmp(IntCC::SignedLessThan, begin, end);
        self.b.ins().brif(some, head, &[BlockArg::Value(begin)], exit, &[]);
        let (outer, body) = self.nest.parallel().ok_or("no parallel loop")?;
        self.body(head, exit, (outer.id, end), body)?;
        self.b.ins().return_(&[]);
        Ok(())
    }

    fn declare_leaves(&mut self) {
        let mut signature = Signature::new(CallConv::SystemV);
        signature.params.push(AbiParam::new(I64));
        let signature = self.b.import_signature(signature);
        for i in 0..self.nest.leaves.len() {
            let name = UserExternalName { namespace: LEAVES, index: i as u32 };
            let name = ExternalName::user(self.b.func.declare_imported_user_function(name));
            let data = ExtFuncData { name, signature, colocated: true, patchable: false };
            self.leaves.push(self.b.import_function(data));
        }
    }

    /// Makes room for the arguments of every call and stores those that never change.
    fn frames(&mut self, stmts: &[Stmt]) {
        for stmt in stmts {
            match stmt {
                Stmt::Loop(_, body) => self.frames(body),
                Stmt::Define(_) => {}
                Stmt::Call { slots, .. } => {
                    let data =
                        StackSlotData::new(StackSlotKind::ExplicitSlot, 8 * slots.len().max(1) as u32, 3);
                    let frame = self.b.create_sized_stack_slot(data);
                    self.frames.push(frame);
                    for (i, slot) in slots.iter().enumerate() {
                        if let Some(value) = self.constant(slot) {
                            self.b.ins().stack_store(I64, value, frame, 8 * i as i32);
                        }
                    }
                }
            }
        }
    }

    /// The value of a slot that is the same in all iterations.
    fn constant(&mut self, slot: &SlotValue) -> Option<Value> {
        match slot {
            SlotValue::Number(n) => Some(self.b.ins().iconst(I64, *n)),
            SlotValue::Pointer(b, at) if at.terms.is_empty() => {
                let base = *self.bases.get(b.index())?;
                Some(self.b.ins().iadd_imm_s(base, at.base))
            }
            SlotValue::Pointer(..) => None,
        }
    }

    /// Emits the body of a counted loop whose head has the counter as its parameter, and goes on behind it.
    fn body(
        &mut self,
        head: cranelift_codegen::ir::Block,
        exit: cranelift_codegen::ir::Block,
        (id, end): (VarId, Value),
        stmts: &[Stmt],
    ) -> Emit<()> {
        self.b.switch_to_block(head);
        let counter = self.b.block_params(head)[0];
        self.counters.push((id, counter));
        self.stmts(stmts)?;
        self.counters.pop();
        let next = self.b.ins().iadd_imm_s(counter, 1);
        let more = self.b.ins().icmp(IntCC::SignedLessThan, next, end);
        self.b.ins().brif(more, head, &[BlockArg::Value(next)], exit, &[]);
        self.b.switch_to_block(exit);
        Ok(())
    }

    fn stmts(&mut self, stmts: &[Stmt]) -> Emit<()> {
        for stmt in stmts {
            match stmt {
                Stmt::Loop(l, body) => {
                    let (head, exit) = (self.b.create_block(), self.b.create_block());
                    self.b.append_block_param(head, I64);
                    let zero = self.b.ins().iconst(I64, 0);
                    let end = self.b.ins().iconst(I64, l.extent as i64);
                    self.b.ins().jump(head, &[BlockArg::Value(zero)]);
                    self.body(head, exit, (l.id, end), body)?;
                }
                Stmt::Call { leaf, slots } => self.call(*leaf, slots)?,
                Stmt::Define(_) => return Err("a definition that no call has replaced".into()),
            }
        }
        Ok(())
    }

    fn call(&mut self, leaf: usize, slots: &[SlotValue]) -> Emit<()> {
        let frame = *self.frames.get(self.next_call).ok_or("a call without a frame")?;
        self.next_call += 1;
        for (i, slot) in slots.iter().enumerate() {
            if let SlotValue::Pointer(b, at) = slot
                && !at.terms.is_empty()
            {
                let base = *self.bases.get(b.index()).ok_or("a buffer that is not there")?;
                let address = self.address(base, at)?;
                self.b.ins().stack_store(I64, address, frame, 8 * i as i32);
            }
        }
        let arguments = self.b.ins().stack_addr(I64, frame, 0);
        let leaf = *self.leaves.get(leaf).ok_or("a leaf that is not there")?;
        self.b.ins().call(leaf, &[arguments]);
        Ok(())
    }

    fn address(&mut self, base: Value, at: &Distance) -> Emit<Value> {
        let mut sum = self.b.ins().iadd_imm_s(base, at.base);
        for (id, factor) in &at.terms {
            let counter = self.counters.iter().find(|(l, _)| l == id).map(|(_, v)| *v);
            let moved = self.b.ins().imul_imm_s(counter.ok_or("a loop that is not around")?, *factor);
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
