//! Machine registers for the variables of a leaf program.
//!
//! Every variable has one register for all of its life, from its first assignment to its last use, extended to the end
//! of every loop that it is carried through. An operand that is read for the last time gives its register to the
//! result. Nothing is spilled: a program that does not fit is refused. A loop counter that finds no register lives on
//! the stack.

use std::collections::{BTreeMap, BTreeSet};

use super::{Inst, OffId, Program, PtrId, Variable, VecId, Width};

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

/// Whether a program has a register for all that it has in use at once.
pub fn fits(program: &Program) -> bool {
    let Lives { vectors: of_vectors, general, masks, .. } = Lives::of(program);
    scan(&of_vectors, vectors(program.width)).is_some()
        && scan(&general, GENERAL).is_some()
        && masks.len() <= MASKS
}

/// Assigns registers.
///
/// # Errors
/// [`RegisterError`] when a program has more variables in use at once than there are registers.
pub fn allocate(program: &Program) -> Result<Registers, RegisterError> {
    let refuse =
        |kind, needed, available| RegisterError { program: program.name.clone(), kind, needed, available };
    let lives = Lives::of(program);
    let available = vectors(program.width);
    let in_vectors = scan(&lives.vectors, available)
        .ok_or_else(|| refuse("vector", at_once(&lives.vectors), available))?;
    let in_general =
        scan(&lives.general, GENERAL).ok_or_else(|| refuse("general", at_once(&lives.general), GENERAL))?;
    if lives.masks.len() > MASKS {
        return Err(refuse("mask", lives.masks.len(), MASKS));
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

/// The positions during which something needs a register, both included. Statement `i` reads at `2 * i` and
/// assigns at `2 * i + 1`.
#[derive(Clone, Copy, Debug)]
struct Life {
    key: Key,
    begin: u32,
    end: u32,
}

/// What a program needs registers for, in the order of their begin.
struct Lives {
    /// Vectors, and masks of partial stores that are vectors.
    vectors: Vec<Life>,
    /// Pointers and offsets.
    general: Vec<Life>,
    /// First and last position of each loop, in the order of their heads.
    loops: Vec<(u32, u32)>,
    /// Numbers of lanes that need a mask register.
    masks: BTreeSet<u8>,
}

/// Finds the lives of a program's variables.
#[derive(Default)]
struct Finder {
    /// Position of the next statement.
    next: u32,
    /// First and last position so far of each variable, by kind and number.
    variables: [Vec<Option<(u32, u32)>>; 3],
    /// Positions of partial stores that need a mask.
    store_masks: Vec<u32>,
    /// First and last position of each loop, in the order of their heads.
    loops: Vec<(u32, u32)>,
    /// Numbers of lanes that need a mask register.
    masks: BTreeSet<u8>,
}

impl Lives {
    fn of(program: &Program) -> Lives {
        let mut finder = Finder::default();
        finder.block(&program.body, program.width);
        let [of_vectors, pointers, offsets] = &finder.variables;
        let mut vectors: Vec<Life> = lives(of_vectors, |v| Variable::Vector(VecId(v))).collect();
        vectors.extend(finder.store_masks.iter().map(|&at| Life {
            key: Key::StoreMask(at),
            begin: at,
            end: at,
        }));
        let mut general: Vec<Life> = lives(pointers, |p| Variable::Pointer(PtrId(p))).collect();
        general.extend(lives(offsets, |o| Variable::Offset(OffId(o))));
        for all in [&mut vectors, &mut general] {
            all.sort_by_key(|l| l.begin);
        }
        Lives { vectors, general, loops: finder.loops, masks: finder.masks }
    }
}

/// The lives of the variables of a kind, which are first and last positions by their numbers.
fn lives(spans: &[Option<(u32, u32)>], variable: impl Fn(u16) -> Variable) -> impl Iterator<Item = Life> {
    let lived = (0..).zip(spans).filter_map(|(number, span)| Some((number, (*span)?)));
    lived.map(move |(number, (begin, end))| Life { key: Key::Variable(variable(number)), begin, end })
}

impl Finder {
    fn block(&mut self, insts: &[Inst], width: Width) {
        for inst in insts {
            let at = self.next;
            self.next += 2;
            for variable in inst.reads() {
                self.note(variable, at);
            }
            if let Some(variable) = inst.assigns() {
                self.note(variable, at + 1);
            }
            match inst {
                Inst::Load { lanes, .. } | Inst::Store { lanes, .. } if u32::from(*lanes) < width.lanes() => {
                    match width {
                        Width::W8 if matches!(inst, Inst::Store { .. }) => self.store_masks.push(at),
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
                    self.carry(at, self.next);
                    self.next += 2;
                }
                _ => {}
            }
        }
    }

    fn note(&mut self, variable: Variable, at: u32) {
        let (kind, number) = match variable {
            Variable::Vector(v) => (0, v.0),
            Variable::Pointer(p) => (1, p.0),
            Variable::Offset(o) => (2, o.0),
        };
        let (spans, number) = (&mut self.variables[kind], usize::from(number));
        if spans.len() <= number {
            spans.resize(number + 1, None);
        }
        spans[number].get_or_insert((at, at)).1 = at;
    }

    /// Extends the lives of variables that the loop `first..=last`, which ends here, uses and has from before.
    fn carry(&mut self, first: u32, last: u32) {
        for (begin, end) in self.variables.iter_mut().flatten().flatten() {
            if *begin < first && *end >= first {
                *end = last;
            }
        }
    }
}

/// The lowest free register for each life, where there are enough.
fn scan(lives: &[Life], available: usize) -> Option<Vec<(Life, u8)>> {
    // The last position of each register's latest life, which is the one that ends last.
    let mut ends: Vec<Option<u32>> = vec![None; available];
    let assign = |life: &Life| {
        let register = ends.iter().position(|end| end.is_none_or(|end| end < life.begin))?;
        ends[register] = Some(life.end);
        Some((*life, register as u8))
    };
    lives.iter().map(assign).collect()
}

/// The most lives at once.
fn at_once(lives: &[Life]) -> usize {
    let meet = |l: &Life| lives.iter().filter(|o| o.begin <= l.begin && l.begin <= o.end).count();
    lives.iter().map(meet).max().unwrap_or(0)
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
