//! A model: its graph, and the code compiled from it so far.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use octrt_compiler::artifact::{Artifact, Constant, Port};
use octrt_compiler::codegen::Codegen;
use octrt_compiler::passes::{self, Report};
use octrt_compiler::target::Target;
use octrt_compiler::{CompileError, Options, pipeline};
use octrt_ops::graph::infer::{Limits, specialize};
use octrt_ops::graph::verify;
use octrt_ops::{Dim, Graph, GraphError, OpError, TensorType};

use crate::cache::{self, Access, Entry, Identity};
use crate::compiled::{self, Compiled, Contents};
use crate::error::{Error, InputError};
use crate::machine;
use crate::options::LoadOptions;
use crate::plan::Plan;
use crate::ports::{self, Declared, PortInfo, Ports};
use crate::session::Session;
use crate::source::ModelFile;
use crate::threads::{Threads, lock_for};
use crate::weights::{Packed, Packer, WeightStore};

/// For how many sets of input shapes a model keeps its code when no session uses it.
const KEPT_PLANS: usize = 4;

/// What a model's file says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// The model's own notes (`metadata_props` in ONNX).
    pub metadata: BTreeMap<String, String>,
    /// Version of the ONNX operators; none for a model that does not come from ONNX.
    pub opset: Option<i64>,
    /// The program that wrote the model; empty when it does not say.
    pub producer: String,
    /// What is unusual but was read: one sentence each, naming the place.
    pub warnings: Vec<String>,
}

/// What the stages of compilation made of a model for one set of input shapes.
#[derive(Clone, Debug)]
pub struct Stages {
    /// The graph with all types known and shape subgraphs folded.
    pub specialized: Graph,
    /// The graph after all passes.
    pub optimized: Graph,
    /// What the passes did, and what kept them from doing more.
    pub report: Report,
    /// The compiled graph.
    pub artifact: Artifact,
}

/// A model, ready to be compiled for the shapes of its inputs. Clones are the same model; it may be used from several
/// threads. Its code and weights are shared by all its sessions and freed with the last of them.
#[derive(Clone, Debug)]
pub struct Model(Arc<Inner>);

struct Inner {
    name: String,
    source: Source,
    inputs: Vec<PortInfo>,
    outputs: Vec<PortInfo>,
    about: About,
    /// Files that the graph's constants lie in.
    files: Vec<Arc<ModelFile>>,
    /// Present when compiled graphs are kept in a folder.
    identity: Option<Identity>,
    options: LoadOptions,
    cache: Mutex<Cache>,
    /// The process that loaded the model.
    process: u32,
}

impl Inner {
    fn limits(&self) -> Limits {
        Limits { max_bytes: self.options.max_memory }
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Model").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The files of a model.
#[derive(Default)]
pub(crate) struct Files {
    /// Those that the graph's constants lie in.
    pub(crate) files: Vec<Arc<ModelFile>>,
    /// What all of them say, when compiled graphs are kept in a folder.
    pub(crate) identity: Option<Identity>,
}

/// What a model has in memory, apart from its sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ModelMemory {
    /// Bytes of weights in memory of the process, which all sessions of the model share.
    pub weight_bytes: usize,
    /// Bytes of weights in mapped files, which all processes share that map the same file.
    pub mapped_weight_bytes: usize,
    /// Bytes of machine code.
    pub code_bytes: usize,
}

/// What plans are made from.
enum Source {
    Graph(Graph),
    Artifacts(Vec<Artifact>),
    Compiled(Box<Compiled>),
}

/// Plans by the types of the inputs, the one used last at the end.
#[derive(Default)]
struct Cache {
    plans: Vec<(Vec<TensorType>, Arc<Plan>)>,
    weights: WeightStore,
}

impl Model {
    /// A model from a graph. Callers hand in and get back the element types of the graph.
    ///
    /// # Errors
    /// [`Error::Compile`] when the graph breaks a rule of [`octrt_ops::graph::verify`], or all dimensions are fixed and
    /// an operator refuses its arguments.
    pub fn from_graph(graph: Graph, options: &LoadOptions) -> Result<Self, Error> {
        let name = if graph.name.is_empty() { "graph".to_string() } else { graph.name.clone() };
        Model::build(name, graph, Ports::default(), About::default(), Files::default(), options)
    }

