//! The meaning of a scheduled program: every step through the interpreter of its nest, on memory like that of a session.
//!
//! The arena and the outputs start as NaN and scratch is NaN before each iteration, so that what no step wrote shows in the
//! results. A step whose result shares bytes with what it reads is refused.

use octrt_ops::expr::BufId;
use octrt_ops::{Tensor, TensorType};

use super::Program;
use crate::artifact::{Place, Step};
use crate::nest::interp::{self as nest_interp, Engine, Part, garbage};
use crate::nest::{BufferRole, Nest};

/// What went wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {message}")]
pub struct RunError {
    /// The step with its node, the input or the copy.
    pub at: String,
    /// What.
    pub message: String,
}

/// A program ready to be run as often as wanted: constants are packed, leaf programs assembled.
#[derive(Debug)]
pub struct Prepared<'a> {
    program: &'a Program,
    nests: Vec<nest_interp::Prepared<'a>>,
    constants: Vec<Vec<u8>>,
}

/// As [`Prepared::run`], once.
///
/// # Errors
/// As [`Prepared::new`] and [`Prepared::run`].
pub fn run(program: &Program, inputs: &[Tensor], engine: Engine) -> Result<Vec<Tensor>, RunError> {
    Prepared::new(program, engine)?.run(inputs)
}

impl<'a> Prepared<'a> {
    /// Packs the constants and makes the leaf programs ready for the engine.
    ///
    /// # Errors
    /// [`RunError`] when a leaf program cannot be assembled, or a constant is not what its recipe was made for.
    pub fn new(program: &'a Program, engine: Engine) -> Result<Prepared<'a>, RunError> {
        let ready = |(i, nest)| {
            nest_interp::Prepared::new(nest, engine)
                .map_err(|e| RunError { at: format!("f{i}"), message: e.to_string() })
        };
        let nests = program.nests.iter().enumerate().map(ready).collect::<Result<_, _>>()?;
        let packed = |(i, c): (usize, &crate::artifact::Constant)| {
            let mut bytes = vec![0; c.ty().bytes()];
            match c.write(&mut bytes) {
                Ok(()) => Ok(bytes),
                Err(e) => Err(RunError { at: format!("c{i}"), message: e.to_string() }),
            }
        };
        let constants = program.constants.iter().enumerate().map(packed).collect::<Result<_, _>>()?;
        Ok(Prepared { program, nests, constants })
    }

    /// The outputs for these inputs, both in the model's order.
    ///
    /// # Errors
    /// [`RunError`] when an input is not of the declared type, a nest faults or reads outside its buffers, a step's places
    /// do not exist or overlap, or a step's check fails.
    pub fn run(&self, inputs: &[Tensor]) -> Result<Vec<Tensor>, RunError> {
        let mut memory = self.memory(inputs)?;
        let mut next = 0;
        while next < self.program.steps.len() {
            match self.program.repeats.iter().find(|r| r.steps.start == next && !r.steps.is_empty()) {
                None => {
                    self.numbered(next, Part::All, &mut memory)?;
                    next += 1;
                }
                Some(repeat) => {
                    for turn in 0..repeat.turns {
                        for step in repeat.steps.clone() {
                            self.numbered(step, Part::Turn(turn), &mut memory)?;
                        }
                    }
                    next = repeat.steps.end;
                }
            }
        }
        for copy in &self.program.copies {
            let copied = match self.program.outputs.get(copy.output) {
                Some(port) => memory.tensor(copy.from, &port.ty),
                None => Err("there is no such output".to_string()),
            };
            let copied = copied.and_then(|t| memory.write(Place::Output(copy.output), &t));
            copied.map_err(|message| RunError { at: format!("copy to output {}", copy.output), message })?;
        }
        let output = |(i, bytes): (usize, Vec<u8>)| {
            let ty = self.program.outputs[i].ty.clone();
            Tensor::from_bytes(ty, bytes)
                .map_err(|e| RunError { at: format!("output {i}"), message: e.to_string() })
        };
        memory.outputs.into_iter().enumerate().map(output).collect()
    }

    fn numbered(&self, i: usize, part: Part, memory: &mut Memory<'_>) -> Result<(), RunError> {
        let fail = |at: String, message: String| Err(RunError { at, message });
        let Some(step) = self.program.steps.get(i) else {
            return fail(format!("step {i}"), "there is no such step".to_string());
        };
        let at = || format!("step {i} '{}' ({}, {})", step.node, step.op, step.stage);
        self.step(step, part, memory).or_else(|message| fail(at(), message))
    }

    fn memory<'m>(&'m self, inputs: &'m [Tensor]) -> Result<Memory<'m>, RunError> {
        let p = self.program;
        let fail = |at: String, message: String| Err(RunError { at, message });
        if inputs.len() != p.inputs.len() {
            return fail("inputs".into(), format!("expected {}, found {}", p.inputs.len(), inputs.len()));
        }
        for (port, t) in p.inputs.iter().zip(inputs) {
            if port.ty != *t.ty() {
                return fail(
                    format!("input '{}'", port.name),
                    format!("expected {}, found {}", port.ty, t.ty()),
                );
            }
        }
        Ok(Memory {
            inputs,
            constants: &self.constants,
            outputs: p.outputs.iter().map(|port| garbage(port.ty.bytes())).collect(),
            arena: garbage(p.arena_bytes),
        })
    }

    fn step(&self, step: &Step, part: Part, memory: &mut Memory<'_>) -> Result<(), String> {
        let function = step.function.0 as usize;
        let nest = self.program.nests.get(function).ok_or("there is no such function")?;
        if step.extent != nest.parallel_extent() {
            return Err(format!("expected an extent of {}, found {}", nest.parallel_extent(), step.extent));
        }
        separate(step)?;
        let held = |b: &crate::artifact::BufferRef| match b.place {
            Place::Scratch(at) => match at.checked_add(b.ty.bytes()) {
                Some(end) if end <= self.program.scratch_bytes => Ok(None),
                _ => Err(format!("{:?} is too small for {}", b.place, b.ty)),
            },
            place => memory.tensor(place, &b.ty).map(Some),
        };
        let tensors = step.buffers.iter().map(held).collect::<Result<Vec<_>, String>>()?;
        let all: Vec<Option<&Tensor>> = tensors.iter().map(Option::as_ref).collect();
        check_buffers(nest, step, &all)?;
        let results = self.nests[function].run_part(&all, part).map_err(|e| e.to_string())?;
        if let Some(message) = &step.check
            && results.first().is_some_and(|r| r.bytes().first() == Some(&0))
        {
            return Err(message.clone());
        }
        let places: Vec<Place> = step.results.iter().map(|i| step.buffers[*i].place).collect();
        places.into_iter().zip(&results).try_for_each(|(place, result)| memory.write(place, result))
    }
}

/// Whether buffers have the types and roles that a nest declares, and tables their entries.
fn check_buffers(nest: &Nest, step: &Step, tensors: &[Option<&Tensor>]) -> Result<(), String> {
    if nest.buffers.len() != step.buffers.len()
        || !nest.dsts().map(BufId::index).eq(step.results.iter().copied())
    {
        return Err(format!("the buffers are not those of '{}'", nest.name));
    }
    for (i, (b, (r, t))) in nest.buffers.iter().zip(step.buffers.iter().zip(tensors)).enumerate() {
        let scratch = matches!(r.place, Place::Scratch(_));
        if b.ty != r.ty || scratch != (b.role == BufferRole::Scratch) {
            return Err(format!("b{i}: expected {:?} {}, found {:?} {}", b.role, b.ty, r.place, r.ty));
        }
        if let BufferRole::Table(table) = &b.role
            && Some(table) != *t
        {
            return Err(format!("b{i}: the constant is not the table"));
        }
    }
    Ok(())
}

/// No result shares bytes with another buffer.
fn separate(step: &Step) -> Result<(), String> {
    for result in &step.results {
        let Some(dst) = step.buffers.get(*result) else {
            return Err("there is no buffer for the result".into());
        };
        for (i, b) in step.buffers.iter().enumerate().filter(|(i, _)| i != result) {
            let meets = match (b.place, dst.place) {
                (Place::Arena(a), Place::Arena(d)) => a < d + dst.ty.bytes() && d < a + b.ty.bytes(),
                (a, d) => a == d,
            };
            if meets {
                return Err(format!("b{i} overlaps the result b{result}"));
            }
        }
    }
    Ok(())
}

/// What steps work on.
struct Memory<'a> {
    inputs: &'a [Tensor],
    constants: &'a [Vec<u8>],
    outputs: Vec<Vec<u8>>,
    arena: Vec<u8>,
}

