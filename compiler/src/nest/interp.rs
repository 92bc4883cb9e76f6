//! The meaning of nests: what schedules and compiled code are tested against. Definitions are evaluated element by element
//! with the values of [`octrt_ops::expr`]; calls go through the interpreter of leaf programs, or through emulated machine
//! code. The form of a loop changes nothing.

use std::sync::Arc;

use octrt_ops::expr::{BufId, Scalar};
use octrt_ops::{Tensor, TensorType, compute};

use super::{Buffer, BufferRole, Form, Nest};
use crate::leaf::emulate::Emulator;
use crate::leaf::memory::{Access, Memory, Place, Region, Value};
use crate::leaf::{Program, interp, x64};
use resolved::{Op, Slot};

mod element;
mod program;
mod resolved;

/// How leaf programs are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Statement by statement.
    Interpreter,
    /// As the assembled machine code, emulated.
    Emulator,
}

/// Which iterations of a nest are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All of them, in the order of the loops.
    All,
    /// Those of one turn of the outermost loop.
    Turn(usize),
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

/// A nest that is ready to be run as often as wanted: statements are resolved, leaf programs assembled.
#[derive(Debug)]
pub struct Prepared<'a> {
    nest: &'a Nest,
    /// Decoded machine code of each leaf; `None` for those that are interpreted.
    code: Vec<Option<Emulator>>,
    body: Vec<Op>,
}

impl<'a> Prepared<'a> {
    /// Resolves statements, assembles and decodes what the engine needs.
    ///
    /// # Errors
    /// [`InterpError`] when a leaf program cannot be assembled, or a reduction is no perfect nest.
    pub fn new(nest: &'a Nest, engine: Engine) -> Result<Prepared<'a>, InterpError> {
        let code = |p: &Arc<Program>| match engine {
            Engine::Interpreter => Ok(None),
            Engine::Emulator => {
                let function = x64::assemble(p).map_err(|e| e.to_string())?;
                Emulator::new(&function.bytes).map(Some).map_err(|e| e.to_string())
            }
        };
        let prepare = || {
            let code = nest.leaves.iter().map(code).collect::<Result<_, String>>()?;
            Ok(Prepared { nest, code, body: resolved::resolve(nest)? })
        };
        prepare().map_err(|e| fail(nest, e))
    }

    /// The nest.
    pub fn nest(&self) -> &'a Nest {
        self.nest
    }

    /// Runs the nest on its inputs, in the order of its buffers (`None` for tables, the result and scratch). The result
    /// starts as `dst`, or as zeros where that is `None`; elements that nothing writes keep it. Scratch is NaN at the
    /// beginning of each iteration of the parallel loop. Of several results, which all start as zeros then, it gives the
    /// first.
    ///
    /// # Errors
    /// [`InterpError`] when an input is missing, does not fit or is outside its declared range, a call names a leaf that is
    /// not there, a leaf program faults, an index leaves its buffer, or an update has nothing to start from.
    pub fn run(&self, inputs: &[Option<&Tensor>], dst: Option<&Tensor>) -> Result<Tensor, InterpError> {
        let id = self.nest.dst().ok_or_else(|| fail(self.nest, "no result".into()))?;
        let held = |i: usize| if i == id.index() { dst } else { inputs.get(i).copied().flatten() };
        let all: Vec<Option<&Tensor>> = (0..self.nest.buffers.len()).map(held).collect();
        Ok(self.run_part(&all, Part::All)?.swap_remove(0))
    }

    /// As [`Prepared::run`], of a part: what results start as stands with the inputs, and all results are given.
    ///
    /// # Errors
    /// As there.
    pub fn run_part(&self, buffers: &[Option<&Tensor>], part: Part) -> Result<Vec<Tensor>, InterpError> {
        let run = || {
            let mut machine = Machine::new(self, buffers)?;
            machine.begin(buffers)?;
            match (&self.body[..], part) {
                ([Op::Loop { extent, form: Form::Parallel, .. }], Part::All) => {
                    (0..*extent).try_for_each(|i| machine.iteration(i))?;
                }
                ([Op::Loop { form: Form::Turn, .. }], Part::Turn(turn)) => machine.iteration(turn as i64)?,
                (body, Part::All) => machine.block(body)?,
                (_, Part::Turn(_)) => return Err("there are no turns".to_string()),
            }
            machine.results()
        };
        run().map_err(|e| fail(self.nest, e))
    }

