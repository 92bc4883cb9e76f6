//! What a model has compiled: plans for the shapes of its inputs and the values that decide shapes, from its graph, from
//! files, from a cache folder.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use octrt_compiler::artifact::{Artifact, Constant, Port};
use octrt_compiler::pipeline;
use octrt_compiler::{Options, Records, Target};
use octrt_ops::{Dim, Graph, TensorType};

use super::{Cache, KEPT_PLANS, Made, Model, ModelMemory, Source};
use crate::cache::{self, Access, Entry, Identity};
use crate::compiled::{Compiled, Contents};
use crate::error::{Error, InputError};
use crate::machine;
use crate::plan::Plan;
use crate::ports::{PortInfo, Ports};
use crate::specialization::{Elements, Request, Specialization, Values};
use crate::tensor::Tensor;
use crate::threads::lock_for;
use crate::weights::{Packed, Packer, WeightStore};

/// Copies of what the inputs at these positions hold.
fn taken(inputs: &[usize], on: &Request<'_>) -> Result<BTreeMap<usize, Tensor>, Error> {
    let given = inputs.iter().filter_map(|&i| Some((i, on.values.get(i)?)));
    given.map(|(i, value)| Ok((i, value.to_owned()?))).collect()
}

impl Model {
    /// The loaded code for such inputs, compiled now if it is not kept. Sessions that ask at the same time wait for each
    /// other, so that nothing is compiled twice.
    pub(crate) fn plan(&self, on: &Request<'_>) -> Result<Arc<Plan>, Error> {
        let mut on = *on;
        if let Source::Compiled(compiled) = &self.0.source
            && compiled.values.keys().all(|&i| on.values.get(i).is_none())
        {
            on.values = Values::Some(&compiled.values);
        }
        let mut cache = self.lock()?;
        let cached = cache.plans.iter().position(|plan| plan.fits(&on));
        let plan = match cached {
            Some(i) => cache.plans.remove(i),
            None => Arc::new(self.make_plan(&on, &mut cache.weights)?),
        };
        cache.plans.push(plan.clone());
        if cache.plans.len() > KEPT_PLANS {
            cache.plans.remove(0);
        }
        Ok(plan)
    }

