//! Shapes from values: graphs in which those inputs are constants whose elements decide a shape.
//!
//! An operator asks for the elements of an argument with [`Args::known`]. Which argument that was is found by asking it
//! again with a stand-in for one argument after the other: with the right one the operator gives another answer. The
//! argument is computed from constants and from inputs of the graph; these inputs decide the shape.

use std::collections::{BTreeMap, BTreeSet};

use super::{Limits, SHAPE_ELEMENTS, known_results, specialize};
use crate::arg::{Arg, Args};
use crate::dtype::DType;
use crate::error::{GraphError, OpError};
use crate::graph::branch::{is_if, unconditional};
use crate::graph::{Graph, Node, ValueDef, ValueId};
use crate::op::Op;
use crate::shape::{Shape, TensorType};
use crate::tensor::Tensor;

/// Most bytes of an input that a graph is specialised on.
pub const VALUE_BYTES: usize = 64 << 10;

/// Most elements of an input of floats that a graph is specialised on: scales, limits, regions. More are data.
pub const VALUE_FLOATS: usize = 64;

/// Largest argument for which a stand-in is made.
const STAND_IN_BYTES: usize = 1 << 20;

/// Ranks that are tried for an argument whose type is not known.
const RANKS: [usize; 6] = [4, 3, 2, 1, 0, 5];

/// A graph for one set of input types, and for what some inputs hold.
#[derive(Clone, Debug)]
pub struct Specialized {
    /// As from [`specialize`]. It has all inputs, also those that nothing reads.
    pub graph: Graph,
    /// The inputs, by position, that are constants for the nodes of the graph.
    pub values: BTreeMap<usize, Tensor>,
}

/// Why a graph cannot be specialised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpecializeError {
    /// As [`specialize`].
    Graph(GraphError),
    /// What this input holds decides a shape, and is not given.
    ValueNeeded {
        /// Position of the input.
        input: usize,
        /// The node that asks.
        source: GraphError,
    },
}

/// As [`specialize`]; an input that decides a shape is a constant, with the elements that `value` gives for its position.
/// Inputs that decide nothing are not asked for. Integers and bools of at most [`VALUE_BYTES`] and at most
/// [`VALUE_FLOATS`] floats, alone and in what nodes compute of them, may decide shapes.
///
/// # Errors
/// [`SpecializeError::ValueNeeded`] when `value` gives nothing, else as [`specialize`].
pub fn specialize_on(
    graph: &Graph,
    inputs: &[TensorType],
    value: &dyn Fn(usize) -> Option<Tensor>,
    limits: Limits,
) -> Result<Specialized, SpecializeError> {
    let mut values = BTreeMap::new();
    loop {
        let fixed = with_constants(graph, &values);
        let (needs, source) = match specialize(&fixed, inputs, limits) {
            Ok(graph) if !(0..).zip(inputs).any(|(i, ty)| may_decide(ty) && !values.contains_key(&i)) => {
                return Ok(Specialized { graph, values });
            }
            Ok(graph) => {
                let needs = walk(&graph, inputs, End::First);
                match needs.asked.clone().filter(|_| !needs.inputs.is_empty()) {
                    None => return Ok(Specialized { graph, values }),
                    Some(source) => (needs, source),
                }
            }
            Err(source) if matches!(source.source, OpError::DataDependent(_)) => {
                (walk(&fixed, inputs, End::First), source)
            }
            Err(source) => return Err(SpecializeError::Graph(source)),
        };
        if needs.inputs.is_empty() {
            return Err(SpecializeError::Graph(explained(&fixed, inputs, &needs, source)));
        }
        for input in needs.inputs {
            let needed = || SpecializeError::ValueNeeded { input, source: source.clone() };
            let tensor = value(input).ok_or_else(needed)?;
            if tensor.ty() != &inputs[input] {
                let name = &graph.value(graph.inputs[input].value).name;
                let message = format!("input: expected {}, found {}", inputs[input], tensor.ty());
                let error = GraphError::new(name, "", OpError::Invalid(message));
                return Err(SpecializeError::Graph(error));
            }
            values.insert(input, tensor);
        }
    }
}

