//! The meaning of tile nests: every call through the leaf interpreter, or through emulated machine code.

use std::sync::Arc;

use octrt_ops::{Tensor, TensorType};

use super::{BufferRole, Distance, Nest, SlotValue, Stmt, VarId};
use crate::leaf::emulate::Emulator;
use crate::leaf::memory::{Access, Memory, Place, Region, Value};
use crate::leaf::{Program, interp, x64};

/// How leaf programs are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Statement by statement.
    Interpreter,
    /// As the assembled machine code, emulated.
    Emulator,
}

/// What went wrong, with the nest's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nest '{nest}': {message}")]
pub struct InterpError {
    /// Name of the nest.
    pub nest: String,
    /// What.
    pub message: String,
}

/// A nest with its leaf programs ready to be run as often as wanted.
#[derive(Clone, Debug)]
pub struct Prepared<'a> {
    nest: &'a Nest,
    /// Decoded machine code of each leaf; `None` for those that are interpreted.
    code: Vec<Option<Emulator>>,
}

impl<'a> Prepared<'a> {
    /// Assembles and decodes what the engine needs.
    ///
    /// # Errors
    /// [`InterpError`] when a leaf program cannot be assembled.
    pub fn new(nest: &'a Nest, engine: Engine) -> Result<Prepared<'a>, InterpError> {
        let code = |p: &Arc<Program>| match engine {
            Engine::Interpreter => Ok(None),
            Engine::Emulator => {
                let function = x64::assemble(p).map_err(|e| e.to_string())?;
                Emulator::new(&function.bytes).map(Some).map_err(|e| e.to_string())
            }
        };
        let code = nest.leaves.iter().map(code).collect::<Result<_, String>>();
        Ok(Prepared { nest, code: code.map_err(|e| fail(nest, e))? })
    }

    /// The nest.
    pub fn nest(&self) -> &'a Nest {
        self.nest
    }

    /// Runs the nest on its inputs, in the order of its buffers (`None` for tables, the result and scratch). The result
    /// starts as `dst`, or as zeros where that is `None`; elements that no call writes keep it. Scratch is NaN at the
    /// beginning of each iteration of the parallel loop.
    ///
    /// # Errors
    /// [`InterpError`] when an input is missing or does not fit, a call names a leaf that is not there, or a leaf program faults.
    pub fn run(&self, inputs: &[Option<&Tensor>], dst: Option<&Tensor>) -> Result<Tensor, InterpError> {
        let run = || {
            let mut machine = Machine::new(self, inputs)?;
            machine.begin(dst)?;
            (0..self.nest.parallel_extent()).try_for_each(|i| machine.iteration(i))?;
            machine.result()
        };
        run().map_err(|e| fail(self.nest, e))
    }

    /// The first byte of the result that two iterations of the parallel loop write, or that one computes from what it has
    /// not written before, if any: with inputs as for [`Prepared::run`].
    ///
    /// # Errors
    /// As [`Prepared::run`].
    pub fn races(&self, inputs: &[Option<&Tensor>]) -> Result<Option<usize>, InterpError> {
        self.find_race(inputs).map_err(|e| fail(self.nest, e))
    }

    fn find_race(&self, inputs: &[Option<&Tensor>]) -> Result<Option<usize>, String> {
        let dst = self.nest.dst().ok_or("no result")?;
        let ty = &self.nest.buffers[dst.index()].ty;
        let mut owner: Vec<Option<usize>> = vec![None; ty.bytes()];
        let mut machine = Machine::new(self, inputs)?;
        // What an iteration writes differs from one of two backgrounds, and depends on neither. A background tells places
        // apart, and no byte of it is that of the other.
        let background = |at: usize| (at.wrapping_mul(0x9e37_79b1) >> 13) as u8;
        for i in 0..self.nest.parallel_extent() {
            let mut over = |flip: u8| {
                let old = (0..ty.bytes()).map(|at| background(at) ^ flip).collect();
                let old = Tensor::from_bytes(ty.clone(), old);
                machine.begin(Some(&old.map_err(|e| e.to_string())?))?;
                machine.iteration(i)?;
                machine.result()
            };
            let [one, other] = [over(0)?, over(0xff)?];
            for (at, ((a, b), o)) in one.bytes().iter().zip(other.bytes()).zip(&mut owner).enumerate() {
                match *o {
                    _ if [*a, *b] == [background(at), !background(at)] => {}
                    _ if a != b => return Ok(Some(at)),
                    Some(writer) if writer != i => return Ok(Some(at)),
                    _ => *o = Some(i),
                }
            }
        }
        Ok(None)
    }
}

/// As [`Prepared::run`], once.
///
/// # Errors
/// As [`Prepared::new`] and [`Prepared::run`].
pub fn run(
    nest: &Nest,
    inputs: &[Option<&Tensor>],
    dst: Option<&Tensor>,
    engine: Engine,
) -> Result<Tensor, InterpError> {
    Prepared::new(nest, engine)?.run(inputs, dst)
}

