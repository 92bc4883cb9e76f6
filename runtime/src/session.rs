//! A session: the memory in which a model runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use octrt_ops::{Dim, Shape, TensorType};

use crate::arena::Arena;
use crate::data_type::DataType;
use crate::error::{Error, InputError};
use crate::execute::{Memory, Observer, execute};
use crate::model::Model;
use crate::plan::Plan;
use crate::ports::PortInfo;
use crate::specialization::{Request, Specialization, Values};
use crate::tensor::{self, Tensor, TensorMut, TensorRef, describe};
use crate::threads::{CancelToken, Threads};

/// Runs a model, one run at a time. Sessions of one model share its code and weights; each has its own arena.
///
/// The first run, and each run for other shapes than the one before or with another value of an input that decides a
/// shape, may compile; the runs between allocate their results and a list of addresses for each step.
#[derive(Debug)]
pub struct Session {
    model: Model,
    threads: Threads,
    cancel: CancelToken,
    plan: Option<Arc<Plan>>,
    arena: Arena,
    /// Room for inputs that are converted, by position.
    staged_inputs: Vec<Option<Arena>>,
    /// Room for outputs that are converted or that the caller does not want, by position.
    staged_outputs: Vec<Option<Arena>>,
}

impl Model {
    /// A session on this model: see [`Session::new`].
    ///
    /// # Errors
    /// As [`Session::new`].
    pub fn session(&self) -> Result<Session, Error> {
        Session::new(self)
    }
}

