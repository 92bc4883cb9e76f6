//! The rules of leaf programs.
//!
//! Slots
//! * names are unique, hold no quotes and no line ends; there are at most [`MAX_SLOTS`];
//! * every slot that a statement names exists and has the kind that it asks for.
//!
//! Statements
//! * at most [`MAX_LOOPS`] loops, nested or one after the other;
//! * every variable is assigned before it is read; what a loop is the first to assign is not read after it, for the
//!   loop may run no times;
//! * lanes are from 1 to the width;
//! * constant distances are multiples of 4;
//! * a splat is not NaN;
//! * a broadcast operand occurs only in vectors of 16 lanes, and so do `scale`, `exponent` and `mantissa`;
//! * bits are shifted by 0 to 31.
//!
//! How many registers there are is a matter of [`registers`](super::registers).

use super::{BinaryOp, Inst, Operand, Program, SlotId, SlotKind, Step, UnaryOp, Variable, Width};

/// Most slots of a program.
pub const MAX_SLOTS: usize = 64;

/// Most loops of a program.
pub const MAX_LOOPS: usize = 3;

/// A rule that a program breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("leaf '{program}': {violation}")]
pub struct VerifyError {
    /// Name of the program.
    pub program: String,
    /// The rule and where it is broken.
    pub violation: Violation,
}

/// What is wrong with a program.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// Too many of something.
    #[error("expected at most {most} {what}, found {found}")]
    TooMany {
        /// `slots` or `loops`.
        what: &'static str,
        /// The limit.
        most: usize,
        /// What there is.
        found: usize,
    },
    /// A name that is used twice or cannot be printed.
    #[error("{slot}: expected a name of its own without quotes and line ends, found {name:?}")]
    Name {
        /// The slot.
        slot: SlotId,
        /// Its name.
        name: String,
    },
    /// A slot that does not exist or has another kind.
    #[error("`{inst}`: expected a {expected} slot, found {found}")]
    Slot {
        /// The statement.
        inst: String,
        /// The kind that it asks for.
        expected: SlotKind,
        /// The kind that there is, or that there is none.
        found: String,
    },
    /// A variable that is read before it is assigned.
    #[error("`{inst}`: {variable} is not assigned")]
    Unassigned {
        /// The statement.
        inst: String,
        /// The variable.
        variable: Variable,
    },
    /// A statement that breaks another rule.
    #[error("`{inst}`: expected {expected}")]
    Inst {
        /// The statement.
        inst: String,
        /// What the rule asks for.
        expected: &'static str,
    },
}

/// Checks a program.
///
/// # Errors
/// The first rule that it breaks.
pub fn verify(program: &Program) -> Result<(), VerifyError> {
    let mut checker = Checker { program, loops: 0, assigned: Assigned::default() };
    let check = checker.slots().and_then(|()| checker.block(&program.body));
    check.map_err(|violation| VerifyError { program: program.name.clone(), violation })
}

/// A set of variables: vectors, pointers and offsets by number.
#[derive(Clone, Default)]
struct Assigned([Vec<bool>; 3]);

impl Assigned {
    fn place(v: Variable) -> (usize, usize) {
        match v {
            Variable::Vector(v) => (0, v.0.into()),
            Variable::Pointer(p) => (1, p.0.into()),
            Variable::Offset(o) => (2, o.0.into()),
        }
    }

    fn contains(&self, v: Variable) -> bool {
        let (kind, i) = Assigned::place(v);
        self.0[kind].get(i) == Some(&true)
    }

    fn insert(&mut self, v: Variable) {
        let (kind, i) = Assigned::place(v);
        let all = &mut self.0[kind];
        if all.len() <= i {
            all.resize(i + 1, false);
        }
        all[i] = true;
    }
}

struct Checker<'a> {
    program: &'a Program,
    loops: usize,
    assigned: Assigned,
}

