//! Inputs and outputs of a model, as callers see them.

use std::fmt;

use octrt_ops::graph::branch::is_if;
use octrt_ops::graph::infer::values::{SpecializeError, may_decide, needs, specialize_on};
use octrt_ops::graph::infer::{Limits, specialize};
use octrt_ops::{DType, Dim, Graph, TensorType};

use crate::data_type::DataType;
use crate::error::Error;

/// Extents tried for dynamic dimensions. Operators infer element types together with shapes, so a graph with fixed ones
/// tells the element types of the outputs: of those that are not declared, and of those that are declared wrongly, which
/// are refused before any run. That a graph takes none of these extents hides nothing: what is computed is held against
/// what is declared again when it is compiled.
const TRIAL_EXTENTS: [usize; 4] = [1, 2, 32, 224];

/// An input or output of a model, as callers see it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PortInfo {
    /// Its name.
    pub name: String,
    /// Element type of the tensors handed in or got back.
    pub dtype: DataType,
    /// Extents, outermost first; dynamic ones are fixed by each run. None for outputs of which the model says nothing.
    pub dims: Option<Vec<Dim>>,
}

impl PortInfo {
    /// An input or output of this name and type.
    pub fn new(name: impl Into<String>, dtype: DataType, dims: Option<Vec<Dim>>) -> Self {
        PortInfo { name: name.into(), dtype, dims }
    }
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

/// What a model's file says of an input or output.
#[derive(Clone, Debug, Default)]
pub(crate) struct Declared {
    pub(crate) dtype: Option<DataType>,
    pub(crate) dims: Option<Vec<Dim>>,
}

/// Something for the inputs and something for the outputs of a model, in the model's order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ports<T> {
    pub(crate) inputs: T,
    pub(crate) outputs: T,
}

/// The types inside the graph, when all dimensions are fixed.
pub(crate) fn fixed_types(inputs: &[PortInfo]) -> Option<Vec<TensorType>> {
    types(inputs, None)
}

/// The types inside the graph; dynamic dimensions have the extent `dynamic`.
fn types(inputs: &[PortInfo], dynamic: Option<usize>) -> Option<Vec<TensorType>> {
    let extent = |d: &Dim| match d {
        Dim::Fixed(d) => Some(*d),
        Dim::Dynamic(_) => dynamic,
    };
    inputs
        .iter()
        .map(|p| {
            let dims: Option<Vec<usize>> = p.dims.as_ref()?.iter().map(extent).collect();
            Some(TensorType::new(p.dtype.inside(), dims?))
        })
        .collect()
}

/// The inputs of a graph, in the element types declared for callers; both are in the same order.
pub(crate) fn inputs_of(graph: &Graph, declared: &[Declared]) -> Vec<PortInfo> {
    let port = |(i, input): (usize, &octrt_ops::graph::Input)| {
        let dtype = declared.get(i).and_then(|d| d.dtype).filter(|d| d.inside() == input.dtype);
        PortInfo {
            name: graph.value(input.value).name.clone(),
            dtype: dtype.unwrap_or(input.dtype.into()),
            dims: Some(input.dims.clone()),
        }
    };
    graph.inputs.iter().enumerate().map(port).collect()
}

/// What is found out about a graph whose shapes depend on what inputs hold.
#[derive(Clone, Debug, Default)]
pub(crate) struct ValueInputs {
    /// Positions of the inputs that decide shapes, ascending.
    pub(crate) inputs: Vec<usize>,
    /// Element types of the outputs inside the graph, where they are known without what the inputs hold.
    outputs: Vec<Option<DType>>,
    /// The graph, when all inputs are fixed and what they hold decides nothing.
    specialized: Option<Graph>,
}

impl ValueInputs {
    /// Of a graph with these inputs.
    ///
    /// # Errors
    /// [`Error::Compile`] when all inputs are fixed and an operator refuses its arguments.
    pub(crate) fn find(
        model: &str,
        graph: &Graph,
        inputs: &[PortInfo],
        limits: Limits,
    ) -> Result<Self, Error> {
        if let Some(types) = fixed_types(inputs) {
            match specialize_on(graph, &types, &|_| None, limits) {
                Ok(s) => return Ok(ValueInputs { specialized: Some(s.graph), ..ValueInputs::default() }),
                Err(SpecializeError::Graph(e)) => return Err(Error::graph(model, e)),
                Err(SpecializeError::ValueNeeded { .. }) => {}
            }
        }
        let mut found = ValueInputs::default();
        for types in TRIAL_EXTENTS.iter().filter_map(|&d| types(inputs, Some(d))) {
            if !found.inputs.is_empty() || !types.iter().any(may_decide) {
                break;
            }
            let needs = needs(graph, &types);
            found.inputs = needs.inputs.into_iter().collect();
            found.outputs = needs.outputs;
        }
        Ok(found)
    }
}

/// The outputs of a graph. Where all inputs are fixed and decide no shape by what they hold, their extents are those that
/// the operators infer.
///
/// # Errors
/// [`Error::Corrupt`] when an element type is declared that is not the graph's, [`Error::Unsupported`] when none is declared and none can be found.
pub(crate) fn outputs_of(
    model: &str,
    graph: &Graph,
    inputs: &[PortInfo],
    declared: &[Declared],
    values: &ValueInputs,
    limits: Limits,
) -> Result<Vec<PortInfo>, Error> {
    let known = &values.specialized;
    // Element types are the same for all extents, so any graph with fixed ones tells them. What an If chooses may have
    // another type for others: then this one contradicts nothing.
    let may_differ = known.is_none() && graph.nodes.iter().any(is_if);
    let trial = match known {
        None => TRIAL_EXTENTS.iter().find_map(|&d| specialize(graph, &types(inputs, Some(d))?, limits).ok()),
        Some(_) => None,
    };
    let mut ports = Vec::with_capacity(graph.outputs.len());
    for (i, output) in graph.outputs.iter().enumerate() {
        let in_graph = |g: &Option<Graph>| {
            let g = g.as_ref()?;
            g.value(g.outputs.get(i)?.value).ty.clone()
        };
        let ty = in_graph(known);
        let inside = ty.clone().or_else(|| in_graph(&trial)).map(|t| t.dtype);
        let inside = inside.or_else(|| *values.outputs.get(i)?);
        let said = declared.get(i).cloned().unwrap_or_default();
        let (model, name) = (model.to_string(), output.name.clone());
        let dtype = match (said.dtype, inside) {
            (Some(d), Some(inside)) if d.inside() != inside && !may_differ => {
                let message = format!("output '{name}' is declared as {d}, but the model computes {inside}");
                return Err(Error::Corrupt { model, message });
            }
            (Some(d), _) => d,
            (None, Some(inside)) => inside.into(),
            (None, None) => {
                let message = format!("output '{name}': its element type is not declared");
                return Err(Error::Unsupported { model, message });
            }
        };
        let dims = ty.map(|t| t.shape.iter().map(|&d| Dim::Fixed(d)).collect());
        ports.push(PortInfo { name, dtype, dims: dims.or(said.dims) });
    }
    Ok(ports)
}
