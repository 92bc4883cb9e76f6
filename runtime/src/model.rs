//! A model: its graph, and the code compiled from it so far.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use octrt_compiler::artifact::{Artifact, Port};
use octrt_compiler::target::Target;
use octrt_compiler::{CompileError, Options};
use octrt_ops::graph::infer::{Limits, specialize};
use octrt_ops::graph::verify;
use octrt_ops::{Dim, Graph, GraphError, OpError, TensorType};

use crate::error::{Error, InputError};
use crate::machine;
use crate::options::LoadOptions;
use crate::plan::Plan;
use crate::session::Session;
use crate::tensor::DataType;
use crate::threads::Threads;
use crate::weights::WeightStore;

/// For how many sets of input shapes a model keeps its code when no session uses it.
const KEPT_PLANS: usize = 4;

/// An input or output of a model, as callers see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortInfo {
    /// Its name.
    pub name: String,
    /// Element type of the tensors handed in or got back.
    pub dtype: DataType,
    /// Extents, outermost first; dynamic ones are fixed by each run. None for outputs of which the model says nothing.
    pub dims: Option<Vec<Dim>>,
}

impl fmt::Display for PortInfo {
    /// `f32[batch,3,224,224]`, without the name; `f32[...]` where the extents are not known.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.dims {
            None => write!(f, "{}[...]", self.dtype),
            Some(dims) => {
                let dims: Vec<String> = dims.iter().map(ToString::to_string).collect();
                write!(f, "{}[{}]", self.dtype, dims.join(","))
            }
        }
    }
}

/// What the stages of compilation made of a model for one set of input shapes.
#[derive(Clone, Debug)]
pub struct Stages {
    /// The graph with all types known and shape subgraphs folded.
    pub specialized: Graph,
    /// The graph that was compiled.
    pub optimized: Graph,
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
    options: LoadOptions,
    cache: Mutex<Cache>,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Model").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What plans are made from.
enum Source {
    Graph(Graph),
    Artifacts(Vec<Artifact>),
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
        verify::verify(&graph).map_err(|e| Error::graph(&name, e))?;
        let inputs = graph.inputs.iter().map(|i| PortInfo {
            name: graph.value(i.value).name.clone(),
            dtype: i.dtype.into(),
            dims: Some(i.dims.clone()),
        });
        let inputs: Vec<PortInfo> = inputs.collect();
        let outputs = outputs_of(&name, &graph, &inputs, options)?;
        Ok(Model::new(name, Source::Graph(graph), inputs, outputs, options))
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
        let inputs = merge_ports(&artifacts, |a| &a.inputs)?;
        let outputs = merge_ports(&artifacts, |a| &a.outputs)?;
        Ok(Model::new("artifact".to_string(), Source::Artifacts(artifacts), inputs, outputs, options))
    }

