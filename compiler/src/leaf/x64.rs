//! Machine code of leaf programs: AVX2 with FMA for 8 lanes, AVX-512 F and DQ for 16.
//!
//! `rdi` holds the address of the slots throughout. Splats and the masks of AVX2 are constants behind the code: an operand
//! of 8 lanes needs one in all of them.
//! A loop whose counter has no register keeps it on top of the stack. A statement is one instruction; partial loads
//! and stores of 8 lanes and comparisons and `select` of 16 are two.

use iced_x86::code_asm::{
    AsmRegister64, CodeAssembler, CodeLabel, dword_ptr, qword_ptr, r8, r9, r10, r11, r12, r13, r14, r15, rax,
    rbp, rbx, rcx, rdi, rdx, rsi, rsp,
};
use iced_x86::{Code, IcedError, Instruction, MemoryOperand, Register};

use super::registers::{self, GENERAL, RegisterError, Registers};
use super::verify::{self, VerifyError};
use super::{
    Address, BinaryOp, Cache, Inst, OffId, Operand, Predicate, Program, PtrId, Shift, Shuffle, SlotId, Step,
    UnaryOp, Variable, VecId, Width,
};
use crate::artifact::Function;

mod avx2;
mod avx512;

/// Alignment of the code of a leaf: a cache line.
pub const ALIGNMENT: u32 = 64;

/// Why a program cannot be assembled.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum AssembleError {
    /// It breaks a rule.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// It needs too many registers.
    #[error(transparent)]
    Registers(#[from] RegisterError),
    /// The assembler refuses an instruction: a defect of octrt.
    #[error("internal error: leaf '{program}': {message}; please report it")]
    Internal {
        /// Name of the program.
        program: String,
        /// What it says.
        message: String,
    },
}

/// The general registers in the order in which they are taken: those that a caller does not need first.
const REGISTERS: [AsmRegister64; GENERAL] =
    [rax, rcx, rdx, rsi, r8, r9, r10, r11, rbx, rbp, r12, r13, r14, r15];

/// How many of [`REGISTERS`] need not be preserved.
const SCRATCH: usize = 8;

/// Machine code of a program; its symbol is the program's name.
///
/// # Errors
/// [`AssembleError`] when the program breaks a rule or does not fit the registers.
pub fn assemble(program: &Program) -> Result<Function, AssembleError> {
    verify::verify(program)?;
    let registers = registers::allocate(program)?;
    let refuse = |e: Defect| AssembleError::Internal { program: program.name.clone(), message: e.0 };
    let mut assembled = emit(program, registers.clone(), 0).map_err(refuse)?;
    let unaligned = assembled.code_bytes % ROW_BYTES;
    if assembled.has_rows && unaligned != 0 {
        assembled = emit(program, registers, ROW_BYTES - unaligned).map_err(refuse)?;
    }
    Ok(Function { symbol: program.name.clone(), alignment: ALIGNMENT, bytes: assembled.bytes })
}

/// Bytes of a constant in all of 8 lanes; loads of it are fast where it is aligned to that.
const ROW_BYTES: usize = 32;

/// What [`emit`] writes.
struct Assembled {
    bytes: Vec<u8>,
    /// Of what stands before the constants.
    code_bytes: usize,
    /// Whether a constant stands in a row.
    has_rows: bool,
}

/// The instructions of a width; those of both differ in nothing but their size.
struct Codes {
    /// Number 0 of the vector registers.
    first: Register,
    load: Code,
    store: Code,
    copy: Code,
    broadcast: Code,
    fma: Code,
    horner: Code,
    add: Code,
    sub: Code,
    mul: Code,
    div: Code,
    min: Code,
    max: Code,
    and: Code,
    and_not: Code,
    or: Code,
    xor: Code,
    sub_bits: Code,
    scale: Option<Code>,
    sqrt: Code,
    /// Takes one of [`ROUND`].
    round: Code,
    from_int: Code,
    exponent: Option<Code>,
    /// With what it takes.
    mantissa: Option<(Code, u32)>,
    shift: [Code; 2],
    interleave: [Code; 2],
    join: [Code; 2],
    quads: Code,
    /// What selects even and odd quads.
    select: [u32; 2],
}

impl Codes {
    fn binary(&self, op: BinaryOp) -> Option<Code> {
        Some(match op {
            BinaryOp::Add => self.add,
            BinaryOp::Sub => self.sub,
            BinaryOp::Mul => self.mul,
            BinaryOp::Div => self.div,
            BinaryOp::Min => self.min,
            BinaryOp::Max => self.max,
            BinaryOp::And => self.and,
            BinaryOp::AndNot => self.and_not,
            BinaryOp::Or => self.or,
            BinaryOp::Xor => self.xor,
            BinaryOp::SubBits => self.sub_bits,
            BinaryOp::Scale => return self.scale,
        })
    }