/// As [`Prepared::races`], by the interpreter.
///
/// # Errors
/// As [`Prepared::new`] and [`Prepared::run`].
pub fn races(nest: &Nest, inputs: &[Option<&Tensor>]) -> Result<Option<usize>, InterpError> {
    Prepared::new(nest, Engine::Interpreter)?.races(inputs)
}

fn fail(nest: &Nest, message: String) -> InterpError {
    InterpError { nest: nest.name.clone(), message }
}

/// A nest that runs, with its memory.
struct Machine<'a> {
    nest: &'a Nest,
    code: &'a [Option<Emulator>],
    memory: Memory,
    values: Vec<(VarId, i64)>,
}

impl<'a> Machine<'a> {
    fn new(prepared: &'a Prepared<'a>, inputs: &[Option<&Tensor>]) -> Result<Machine<'a>, String> {
        let nest = prepared.nest;
        let mut memory = Memory::default();
        for (i, b) in nest.buffers.iter().enumerate() {
            memory.add(match &b.role {
                BufferRole::Src => {
                    Region { bytes: held(i, &b.ty, inputs.get(i).copied().flatten())?, access: Access::Read }
                }
                BufferRole::Table(t) => Region { bytes: t.bytes().to_vec(), access: Access::Read },
                BufferRole::Dst | BufferRole::Scratch => {
                    Region { bytes: Vec::new(), access: Access::ReadWrite }
                }
            });
        }
        Ok(Machine { nest, code: &prepared.code, memory, values: Vec::new() })
    }

    /// The result as it is before the first call.
    fn begin(&mut self, dst: Option<&Tensor>) -> Result<(), String> {
        let id = self.nest.dst().ok_or("no result")?;
        let ty = &self.nest.buffers[id.index()].ty;
        let bytes = match dst {
            Some(t) => held(id.index(), ty, Some(t))?,
            None => vec![0; ty.bytes()],
        };
        self.memory.regions[id.index()].bytes = bytes;
        Ok(())
    }

    fn iteration(&mut self, i: usize) -> Result<(), String> {
        for (b, region) in self.nest.buffers.iter().zip(&mut self.memory.regions) {
            if b.role == BufferRole::Scratch {
                region.bytes = garbage(b.ty.bytes());
            }
        }
        let (outer, body) = self.nest.parallel().ok_or("no parallel loop")?;
        self.values = vec![(outer.id, i as i64)];
        self.block(body)
    }

    fn block(&mut self, stmts: &[Stmt]) -> Result<(), String> {
        for stmt in stmts {
            match stmt {
                Stmt::Loop(l, body) => {
                    for i in 0..l.extent {
                        self.values.push((l.id, i as i64));
                        self.block(body)?;
                        self.values.pop();
                    }
                }
                Stmt::Call { leaf, slots } => self.call(*leaf, slots)?,
                Stmt::Define(d) => return Err(format!("a definition of {}", d.dst)),
            }
        }
        Ok(())
    }

    fn call(&mut self, leaf: usize, slots: &[SlotValue]) -> Result<(), String> {
        let value = |v: &SlotValue| match v {
            SlotValue::Number(n) => Value::Number(*n),
            SlotValue::Pointer(b, at) => Value::Pointer(Place { region: b.index(), byte: self.distance(at) }),
        };
        let values: Vec<Value> = slots.iter().map(value).collect();
        match (self.nest.leaves.get(leaf), self.code.get(leaf)) {
            (Some(program), Some(None)) => {
                interp::run(program, &values, &mut self.memory).map_err(|e| e.to_string())
            }
            (_, Some(Some(code))) => code.run(&values, &mut self.memory).map_err(|e| e.to_string()),
            _ => Err(format!("there is no leaf {leaf}")),
        }
    }

    fn distance(&self, at: &Distance) -> i64 {
        let value = |id: &VarId| self.values.iter().find(|(l, _)| l == id).map_or(0, |(_, v)| *v);
        at.terms.iter().fold(at.base, |sum, (id, factor)| sum + factor * value(id))
    }

    fn result(&mut self) -> Result<Tensor, String> {
        let dst = self.nest.dst().ok_or("no result")?;
        let bytes = std::mem::take(&mut self.memory.regions[dst.index()].bytes);
        Tensor::from_bytes(self.nest.buffers[dst.index()].ty.clone(), bytes).map_err(|e| e.to_string())
    }
}

/// The bytes of a tensor for buffer `i`.
fn held(i: usize, ty: &TensorType, t: Option<&Tensor>) -> Result<Vec<u8>, String> {
    match t {
        Some(t) if t.ty().bytes() == ty.bytes() && t.dtype() == ty.dtype => Ok(t.bytes().to_vec()),
        Some(t) => Err(format!("b{i}: expected {ty}, found {}", t.ty())),
        None => Err(format!("b{i} is missing")),
    }
}

/// NaN everywhere: what is read before it is written must show.
pub(crate) fn garbage(bytes: usize) -> Vec<u8> {
    f32::NAN.to_le_bytes().iter().copied().cycle().take(bytes).collect()
}