    fn new(
        name: String,
        source: Source,
        inputs: Vec<PortInfo>,
        outputs: Vec<PortInfo>,
        options: &LoadOptions,
    ) -> Self {
        let (options, cache) = (options.clone(), Mutex::default());
        Model(Arc::new(Inner { name, source, inputs, outputs, options, cache }))
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

    /// The graph as imported, dimensions may be dynamic; none for a model made from artifacts.
    pub fn graph(&self) -> Option<&Graph> {
        match &self.0.source {
            Source::Graph(g) => Some(g),
            Source::Artifacts(_) => None,
        }
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
        fixed_types(&self.0.inputs)
    }

    /// Compiles for inputs of these types (element types inside the graph), and shows every stage. Nothing is cached.
    ///
    /// # Errors
    /// [`Error::Input`] when the types do not fit the model, [`Error::Compile`] and [`Error::Memory`] as a run; also
    /// [`Error::Artifact`] for a model made from artifacts, which has no graph.
    pub fn stages(&self, inputs: &[TensorType]) -> Result<Stages, Error> {
        let model = &*self.0;
        let graph = self.graph().ok_or_else(|| {
            Error::Artifact("a model made from compiled graphs has no stages to show".to_string())
        })?;
        let limits = Limits { max_bytes: model.options.max_memory };
        let fail = |e| self.compile_error(inputs, e);
        let specialized = specialize(graph, inputs, limits).map_err(|e| fail(e.into()))?;
        let optimized = specialized.clone();
        let options = Options { target: self.target()? };
        let artifact = octrt_compiler::compile(&optimized, options).map_err(fail)?;
        Ok(Stages { specialized, optimized, artifact })
    }

    /// An operator that refuses its arguments is the caller's fault when the caller chose the shapes.
    fn compile_error(&self, inputs: &[TensorType], error: CompileError) -> Error {
        match error {
            CompileError::Graph(GraphError { source: OpError::Invalid(_), .. })
                if self.fixed_input_types().is_none() =>
            {
                let given: Vec<String> =
                    self.inputs().iter().zip(inputs).map(|(p, t)| format!("'{}': {t}", p.name)).collect();
                Error::Input(InputError::Shapes { given: given.join(", "), message: error.to_string() })
            }
            source => Error::Compile { model: self.0.name.clone(), source },
        }
    }

    fn target(&self) -> Result<Target, Error> {
        self.0.options.target.map_or_else(machine::detect_target, Ok)
    }

    /// The loaded code for inputs of these types, compiled now if it is not kept. Sessions that ask at the same time
    /// wait for each other, so that nothing is compiled twice.
    pub(crate) fn plan(&self, inputs: &[TensorType]) -> Result<Arc<Plan>, Error> {
        let mut cache = self.0.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let cached = cache.plans.iter().position(|(types, _)| types == inputs);
        let entry = match cached {
            Some(i) => cache.plans.remove(i),
            None => {
                let artifact = self.artifact(inputs)?;
                let plan = Plan::load(artifact, &mut cache.weights, self.0.options.max_memory)?;
                (inputs.to_vec(), Arc::new(plan))
            }
        };
        let plan = entry.1.clone();
        cache.plans.push(entry);
        if cache.plans.len() > KEPT_PLANS {
            cache.plans.remove(0);
        }
        Ok(plan)
    }

    /// The artifact for inputs of these types, for a target that this machine runs.
    fn artifact(&self, inputs: &[TensorType]) -> Result<Artifact, Error> {
        let fits = |a: &&Artifact| a.inputs.iter().map(|p| &p.ty).eq(inputs);
        let artifact = match &self.0.source {
            Source::Graph(_) => self.stages(inputs)?.artifact,
            Source::Artifacts(all) => all.iter().find(fits).cloned().ok_or_else(|| {
                let found: Vec<String> = inputs.iter().map(ToString::to_string).collect();
                let message = "nothing was compiled for them".to_string();
                InputError::Shapes { given: found.join(", "), message }
            })?,
        };
        let same = |ports: &[Port], infos: &[PortInfo]| {
            ports.iter().map(|p| (&p.name, p.ty.dtype)).eq(infos.iter().map(|i| (&i.name, i.dtype.inside())))
        };
        if !fits(&&artifact)
            || !same(&artifact.inputs, self.inputs())
            || !same(&artifact.outputs, self.outputs())
        {
            return Err(Error::Internal("the compiled graph has other inputs or outputs".to_string()));
        }
        let host = machine::detect_target()?;
        if artifact.target.isa > host.isa {
            let message =
                format!("code for {} does not run on this machine, which is {host}", artifact.target);
            return Err(Error::Target(message));
        }
        Ok(artifact)
    }
}

fn fixed_types(inputs: &[PortInfo]) -> Option<Vec<TensorType>> {
    inputs
        .iter()
        .map(|p| {
            let dims = p.dims.as_ref()?.iter().map(|d| match d {
                Dim::Fixed(d) => Some(*d),
                Dim::Dynamic(_) => None,
            });
            Some(TensorType::new(p.dtype.inside(), dims.collect::<Option<Vec<usize>>>()?))
        })
        .collect()
}

/// The outputs of a graph; their extents where those of all inputs are fixed. Element types are those of the graph for
/// some extents: they depend on none.
fn outputs_of(
    name: &str,
    graph: &Graph,
    inputs: &[PortInfo],
    options: &LoadOptions,
) -> Result<Vec<PortInfo>, Error> {
    let limits = Limits { max_bytes: options.max_memory };
    let types = fixed_types(inputs);
    let known = types.map(|t| specialize(graph, &t, limits)).transpose();
    let known = known.map_err(|e| Error::graph(name, e))?;
    graph
        .outputs
        .iter()
        .map(|o| {
            let ty = known.as_ref().and_then(|g| g.value(o.value).ty.as_ref());
            let ty = ty.or(graph.value(o.value).ty.as_ref());
            let missing = || Error::Corrupt {
                model: name.to_string(),
                message: format!("output '{}': its type is not declared", o.name),
            };
            let dims = ty.map(|t| t.shape.iter().map(|&d| Dim::Fixed(d)).collect());
            let dtype = ty.ok_or_else(missing)?.dtype.into();
            Ok(PortInfo { name: o.name.clone(), dtype, dims })
        })
        .collect()
}

/// The ports of all artifacts as one: extents that differ are dynamic.
fn merge_ports(artifacts: &[Artifact], ports: fn(&Artifact) -> &[Port]) -> Result<Vec<PortInfo>, Error> {
    let [first, rest @ ..] = artifacts else {
        return Err(Error::Artifact("a model needs at least one compiled graph".to_string()));
    };
    let mut merged: Vec<PortInfo> = ports(first)
        .iter()
        .map(|p| PortInfo {
            name: p.name.clone(),
            dtype: p.ty.dtype.into(),
            dims: Some(p.ty.shape.iter().map(|&d| Dim::Fixed(d)).collect()),
        })
        .collect();
    for artifact in rest {
        let others = ports(artifact);
        let same = others.len() == merged.len()
            && merged.iter().zip(others).all(|(m, p)| {
                m.name == p.name
                    && m.dtype == p.ty.dtype.into()
                    && m.dims.as_ref().is_some_and(|d| d.len() == p.ty.shape.rank())
            });
        if !same {
            return Err(Error::Artifact("compiled graphs differ in more than extents".to_string()));
        }
        for (m, p) in merged.iter_mut().zip(others) {
            for (dim, &d) in m.dims.iter_mut().flatten().zip(p.ty.shape.iter()) {
                if *dim != Dim::Fixed(d) {
                    *dim = Dim::Dynamic(String::new());
                }
            }
        }
    }
    Ok(merged)
}