impl Memory<'_> {
    /// A copy of what lies at a place.
    fn tensor(&self, place: Place, ty: &TensorType) -> Result<Tensor, String> {
        let n = ty.bytes();
        let bytes = match place {
            Place::Input(i) => self.inputs.get(i).map(|t| t.bytes()),
            Place::Const(i) => self.constants.get(i).map(Vec::as_slice),
            Place::Output(i) => self.outputs.get(i).map(Vec::as_slice),
            Place::Arena(at) => at.checked_add(n).and_then(|end| self.arena.get(at..end)),
            Place::Scratch(_) => None,
        };
        let bytes = bytes.filter(|b| b.len() == n).ok_or_else(|| format!("{place:?} is not of {n} bytes"))?;
        Tensor::from_bytes(ty.clone(), bytes.to_vec()).map_err(|e| e.to_string())
    }

    fn write(&mut self, place: Place, t: &Tensor) -> Result<(), String> {
        let n = t.bytes().len();
        let to = match place {
            Place::Output(i) => self.outputs.get_mut(i).map(Vec::as_mut_slice),
            Place::Arena(at) => at.checked_add(n).and_then(|end| self.arena.get_mut(at..end)),
            Place::Input(_) | Place::Const(_) | Place::Scratch(_) => None,
        };
        let to = to.filter(|b| b.len() == n).ok_or_else(|| format!("{place:?} cannot hold {}", t.ty()))?;
        to.copy_from_slice(t.bytes());
        Ok(())
    }
}
