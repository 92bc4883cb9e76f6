//! Runs the bytes of assembled leaf programs on any machine.
//!
//! Knows the instructions that [`x64`](super::x64) writes and refuses all others. Memory is checked as the
//! [interpreter](super::interp)'s; registers start with arbitrary contents. After the return it checks what the
//! header of [`leaf`](super) promises to callers. Denormal numbers are kept.

use std::collections::BTreeMap;

use iced_x86::{Code, Decoder, DecoderOptions, Instruction};

use super::memory::{Access, Fault, Memory, Region, Value};
use machine::Machine;

mod machine;
#[cfg(test)]
mod tests;
mod vector;

/// Most instructions of one run.
const LIMIT: u64 = 1 << 32;

/// Why bytes cannot be run to their end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EmulateError {
    /// An instruction that leaf programs do not consist of.
    #[error("at byte {at}: unexpected instruction {code}")]
    Instruction {
        /// Its distance from the first byte.
        at: u64,
        /// Its name in iced-x86.
        code: String,
    },
    /// An access outside memory.
    #[error("at byte {at}: {code}: {fault}")]
    Fault {
        /// Distance of the instruction from the first byte.
        at: u64,
        /// The instruction's name in iced-x86.
        code: String,
        /// What is wrong with the access; the regions of the machine come before those of the caller.
        fault: Fault,
    },
    /// A promise to callers that is not kept.
    #[error("{0}")]
    Abi(&'static str),
    /// The program does not come to an end.
    #[error("more than {LIMIT} instructions")]
    Limit,
}

/// A decoded program.
#[derive(Clone, Debug)]
pub struct Emulator {
    bytes: Vec<u8>,
    instructions: Vec<Instruction>,
    /// Position in `instructions` by distance from the first byte.
    at: BTreeMap<u64, usize>,
}

/// Regions that the machine itself has; those of the caller follow.
const CODE: usize = 0;
const STACK: usize = 1;
const SLOTS: usize = 2;
const OWN: usize = 3;

impl Emulator {
    /// Decodes the code up to its return.
    ///
    /// # Errors
    /// [`EmulateError::Instruction`] when bytes are no instruction or there is no return.
    pub fn new(bytes: &[u8]) -> Result<Emulator, EmulateError> {
        let mut decoder = Decoder::with_ip(64, bytes, machine::address(CODE, 0), DecoderOptions::NONE);
        let mut emulator = Emulator { bytes: bytes.to_vec(), instructions: Vec::new(), at: BTreeMap::new() };
        loop {
            let instruction = decoder.decode();
            let at = instruction.ip() - machine::address(CODE, 0);
            if instruction.is_invalid() {
                return Err(EmulateError::Instruction { at, code: "that is none".into() });
            }
            emulator.at.insert(at, emulator.instructions.len());
            emulator.instructions.push(instruction);
            if instruction.code() == Code::Retnq {
                return Ok(emulator);
            }
        }
    }

    /// Instructions of the code, in order.
    pub fn instructions(&self) -> &[Instruction] {
        &self.instructions
    }

    /// Calls the code with one value per slot.
    ///
    /// # Errors
    /// [`EmulateError`]; memory may be changed in part.
    pub fn run(&self, slots: &[Value], memory: &mut Memory) -> Result<(), EmulateError> {
        let number = |slot: &Value| match slot {
            Value::Pointer(place) => machine::address(OWN + place.region, place.byte),
            Value::Number(n) => *n as u64,
        };
        let mut regions = vec![
            Region { bytes: self.bytes.clone(), access: Access::Read },
            Region { bytes: vec![0; machine::STACK_BYTES], access: Access::ReadWrite },
            Region {
                bytes: slots.iter().flat_map(|s| number(s).to_le_bytes()).collect(),
                access: Access::Read,
            },
        ];
        regions.append(&mut memory.regions);
        let mut machine = Machine::new(Memory { regions });
        let result = self.call(&mut machine);
        memory.regions = machine.memory.regions.split_off(OWN);
        result
    }

    fn call(&self, machine: &mut Machine) -> Result<(), EmulateError> {
        let mut next = 0;
        for _ in 0..LIMIT {
            let Some(instruction) = self.instructions.get(next) else {
                return Err(EmulateError::Abi("execution runs past the end"));
            };
            let at = instruction.ip() - machine::address(CODE, 0);
            let code = || format!("{:?}", instruction.code());
            let jump = machine.step(instruction).map_err(|stop| match stop {
                machine::Stop::Unknown => EmulateError::Instruction { at, code: code() },
                machine::Stop::Fault(fault) => EmulateError::Fault { at, code: code(), fault },
            })?;
            next = match jump {
                machine::Next::Following => next + 1,
                machine::Next::Return => return machine.check_return().map_err(EmulateError::Abi),
                machine::Next::Jump(to) => {
                    let found = self.at.get(&to.wrapping_sub(machine::address(CODE, 0)));
                    *found.ok_or(EmulateError::Abi("a jump into the middle of an instruction"))?
                }
            };
        }
        Err(EmulateError::Limit)
    }
}
