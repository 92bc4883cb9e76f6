//! Registers, flags, addresses and the general instructions.

use iced_x86::{Instruction, Mnemonic, OpKind, Register};

use super::{SLOTS, STACK};
use crate::leaf::memory::{Fault, Memory, Place};

/// Size of the stack.
pub const STACK_BYTES: usize = 256;

/// What the return address looks like.
const RETURN: u64 = 0x7fff_1234_5678;

/// Each region lies in the middle of its own part of the address space.
const PART_BITS: u32 = 40;

/// The address of a byte of a region; it may lie outside the region.
pub fn address(region: usize, byte: i64) -> u64 {
    (((region as u64 + 1) << PART_BITS) + (1 << (PART_BITS - 1))).wrapping_add_signed(byte)
}

/// The byte of a region that an address means.
pub fn place(address: u64) -> Place {
    let region = (address >> PART_BITS).wrapping_sub(1) as usize;
    let byte = (address & ((1 << PART_BITS) - 1)) as i64 - (1 << (PART_BITS - 1));
    Place { region, byte }
}

/// What stops an instruction.
pub enum Stop {
    /// It is not one of those that are known.
    Unknown,
    /// It accesses what it must not.
    Fault(Fault),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Stop::Fault(fault)
    }
}

/// Which instruction comes next.
pub enum Next {
    /// The following one.
    Following,
    /// The one at this address.
    Jump(u64),
    /// None.
    Return,
}

/// Number of a register, counted from number 0 of its kind.
pub fn index(r: Register, first: Register) -> Result<usize, Stop> {
    (r as usize).checked_sub(first as usize).ok_or(Stop::Unknown)
}

/// Number of a general register of 64 or 32 bits.
fn general(r: Register) -> Result<usize, Stop> {
    match r {
        r if r.is_gpr64() => index(r, Register::RAX),
        r if r.is_gpr32() => index(r, Register::EAX),
        _ => Err(Stop::Unknown),
    }
}

/// The state of the processor.
pub struct Machine {
    /// All regions.
    pub memory: Memory,
    /// By number.
    general: [u64; 16],
    /// By number, as bits.
    pub vectors: [[u32; 16]; 32],
    /// By number.
    pub masks: [u64; 8],
    /// Whether the last comparison or decrement gave zero; unknown after other arithmetic.
    zero: Option<bool>,
}

/// What the registers hold on entry, apart from `rsp` and `rdi`.
const fn arbitrary(register: usize) -> u64 {
    0xdead_beef_0000_0000 + register as u64
}

const RSP: usize = 4;
const RDI: usize = 7;

/// `rbx`, `rbp`, `r12` to `r15`.
const PRESERVED: [usize; 6] = [3, 5, 12, 13, 14, 15];

impl Machine {
    /// The state on entry of a leaf: the slots in `rdi`, a return address on the stack.
    pub fn new(mut memory: Memory) -> Machine {
        let mut general: [u64; 16] = std::array::from_fn(arbitrary);
        let top = STACK_BYTES - 8;
        memory.regions[STACK].bytes[top..].copy_from_slice(&RETURN.to_le_bytes());
        general[RSP] = address(STACK, top as i64);
        general[RDI] = address(SLOTS, 0);
        let vectors =
            std::array::from_fn(|i| std::array::from_fn(|lane| 0x7fc0_0000 + (i * 16 + lane) as u32));
        Machine { memory, general, vectors, masks: [0x5555_5555; 8], zero: None }
    }