    /// The cache; in a fork, not for longer than somebody would hold it who is there.
    fn lock(&self) -> Result<MutexGuard<'_, Cache>, Error> {
        let cache = &self.0.cache;
        if self.0.process == std::process::id() {
            return Ok(cache.lock().unwrap_or_else(PoisonError::into_inner));
        }
        let forked = || Error::Forked("another thread was loading the model when this process".to_string());
        lock_for(cache, Duration::from_secs(5)).ok_or_else(forked)
    }

    /// What the model has in memory now, apart from its sessions.
    ///
    /// # Errors
    /// [`Error::Forked`].
    pub fn memory(&self) -> Result<ModelMemory, Error> {
        let cache = self.lock()?;
        let weights = cache.weights.bytes();
        let code_bytes = cache.plans.iter().map(|plan| plan.code.bytes()).sum();
        Ok(ModelMemory { weight_bytes: weights.own, mapped_weight_bytes: weights.mapped, code_bytes })
    }

    fn make_plan(&self, on: &Request<'_>, weights: &mut WeightStore) -> Result<Plan, Error> {
        let model = &*self.0;
        if let Source::Compiled(compiled) = &model.source {
            return self.plan_compiled(compiled, on, weights);
        }
        let entry = model.identity.as_ref().and_then(|id| self.cache_entry(id, on));
        if let Some(plan) = entry.as_ref().and_then(|entry| self.plan_cached(entry, on, weights)) {
            return Ok(plan);
        }
        let Made { optimized, values, artifact, records } = self.compile(on)?;
        self.check_artifact(&artifact, on)?;
        let values = taken(&values, on)?;
        let stored = entry.map(|entry| (entry, artifact.constants.clone()));
        let plan = Plan { values, ..self.load_plan(artifact, weights, None)? };
        if let Some((entry, constants)) = stored {
            let values = plan.values.clone();
            let contents =
                self.contents((&plan.inputs, &plan.outputs), values, (optimized, records), constants);
            let stored = contents.and_then(|c| entry.store(c, &plan.weights));
            stored.unwrap_or_else(|e| cache::ignored(&entry, &e));
        }
        Ok(plan)
    }

    fn load_plan(
        &self,
        artifact: Artifact,
        weights: &mut WeightStore,
        packed: Option<&Packed>,
    ) -> Result<Plan, Error> {
        let limit = self.0.options.max_memory;
        let release = |bytes: &[u8]| self.release(bytes);
        let packer = Packer { threads: self.threads(), release: &release };
        let plan = Plan::load(artifact, weights, packed, limit, packer)?;
        self.0.files.iter().for_each(|f| f.release((**f).as_ref()));
        Ok(plan)
    }

    /// Gives back memory of a constant that has been packed: nobody reads its part of a file until the next compilation.
    fn release(&self, bytes: &[u8]) {
        self.0.files.iter().for_each(|f| f.release(bytes));
    }

    /// The code for a graph from a file of a compiled model, on the packed weights of the file.
    fn plan_compiled(
        &self,
        compiled: &Compiled,
        on: &Request<'_>,
        weights: &mut WeightStore,
    ) -> Result<Plan, Error> {
        let corrupt = |message: String| Error::Corrupt { model: self.0.name.clone(), message };
        let graph = &compiled.graph;
        if !graph.inputs.iter().map(|i| graph.value(i.value).ty.as_ref()).eq(on.types.iter().map(Some)) {
            return Err(self.not_compiled(on).into());
        }
        self.check_values(&compiled.values, on)?;
        let program = pipeline::program(graph, compiled.options, &compiled.records);
        let artifact = program.and_then(|program| self.generate(program, compiled.options.target));
        let artifact = artifact.map_err(|e| corrupt(e.to_string()))?;
        compiled.check_weights(&artifact.constants).map_err(corrupt)?;
        self.check_artifact(&artifact, on)?;
        let plan = self.load_plan(artifact, weights, Some(&compiled.packed))?;
        Ok(Plan { values: compiled.values.clone(), ..plan })
    }

    /// Checks that inputs hold what code was compiled for.
    fn check_values(&self, values: &BTreeMap<usize, Tensor>, on: &Request<'_>) -> Result<(), InputError> {
        for (&i, value) in values {
            let (name, ty) =
                self.inputs().get(i).map(|p| (p.name.clone(), p.to_string())).unwrap_or_default();
            let expected = Elements(value.view()).to_string();
            let Some(found) = on.values.get(i) else {
                let message = format!("the model was compiled for {expected}");
                return Err(InputError::ValueNeeded { name, ty, message });
            };
            if !on.has(&BTreeMap::from([(i, value.clone())])) {
                let found = Elements(found).to_string();
                return Err(InputError::OtherValue { name, expected, found });
            }
        }
        Ok(())
    }

    fn cache_entry(&self, id: &Identity, on: &Request<'_>) -> Option<Entry> {
        let folder = self.0.options.cache_dir.as_ref()?;
        let target = self.target().ok()?;
        let options = Options { target, precision: self.precision() };
        Some(Entry::new(folder, id, (options, self.records()), on, self.value_inputs()))
    }

    /// The plan from the cache; none where that has none, or one that is of no use.
    fn plan_cached(&self, entry: &Entry, on: &Request<'_>, weights: &mut WeightStore) -> Option<Plan> {
        let compiled = entry.load(self.0.options.file_access, self.0.limits(), self.threads())?;
        // An input of which loading did not tell that it decides shapes.
        if !on.has(&compiled.values) {
            return None;
        }
        let plan = self.plan_compiled(&compiled, on, weights);
        plan.inspect_err(|e| cache::ignored(entry, e)).ok()
    }

    fn contents(
        &self,
        (inputs, outputs): (&[Port], &[Port]),
        values: BTreeMap<usize, Tensor>,
        (graph, records): (Graph, Records),
        constants: Vec<Constant>,
    ) -> Result<Contents, Error> {
        let fixed = |infos: &[PortInfo], ports: &[Port]| -> Vec<PortInfo> {
            let dims = |p: &Port| Some(p.ty.shape.iter().map(|&d| Dim::Fixed(d)).collect());
            infos.iter().zip(ports).map(|(i, p)| PortInfo { dims: dims(p), ..i.clone() }).collect()
        };
        let ports = Ports { inputs: fixed(self.inputs(), inputs), outputs: fixed(self.outputs(), outputs) };
        let options = Options { target: self.target()?, precision: self.precision() };
        Ok(Contents { about: self.0.about.clone(), ports, options, records, values, graph, constants })
    }

    /// Writes the model, compiled for inputs of these types (as in [`Specialization`]), to a file that [`Model::load`]
    /// loads: its graph after all passes and its packed weights, but no machine code. The file is whole
    /// or not there at all, and replaces one that is there. It is of use to the same octrt on machines that have the
    /// target's instructions, which this one need not have.
    ///
    /// # Errors
    /// [`Error::Io`] with the path, [`Error::Artifact`] for a model that was compiled before, and those of compiling;
    /// [`InputError::ValueNeeded`] when what an input holds decides a shape.
    pub fn save(&self, inputs: &[TensorType], path: &Path) -> Result<(), Error> {
        self.save_of(&Request::of_types(inputs), path)
    }

    /// As [`Model::save`], for what some inputs hold: the file is for no other values of those that decide shapes.
    ///
    /// # Errors
    /// As [`Model::save`]; also when a value is not of its input's type.
    pub fn save_on(&self, on: &Specialization, path: &Path) -> Result<(), Error> {
        self.save_of(&on.request(self.inputs())?, path)
    }

    fn save_of(&self, on: &Request<'_>, path: &Path) -> Result<(), Error> {
        let Made { optimized, values, artifact, records } = self.compile(on)?;
        self.check_ports(&artifact, on)?;
        let Artifact { inputs, outputs, constants, .. } = artifact;
        let values = taken(&values, on)?;
        let contents = self.contents((&inputs, &outputs), values, (optimized, records), constants.clone())?;
        let release = |bytes: &[u8]| self.release(bytes);
        let limit = self.0.options.max_memory;
        let packer = Packer { threads: self.threads(), release: &release };
        let weights = WeightStore::default().load(constants, None, limit, packer)?;
        cache::store(path, Access::Umask, contents, &weights)
    }

    fn not_compiled(&self, on: &Request<'_>) -> InputError {
        let found: Vec<String> = on.types.iter().map(ToString::to_string).collect();
        InputError::Shapes { given: found.join(", "), message: "nothing was compiled for them".to_string() }
    }

    /// Checks that an artifact is for inputs of these types, has the model's ports, and runs on this machine.
    fn check_artifact(&self, artifact: &Artifact, on: &Request<'_>) -> Result<(), Error> {
        self.check_ports(artifact, on)?;
        let host = machine::detect_isa()?;
        if artifact.target.isa > host {
            let (name, target) = (self.name(), artifact.target);
            let host = Target::new(host);
            let message = format!("{name}: code for {target} does not run on this machine, which is {host}");
            return Err(Error::Target(message));
        }
        Ok(())
    }

    fn check_ports(&self, artifact: &Artifact, on: &Request<'_>) -> Result<(), Error> {
        let fits = artifact.inputs.iter().map(|p| &p.ty).eq(on.types);
        let same = |ports: &[Port], infos: &[PortInfo]| {
            ports.iter().map(|p| (&p.name, p.ty.dtype)).eq(infos.iter().map(|i| (&i.name, i.dtype.inside())))
        };
        if !fits || !same(&artifact.inputs, self.inputs()) {
            return Err(Error::Internal("the compiled graph has other inputs".to_string()));
        }
        if !same(&artifact.outputs, self.outputs()) {
            let list = |l: Vec<String>| l.join(", ");
            let found = list(artifact.outputs.iter().map(|p| format!("'{}': {}", p.name, p.ty)).collect());
            let said = list(self.outputs().iter().map(|p| format!("'{}': {p}", p.name)).collect());
            let message = format!("the outputs are declared as {said}, but the model computes {found}");
            return Err(Error::Corrupt { model: self.0.name.clone(), message });
        }
        Ok(())
    }
}
