//! A model: its graph, and the code compiled from it so far.

mod plans;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use octrt_compiler::artifact::Artifact;
use octrt_compiler::place::program::Program;
use octrt_compiler::target::Target;
use octrt_compiler::{CompileError, Options, Precision, Records, pipeline};
use octrt_ops::graph::infer::Limits;
use octrt_ops::graph::infer::values::{SpecializeError, Specialized, specialize_on};
use octrt_ops::graph::verify;
use octrt_ops::{Graph, GraphError, OpError, TensorType};

use crate::about::About;
use crate::cache::Identity;
use crate::compiled::Compiled;
use crate::error::{Error, InputError};
use crate::machine;
use crate::options::LoadOptions;
use crate::plan::Plan;
use crate::ports::{self, Declared, PortInfo, Ports};
use crate::source::ModelFile;
use crate::specialization::{Request, Specialization};
use crate::threads::Threads;
use crate::weights::WeightStore;

/// For how many sets of input shapes, and of values that decide shapes, a model keeps its code when no session uses it.
const KEPT_PLANS: usize = 4;

/// What a graph became for one set of inputs.
struct Made {
    /// Positions of the inputs that decide shapes; what they hold are constants of the graph.
    values: Vec<usize>,
    /// The graph after all passes.
    optimized: Graph,
    artifact: Artifact,
    /// Those records that have decided something.
    records: Records,
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
    /// Positions of the inputs that decide shapes.
    value_inputs: Vec<usize>,
    about: About,
    /// Files that the graph's constants lie in.
    files: Vec<Arc<ModelFile>>,
    /// Present when compiled graphs are kept in a folder.
    identity: Option<Identity>,
    options: LoadOptions,
    /// What records tell the compiler.
    records: Records,
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
#[non_exhaustive]
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
    Compiled(Box<Compiled>),
}