/// The error with the input that the elements come from, which may not decide shapes.
fn explained(graph: &Graph, inputs: &[TensorType], needs: &Needs, error: GraphError) -> GraphError {
    let Some(input) = needs.obstacle else { return error };
    let (name, ty) = (&graph.value(graph.inputs[input].value).name, &inputs[input]);
    let message = format!(
        "{}; it is computed from input '{name}' {ty}, but only integers and bools of at most {VALUE_BYTES} bytes, and \
         lists of at most {VALUE_FLOATS} floats, may decide shapes",
        error.source.message()
    );
    GraphError { source: OpError::DataDependent(message), ..error }
}

/// The graph whose nodes read constants in place of these inputs, which stay.
fn with_constants(graph: &Graph, values: &BTreeMap<usize, Tensor>) -> Graph {
    let mut graph = graph.clone();
    let mut constants = BTreeMap::new();
    for (&input, tensor) in values {
        let old = graph.inputs[input].value;
        let name = graph.value(old).name.clone();
        constants.insert(old, graph.add_const(name, tensor.clone()));
    }
    for v in graph.nodes.iter_mut().flat_map(|n| n.inputs.iter_mut().flatten()) {
        *v = *constants.get(v).unwrap_or(v);
    }
    graph
}

/// What is known of a graph without the elements of its inputs.
#[derive(Clone, Debug, Default)]
pub struct Needs {
    /// Positions of the inputs that decide a shape, for inputs of these types.
    pub inputs: BTreeSet<usize>,
    /// Element types of the outputs, where they are known.
    pub outputs: Vec<Option<DType>>,
    /// The first node that asked for elements.
    asked: Option<GraphError>,
    /// An input that the elements asked for are computed from, and that may not decide shapes.
    obstacle: Option<usize>,
}

/// Which inputs of these types decide a shape, as far as can be said without their elements: behind a shape that is not
/// known, operators are asked about shapes that are made up. [`specialize_on`] knows it exactly.
pub fn needs(graph: &Graph, inputs: &[TensorType]) -> Needs {
    walk(graph, inputs, End::All)
}

/// Whether an input of this type may decide shapes.
pub fn may_decide(ty: &TensorType) -> bool {
    let small = match ty.dtype {
        DType::F32 | DType::F64 => ty.shape.rank() <= 1 && ty.shape.numel() <= VALUE_FLOATS,
        _ => true,
    };
    small && ty.shape.checked_bytes(ty.dtype).is_ok_and(|bytes| bytes <= VALUE_BYTES)
}

/// Where a walk over the nodes ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// At the first node that asks for elements.
    First,
    /// At the last node.
    All,
    /// At the last node; what nodes ask for is of no interest.
    Unasked,
}

fn walk(original: &Graph, inputs: &[TensorType], end: End) -> Needs {
    let mut walk = Walk::new(original, inputs);
    let needed = match end {
        End::First if original.nodes.iter().any(is_if) => Some(needed(original, inputs)),
        _ => None,
    };
    for (i, node) in original.nodes.iter().enumerate() {
        let decides = |v: &&ValueId| walk.knowable[v.index()] && walk.graph.constant(**v).is_none();
        let asks = node.inputs.iter().flatten().any(|v| decides(&v));
        if !asks && node.outputs.iter().all(|v| walk.graph.value(*v).ty.is_some()) {
            continue;
        }
        let end = if needed.as_ref().is_none_or(|n| n[i]) { end } else { End::Unasked };
        if walk.visit(node, asks, end) == End::First && end == End::First {
            break;
        }
    }
    let dtype = |o: &crate::graph::Output| {
        let ty = walk.graph.value(o.value).ty.as_ref().filter(|_| walk.is_certain[o.value.index()]);
        ty.map(|t| t.dtype)
    };
    walk.found.outputs = walk.graph.outputs.iter().map(dtype).collect();
    walk.found
}

/// For every node whether a run needs it, as far as the conditions of Ifs are known.
fn needed(original: &Graph, inputs: &[TensorType]) -> Vec<bool> {
    let mut walk = Walk::new(original, inputs);
    for node in &original.nodes {
        walk.visit(node, false, End::Unasked);
    }
    unconditional(&walk.graph)
}

struct Walk {
    graph: Graph,
    /// For every value whether it is a constant once the inputs are that may decide shapes.
    knowable: Vec<bool>,
    /// For every value whether its element type follows from those of the inputs: no made-up argument decides it.
    is_certain: Vec<bool>,
    found: Needs,
}