    /// The instruction, and what it takes beside the operand.
    fn unary(&self, op: UnaryOp) -> Option<(Code, Option<u32>)> {
        let [nearest, down, up] = ROUND;
        Some(match op {
            UnaryOp::Sqrt => (self.sqrt, None),
            UnaryOp::Round => (self.round, Some(nearest)),
            UnaryOp::Floor => (self.round, Some(down)),
            UnaryOp::Ceil => (self.round, Some(up)),
            UnaryOp::FromInt => (self.from_int, None),
            UnaryOp::Exponent => (self.exponent?, None),
            UnaryOp::Mantissa => self.mantissa.map(|(code, how)| (code, Some(how)))?,
        })
    }

    /// The instruction, and what selects lanes where it takes that.
    fn shuffle(&self, op: Shuffle) -> (Code, Option<u32>) {
        match op {
            Shuffle::InterleaveLow => (self.interleave[0], None),
            Shuffle::InterleaveHigh => (self.interleave[1], None),
            Shuffle::JoinLow => (self.join[0], None),
            Shuffle::JoinHigh => (self.join[1], None),
            Shuffle::EvenQuads => (self.quads, Some(self.select[0])),
            Shuffle::OddQuads => (self.quads, Some(self.select[1])),
        }
    }
}

/// What rounds to the nearest integer, down and up, without a note of what is lost.
const ROUND: [u32; 3] = [8, 9, 10];

/// What selects a comparison of `vcmpps` that raises nothing.
fn predicate(op: Predicate) -> u32 {
    match op {
        Predicate::Eq => 0x00,
        Predicate::Unordered => 0x03,
        Predicate::Ne => 0x04,
        Predicate::Lt => 0x11,
        Predicate::Le => 0x12,
        Predicate::Ge => 0x1d,
        Predicate::Gt => 0x1e,
    }
}

struct Emitter {
    a: CodeAssembler,
    width: Width,
    codes: &'static Codes,
    registers: Registers,
    /// Loops whose heads have been emitted.
    loops: usize,
    /// Partial stores that have been emitted.
    partial_stores: usize,
    /// Constants behind the code, by their bits and how often they stand in a row.
    splats: Vec<(f32, usize, CodeLabel)>,
    /// Words of the table of masks behind the code; empty where there is none.
    masks: Vec<CodeLabel>,
}

/// Why the emitter cannot go on.
struct Defect(String);

const NO_SUCH: &str = "an operation that the width has not";

impl From<IcedError> for Defect {
    fn from(e: IcedError) -> Self {
        Defect(e.to_string())
    }
}

impl From<&str> for Defect {
    fn from(e: &str) -> Self {
        Defect(e.into())
    }
}

/// The code, so many bytes of padding, and the constants.
fn emit(program: &Program, registers: Registers, padding: usize) -> Result<Assembled, Defect> {
    let (a, width) = (CodeAssembler::new(64)?, program.width);
    let codes = match width {
        Width::W8 => &avx2::CODES,
        Width::W16 => &avx512::CODES,
    };
    let saved = saved(&registers);
    let mut e = Emitter {
        a,
        width,
        codes,
        registers,
        loops: 0,
        partial_stores: 0,
        splats: Vec::new(),
        masks: Vec::new(),
    };
    for &r in &saved {
        e.a.push(r)?;
    }
    if width == Width::W16 {
        avx512::set_masks(&mut e)?;
    }
    e.block(&program.body)?;
    for &r in saved.iter().rev() {
        e.a.pop(r)?;
    }
    e.a.vzeroupper()?;
    e.a.ret()?;
    if padding > 0 {
        e.a.db(&vec![0; padding])?;
    }
    let has_rows = e.splats.iter().any(|(_, times, _)| *times > 1);
    let constant_bytes = e.constants()?;
    let bytes = e.a.assemble(0)?;
    Ok(Assembled { code_bytes: bytes.len() - constant_bytes, bytes, has_rows })
}

/// The registers that are used and must be preserved.
fn saved(registers: &Registers) -> Vec<AsmRegister64> {
    let variables = registers.variables.iter().filter(|(v, _)| !matches!(v, Variable::Vector(_)));
    let used: Vec<u8> =
        variables.map(|(_, r)| *r).chain(registers.counters.iter().flatten().copied()).collect();
    (SCRATCH..GENERAL).filter(|&r| used.contains(&(r as u8))).map(|r| REGISTERS[r]).collect()
}

/// The memory of a slot.
fn slot(slot: SlotId) -> iced_x86::code_asm::AsmMemoryOperand {
    qword_ptr(rdi + 8 * i32::from(slot.0))
}