impl Checker<'_> {
    fn slots(&self) -> Result<(), Violation> {
        let slots = &self.program.slots;
        if slots.len() > MAX_SLOTS {
            return Err(Violation::TooMany { what: "slots", most: MAX_SLOTS, found: slots.len() });
        }
        for (i, slot) in slots.iter().enumerate() {
            let name = &slot.name;
            if slots[..i].iter().any(|s| s.name == *name) || name.contains(['"', '\n', '\r']) {
                return Err(Violation::Name { slot: SlotId(i as u16), name: name.clone() });
            }
        }
        Ok(())
    }

    fn block(&mut self, insts: &[Inst]) -> Result<(), Violation> {
        insts.iter().try_for_each(|inst| self.inst(inst))
    }

    fn inst(&mut self, inst: &Inst) -> Result<(), Violation> {
        if let Some(variable) = inst.reads().find(|v| !self.assigned.contains(*v)) {
            return Err(Violation::Unassigned { inst: inst.to_string(), variable });
        }
        self.distances(inst)?;
        self.wide(inst)?;
        match inst {
            Inst::Pointer { slot, .. } => self.slot(inst, *slot, SlotKind::Pointer)?,
            Inst::Advance { by: Step::Slot(slot), .. } => self.slot(inst, *slot, SlotKind::Stride)?,
            Inst::Splat(_, x)
            | Inst::Fma { b: Operand::Splat(x), .. }
            | Inst::Horner { c: Operand::Splat(x), .. }
            | Inst::Binary { b: Operand::Splat(x), .. } => self.rule(inst, "a number", !x.is_nan())?,
            Inst::Load { lanes, .. } | Inst::Store { lanes, .. } => {
                let within = (1..=self.program.width.lanes()).contains(&u32::from(*lanes));
                self.rule(inst, "lanes from 1 to the width", within)?;
            }
            Inst::Shift { by, .. } => self.rule(inst, "from 0 to 31 bits", *by < 32)?,
            Inst::Loop { count, body } => {
                self.slot(inst, *count, SlotKind::Count)?;
                self.loops += 1;
                if self.loops > MAX_LOOPS {
                    return Err(Violation::TooMany { what: "loops", most: MAX_LOOPS, found: self.loops });
                }
                let before = self.assigned.clone();
                self.block(body)?;
                self.assigned = before;
            }
            _ => {}
        }
        inst.assigns().into_iter().for_each(|v| self.assigned.insert(v));
        Ok(())
    }

    /// What only vectors of 16 lanes can do.
    fn wide(&self, inst: &Inst) -> Result<(), Violation> {
        let wide = self.program.width == Width::W16;
        match inst {
            Inst::Fma { b: Operand::Broadcast(_), .. }
            | Inst::Horner { c: Operand::Broadcast(_), .. }
            | Inst::Binary { b: Operand::Broadcast(_), .. } => {
                self.rule(inst, "16 lanes with a broadcast operand", wide)
            }
            Inst::Binary { op: BinaryOp::Scale, .. }
            | Inst::Unary { op: UnaryOp::Exponent | UnaryOp::Mantissa, .. } => {
                self.rule(inst, "16 lanes with this operation", wide)
            }
            _ => Ok(()),
        }
    }

    fn distances(&self, inst: &Inst) -> Result<(), Violation> {
        let step = match inst {
            Inst::Advance { by: Step::Bytes(bytes), .. } => *bytes,
            _ => 0,
        };
        let aligned = step % 4 == 0 && inst.address().is_none_or(|a| a.bytes % 4 == 0);
        self.rule(inst, "a distance that is a multiple of 4", aligned)
    }

    fn rule(&self, inst: &Inst, expected: &'static str, kept: bool) -> Result<(), Violation> {
        if kept { Ok(()) } else { Err(Violation::Inst { inst: inst.to_string(), expected }) }
    }

    fn slot(&self, inst: &Inst, slot: SlotId, expected: SlotKind) -> Result<(), Violation> {
        let found = self.program.slots.get(usize::from(slot.0)).map(|s| s.kind);
        if found == Some(expected) {
            return Ok(());
        }
        let found = found.map_or("no such slot".into(), |k| format!("a {k} slot"));
        Err(Violation::Slot { inst: inst.to_string(), expected, found })
    }
}