impl Walk {
    fn new(original: &Graph, inputs: &[TensorType]) -> Self {
        let mut graph = original.clone();
        for (i, ty) in inputs.iter().enumerate().take(graph.inputs.len()) {
            let value = graph.inputs[i].value;
            graph.values[value.index()].ty = Some(ty.clone());
        }
        let knowable = |v: &crate::graph::Value| match v.def {
            ValueDef::Const(_) => true,
            ValueDef::Input(_) => v.ty.as_ref().is_some_and(may_decide),
            ValueDef::Node(..) => false,
        };
        let knowable = graph.values.iter().map(knowable).collect();
        let is_certain = graph.values.iter().map(|v| v.ty.is_some()).collect();
        Walk { graph, knowable, is_certain, found: Needs::default() }
    }

    /// Infers what is known of the node's outputs. [`End::First`] when it asks for elements, which `asks` says that it may
    /// get.
    fn visit(&mut self, node: &Node, asks: bool, end: End) -> End {
        let mut answer = Answer::default();
        for rank in RANKS {
            let mut call = Call::new(&self.graph, node, asks, rank);
            let is_complete = call.is_complete;
            answer = call.answer();
            if is_complete || answer.types.is_some() || !answer.asked.is_empty() {
                answer.is_exact = is_complete && answer.asked.is_empty();
                break;
            }
        }
        if end != End::Unasked {
            self.note(node, &answer, end);
        }
        self.define(node, &answer);
        if answer.asked.is_empty() { End::All } else { End::First }
    }

    /// Notes what the node asked for.
    fn note(&mut self, node: &Node, answer: &Answer, end: End) {
        for &position in &answer.asked {
            let Some(value) = node.input(position) else { continue };
            if self.knowable[value.index()] || end == End::First {
                self.take(value);
            }
        }
        if let (Some(why), None) = (&answer.why, &self.found.asked) {
            let (name, op) = (&node.name, node.op.as_operator().name());
            self.found.asked = Some(GraphError::new(name, op, why.clone()));
        }
    }

    /// Notes the inputs that a value is computed from.
    fn take(&mut self, value: ValueId) {
        let (mut open, mut seen) = (vec![value], BTreeSet::from([value]));
        while let Some(v) = open.pop() {
            match self.graph.value(v).def {
                ValueDef::Const(_) => {}
                ValueDef::Input(i) if self.knowable[v.index()] => {
                    if self.knowable[value.index()] {
                        self.found.inputs.insert(i);
                    }
                }
                ValueDef::Input(i) => self.found.obstacle = self.found.obstacle.or(Some(i)),
                ValueDef::Node(n, _) => {
                    let operands = self.graph.node(n).inputs.iter().flatten();
                    open.extend(operands.copied().filter(|v| seen.insert(*v)));
                }
            }
        }
    }

    /// Types of the outputs, and their elements where nothing else is needed for them.
    fn define(&mut self, node: &Node, answer: &Answer) {
        let is_small = |t: &TensorType| t.shape.numel() <= SHAPE_ELEMENTS;
        let types = answer.types.as_deref().filter(|t| t.len() >= node.outputs.len());
        let small = types.is_none_or(|t| t.iter().all(is_small));
        let knowable = small && node.inputs.iter().flatten().all(|v| self.knowable[v.index()]);
        let is_certain = types.is_some() && node.inputs.iter().flatten().all(|v| self.is_certain[v.index()]);
        for (i, v) in node.outputs.iter().enumerate() {
            if let (Some(types), ty) = (types, &mut self.graph.values[v.index()].ty) {
                ty.get_or_insert_with(|| types[i].clone());
            }
            self.knowable[v.index()] = knowable;
            self.is_certain[v.index()] |= is_certain;
        }
        let Some(types) = types.filter(|_| answer.is_exact && small) else { return };
        let types: Vec<&TensorType> = types.iter().collect();
        let Ok(Some(results)) = known_results(&self.graph, node, &types) else { return };
        for (v, tensor) in node.outputs.iter().zip(results) {
            self.graph.values[v.index()].def = ValueDef::Const(tensor);
            self.knowable[v.index()] = true;
        }
    }
}