    /// A model from a graph, its constants in `files`, and what its file declares of its inputs and outputs.
    pub(crate) fn build(
        name: String,
        graph: Graph,
        declared: Ports<Vec<Declared>>,
        about: About,
        files: Files,
        options: &LoadOptions,
    ) -> Result<Self, Error> {
        verify::verify(&graph).map_err(|e| Error::graph(&name, e))?;
        let limits = Limits { max_bytes: options.max_memory };
        let inputs = ports::inputs_of(&graph, &declared.inputs);
        let outputs = ports::outputs_of(&name, &graph, &inputs, &declared.outputs, limits)?;
        let ports = Ports { inputs, outputs };
        Ok(Model::new(name, Source::Graph(graph), ports, about, files, options))
    }

    /// A model from graphs compiled before, each for other shapes of the same inputs; at least one.
    ///
    /// # Safety
    /// The functions of the artifacts keep the contract of [`octrt_compiler::artifact`].
    ///
    /// # Errors
    /// [`Error::Artifact`] when there is none, or their inputs and outputs differ in more than extents. What else they
    /// say is checked when a session first uses them.
    pub unsafe fn from_artifacts(artifacts: Vec<Artifact>, options: &LoadOptions) -> Result<Self, Error> {
        let ports = Ports {
            inputs: ports::merge(&artifacts, |a| &a.inputs)?,
            outputs: ports::merge(&artifacts, |a| &a.outputs)?,
        };
        let (name, source) = ("artifact".to_string(), Source::Artifacts(artifacts));
        Ok(Model::new(name, source, ports, About::default(), Files::default(), options))
    }

    fn new(
        name: String,
        source: Source,
        ports: Ports<Vec<PortInfo>>,
        about: About,
        files: Files,
        options: &LoadOptions,
    ) -> Self {
        let (Ports { inputs, outputs }, options) = (ports, options.clone());
        let Files { files, identity } = files;
        let (cache, process) = (Mutex::default(), std::process::id());
        let inner = Inner { name, source, inputs, outputs, about, files, identity, options, cache, process };
        Model(Arc::new(inner))
    }

    /// A model from the file of a compiled one.
    pub(crate) fn from_compiled(name: String, mut compiled: Compiled, options: &LoadOptions) -> Self {
        let ports = std::mem::take(&mut compiled.ports);
        let about = std::mem::take(&mut compiled.about);
        let mut options = options.clone();
        options.precision = compiled.options.precision;
        Model::new(name, Source::Compiled(Box::new(compiled)), ports, about, Files::default(), &options)
    }

    /// The file, or the name of the graph.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The inputs in the model's order.
    pub fn inputs(&self) -> &[PortInfo] {
        &self.0.inputs
    }

    /// The outputs in the model's order.
    pub fn outputs(&self) -> &[PortInfo] {
        &self.0.outputs
    }

    /// The graph as imported, dimensions may be dynamic; none for a model that was compiled before.
    pub fn graph(&self) -> Option<&Graph> {
        match &self.0.source {
            Source::Graph(g) => Some(g),
            Source::Artifacts(_) | Source::Compiled(_) => None,
        }
    }

    /// What the model's file says about itself.
    pub fn about(&self) -> &About {
        &self.0.about
    }

    /// The model's own notes (`metadata_props` in ONNX).
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.0.about.metadata
    }

    /// What is unusual in the model's file but was read: one sentence each, naming the place.
    pub fn warnings(&self) -> &[String] {
        &self.0.about.warnings
    }

    /// The threads of new sessions.
    pub fn threads(&self) -> &Threads {
        &self.0.options.threads
    }

    /// A session on this model: see [`Session::new`].
    ///
    /// # Errors
    /// As [`Session::new`].
    pub fn session(&self) -> Result<Session, Error> {
        Session::new(self)
    }

    /// The types of the inputs inside the graph, when all dimensions are fixed.
    pub fn fixed_input_types(&self) -> Option<Vec<TensorType>> {
        ports::fixed_types(&self.0.inputs)
    }

    /// Compiles for inputs of these types (element types inside the graph), and shows every stage. Nothing is cached.
    ///
    /// # Errors
    /// [`Error::Input`] when the types do not fit the model, [`Error::Compile`] and [`Error::Memory`] as a run; also
    /// [`Error::Artifact`] for a model that was compiled before, which has no graph.
    pub fn stages(&self, inputs: &[TensorType]) -> Result<Stages, Error> {
        let model = &*self.0;
        let graph = self.graph().ok_or_else(|| {
            Error::Artifact("a model that was compiled before has no stages to show".to_string())
        })?;
        let fail = |e| self.compile_error(inputs, e);
        let specialized = specialize(graph, inputs, model.limits()).map_err(|e| fail(e.into()))?;
        let options = Options { target: self.target()?, precision: model.options.precision };
        let (optimized, report) =
            passes::optimize(&specialized, options.target).map_err(|e| fail(e.into()))?;
        let artifact = self.generate(&optimized, options).map_err(fail)?;
        Ok(Stages { specialized, optimized, report, artifact })
    }

