//! Machine registers for the variables of a leaf program.
//!
//! Every variable has one register for all of its life, from its first assignment to its last use, extended to the end
//! of every loop that it is carried through. An operand that is read for the last time gives its register to the
//! result. Nothing is spilled: a program that does not fit is refused. A loop counter that finds no register lives on
//! the stack.

use std::collections::{BTreeMap, BTreeSet};

use super::{Inst, Program, Variable, Width};

/// General registers for pointers, offsets and counters: 15 less the one that holds the slots.
pub const GENERAL: usize = 14;

/// Mask registers for partial loads and stores of [`Width::W16`].
pub const MASKS: usize = 6;

/// Vector registers of a width.
pub fn vectors(width: Width) -> usize {
    match width {
        Width::W8 => 16,
        Width::W16 => 32,
    }
}

/// Why a program does not fit the registers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("leaf '{program}' needs {needed} {kind} registers at once, there are {available}")]
pub struct RegisterError {
    /// Name of the program.
    pub program: String,
    /// `vector`, `general` or `mask`.
    pub kind: &'static str,
    /// Most that are in use at once.
    pub needed: usize,
    /// How many there are.
    pub available: usize,
}

/// The registers of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registers {
    /// Of each variable: from 0 to [`vectors`] or [`GENERAL`].
    pub variables: BTreeMap<Variable, u8>,
    /// Of the counter of each loop, in the order of their heads: from 0 to [`GENERAL`], or `None` for the stack.
    pub counters: Vec<Option<u8>>,
    /// For each partial store of [`Width::W8`], in order: a vector register that is free there, for the mask.
    pub store_masks: Vec<u8>,
    /// The mask register of each number of lanes less than [`Width::W16`]: from 0 to [`MASKS`].
    pub lane_masks: BTreeMap<u8, u8>,
}

/// Assigns registers.
///
/// # Errors
/// [`RegisterError`] when a program has more variables in use at once than there are registers.
pub fn allocate(program: &Program) -> Result<Registers, RegisterError> {
    let refuse = |kind, needed, available| {
        Err(RegisterError { program: program.name.clone(), kind, needed, available })
    };
    let lives = Lives::of(program);
    let (in_vectors, in_general): (Vec<Life>, Vec<Life>) =
        lives.finished().into_iter().partition(|l| l.key.is_vector());
    let available = vectors(program.width);
    let in_vectors = match scan(&in_vectors, available) {
        Ok(assigned) => assigned,
        Err(needed) => return refuse("vector", needed, available),
    };
    let in_general = match scan(&in_general, GENERAL) {
        Ok(assigned) => assigned,
        Err(needed) => return refuse("general", needed, GENERAL),
    };
    if lives.masks.len() > MASKS {
        return refuse("mask", lives.masks.len(), MASKS);
    }
    let mut registers = Registers {
        variables: BTreeMap::new(),
        counters: counters(&lives.loops, &in_general),
        store_masks: Vec::new(),
        lane_masks: lives.masks.iter().zip(0..).map(|(&lanes, register)| (lanes, register)).collect(),
    };
    for (life, register) in in_vectors.into_iter().chain(in_general) {
        match life.key {
            Key::Variable(v) => {
                registers.variables.insert(v, register);
            }
            // Lives are in the order of their begin, so are partial stores.
            Key::StoreMask(_) => registers.store_masks.push(register),
        }
    }
    Ok(registers)
}

/// What wants a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Variable(Variable),
    /// The mask of the partial store at this position.
    StoreMask(u32),
}

impl Key {
    fn is_vector(self) -> bool {
        matches!(self, Key::Variable(Variable::Vector(_)) | Key::StoreMask(_))
    }
}

/// The positions during which something needs a register, both included. Statement `i` reads at `2 * i` and
/// assigns at `2 * i + 1`.
#[derive(Clone, Copy, Debug)]
struct Life {
    key: Key,
    begin: u32,
    end: u32,
}

