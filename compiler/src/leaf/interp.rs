//! The meaning of leaf programs: runs them on checked memory.

use super::memory::{Fault, Lanes, Memory, Place, Value, broadcast, load_lanes};
use super::{Address, Inst, OffId, Operand, Program, PtrId, SlotId, Step, VecId, Width};

mod lane;

pub use lane::{binary, compare, shift, unary};

/// Why a program could not be run to its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InterpError {
    /// An access outside memory.
    #[error("leaf '{program}': {inst}: {fault}")]
    Fault {
        /// Name of the program.
        program: String,
        /// The statement as text.
        inst: String,
        /// What is wrong with the access.
        fault: Fault,
    },
    /// A slot without a value, or with one of the wrong kind.
    #[error("leaf '{program}': {slot}: expected {expected}")]
    Slot {
        /// Name of the program.
        program: String,
        /// The slot.
        slot: SlotId,
        /// What its kind asks for.
        expected: &'static str,
    },
    /// A variable that is read before it is assigned.
    #[error("leaf '{program}': {inst}: a variable is not assigned")]
    Unassigned {
        /// Name of the program.
        program: String,
        /// The statement as text.
        inst: String,
    },
}

/// Runs a program with one value per slot.
///
/// Denormal numbers are kept, as machine code does unless its caller has set FTZ or DAZ.
///
/// # Errors
/// [`InterpError`] for values that do not fit the slots, an access outside a region, a store to a region that is read
/// only, or a variable without a value; memory may be changed in part.
pub fn run(program: &Program, slots: &[Value], memory: &mut Memory) -> Result<(), InterpError> {
    let mut machine =
        Machine { program, slots, memory, vectors: Vec::new(), pointers: Vec::new(), offsets: Vec::new() };
    machine.block(&program.body)
}

/// What stops a statement; [`Machine::block`] adds where.
enum Stop {
    Fault(Fault),
    Unassigned,
    Other(InterpError),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Stop::Fault(fault)
    }
}

struct Machine<'a> {
    program: &'a Program,
    slots: &'a [Value],
    memory: &'a mut Memory,
    vectors: Vec<Option<Lanes>>,
    pointers: Vec<Option<Place>>,
    offsets: Vec<Option<i64>>,
}

fn set<T: Clone>(values: &mut Vec<Option<T>>, i: u16, value: T) {
    if values.len() <= i.into() {
        values.resize(usize::from(i) + 1, None);
    }
    values[usize::from(i)] = Some(value);
}

fn get<T: Copy>(values: &[Option<T>], i: u16) -> Result<T, Stop> {
    values.get(usize::from(i)).copied().flatten().ok_or(Stop::Unassigned)
}