    /// Lowers, schedules and compiles a graph, functions at the same time where there are threads.
    fn generate(&self, graph: &Graph, options: Options) -> Result<Artifact, CompileError> {
        let program = pipeline::program(graph, options)?;
        let codegen = Codegen::new(options.target)?;
        let all: Vec<usize> = (0..program.nests.len()).collect();
        let functions = self.threads().map(all, |i| pipeline::function(&codegen, &program, i));
        let functions = functions.into_iter().collect::<Result<_, _>>()?;
        Ok(program.with_functions(functions, options.target))
    }

    /// An operator that refuses its arguments is the caller's fault when the caller chose the shapes.
    fn compile_error(&self, inputs: &[TensorType], error: CompileError) -> Error {
        match error {
            CompileError::Graph(GraphError { source: OpError::Invalid(_), .. })
                if self.fixed_input_types().as_deref() != Some(inputs) =>
            {
                let given: Vec<String> =
                    self.inputs().iter().zip(inputs).map(|(p, t)| format!("'{}': {t}", p.name)).collect();
                Error::Input(InputError::Shapes { given: given.join(", "), message: error.to_string() })
            }
            source => Error::Compile { model: self.0.name.clone(), source },
        }
    }

    /// The machine that it is compiled for.
    ///
    /// # Errors
    /// [`Error::Target`] when that is this one, and octrt does not know its instructions.
    pub fn target(&self) -> Result<Target, Error> {
        if let Source::Compiled(compiled) = &self.0.source {
            return Ok(compiled.options.target);
        }
        self.0.options.target.map_or_else(machine::detect_target, Ok)
    }

    /// The loaded code for inputs of these types, compiled now if it is not kept. Sessions that ask at the same time
    /// wait for each other, so that nothing is compiled twice.
    pub(crate) fn plan(&self, inputs: &[TensorType]) -> Result<Arc<Plan>, Error> {
        let mut cache = self.lock()?;
        let cached = cache.plans.iter().position(|(types, _)| types == inputs);
        let entry = match cached {
            Some(i) => cache.plans.remove(i),
            None => (inputs.to_vec(), Arc::new(self.make_plan(inputs, &mut cache.weights)?)),
        };
        let plan = entry.1.clone();
        cache.plans.push(entry);
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
        let code_bytes = cache.plans.iter().map(|(_, plan)| plan.code.bytes()).sum();
        Ok(ModelMemory { weight_bytes: weights.own, mapped_weight_bytes: weights.mapped, code_bytes })
    }

    fn make_plan(&self, inputs: &[TensorType], weights: &mut WeightStore) -> Result<Plan, Error> {
        let model = &*self.0;
        if let Source::Compiled(compiled) = &model.source {
            return self.plan_compiled(compiled, inputs, weights);
        }
        let entry = model.identity.as_ref().and_then(|id| self.cache_entry(id, inputs));
        if let Some(plan) = entry.as_ref().and_then(|entry| self.plan_cached(entry, inputs, weights)) {
            return Ok(plan);
        }
        let (artifact, optimized) = self.artifact(inputs)?;
        let stored = entry.zip(optimized).map(|(entry, graph)| (entry, graph, artifact.constants.clone()));
        let plan = self.load_plan(artifact, weights, None)?;
        if let Some((entry, graph, constants)) = stored {
            let contents = self.contents(&plan, graph, constants);
            contents.and_then(|c| entry.store(c, &plan)).unwrap_or_else(|e| cache::ignored(&entry, &e));
        }
        Ok(plan)
    }

    fn load_plan(
        &self,
        artifact: Artifact,
        weights: &mut WeightStore,
        packed: Option<&Packed>,
    ) -> Result<Plan, Error> {
        let model = &*self.0;
        // Once a constant has been packed, nobody reads its part of a file until the next compilation.
        let release = |bytes: &[u8]| model.files.iter().for_each(|f| f.release(bytes));
        let limit = model.options.max_memory;
        let packer = Packer { threads: self.threads(), release: &release };
        let plan = Plan::load(artifact, weights, packed, limit, packer)?;
        model.files.iter().for_each(|f| f.release((**f).as_ref()));
        Ok(plan)
    }