impl Session {
    /// A session on `model` with the model's threads. Compiles the model if all its dimensions are fixed and what inputs
    /// hold decides no shape, or is known since the model was compiled before.
    ///
    /// # Errors
    /// [`Error::Compile`], [`Error::Memory`], [`Error::NotExecutable`], [`Error::Target`].
    pub fn new(model: &Model) -> Result<Self, Error> {
        let mut session = Session {
            model: model.clone(),
            threads: model.threads().clone(),
            cancel: CancelToken::new(),
            plan: None,
            arena: Arena::new(0, "the arena")?,
            staged_inputs: model.inputs().iter().map(|_| None).collect(),
            staged_outputs: model.outputs().iter().map(|_| None).collect(),
        };
        if let Some(types) = model.fixed_input_types() {
            match session.prepare(&types) {
                Ok(()) | Err(Error::Input(InputError::ValueNeeded { .. })) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(session)
    }

    /// The same session on other threads.
    #[must_use]
    pub fn with_threads(mut self, threads: Threads) -> Self {
        self.threads = threads;
        self
    }

    /// The token that ends a run of this session from another thread.
    pub fn cancel_token(&self) -> &CancelToken {
        &self.cancel
    }

    /// Bytes of memory that belong to this session alone: the arena, scratch for each thread, and room for inputs and
    /// outputs that are converted.
    pub fn memory_bytes(&self) -> usize {
        let staged = self.staged_inputs.iter().chain(&self.staged_outputs).flatten();
        self.arena.len() + staged.map(Arena::len).sum::<usize>()
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Compiles for inputs of these types (as in [`Specialization`]) and makes the arena large enough, so that the next run
    /// need not.
    ///
    /// # Errors
    /// As [`Session::run`]; [`InputError::ValueNeeded`] when what an input holds decides a shape.
    pub fn prepare(&mut self, inputs: &[TensorType]) -> Result<(), Error> {
        self.plan_for(&Request::of_types(inputs)).map(|_| ())
    }

    /// As [`Session::prepare`], for what some inputs hold.
    ///
    /// # Errors
    /// As [`Session::prepare`]; also when a value is not of its input's type.
    pub fn prepare_on(&mut self, on: &Specialization) -> Result<(), Error> {
        let model = self.model.clone();
        self.plan_for(&on.request(model.inputs())?).map(|_| ())
    }

    /// What the session's code was compiled for: the inputs that were prepared or run last; none before. Its values are of
    /// the inputs that decide shapes: for others of the same types the same code runs.
    pub fn specialization(&self) -> Option<Specialization> {
        let plan = self.plan.as_ref()?;
        let on = Specialization::new(plan.inputs.iter().map(|p| p.ty.clone()).collect::<Vec<_>>());
        Some(plan.values.iter().fold(on, |on, (&i, value)| on.with_value(i, value.clone())))
    }

    /// As [`Session::prepare`], for these inputs.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub fn prepare_for(&mut self, inputs: &[(&str, TensorRef<'_>)]) -> Result<(), Error> {
        self.bind_inputs(inputs).map(|_| ())
    }

    /// Shapes of the outputs, in the model's order, for the inputs that were prepared or run last; none before.
    pub fn output_shapes(&self) -> Option<Vec<&Shape>> {
        Some(self.plan.as_ref()?.outputs.iter().map(|p| &p.ty.shape).collect())
    }

    /// Runs the model. Inputs are given by name, in any order; all outputs come back in the model's order.
    ///
    /// # Errors
    /// [`Error::Input`] names the input that does not fit, with what was expected and found; [`Error::Check`] when a
    /// value breaks a rule that the model relies on; [`Error::Cancelled`] when [`Session::cancel_token`] was cancelled;
    /// [`Error::Forked`]; and those of [`Session::new`].
    pub fn run(&mut self, inputs: &[(&str, TensorRef<'_>)]) -> Result<Vec<(String, Tensor)>, Error> {
        self.run_all(inputs, None)
    }

    /// As [`Session::run`], calling `observer` after every step.
    ///
    /// # Errors
    /// As [`Session::run`]; [`Error::Cancelled`] also when the observer ends the run.
    pub fn run_observed(
        &mut self,
        inputs: &[(&str, TensorRef<'_>)],
        observer: Observer<'_>,
    ) -> Result<Vec<(String, Tensor)>, Error> {
        self.run_all(inputs, Some(observer))
    }

    /// Runs the model with results in the caller's memory. Outputs are given by name, in any order; those not given
    /// are computed and forgotten. Nothing is copied, except for elements that are converted (`f16`, `bf16`) and
    /// `bool` outputs. After an error the outputs hold unspecified elements.
    ///
    /// # Errors
    /// As [`Session::run`], also for outputs that do not fit.
    pub fn run_into(
        &mut self,
        inputs: &[(&str, TensorRef<'_>)],
        outputs: &mut [(&str, TensorMut<'_>)],
    ) -> Result<(), Error> {
        let (inputs, plan) = self.bind_inputs(inputs)?;
        let bound = bind_outputs(self.model.outputs(), &plan, outputs)?;
        self.execute(&plan, &inputs, bound, None)
    }

    fn run_all(
        &mut self,
        inputs: &[(&str, TensorRef<'_>)],
        observer: Option<Observer<'_>>,
    ) -> Result<Vec<(String, Tensor)>, Error> {
        let (inputs, plan) = self.bind_inputs(inputs)?;
        let ports = self.model.outputs().iter().zip(&plan.outputs);
        let zeros = |(info, port): (&PortInfo, &octrt_compiler::artifact::Port)| {
            Ok((info.name.clone(), Tensor::zeros(info.dtype, &port.ty.shape)?))
        };
        let mut results = ports.map(zeros).collect::<Result<Vec<_>, Error>>()?;
        let bound = results.iter_mut().map(|(_, t)| Some(t.bytes_mut())).collect();
        self.execute(&plan, &inputs, bound, observer)?;
        Ok(results)
    }

    /// The inputs in the model's order, and the plan for their types.
    fn bind_inputs<'a>(
        &mut self,
        inputs: &[(&str, TensorRef<'a>)],
    ) -> Result<(Vec<TensorRef<'a>>, Arc<Plan>), Error> {
        let inputs = bind_inputs(self.model.inputs(), inputs)?;
        let types: Vec<TensorType> =
            inputs.iter().map(|t| TensorType::new(t.dtype().inside(), t.shape().to_vec())).collect();
        let plan = self.plan_for(&Request { types: &types, values: Values::All(&inputs) })?;
        Ok((inputs, plan))
    }

    /// The plan for such inputs; afterwards the arena is large enough for it.
    fn plan_for(&mut self, on: &Request<'_>) -> Result<Arc<Plan>, Error> {
        let plan = match self.plan.as_ref().filter(|p| p.fits(on)) {
            Some(plan) => plan.clone(),
            None => self.model.plan(on)?,
        };
        let bytes = plan.memory_bytes(self.threads.count());
        if self.arena.len() < bytes {
            self.arena = Arena::new(bytes, "the arena")?;
        }
        self.plan = Some(plan.clone());
        Ok(plan)
    }

    /// `outputs` are the bytes that the caller wants, of the caller's element types.
    fn execute(
        &mut self,
        plan: &Plan,
        inputs: &[TensorRef<'_>],
        mut outputs: Vec<Option<&mut [u8]>>,
        observer: Option<Observer<'_>>,
    ) -> Result<(), Error> {
        let mut memory = Memory { inputs: Vec::new(), outputs: Vec::new(), arena: &mut self.arena };
        for ((input, port), room) in inputs.iter().zip(&plan.inputs).zip(&mut self.staged_inputs) {
            memory.inputs.push(if input.dtype().is_read_in_place() {
                input.bytes()
            } else {
                let room = staged(room, port.ty.bytes(), &port.name)?;
                tensor::to_inside(input.dtype(), input.bytes(), room);
                room
            });
        }
        let infos = self.model.outputs();
        let ports = plan.outputs.iter().zip(infos);
        for ((output, (port, info)), room) in outputs.iter_mut().zip(ports).zip(&mut self.staged_outputs) {
            memory.outputs.push(match output {
                Some(bytes) if info.dtype.is_written_in_place() => bytes,
                _ => staged(room, port.ty.bytes(), &port.name)?,
            });
        }
        execute(plan, memory, &self.threads, &self.cancel, observer)?;
        let ports = plan.outputs.iter().zip(infos);
        for ((output, (port, info)), room) in outputs.into_iter().zip(ports).zip(&mut self.staged_outputs) {
            if let Some(bytes) = output
                && !info.dtype.is_written_in_place()
            {
                tensor::from_inside(info.dtype, staged(room, port.ty.bytes(), &port.name)?, bytes);
            }
        }
        Ok(())
    }
}

/// `bytes` of room, which is made larger when it is too small.
fn staged<'a>(room: &'a mut Option<Arena>, bytes: usize, name: &str) -> Result<&'a mut [u8], Error> {
    if room.as_ref().is_none_or(|r| r.len() < bytes) {
        *room = Some(Arena::new(bytes, &format!("room for '{name}'"))?);
    }
    match room {
        Some(room) => Ok(&mut room.bytes_mut()[..bytes]),
        None => Err(Error::Internal("no room".to_string())),
    }
}

fn position(ports: &[PortInfo], name: &str) -> Option<usize> {
    ports.iter().position(|p| p.name == name)
}

fn names(ports: &[PortInfo]) -> String {
    let names: Vec<String> = ports.iter().map(|p| format!("'{}'", p.name)).collect();
    if names.is_empty() { "none".to_string() } else { names.join(", ") }
}

/// Puts `inputs` into the order of `ports` and checks element types and shapes.
fn bind_inputs<'a>(
    ports: &[PortInfo],
    inputs: &[(&str, TensorRef<'a>)],
) -> Result<Vec<TensorRef<'a>>, InputError> {
    let mut bound: Vec<Option<TensorRef<'a>>> = vec![None; ports.len()];
    for (name, tensor) in inputs {
        let unknown = || InputError::UnknownInput { name: (*name).to_string(), known: names(ports) };
        let i = position(ports, name).ok_or_else(unknown)?;
        if bound[i].replace(*tensor).is_some() {
            return Err(InputError::Duplicate { name: (*name).to_string() });
        }
    }
    let mut dims = BTreeMap::new();
    let mut checked = Vec::with_capacity(ports.len());
    for (port, tensor) in ports.iter().zip(bound) {
        let missing = || InputError::Missing { name: port.name.clone(), expected: port.to_string() };
        let tensor = tensor.ok_or_else(missing)?;
        check_type(port, tensor.dtype(), tensor.shape())?;
        check_dims(port, &tensor, &mut dims)?;
        checked.push(tensor);
    }
    Ok(checked)
}

fn check_type(port: &PortInfo, dtype: DataType, shape: &[usize]) -> Result<(), InputError> {
    if dtype == port.dtype {
        return Ok(());
    }
    let (name, expected, found) = (port.name.clone(), port.to_string(), describe(dtype, shape));
    Err(InputError::WrongType { name, expected, found })
}

/// Checks extents; `named` holds those of dynamic dimensions seen so far.
fn check_dims<'p>(
    port: &'p PortInfo,
    tensor: &TensorRef<'_>,
    named: &mut BTreeMap<&'p str, usize>,
) -> Result<(), InputError> {
    let Some(dims) = &port.dims else { return Ok(()) };
    let found = || describe(tensor.dtype(), tensor.shape());
    let fits = |(dim, &d): (&Dim, &usize)| !matches!(dim, Dim::Fixed(fixed) if *fixed != d);
    if dims.len() != tensor.shape().len() || !dims.iter().zip(tensor.shape()).all(fits) {
        let (name, expected) = (port.name.clone(), port.to_string());
        return Err(InputError::WrongShape { name, expected, found: found() });
    }
    for (dim, &d) in dims.iter().zip(tensor.shape()) {
        if let Dim::Dynamic(dim) = dim
            && !dim.is_empty()
        {
            let expected = *named.entry(dim).or_insert(d);
            if expected != d {
                let (name, dim) = (port.name.clone(), dim.clone());
                return Err(InputError::DimsDiffer { name, dim, expected, found: found() });
            }
        }
    }
    Ok(())
}

/// The bytes of `outputs` in the order of `ports`, of the sizes that the plan gives.
fn bind_outputs<'b>(
    ports: &[PortInfo],
    plan: &Plan,
    outputs: &'b mut [(&str, TensorMut<'_>)],
) -> Result<Vec<Option<&'b mut [u8]>>, InputError> {
    let mut bound: Vec<Option<&mut [u8]>> = ports.iter().map(|_| None).collect();
    for (name, tensor) in outputs {
        let unknown = || InputError::UnknownOutput { name: (*name).to_string(), known: names(ports) };
        let i = position(ports, name).ok_or_else(unknown)?;
        check_type(&ports[i], tensor.dtype(), tensor.shape())?;
        let shape = &plan.outputs[i].ty.shape;
        if tensor.shape() != shape.dims() {
            return Err(InputError::WrongShape {
                name: (*name).to_string(),
                expected: describe(ports[i].dtype, shape),
                found: describe(tensor.dtype(), tensor.shape()),
            });
        }
        if bound[i].replace(tensor.bytes_mut()).is_some() {
            return Err(InputError::Duplicate { name: (*name).to_string() });
        }
    }
    Ok(bound)
}