/// What a node says of its outputs.
#[derive(Default)]
struct Answer {
    types: Option<Vec<TensorType>>,
    /// Positions of the arguments that it asked for.
    asked: Vec<usize>,
    /// How it asked for the first of them.
    why: Option<OpError>,
    /// Whether nothing was made up.
    is_exact: bool,
}

/// A question to an operator: its arguments, some of which may be made up.
struct Call<'a> {
    op: &'a Op,
    args: Vec<Option<(TensorType, Option<Tensor>)>>,
    /// Whether `compute` is asked too.
    computes: bool,
    /// Whether the types of all arguments are known.
    is_complete: bool,
}

impl<'a> Call<'a> {
    /// An argument whose type is not known is of floats and has this rank.
    fn new(graph: &Graph, node: &'a Node, computes: bool, rank: usize) -> Self {
        let mut is_complete = true;
        let mut arg = |v: ValueId| match &graph.value(v).ty {
            Some(ty) => (ty.clone(), graph.constant(v).cloned()),
            None => {
                is_complete = false;
                (TensorType::new(DType::F32, Shape::new(vec![1; rank])), None)
            }
        };
        let args = node.inputs.iter().map(|v| v.map(&mut arg)).collect();
        Call { op: &node.op, args, computes, is_complete }
    }

    fn ask(&self) -> Result<Vec<TensorType>, OpError> {
        let mut args = Vec::with_capacity(self.args.len());
        for arg in &self.args {
            args.push(arg.as_ref().map(|(ty, value)| Arg {
                dtype: ty.dtype,
                shape: &ty.shape,
                value: value.as_ref(),
            }));
        }
        let op = self.op.as_operator();
        let types = op.infer(Args(&args))?;
        if self.computes {
            op.compute(Args(&args))?;
        }
        Ok(types)
    }

    /// Asks until the operator asks for nothing more, each time with one more stand-in.
    fn answer(&mut self) -> Answer {
        let mut answer = Answer::default();
        loop {
            match self.ask() {
                Ok(types) => {
                    answer.types = Some(types);
                    return answer;
                }
                Err(e @ OpError::DataDependent(_)) => {
                    let Some(position) = self.stand_in(&e) else { return answer };
                    answer.asked.push(position);
                    answer.why.get_or_insert(e);
                }
                Err(_) => return answer,
            }
        }
    }

    /// Puts a stand-in in the place of the argument that the operator asked for with this error, and returns its
    /// position: one with which the operator gives types or asks for more, if there is one.
    fn stand_in(&mut self, asked: &OpError) -> Option<usize> {
        for i in 0..self.args.len() {
            let Some((ty, None)) = &self.args[i] else { continue };
            let ty = ty.clone();
            let (mut refused, mut taken) = (None, None);
            for tensor in stand_ins(&ty) {
                self.args[i] = Some((ty.clone(), Some(tensor.clone())));
                match self.ask() {
                    Ok(_) => return Some(i),
                    Err(e) if e == *asked => break,
                    Err(OpError::DataDependent(_)) => taken = taken.or(Some(tensor)),
                    Err(_) => refused = refused.or(Some(tensor)),
                }
            }
            let kept = taken.or(refused);
            let found = kept.is_some();
            self.args[i] = Some((ty, kept));
            if found {
                return Some(i);
            }
        }
        None
    }
}

/// Elements that some operator may take for a shape, sizes, axes or positions.
fn stand_ins(ty: &TensorType) -> Vec<Tensor> {
    let Some(bytes) = ty.shape.checked_bytes(ty.dtype).ok().filter(|b| *b <= STAND_IN_BYTES) else {
        return Vec::new();
    };
    let element = |v: i64| match ty.dtype {
        DType::F32 => (v as f32).to_le_bytes().to_vec(),
        DType::F64 => (v as f64).to_le_bytes().to_vec(),
        other => v.to_le_bytes()[..other.size()].to_vec(),
    };
    let count = ty.shape.numel();
    let (zero, one) = (vec![0; bytes], element(1).repeat(count));
    let mut all = vec![zero, one.clone()];
    if ty.dtype != DType::Bool && count > 0 {
        all.push([element(-1), one[ty.dtype.size()..].to_vec()].concat());
        all.push((0..count as i64).flat_map(element).collect());
    }
    all.into_iter().filter_map(|bytes| Tensor::from_bytes(ty.clone(), bytes).ok()).collect()
}

#[cfg(test)]
mod tests;