/// The memory behind the code at a label.
fn constant_memory(label: CodeLabel) -> Result<MemoryOperand, Defect> {
    // Only an instruction shows how the assembler names a label.
    let mut probe = CodeAssembler::new(64)?;
    probe.lea(rax, qword_ptr(label))?;
    let named = probe.instructions().first().ok_or("the assembler writes nothing")?;
    let at = named.memory_displacement64() as i64;
    Ok(MemoryOperand::new(Register::RIP, Register::None, 1, at, 1, false, Register::None))
}

impl Emitter {
    fn register(&self, variable: Variable) -> Result<usize, Defect> {
        let found = self.registers.variables.get(&variable);
        found.map(|r| usize::from(*r)).ok_or_else(|| "a variable has no register".into())
    }

    fn vector_register(&self, number: u8) -> Register {
        self.codes.first + u32::from(number)
    }

    fn vector(&self, v: VecId) -> Result<Register, Defect> {
        self.register(Variable::Vector(v)).map(|r| self.vector_register(r as u8))
    }

    fn pointer(&self, p: PtrId) -> Result<AsmRegister64, Defect> {
        self.register(Variable::Pointer(p)).map(|r| REGISTERS[r])
    }

    fn offset(&self, o: OffId) -> Result<AsmRegister64, Defect> {
        self.register(Variable::Offset(o)).map(|r| REGISTERS[r])
    }

    fn memory(&self, address: &Address) -> Result<MemoryOperand, Defect> {
        let base = self.pointer(address.base)?.into();
        let index = address.offset.map_or(Ok(Register::None), |o| self.offset(o).map(Register::from))?;
        let bytes = i64::from(address.bytes);
        Ok(MemoryOperand::new(base, index, 1, bytes, u32::from(bytes != 0), false, Register::None))
    }

    fn block(&mut self, insts: &[Inst]) -> Result<(), Defect> {
        insts.iter().try_for_each(|inst| self.inst(inst))
    }

    fn inst(&mut self, inst: &Inst) -> Result<(), Defect> {
        match inst {
            Inst::Pointer { dst, slot: from } => self.a.mov(self.pointer(*dst)?, slot(*from))?,
            Inst::Displace { dst, base, by } => {
                let (dst, base, by) = (self.pointer(*dst)?, self.pointer(*base)?, self.offset(*by)?);
                self.a.lea(dst, qword_ptr(base + by))?;
            }
            Inst::Advance { by: Step::Bytes(0), .. } => {}
            Inst::Advance { ptr, by: Step::Bytes(bytes) } => self.a.add(self.pointer(*ptr)?, *bytes)?,
            Inst::Advance { ptr, by: Step::Slot(by) } => self.a.add(self.pointer(*ptr)?, slot(*by))?,
            Inst::Offset { dst, table, entry } => {
                let (dst, table) = (self.offset(*dst)?, self.pointer(*table)?);
                self.a.movsxd(dst, dword_ptr(table + 4 * i32::from(*entry)))?;
            }
            Inst::Prefetch(cache, address) => {
                let memory = self.memory(address)?;
                let code = match cache {
                    Cache::L1 => Code::Prefetcht0_m8,
                    Cache::L2 => Code::Prefetcht1_m8,
                };
                self.a.add_instruction(Instruction::with1(code, memory)?)?;
            }
            Inst::Loop { count, body } => self.counted(*count, body)?,
            _ => self.vector_inst(inst)?,
        }
        Ok(())
    }

    fn vector_inst(&mut self, inst: &Inst) -> Result<(), Defect> {
        let full = self.width.lanes() as u8;
        let made = match inst {
            Inst::Zero(v) => {
                let v = self.vector(*v)?;
                Instruction::with3(self.codes.xor, v, v, v)?
            }
            Inst::Copy { dst, src } => {
                Instruction::with2(self.codes.copy, self.vector(*dst)?, self.vector(*src)?)?
            }
            Inst::Load { dst, from, lanes } if *lanes == full => {
                Instruction::with2(self.codes.load, self.vector(*dst)?, self.memory(from)?)?
            }
            Inst::Store { to, lanes, src } if *lanes == full => {
                Instruction::with2(self.codes.store, self.memory(to)?, self.vector(*src)?)?
            }
            Inst::Broadcast { dst, from } => {
                Instruction::with2(self.codes.broadcast, self.vector(*dst)?, self.memory(from)?)?
            }
            Inst::Fma { acc, a, b } => self.three(self.codes.fma, *acc, *a, *b)?,
            Inst::Horner { acc, x, c } => self.three(self.codes.horner, *acc, *x, *c)?,
            Inst::Binary { op, dst, a, b } => {
                self.three(self.codes.binary(*op).ok_or(NO_SUCH)?, *dst, *a, *b)?
            }
            Inst::Unary { op, dst, src } => {
                let (dst, src) = (self.vector(*dst)?, self.vector(*src)?);
                match self.codes.unary(*op).ok_or(NO_SUCH)? {
                    (code, None) => Instruction::with2(code, dst, src)?,
                    (code, Some(how)) => Instruction::with3(code, dst, src, how)?,
                }
            }
            Inst::Shift { op, dst, src, by } => {
                let [left, right] = self.codes.shift;
                let code = if *op == Shift::Left { left } else { right };
                Instruction::with3(code, self.vector(*dst)?, self.vector(*src)?, u32::from(*by))?
            }
            Inst::Shuffle { op, dst, a, b } => {
                let (dst, a, b) = (self.vector(*dst)?, self.vector(*a)?, self.vector(*b)?);
                match self.codes.shuffle(*op) {
                    (code, None) => Instruction::with3(code, dst, a, b)?,
                    (code, Some(select)) => Instruction::with4(code, dst, a, b, select)?,
                }
            }
            Inst::Splat(v, x) => return self.splat(*v, *x),
            _ => {
                return match self.width {
                    Width::W8 => avx2::inst(self, inst),
                    Width::W16 => avx512::inst(self, inst),
                };
            }
        };
        Ok(self.a.add_instruction(made)?)
    }

