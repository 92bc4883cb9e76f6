//! The graph: values, nodes in topological order, typed ids. Plain data.

use std::fmt;

use crate::dtype::DType;
use crate::error::OpError;
use crate::op::Op;
use crate::shape::{Dim, TensorType};
use crate::tensor::Tensor;

#[cfg(test)]
mod arbitrary;
mod args;
pub mod branch;
mod fold;
pub mod infer;
pub mod interp;
pub mod rewrite;
pub mod text;
mod users;
pub mod verify;

pub use users::Users;

/// A tensor in the graph. Prints as `%3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ValueId(pub u32);

/// A use of an operator in the graph. Prints as `n3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u32);

impl ValueId {
    /// Position in [`Graph::values`].
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl NodeId {
    /// Position in [`Graph::nodes`].
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for ValueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "%{}", self.0)
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n{}", self.0)
    }
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum ValueDef {
    /// The graph's input with this position.
    Input(usize),
    /// A tensor of the model.
    Const(Tensor),
    /// An output of a node.
    Node(NodeId, usize),
}

/// A tensor in the graph.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    /// Name in the source model; may be empty for values that passes made.
    pub name: String,
    /// Where it comes from.
    pub def: ValueDef,
    /// Type, once it is known: always for constants, for inputs when all dimensions are fixed, for the rest after
    /// [`infer::specialize`].
    pub ty: Option<TensorType>,
}

/// A use of an operator.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Name in the source model, or made up; for messages.
    pub name: String,
    /// Operator and attributes.
    pub op: Op,
    /// Inputs by position; `None` where an optional one is omitted.
    pub inputs: Vec<Option<ValueId>>,
    /// Outputs by position.
    pub outputs: Vec<ValueId>,
}

impl Node {
    /// Input `i`, if given.
    pub fn input(&self, i: usize) -> Option<ValueId> {
        self.inputs.get(i).copied().flatten()
    }
}

/// An input of the graph.
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    /// The value it defines.
    pub value: ValueId,
    /// Element type inside the graph.
    pub dtype: DType,
    /// Extents, some of which may be known only when the model runs.
    pub dims: Vec<Dim>,
}

impl Input {
    /// The type, when all dimensions are fixed.
    pub fn declared_type(&self) -> Option<TensorType> {
        let extent = |d: &Dim| match d {
            Dim::Fixed(n) => Some(*n),
            Dim::Dynamic(_) => None,
        };
        let dims: Option<Vec<usize>> = self.dims.iter().map(extent).collect();
        Some(TensorType { dtype: self.dtype, shape: dims?.into() })
    }
}

/// An output of the graph.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// Name by which callers ask for it.
    pub name: String,
    /// The value it shows.
    pub value: ValueId,
}

/// A network. Nodes are in topological order: each uses inputs, constants and outputs of earlier nodes only.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Graph {
    /// Name of the model.
    pub name: String,
    /// All tensors; a [`ValueId`] is a position here.
    pub values: Vec<Value>,
    /// All nodes; a [`NodeId`] is a position here.
    pub nodes: Vec<Node>,
    /// Inputs in the model's order.
    pub inputs: Vec<Input>,
    /// Outputs in the model's order.
    pub outputs: Vec<Output>,
}

impl Graph {
    /// An empty graph.
    pub fn new(name: impl Into<String>) -> Self {
        Graph { name: name.into(), ..Graph::default() }
    }

    fn push(&mut self, name: String, def: ValueDef, ty: Option<TensorType>) -> ValueId {
        self.values.push(Value { name, def, ty });
        ValueId((self.values.len() - 1) as u32)
    }

    /// Adds an input.
    pub fn add_input(&mut self, name: impl Into<String>, dtype: DType, dims: Vec<Dim>) -> ValueId {
        let value = self.push(name.into(), ValueDef::Input(self.inputs.len()), None);
        let input = Input { value, dtype, dims };
        self.values[value.index()].ty = input.declared_type();
        self.inputs.push(input);
        value
    }

    /// Adds a constant.
    pub fn add_const(&mut self, name: impl Into<String>, tensor: Tensor) -> ValueId {
        let ty = tensor.ty().clone();
        self.push(name.into(), ValueDef::Const(tensor), Some(ty))
    }

    /// Adds a node with as many outputs as there are `output_names`; returns its outputs.
    pub fn add_node(
        &mut self,
        name: impl Into<String>,
        op: impl Into<Op>,
        inputs: Vec<Option<ValueId>>,
        output_names: &[&str],
    ) -> Vec<ValueId> {
        let id = NodeId(self.nodes.len() as u32);
        let outputs: Vec<ValueId> = output_names
            .iter()
            .enumerate()
            .map(|(i, n)| self.push((*n).to_string(), ValueDef::Node(id, i), None))
            .collect();
        self.nodes.push(Node { name: name.into(), op: op.into(), inputs, outputs: outputs.clone() });
        outputs
    }

    /// Makes `value` the next output.
    pub fn add_output(&mut self, name: impl Into<String>, value: ValueId) {
        self.outputs.push(Output { name: name.into(), value });
    }

    /// A value.
    pub fn value(&self, id: ValueId) -> &Value {
        &self.values[id.index()]
    }

    /// A node.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.index()]
    }

    /// The tensor of a value that is a constant.
    pub fn constant(&self, id: ValueId) -> Option<&Tensor> {
        match &self.value(id).def {
            ValueDef::Const(t) => Some(t),
            _ => None,
        }
    }

    /// The tensor of input `i` of a node, if it is given and a constant.
    pub fn constant_input(&self, node: &Node, i: usize) -> Option<&Tensor> {
        self.constant(node.input(i)?)
    }

    /// The node that defines a value.
    pub fn producer(&self, value: ValueId) -> Option<NodeId> {
        match self.value(value).def {
            ValueDef::Node(id, _) => Some(id),
            _ => None,
        }
    }

    /// The type of a value of a graph whose types are known.
    ///
    /// # Errors
    /// [`OpError::Invalid`] when it is not known.
    pub fn ty(&self, id: ValueId) -> Result<&TensorType, OpError> {
        let v = self.value(id);
        v.ty.as_ref().ok_or_else(|| OpError::Invalid(format!("the type of {id} '{}' is not known", v.name)))
    }

    /// Ids of all nodes in order.
    pub fn node_ids(&self) -> impl Iterator<Item = NodeId> + use<> {
        (0..self.nodes.len() as u32).map(NodeId)
    }

    /// For every value, the nodes that use it, in order, once per use; graph outputs are not counted.
    pub fn users(&self) -> Vec<Vec<NodeId>> {
        let mut users = vec![Vec::new(); self.values.len()];
        for id in self.node_ids() {
            for v in self.node(id).inputs.iter().flatten() {
                users[v.index()].push(id);
            }
        }
        users
    }

    /// Multiply-accumulates of one run, for a graph whose types are known.
    pub fn macs(&self) -> u64 {
        self.nodes
            .iter()
            .map(|n| args::with_args(self, n, |args| n.op.as_operator().macs(args)).unwrap_or(0))
            .sum()
    }
}