impl Machine<'_> {
    fn block(&mut self, insts: &[Inst]) -> Result<(), InterpError> {
        for inst in insts {
            self.inst(inst).map_err(|stop| {
                let (program, text) = (self.program.name.clone(), || inst.to_string());
                match stop {
                    Stop::Fault(fault) => InterpError::Fault { program, inst: text(), fault },
                    Stop::Unassigned => InterpError::Unassigned { program, inst: text() },
                    Stop::Other(e) => e,
                }
            })?;
        }
        Ok(())
    }

    fn inst(&mut self, inst: &Inst) -> Result<(), Stop> {
        match inst {
            Inst::Pointer { .. } | Inst::Displace { .. } | Inst::Advance { .. } | Inst::Offset { .. } => {
                return self.address_inst(inst);
            }
            Inst::Zero(v) => self.set(*v, [0.0; 16]),
            Inst::Splat(v, x) => self.set(*v, self.in_width(|_| *x)),
            Inst::Copy { dst, src } => self.set(*dst, self.vector(*src)?),
            Inst::Load { dst, from, lanes } => {
                let lanes = load_lanes(self.memory, self.place(from)?, *lanes)?;
                self.set(*dst, lanes);
            }
            Inst::Broadcast { dst, from } => {
                let value = self.operand(Operand::Broadcast(*from))?;
                self.set(*dst, value);
            }
            Inst::Fma { acc, a, b } => {
                let (c, a, b) = (self.vector(*acc)?, self.vector(*a)?, self.operand(*b)?);
                self.set(*acc, self.in_width(|i| a[i].mul_add(b[i], c[i])));
            }
            Inst::Horner { acc, x, c } => {
                let (a, x, c) = (self.vector(*acc)?, self.vector(*x)?, self.operand(*c)?);
                self.set(*acc, self.in_width(|i| a[i].mul_add(x[i], c[i])));
            }
            Inst::Binary { op, dst, a, b } => {
                let (a, b) = (self.vector(*a)?, self.operand(*b)?);
                self.set(*dst, self.in_width(|i| binary(*op, a[i], b[i])));
            }
            Inst::Shuffle { op, dst, a, b } => {
                let (a, b, width) = (self.vector(*a)?, self.vector(*b)?, self.program.width);
                let lanes = width.lanes() as usize;
                let of = |i: usize| if i < lanes { a[i] } else { b[i - lanes] };
                self.set(*dst, self.in_width(|i| of(op.source(i, width))));
            }
            Inst::Unary { op, dst, src } => {
                let a = self.vector(*src)?;
                self.set(*dst, self.in_width(|i| unary(*op, a[i])));
            }
            Inst::Shift { op, dst, src, by } => {
                let a = self.vector(*src)?;
                self.set(*dst, self.in_width(|i| f32::from_bits(shift(*op, a[i].to_bits(), (*by).into()))));
            }
            Inst::Compare { op, dst, a, b } => {
                let (a, b) = (self.vector(*a)?, self.vector(*b)?);
                let bits = |i: usize| if compare(*op, a[i], b[i]) { u32::MAX } else { 0 };
                self.set(*dst, self.in_width(|i| f32::from_bits(bits(i))));
            }
            Inst::Select { dst, mask, a, b } => {
                let (mask, a, b) = (self.vector(*mask)?, self.vector(*a)?, self.vector(*b)?);
                let first = |i: usize| mask[i].to_bits() >> 31 == 1;
                self.set(*dst, self.in_width(|i| if first(i) { a[i] } else { b[i] }));
            }
            Inst::Store { to, lanes, src } => {
                let (place, values) = (self.place(to)?, self.vector(*src)?);
                let bytes: Vec<u8> =
                    values[..usize::from(*lanes)].iter().flat_map(|v| v.to_le_bytes()).collect();
                self.memory.store(place, &bytes)?;
            }
            Inst::Prefetch(_, address) => {
                self.place(address)?;
            }
            Inst::Loop { count, body } => {
                for _ in 0..self.number(*count)? {
                    self.block(body).map_err(Stop::Other)?;
                }
            }
        }
        Ok(())
    }

    fn address_inst(&mut self, inst: &Inst) -> Result<(), Stop> {
        match inst {
            Inst::Pointer { dst, slot } => {
                let Some(Value::Pointer(place)) = self.slots.get(usize::from(slot.0)) else {
                    return Err(self.bad_slot(*slot, "a pointer"));
                };
                set(&mut self.pointers, dst.0, *place);
            }
            Inst::Displace { dst, base, by } => {
                let (place, by) = (self.pointer(*base)?, self.offset(*by)?);
                set(&mut self.pointers, dst.0, moved(place, by));
            }
            Inst::Advance { ptr, by } => {
                let bytes = match by {
                    Step::Bytes(bytes) => i64::from(*bytes),
                    Step::Slot(slot) => self.number(*slot)?,
                };
                let place = moved(self.pointer(*ptr)?, bytes);
                set(&mut self.pointers, ptr.0, place);
            }
            Inst::Offset { dst, table, entry } => {
                let mut bytes = [0; 4];
                let place = moved(self.pointer(*table)?, 4 * i64::from(*entry));
                self.memory.load(place, &mut bytes)?;
                set(&mut self.offsets, dst.0, i32::from_le_bytes(bytes).into());
            }
            _ => {}
        }
        Ok(())
    }

    fn bad_slot(&self, slot: SlotId, expected: &'static str) -> Stop {
        Stop::Other(InterpError::Slot { program: self.program.name.clone(), slot, expected })
    }

    fn number(&self, slot: SlotId) -> Result<i64, Stop> {
        match self.slots.get(usize::from(slot.0)) {
            Some(Value::Number(n)) => Ok(*n),
            _ => Err(self.bad_slot(slot, "a number")),
        }
    }

    fn pointer(&self, p: PtrId) -> Result<Place, Stop> {
        get(&self.pointers, p.0)
    }

    fn offset(&self, o: OffId) -> Result<i64, Stop> {
        get(&self.offsets, o.0)
    }

    fn place(&self, address: &Address) -> Result<Place, Stop> {
        let offset = address.offset.map_or(Ok(0), |o| self.offset(o))?;
        Ok(moved(self.pointer(address.base)?, offset + i64::from(address.bytes)))
    }

    fn vector(&self, v: VecId) -> Result<Lanes, Stop> {
        get(&self.vectors, v.0)
    }

    fn set(&mut self, v: VecId, value: Lanes) {
        set(&mut self.vectors, v.0, value);
    }

    fn operand(&self, operand: Operand) -> Result<Lanes, Stop> {
        let width: Width = self.program.width;
        match operand {
            Operand::Vector(v) => self.vector(v),
            Operand::Memory(a) => Ok(load_lanes(self.memory, self.place(&a)?, width.lanes() as u8)?),
            Operand::Broadcast(a) => Ok(broadcast(self.memory, self.place(&a)?, width)?),
            Operand::Splat(x) => Ok(self.in_width(|_| x)),
        }
    }

    /// A vector by lane; lanes past the width are 0.
    fn in_width(&self, f: impl Fn(usize) -> f32) -> Lanes {
        let lanes = self.program.width.lanes() as usize;
        std::array::from_fn(|i| if i < lanes { f(i) } else { 0.0 })
    }
}

fn moved(place: Place, by: i64) -> Place {
    Place { byte: place.byte.wrapping_add(by), ..place }
}