/// Finds the lives of a program's variables.
#[derive(Default)]
struct Lives {
    /// Position of the next statement.
    next: u32,
    /// Every position at which something occurs.
    uses: Vec<(Key, u32)>,
    /// First and last position of each loop, in the order of their heads.
    loops: Vec<(u32, u32)>,
    /// Numbers of lanes that need a mask register.
    masks: BTreeSet<u8>,
}

impl Lives {
    fn of(program: &Program) -> Lives {
        let mut lives = Lives::default();
        lives.block(&program.body, program.width);
        lives
    }

    fn block(&mut self, insts: &[Inst], width: Width) {
        for inst in insts {
            let at = self.next;
            self.next += 2;
            for variable in inst.reads() {
                self.note(Key::Variable(variable), at);
            }
            if let Some(variable) = inst.assigns() {
                self.note(Key::Variable(variable), at + 1);
            }
            match inst {
                Inst::Load { lanes, .. } | Inst::Store { lanes, .. } if u32::from(*lanes) < width.lanes() => {
                    match width {
                        Width::W8 if matches!(inst, Inst::Store { .. }) => self.note(Key::StoreMask(at), at),
                        Width::W8 => {}
                        Width::W16 => {
                            self.masks.insert(*lanes);
                        }
                    }
                }
                Inst::Loop { body, .. } => {
                    let index = self.loops.len();
                    self.loops.push((at, at));
                    self.block(body, width);
                    self.loops[index].1 = self.next;
                    self.next += 2;
                }
                _ => {}
            }
        }
    }

    fn note(&mut self, key: Key, at: u32) {
        self.uses.push((key, at));
    }

    /// Lives in the order of their begin, carried to the end of loops.
    fn finished(&self) -> Vec<Life> {
        let mut uses = self.uses.clone();
        uses.sort_unstable();
        let life = |uses: &[(Key, u32)]| {
            let ((key, begin), (_, mut end)) = (uses[0], uses[uses.len() - 1]);
            for &(first, last) in self.loops.iter().filter(|(first, _)| begin < *first) {
                let next = uses.partition_point(|(_, at)| *at < first);
                if uses.get(next).is_some_and(|(_, at)| *at <= last) {
                    end = end.max(last);
                }
            }
            Life { key, begin, end }
        };
        let mut lives: Vec<Life> = uses.chunk_by(|a, b| a.0 == b.0).map(life).collect();
        lives.sort_by_key(|l| l.begin);
        lives
    }
}

/// The lowest free register for each life; where there are too few, the most that are needed at once.
fn scan(lives: &[Life], available: usize) -> Result<Vec<(Life, u8)>, usize> {
    let mut assigned: Vec<(Life, u8)> = Vec::with_capacity(lives.len());
    // The last position of each register's latest life, which is the one that ends last.
    let mut ends: Vec<Option<u32>> = vec![None; available];
    for life in lives {
        match ends.iter().position(|end| end.is_none_or(|end| end < life.begin)) {
            Some(register) => {
                ends[register] = Some(life.end);
                assigned.push((*life, register as u8));
            }
            None => {
                let at_once =
                    |l: &Life| lives.iter().filter(|o| o.begin <= l.begin && l.begin <= o.end).count();
                return Err(lives.iter().map(at_once).max().unwrap_or(0));
            }
        }
    }
    Ok(assigned)
}

/// Registers for loop counters where some are left, inner loops first.
fn counters(loops: &[(u32, u32)], taken: &[(Life, u8)]) -> Vec<Option<u8>> {
    let mut out: Vec<Option<u8>> = vec![None; loops.len()];
    for (i, &(first, last)) in loops.iter().enumerate().rev() {
        let taken_by_variable =
            |r: u8| taken.iter().any(|(l, t)| *t == r && l.begin <= last && first <= l.end);
        let taken_by_loop = |r: u8| {
            let meets = |&(f, l): &(u32, u32)| f <= last && first <= l;
            loops.iter().zip(&out).any(|(other, register)| *register == Some(r) && meets(other))
        };
        out[i] = (0..GENERAL as u8).find(|&r| !taken_by_variable(r) && !taken_by_loop(r));
    }
    out
}