    /// The first byte of a result that two iterations of the parallel loop write, or that one computes from what it has
    /// not written before, if any: with inputs as for [`Prepared::run`]. Those of several results are counted from the first.
    ///
    /// # Errors
    /// As [`Prepared::run`].
    pub fn races(&self, inputs: &[Option<&Tensor>]) -> Result<Option<usize>, InterpError> {
        self.find_race(inputs).map_err(|e| fail(self.nest, e))
    }

    fn find_race(&self, inputs: &[Option<&Tensor>]) -> Result<Option<usize>, String> {
        let types: Vec<&TensorType> =
            self.nest.dsts().map(|dst| &self.nest.buffers[dst.index()].ty).collect();
        let bytes = types.iter().map(|ty| ty.bytes()).sum::<usize>();
        let mut owner: Vec<Option<i64>> = vec![None; bytes];
        let mut machine = Machine::new(self, inputs)?;
        // What an iteration writes differs from one of two backgrounds, and depends on neither. A background tells places
        // apart, and no byte of it is that of the other.
        let background = |at: usize| (at.wrapping_mul(0x9e37_79b1) >> 13) as u8;
        for i in 0..self.nest.parallel_extent() as i64 {
            let mut over = |flip: u8| {
                let mut next = (0..bytes).map(|at| background(at) ^ flip);
                let old = |ty: &&TensorType| {
                    let bytes = next.by_ref().take(ty.bytes()).collect();
                    Tensor::from_bytes((*ty).clone(), bytes).map_err(|e| e.to_string())
                };
                let old = types.iter().map(old).collect::<Result<Vec<_>, _>>()?;
                let mut all = vec![None; self.nest.buffers.len()];
                self.nest.dsts().zip(&old).for_each(|(dst, old)| all[dst.index()] = Some(old));
                machine.begin(&all)?;
                machine.iteration(i)?;
                let results = machine.results()?;
                Ok::<_, String>(results.iter().flat_map(|r| r.bytes()).copied().collect::<Vec<u8>>())
            };
            let [one, other] = [over(0)?, over(0xff)?];
            for (at, ((a, b), o)) in one.iter().zip(&other).zip(&mut owner).enumerate() {
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
    prepared: &'a Prepared<'a>,
    memory: Memory,
    /// The variables of the loops around the current statement, outermost first.
    vars: Vec<i64>,
}

impl<'a> Machine<'a> {
    fn new(prepared: &'a Prepared<'a>, inputs: &[Option<&Tensor>]) -> Result<Machine<'a>, String> {
        let mut memory = Memory::default();
        for (i, b) in prepared.nest.buffers.iter().enumerate() {
            memory.add(match &b.role {
                BufferRole::Src => {
                    Region { bytes: held(i, b, inputs.get(i).copied().flatten())?, access: Access::Read }
                }
                BufferRole::Table(t) => Region { bytes: t.bytes().to_vec(), access: Access::Read },
                BufferRole::Dst | BufferRole::Scratch => {
                    Region { bytes: Vec::new(), access: Access::ReadWrite }
                }
            });
        }
        let mut machine = Machine { prepared, memory, vars: Vec::new() };
        machine.new_scratch();
        Ok(machine)
    }

    /// The results as they are before the first statement.
    fn begin(&mut self, buffers: &[Option<&Tensor>]) -> Result<(), String> {
        let nest = self.prepared.nest;
        let starts = nest.definitions().iter().any(|d| d.may_load_dst());
        for id in nest.dsts().map(BufId::index) {
            let b = &nest.buffers[id];
            self.memory.regions[id].bytes = match buffers.get(id).copied().flatten() {
                None if !starts => vec![0; b.ty.bytes()],
                dst => held(id, b, dst)?,
            };
        }
        Ok(())
    }

    fn new_scratch(&mut self) {
        for (b, region) in self.prepared.nest.buffers.iter().zip(&mut self.memory.regions) {
            if b.role == BufferRole::Scratch {
                region.bytes = garbage(b.ty.bytes());
            }
        }
    }

    /// One iteration of the outermost loop.
    fn iteration(&mut self, i: i64) -> Result<(), String> {
        self.new_scratch();
        let [Op::Loop { extent, body, .. }] = &self.prepared.body[..] else {
            return Err("expected one outermost loop".into());
        };
        if !(0..*extent).contains(&i) {
            return Err(format!("there is no iteration {i} of {extent}"));
        }
        self.vars.push(i);
        self.block(body)?;
        self.vars.pop();
        Ok(())
    }

    fn block(&mut self, ops: &[Op]) -> Result<(), String> {
        for op in ops {
            match op {
                Op::Loop { extent, body, .. } => {
                    for i in 0..*extent {
                        self.vars.push(i);
                        self.block(body)?;
                        self.vars.pop();
                    }
                }
                Op::Elements(elements) => elements.run(&mut self.vars, &mut self.memory)?,
                Op::Call { leaf, slots } => self.call(*leaf, slots)?,
            }
        }
        Ok(())
    }

    fn call(&mut self, leaf: usize, slots: &[Slot]) -> Result<(), String> {
        let value = |v: &Slot| match v {
            Slot::Number(n) => Value::Number(*n),
            Slot::Pointer { region, base, terms } => {
                let byte = terms.iter().fold(*base, |sum, (at, factor)| sum + factor * self.vars[*at]);
                Value::Pointer(Place { region: *region, byte })
            }
        };
        let values: Vec<Value> = slots.iter().map(value).collect();
        match (self.prepared.nest.leaves.get(leaf), self.prepared.code.get(leaf)) {
            (Some(program), Some(None)) => {
                interp::run(program, &values, &mut self.memory).map_err(|e| e.to_string())
            }
            (_, Some(Some(code))) => code.run(&values, &mut self.memory).map_err(|e| e.to_string()),
            _ => Err(format!("there is no leaf {leaf}")),
        }
    }

    /// All results, which leave the memory.
    fn results(&mut self) -> Result<Vec<Tensor>, String> {
        let mut of = |id: BufId| {
            let bytes = std::mem::take(&mut self.memory.regions[id.index()].bytes);
            let ty = self.prepared.nest.buffers[id.index()].ty.clone();
            Tensor::from_bytes(ty, bytes).map_err(|e| e.to_string())
        };
        self.prepared.nest.dsts().map(&mut of).collect()
    }
}

/// The bytes of a tensor for buffer `i`.
fn held(i: usize, b: &Buffer, t: Option<&Tensor>) -> Result<Vec<u8>, String> {
    let Some(t) = t else { return Err(format!("b{i} is missing: expected {}", b.ty)) };
    let alike = |ty: &TensorType| ty.bytes() == b.ty.bytes() && ty.dtype == b.ty.dtype;
    if !alike(t.ty()) {
        return Err(format!("b{i}: expected a tensor {}, found {}", b.ty, t.ty()));
    }
    if let Some((lo, hi)) = b.range {
        let elements = compute::scalars(t).map_err(|e| e.to_string())?;
        let mut ints = elements.into_iter().filter_map(Scalar::int);
        if let Some(v) = ints.find(|&v| v < lo.into() || v > hi.into()) {
            return Err(format!("b{i}: expected elements in {lo}..{hi}, found {v}"));
        }
    }
    Ok(t.bytes().to_vec())
}

/// NaN everywhere: what is read before it is written must show.
pub(crate) fn garbage(bytes: usize) -> Vec<u8> {
    f32::NAN.to_le_bytes().iter().copied().cycle().take(bytes).collect()
}

#[cfg(test)]
mod tests;