    /// What a caller relies on after the return.
    pub fn check_return(&self) -> Result<(), &'static str> {
        if self.general[RSP] != address(STACK, STACK_BYTES as i64) {
            return Err("the stack pointer is not restored");
        }
        if PRESERVED.iter().any(|&r| self.general[r] != arbitrary(r)) {
            return Err("a register that belongs to the caller is not restored");
        }
        if self.vectors[..16].iter().any(|v| v[4..] != [0; 12]) {
            return Err("the upper halves of vector registers are not clear");
        }
        Ok(())
    }

    /// Executes one instruction.
    pub fn step(&mut self, i: &Instruction) -> Result<Next, Stop> {
        match i.mnemonic() {
            Mnemonic::Ret => {
                let to = self.pop()?;
                return if to == RETURN { Ok(Next::Return) } else { Err(Stop::Unknown) };
            }
            Mnemonic::Je | Mnemonic::Jne => {
                let zero = self.zero.ok_or(Stop::Unknown)?;
                let taken = zero == (i.mnemonic() == Mnemonic::Je);
                return Ok(if taken { Next::Jump(i.near_branch_target()) } else { Next::Following });
            }
            Mnemonic::Push => {
                let value = self.read(i, 0)?;
                self.general[RSP] = self.general[RSP].wrapping_sub(8);
                self.memory.store(place(self.general[RSP]), &value.to_le_bytes())?;
            }
            Mnemonic::Pop => {
                let value = self.pop()?;
                self.write(i, value)?;
            }
            Mnemonic::Mov => {
                let value = self.read(i, 1)?;
                self.write(i, value)?;
            }
            Mnemonic::Movsxd => {
                let mut bytes = [0; 4];
                self.memory.load(place(self.effective(i)?), &mut bytes)?;
                self.write(i, i64::from(i32::from_le_bytes(bytes)) as u64)?;
            }
            Mnemonic::Lea => {
                let value = self.effective(i)?;
                self.write(i, value)?;
            }
            Mnemonic::Add => {
                let sum = self.read(i, 0)?.wrapping_add(self.read(i, 1)?);
                self.write(i, sum)?;
                self.zero = None;
            }
            Mnemonic::Dec => {
                let less = self.read(i, 0)?.wrapping_sub(1);
                self.write(i, less)?;
                self.zero = Some(less == 0);
            }
            Mnemonic::Test => self.zero = Some(self.read(i, 0)? & self.read(i, 1)? == 0),
            Mnemonic::Cmp => self.zero = Some(self.read(i, 0)? == self.read(i, 1)?),
            Mnemonic::Kmovw => {
                let mask = index(i.op0_register(), Register::K0)?;
                self.masks[mask] = self.read(i, 1)? & 0xffff;
            }
            Mnemonic::Prefetcht0 | Mnemonic::Prefetcht1 => {}
            _ => self.vector_step(i)?,
        }
        Ok(Next::Following)
    }

    fn pop(&mut self) -> Result<u64, Stop> {
        let mut bytes = [0; 8];
        self.memory.load(place(self.general[RSP]), &mut bytes)?;
        self.general[RSP] = self.general[RSP].wrapping_add(8);
        Ok(u64::from_le_bytes(bytes))
    }

    /// The address of the instruction's memory operand.
    pub fn effective(&self, i: &Instruction) -> Result<u64, Stop> {
        let value = |r: Register| match r {
            Register::None => Ok(0),
            r => general(r).map(|r| self.general[r]),
        };
        if i.is_ip_rel_memory_operand() {
            return Ok(i.ip_rel_memory_address());
        }
        let index = value(i.memory_index())?.wrapping_mul(i.memory_index_scale().into());
        Ok(value(i.memory_base())?.wrapping_add(index).wrapping_add(i.memory_displacement64()))
    }

    /// The value of a general operand: 64 bits, or an immediate, or a 32-bit register that is written with zeros above.
    fn read(&self, i: &Instruction, operand: u32) -> Result<u64, Stop> {
        match i.op_kind(operand) {
            OpKind::Register => Ok(self.general[general(i.op_register(operand))?]),
            OpKind::Memory if i.memory_size().size() == 8 => {
                let mut bytes = [0; 8];
                self.memory.load(place(self.effective(i)?), &mut bytes)?;
                Ok(u64::from_le_bytes(bytes))
            }
            OpKind::Immediate8to64 | OpKind::Immediate32to64 | OpKind::Immediate32 => {
                Ok(i.immediate(operand))
            }
            _ => Err(Stop::Unknown),
        }
    }

    /// Assigns the first operand, of 64 bits; 32-bit registers take what fits.
    fn write(&mut self, i: &Instruction, value: u64) -> Result<(), Stop> {
        match i.op0_kind() {
            OpKind::Register if i.op0_register().is_gpr64() => {
                self.general[general(i.op0_register())?] = value
            }
            OpKind::Register if i.op0_register().is_gpr32() => {
                self.general[general(i.op0_register())?] = value & u64::from(u32::MAX);
            }
            OpKind::Memory if i.memory_size().size() == 8 => {
                self.memory.store(place(self.effective(i)?), &value.to_le_bytes())?;
            }
            _ => return Err(Stop::Unknown),
        }
        Ok(())
    }
}