    fn three(&mut self, code: Code, dst: VecId, a: VecId, b: Operand) -> Result<Instruction, Defect> {
        let (dst, a) = (self.vector(dst)?, self.vector(a)?);
        match b {
            Operand::Vector(b) => Ok(Instruction::with3(code, dst, a, self.vector(b)?)?),
            Operand::Memory(b) => Ok(Instruction::with3(code, dst, a, self.memory(&b)?)?),
            Operand::Broadcast(b) => {
                let memory = MemoryOperand { is_broadcast: true, ..self.memory(&b)? };
                Ok(Instruction::with3(code, dst, a, memory)?)
            }
            Operand::Splat(x) => {
                let times = if self.width == Width::W8 { 8 } else { 1 };
                let memory = constant_memory(self.constant(x, times))?;
                let memory = MemoryOperand { is_broadcast: self.width == Width::W16, ..memory };
                Ok(Instruction::with3(code, dst, a, memory)?)
            }
        }
    }

    /// Where a constant stands so often in a row, or more often.
    fn constant(&mut self, x: f32, times: usize) -> CodeLabel {
        let same = |(y, _, _): &&mut (f32, usize, CodeLabel)| y.to_bits() == x.to_bits();
        if let Some((_, known, label)) = self.splats.iter_mut().find(same) {
            *known = times.max(*known);
            return *label;
        }
        let label = self.a.create_label();
        self.splats.push((x, times, label));
        label
    }

    fn splat(&mut self, v: VecId, x: f32) -> Result<(), Defect> {
        let label = self.constant(x, 1);
        let v = self.vector(v)?;
        match self.width {
            Width::W8 => self.a.vbroadcastss(avx2::typed(v)?, dword_ptr(label))?,
            Width::W16 => self.a.vbroadcastss(avx512::typed(v)?, dword_ptr(label))?,
        }
        Ok(())
    }

    fn counted(&mut self, count: SlotId, body: &[Inst]) -> Result<(), Defect> {
        let counter = self.registers.counters.get(self.loops).copied().flatten();
        self.loops += 1;
        let (mut head, mut end) = (self.a.create_label(), self.a.create_label());
        match counter.map(|r| REGISTERS[usize::from(r)]) {
            Some(r) => {
                self.a.mov(r, slot(count))?;
                self.a.test(r, r)?;
                self.a.je(end)?;
                self.a.set_label(&mut head)?;
                self.block(body)?;
                self.a.dec(r)?;
                self.a.jne(head)?;
                self.a.set_label(&mut end)?;
                self.a.zero_bytes()?;
            }
            None => {
                self.a.push(slot(count))?;
                self.a.cmp(qword_ptr(rsp), 0)?;
                self.a.je(end)?;
                self.a.set_label(&mut head)?;
                self.block(body)?;
                self.a.dec(qword_ptr(rsp))?;
                self.a.jne(head)?;
                self.a.set_label(&mut end)?;
                self.a.add(rsp, 8)?;
            }
        }
        Ok(())
    }

    /// The constants behind the code, rows first; how many bytes they are.
    fn constants(&mut self) -> Result<usize, Defect> {
        let mut words = avx2::mask_words(self);
        self.splats.sort_by_key(|(_, times, _)| std::cmp::Reverse(*times));
        for (x, times, mut label) in std::mem::take(&mut self.splats) {
            self.a.set_label(&mut label)?;
            self.a.dd(&vec![x.to_bits(); times])?;
            words += times;
        }
        avx2::mask_table(self)?;
        Ok(4 * words)
    }
}
