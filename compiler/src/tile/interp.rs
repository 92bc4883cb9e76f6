//! The meaning of tile nests: every call through the leaf interpreter, or through emulated machine code.

use octrt_ops::{DType, Tensor, TensorType};

use super::{BufferRole, Distance, LoopId, SlotValue, Stmt, TileNest};
use crate::leaf::emulate::Emulator;
use crate::leaf::memory::{Access, Memory, Place, Region, Value};
use crate::leaf::{interp, x64};

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
#[error("tile nest '{nest}': {message}")]
pub struct InterpError {
    /// Name of the nest.
    pub nest: String,
    /// What.
    pub message: String,
}

/// A nest ready to be run.
struct Machine<'a> {
    nest: &'a TileNest,
    code: Vec<Option<Emulator>>,
    memory: Memory,
    values: Vec<(LoopId, i64)>,
}

/// Runs a nest on its inputs, in the order of its buffers (`None` for tables, the result and scratch). The result starts
/// as `dst`, or as zeros where that is `None`; elements that no call writes keep it.
///
/// # Errors
/// [`InterpError`] when an input is missing or does not fit, or a leaf program faults.
pub fn run(
    nest: &TileNest,
    inputs: &[Option<&Tensor>],
    dst: Option<&Tensor>,
    engine: Engine,
) -> Result<Tensor, InterpError> {
    let fail = |message: String| InterpError { nest: nest.name.clone(), message };
    let mut machine = Machine::new(nest, inputs, dst, engine).map_err(fail)?;
    (0..nest.extent).try_for_each(|i| machine.iteration(i)).map_err(fail)?;
    machine.result().map_err(fail)
}

/// The first byte of the result that two iterations of the parallel loop write, if any: with inputs as for [`run`].
///
/// # Errors
/// As [`run`].
pub fn races(nest: &TileNest, inputs: &[Option<&Tensor>]) -> Result<Option<usize>, InterpError> {
    let fail = |message: String| InterpError { nest: nest.name.clone(), message };
    let mut owner: Vec<Option<usize>> = Vec::new();
    for i in 0..nest.extent {
        // What an iteration writes differs from one of two backgrounds.
        for background in [0x5a, 0xa5] {
            let ty = nest
                .dst()
                .map(|b| nest.buffers[b.index()].ty.clone())
                .ok_or_else(|| fail("no result".into()))?;
            let old = Tensor::from_bytes(ty.clone(), vec![background; ty.bytes()])
                .map_err(|e| fail(e.to_string()))?;
            let mut machine = Machine::new(nest, inputs, Some(&old), Engine::Interpreter).map_err(fail)?;
            machine.iteration(i).map_err(fail)?;
            let new = machine.result().map_err(fail)?;
            owner.resize(ty.bytes(), None);
            for (at, (a, o)) in new.bytes().iter().zip(&mut owner).enumerate() {
                match *o {
                    _ if *a == background => {}
                    Some(other) if other != i => return Ok(Some(at)),
                    _ => *o = Some(i),
                }
            }
        }
    }
    Ok(None)
}

impl<'a> Machine<'a> {
    fn new(
        nest: &'a TileNest,
        inputs: &[Option<&Tensor>],
        dst: Option<&Tensor>,
        engine: Engine,
    ) -> Result<Machine<'a>, String> {
        let mut memory = Memory::default();
        for (i, b) in nest.buffers.iter().enumerate() {
            let held = |t: Option<&Tensor>| match t {
                Some(t) if t.ty().bytes() == b.ty.bytes() && t.dtype() == b.ty.dtype => {
                    Ok(t.bytes().to_vec())
                }
                Some(t) => Err(format!("b{i}: expected {}, found {}", b.ty, t.ty())),
                None => Err(format!("b{i} is missing")),
            };
            let region = match &b.role {
                BufferRole::Src => {
                    Region { bytes: held(inputs.get(i).copied().flatten())?, access: Access::Read }
                }
                BufferRole::Table(t) => Region { bytes: t.bytes().to_vec(), access: Access::Read },
                BufferRole::Dst => {
                    let bytes = dst.map_or(Ok(vec![0; b.ty.bytes()]), |t| held(Some(t)))?;
                    Region { bytes, access: Access::ReadWrite }
                }
                BufferRole::Scratch => Region { bytes: garbage(&b.ty), access: Access::ReadWrite },
            };
            memory.add(region);
        }
        let code = |p| match engine {
            Engine::Interpreter => Ok(None),
            Engine::Emulator => {
                let function = x64::assemble(p).map_err(|e| e.to_string())?;
                Emulator::new(&function.bytes).map(Some).map_err(|e| e.to_string())
            }
        };
        let code = nest.leaves.iter().map(code).collect::<Result<_, String>>()?;
        Ok(Machine { nest, code, memory, values: Vec::new() })
    }

    fn iteration(&mut self, i: usize) -> Result<(), String> {
        self.values = vec![(self.nest.parallel, i as i64)];
        self.block(&self.nest.body)
    }

    fn block(&mut self, stmts: &[Stmt]) -> Result<(), String> {
        for stmt in stmts {
            match stmt {
                Stmt::Loop { id, extent, body } => {
                    for i in 0..*extent {
                        self.values.push((*id, i as i64));
                        self.block(body)?;
                        self.values.pop();
                    }
                }
                Stmt::Call { leaf, slots } => self.call(*leaf, slots)?,
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
        match &self.code[leaf] {
            None => {
                interp::run(&self.nest.leaves[leaf], &values, &mut self.memory).map_err(|e| e.to_string())
            }
            Some(code) => code.run(&values, &mut self.memory).map_err(|e| e.to_string()),
        }
    }

    fn distance(&self, at: &Distance) -> i64 {
        let value = |id: &LoopId| self.values.iter().find(|(l, _)| l == id).map_or(0, |(_, v)| *v);
        at.terms.iter().fold(at.base, |sum, (id, factor)| sum + factor * value(id))
    }

    fn result(mut self) -> Result<Tensor, String> {
        let dst = self.nest.dst().ok_or("no result")?;
        let bytes = std::mem::take(&mut self.memory.regions[dst.index()].bytes);
        Tensor::from_bytes(self.nest.buffers[dst.index()].ty.clone(), bytes).map_err(|e| e.to_string())
    }
}

/// NaN everywhere: what a nest reads from scratch before it writes it must show.
fn garbage(ty: &TensorType) -> Vec<u8> {
    debug_assert_eq!(ty.dtype, DType::F32);
    f32::NAN.to_le_bytes().iter().copied().cycle().take(ty.bytes()).collect()
}