/// Plans for different inputs, the one used last at the end.
#[derive(Default)]
struct Cache {
    plans: Vec<Arc<Plan>>,
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
        let values = ports::ValueInputs::find(&name, &graph, &inputs, limits)?;
        let outputs = ports::outputs_of(&name, &graph, &inputs, &declared.outputs, &values, limits)?;
        let ports = Ports { inputs, outputs };
        let options = with_target(&graph, options);
        Ok(Model::new(name, Source::Graph(graph), ports, values.inputs, about, files, options))
    }

    fn new(
        name: String,
        source: Source,
        ports: Ports<Vec<PortInfo>>,
        value_inputs: Vec<usize>,
        about: About,
        files: Files,
        options: LoadOptions,
    ) -> Self {
        let Ports { inputs, outputs } = ports;
        let records = records_for(&source, &options);
        let Files { files, identity } = files;
        let (cache, process) = (Mutex::default(), std::process::id());
        Model(Arc::new(Inner {
            name,
            source,
            inputs,
            outputs,
            value_inputs,
            about,
            files,
            identity,
            options,
            records,
            cache,
            process,
        }))
    }

    /// A model from the file of a compiled one.
    pub(crate) fn from_compiled(name: String, mut compiled: Compiled, options: &LoadOptions) -> Self {
        let ports = std::mem::take(&mut compiled.ports);
        let about = std::mem::take(&mut compiled.about);
        let mut options = options.clone();
        options.precision = compiled.options.precision;
        let values = compiled.values.keys().copied().collect();
        let source = Source::Compiled(Box::new(compiled));
        Model::new(name, source, ports, values, about, Files::default(), options)
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

    /// Positions of the inputs that decide shapes, ascending: the model is compiled for what they hold, as it is for
    /// dimensions. Integers and bools of at most 64 KiB and at most 64 floats may do so.
    ///
    /// They are those for the shapes that the model declares. Behind dimensions and values that are not known before a run,
    /// operators are asked about shapes that are made up, so that an input may be missing here;
    /// [`Session::specialization`](crate::Session::specialization) tells it exactly.
    pub fn value_inputs(&self) -> &[usize] {
        &self.0.value_inputs
    }

    /// What a model that was compiled before was compiled for; none for others, which are compiled for any inputs.
    pub fn compiled_for(&self) -> Option<Specialization> {
        let Source::Compiled(compiled) = &self.0.source else { return None };
        let on = Specialization::new(self.fixed_input_types()?);
        Some(compiled.values.iter().fold(on, |on, (&i, value)| on.with_value(i, value.clone())))
    }

    /// The graph as imported, dimensions may be dynamic; none for a model that was compiled before.
    pub fn graph(&self) -> Option<&Graph> {
        match &self.0.source {
            Source::Graph(g) => Some(g),
            Source::Compiled(_) => None,
        }
    }

    /// The graph, also of a model that was compiled before: what is computed by what. Constants may be zeros.
    pub(crate) fn structure(&self) -> Option<&Graph> {
        match &self.0.source {
            Source::Graph(g) => Some(g),
            Source::Compiled(compiled) => Some(&compiled.graph),
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

    /// The types of the inputs as the graph has them ([`DataType::inside`](crate::DataType::inside)), when all dimensions
    /// are fixed.
    pub fn fixed_input_types(&self) -> Option<Vec<TensorType>> {
        ports::fixed_types(&self.0.inputs)
    }

    /// The graph for these inputs: all types are known, shape subgraphs are folded, and so is what is computed of inputs
    /// that decide shapes. It has all inputs. The stages of the crate `octrt_compiler` go on from it.
    ///
    /// # Errors
    /// [`Error::Input`] when the inputs do not fit the model, or what one holds decides a shape and is not given;
    /// [`Error::Compile`] and [`Error::Memory`] as a run; also [`Error::Artifact`] for a model that was compiled before, which
    /// has no graph.
    pub fn specialized(&self, on: &Specialization) -> Result<Graph, Error> {
        self.specialize(&on.request(self.inputs())?).map(|s| s.graph)
    }

    fn specialize(&self, on: &Request<'_>) -> Result<Specialized, Error> {
        let graph = self.graph().ok_or_else(|| {
            Error::Artifact("a model that was compiled before has no stages to show".to_string())
        })?;
        let value = |input: usize| on.inside(input);
        specialize_on(graph, on.types, &value, self.0.limits()).map_err(|e| match e {
            SpecializeError::Graph(e) => self.compile_error(on, e.into()),
            SpecializeError::ValueNeeded { input, source } => self.value_needed(input, &source).into(),
        })
    }

    fn value_needed(&self, input: usize, source: &GraphError) -> InputError {
        let (name, ty) =
            self.inputs().get(input).map(|p| (p.name.clone(), p.to_string())).unwrap_or_default();
        let message = format!("node '{}' ({}): {}", source.node, source.op, source.source.message());
        InputError::ValueNeeded { name, ty, message }
    }

    /// All stages from the graph to code. Nothing is cached.
    fn compile(&self, on: &Request<'_>) -> Result<Made, Error> {
        let Specialized { graph, values } = self.specialize(on)?;
        let fail = |e| self.compile_error(on, e);
        let options = Options { target: self.target()?, precision: self.precision() };
        let stages = pipeline::stages(&graph, options, self.records()).map_err(fail)?;
        let pipeline::Stages { decided, program, .. } = stages;
        let artifact = self.generate(program, options.target).map_err(fail)?;
        let records = decided.choice.recorded(self.records());
        let values = values.into_keys().collect();
        Ok(Made { values, optimized: decided.optimized, artifact, records })
    }

    /// The code of a program, functions at the same time where there are threads.
    fn generate(&self, program: Program, target: Target) -> Result<Artifact, CompileError> {
        let executor = |n: usize, job: pipeline::Job<'_>| self.threads().map((0..n).collect(), job);
        pipeline::generate(program, target, &executor)
    }

    /// An operator that refuses its arguments is the caller's fault when the caller chose the shapes.
    fn compile_error(&self, on: &Request<'_>, error: CompileError) -> Error {
        let decisive = self.value_inputs();
        let is_chosen = self.fixed_input_types().as_deref() != Some(on.types)
            || decisive.iter().any(|&i| on.values.get(i).is_some());
        match error {
            CompileError::Graph(GraphError { source: OpError::Invalid(_), .. }) if is_chosen => {
                let given = on.describe(self.inputs(), decisive);
                Error::Input(InputError::Shapes { given, message: error.to_string() })
            }
            source => Error::Compile { model: self.0.name.clone(), source },
        }
    }

    /// How exact the algorithms of its code are.
    pub fn precision(&self) -> Precision {
        self.0.options.precision
    }

    /// What records tell the compiler about the model's convolutions: those of [`LoadOptions::records`] for its target, or
    /// those that a model was compiled with before.
    pub fn records(&self) -> &Records {
        &self.0.records
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
}

/// The options with the target that records, or what there is in it, tell to be the best for a graph, where nobody has chosen
/// one.
fn with_target(graph: &Graph, options: &LoadOptions) -> LoadOptions {
    let mut options = options.clone();
    if options.target.is_none() {
        let recorded = options.records.fastest(graph);
        options.target = match recorded.filter(|isa| machine::detect_isa().is_ok_and(|host| *isa <= host)) {
            Some(isa) => Some(machine::native_target(isa)),
            // Below the least that there must be, the error comes when the model is compiled.
            None => machine::detect_target_for(graph).ok(),
        };
    }
    options
}

/// What the compiler is told about a model that is loaded with these options.
fn records_for(source: &Source, options: &LoadOptions) -> Records {
    match source {
        Source::Compiled(compiled) => compiled.records.clone(),
        Source::Graph(_) => {
            let target = options.target.map_or_else(machine::detect_target, Ok);
            target.map_or(Records::NONE, |target| options.records.of(target.isa))
        }
    }
}