    /// The code for a graph from a file of a compiled model, on the packed weights of the file.
    fn plan_compiled(
        &self,
        compiled: &Compiled,
        inputs: &[TensorType],
        weights: &mut WeightStore,
    ) -> Result<Plan, Error> {
        let corrupt = |message: String| Error::Corrupt { model: self.0.name.clone(), message };
        let fail = |e: CompileError| corrupt(e.to_string());
        let artifact = self.generate(&compiled.graph, compiled.options).map_err(fail)?;
        let expected = compiled::recipes(&artifact.constants);
        if expected != compiled.recipes {
            let differ = expected.iter().zip(&compiled.recipes).position(|(a, b)| a != b);
            let at = differ.unwrap_or(expected.len().min(compiled.recipes.len()));
            return Err(corrupt(format!("packed weight {at} is not what the graph wants")));
        }
        self.check_artifact(&artifact, inputs)?;
        self.load_plan(artifact, weights, Some(&compiled.packed))
    }

    fn cache_entry(&self, id: &Identity, inputs: &[TensorType]) -> Option<Entry> {
        let folder = self.0.options.cache_dir.as_ref()?;
        let target = self.target().ok()?;
        Some(Entry::new(folder, id, Options { target, precision: self.0.options.precision }, inputs))
    }

    /// The plan from the cache; none where that has none, or one that is of no use.
    fn plan_cached(&self, entry: &Entry, inputs: &[TensorType], weights: &mut WeightStore) -> Option<Plan> {
        let compiled = entry.load(self.0.options.file_access, self.0.limits(), self.threads())?;
        let plan = self.plan_compiled(&compiled, inputs, weights);
        plan.inspect_err(|e| cache::ignored(entry, e)).ok()
    }

    fn contents(&self, plan: &Plan, graph: Graph, constants: Vec<Constant>) -> Result<Contents, Error> {
        let fixed = |infos: &[PortInfo], ports: &[Port]| -> Vec<PortInfo> {
            let dims = |p: &Port| Some(p.ty.shape.iter().map(|&d| Dim::Fixed(d)).collect());
            infos.iter().zip(ports).map(|(i, p)| PortInfo { dims: dims(p), ..i.clone() }).collect()
        };
        let ports = Ports {
            inputs: fixed(self.inputs(), &plan.inputs),
            outputs: fixed(self.outputs(), &plan.outputs),
        };
        let options = Options { target: self.target()?, precision: self.0.options.precision };
        Ok(Contents { about: self.0.about.clone(), ports, options, graph, constants })
    }

    /// Writes the model, compiled for inputs of these types (element types inside the graph), to a file that
    /// [`Model::load`] loads: its graph after all passes and its packed weights, but no machine code. The file is whole
    /// or not there at all, and replaces one that is there. It is of use to the same octrt on machines that have the
    /// target's instructions.
    ///
    /// # Errors
    /// [`Error::Io`] with the path, [`Error::Artifact`] for a model that was compiled before, and those of compiling.
    pub fn save(&self, inputs: &[TensorType], path: &Path) -> Result<(), Error> {
        let Stages { optimized, artifact, .. } = self.stages(inputs)?;
        self.check_artifact(&artifact, inputs)?;
        let constants = artifact.constants.clone();
        let plan = self.load_plan(artifact, &mut WeightStore::default(), None)?;
        cache::store(path, Access::Umask, self.contents(&plan, optimized, constants)?, &plan)
    }

    /// The artifact for inputs of these types, for a target that this machine runs, and the graph that it was made from.
    fn artifact(&self, inputs: &[TensorType]) -> Result<(Artifact, Option<Graph>), Error> {
        let fits = |a: &&Artifact| a.inputs.iter().map(|p| &p.ty).eq(inputs);
        let (artifact, graph) = match &self.0.source {
            Source::Graph(_) => {
                let stages = self.stages(inputs)?;
                (stages.artifact, Some(stages.optimized))
            }
            Source::Artifacts(all) => {
                let found = all.iter().find(fits).cloned();
                (found.ok_or_else(|| self.not_compiled(inputs))?, None)
            }
            Source::Compiled(_) => return Err(Error::Internal("no artifact".to_string())),
        };
        self.check_artifact(&artifact, inputs)?;
        Ok((artifact, graph))
    }

    fn not_compiled(&self, inputs: &[TensorType]) -> InputError {
        let found: Vec<String> = inputs.iter().map(ToString::to_string).collect();
        InputError::Shapes { given: found.join(", "), message: "nothing was compiled for them".to_string() }
    }

    /// Checks that an artifact is for inputs of these types, has the model's ports, and runs on this machine.
    fn check_artifact(&self, artifact: &Artifact, inputs: &[TensorType]) -> Result<(), Error> {
        let fits = artifact.inputs.iter().map(|p| &p.ty).eq(inputs);
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
        let host = machine::detect_target()?;
        if artifact.target.isa > host.isa {
            let message =
                format!("code for {} does not run on this machine, which is {host}", artifact.target);
            return Err(Error::Target(message));
        }
        Ok(())
    }
}
