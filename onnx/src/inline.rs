//! Functions of the model: calls are replaced by the nodes of the function, until only operators are left.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use prost::Message;

use crate::dataflow;
use crate::error::{Fault, OnnxError};
use crate::model::{Opsets, domain};
use crate::proto::{AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto};

/// Calls within calls.
const MAX_DEPTH: usize = 32;
/// Bytes that expanded nodes may take in memory, roughly: calls can multiply exponentially.
const MAX_EXPANSION: usize = 1 << 28;
/// Bytes of a node's name that are kept.
const MAX_NAME: usize = 1024;
/// What a node takes besides its contents, roughly.
const NODE_COST: usize = 256;

/// A use of an operator (not of a function).
#[derive(Clone, Debug)]
pub(crate) struct SourceNode<'a> {
    /// Its name, or one made of operator and position when the model gives none.
    pub(crate) name: String,
    /// Its operator, inputs, outputs and attributes.
    pub(crate) proto: Cow<'a, NodeProto>,
    /// Version of the operators of its domain; 0 when none is declared.
    pub(crate) opset: i64,
    /// Versions of the operators of all domains, for the graphs in its attributes.
    pub(crate) opsets: &'a Opsets,
    /// Number of functions in which it stands, one called by the other.
    pub(crate) depth: usize,
}

impl SourceNode<'_> {
    /// How messages name the node: `node 'conv1' (Conv)`.
    pub(crate) fn place(&self) -> String {
        place(&self.name, &self.proto.op_type)
    }

    /// Domain of the operator; empty for the standard operators.
    pub(crate) fn domain(&self) -> &str {
        domain(&self.proto.domain)
    }
}

fn place(name: &str, op: &str) -> String {
    format!("node '{name}' ({op})")
}

/// Where nodes stand that are to be flattened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Within<'a> {
    /// Versions of their operators.
    pub(crate) opsets: &'a Opsets,
    /// The name of the node whose attribute they are in; empty for those of the model's graph.
    pub(crate) prefix: &'a str,
    /// Number of functions in which they stand, one called by the other.
    pub(crate) depth: usize,
}

/// The functions of a model.
#[derive(Debug)]
pub(crate) struct Library<'a> {
    functions: Vec<Function<'a>>,
    /// Positions in `functions` by domain, name and overload.
    positions: BTreeMap<(&'a str, &'a str, &'a str), usize>,
    /// Calls expanded so far.
    calls: Cell<usize>,
    /// Bytes that expanded nodes take, roughly.
    cost: Cell<usize>,
}

impl<'a> Library<'a> {
    /// The functions of `model`.
    ///
    /// # Errors
    /// [`OnnxError`] when a function is defined twice; also as [`Opsets::new`] for the operator sets of functions.
    pub(crate) fn new(model: &'a ModelProto) -> Result<Self, OnnxError> {
        let (mut functions, mut positions) = (Vec::new(), BTreeMap::new());
        for f in &model.functions {
            let place = || format!("function '{}'", f.name);
            let opsets = Opsets::new(&f.opset_import).map_err(|e| e.at(place()))?;
            let key = (domain(&f.domain), f.name.as_str(), f.overload.as_str());
            if positions.insert(key, functions.len()).is_some() {
                return Err(Fault::Invalid("it is defined twice".into()).at(place()));
            }
            functions.push(Function { proto: f, opsets });
        }
        Ok(Library { functions, positions, calls: Cell::new(0), cost: Cell::new(0) })
    }

    /// `nodes` in their order, calls of functions expanded.
    ///
    /// # Errors
    /// [`OnnxError`] when a function is called with too many inputs or outputs, calls itself, or when the expansion is
    /// too large.
    pub(crate) fn flatten<'n>(
        &'n self,
        nodes: &'n [NodeProto],
        within: Within<'n>,
    ) -> Result<Vec<SourceNode<'n>>, OnnxError> {
        let mut inliner = Inliner { library: self, out: Vec::with_capacity(nodes.len()) };
        for (i, node) in nodes.iter().enumerate() {
            let name = match within.prefix {
                "" => node_name(node, i),
                prefix => format!("{prefix}/{}", node_name(node, i)),
            };
            inliner.add(Cow::Borrowed(node), name, within.opsets, within.depth)?;
        }
        Ok(inliner.out)
    }

    /// Takes note of a node that is made.
    fn pay(&self, node: &NodeProto) -> Result<(), OnnxError> {
        self.cost.set(self.cost.get().saturating_add(NODE_COST + node.encoded_len()));
        if self.cost.get() > MAX_EXPANSION {
            let message = format!("expanded functions take more than {MAX_EXPANSION} bytes");
            return Err(Fault::TooLarge(message).at("model"));
        }
        Ok(())
    }
}

/// The node's name, cut to [`MAX_NAME`] bytes, since names of steps and messages repeat it.
fn node_name(node: &NodeProto, position: usize) -> String {
    let mut name =
        if node.name.is_empty() { format!("{}_{position}", node.op_type) } else { node.name.clone() };
    if name.len() > MAX_NAME {
        name.truncate(name.floor_char_boundary(MAX_NAME));
        name.push_str("...");
    }
    name
}

#[derive(Debug)]
struct Function<'a> {
    proto: &'a FunctionProto,
    opsets: Opsets,
}

struct Inliner<'a> {
    library: &'a Library<'a>,
    out: Vec<SourceNode<'a>>,
}

impl<'a> Inliner<'a> {
    fn add(
        &mut self,
        node: Cow<'a, NodeProto>,
        name: String,
        opsets: &'a Opsets,
        depth: usize,
    ) -> Result<(), OnnxError> {
        if depth > 0 {
            self.library.pay(&node)?;
        }
        let key = (domain(&node.domain), node.op_type.as_str(), node.overload.as_str());
        match self.library.positions.get(&key).copied() {
            Some(i) => self.expand(&self.library.functions[i], &node, &name, depth + 1),
            None => {
                let opset = opsets.version(domain(&node.domain));
                self.out.push(SourceNode { name, proto: node, opset, opsets, depth });
                Ok(())
            }
        }
    }

    /// Adds the nodes of `function` for the node `call` named `name`.
    fn expand(
        &mut self,
        function: &'a Function<'a>,
        call: &NodeProto,
        name: &str,
        depth: usize,
    ) -> Result<(), OnnxError> {
        let f = function.proto;
        let refuse = |message: String| Err(Fault::Invalid(message).at(place(name, &call.op_type)));
        if depth > MAX_DEPTH {
            return refuse(format!("functions call each other more than {MAX_DEPTH} deep"));
        }
        if call.input.len() > f.input.len() || call.output.len() > f.output.len() {
            let (i, o) = (f.input.len(), f.output.len());
            let (ci, co) = (call.input.len(), call.output.len());
            return refuse(format!(
                "the function has {i} inputs and {o} outputs, found {ci} inputs and {co} outputs"
            ));
        }
        let calls = self.library.calls.get() + 1;
        self.library.calls.set(calls);
        let names = Names::of_call(f, call, format!("{name}@{calls}"));
        for (i, node) in f.node.iter().enumerate() {
            let node = names.rename(f, call, node);
            let inner = format!("{name}/{}", node_name(&node, i));
            self.add(Cow::Owned(node), inner, &function.opsets, depth)?;
        }
        for (i, (from, to)) in names.passed_through(f, call).into_iter().enumerate() {
            let identity = NodeProto {
                op_type: "Identity".into(),
                input: vec![from],
                output: vec![to],
                ..NodeProto::default()
            };
            let opsets = &function.opsets;
            let (name, proto) = (format!("{name}/output_{i}"), Cow::Owned(identity));
            self.out.push(SourceNode { name, proto, opset: opsets.version(""), opsets, depth });
        }
        Ok(())
    }
}

/// Names of values inside one call of a function, as they are outside.
struct Names<'a> {
    known: BTreeMap<&'a str, String>,
    prefix: String,
}

impl<'a> Names<'a> {
    fn of_call(f: &'a FunctionProto, call: &NodeProto, prefix: String) -> Self {
        let mut known = BTreeMap::new();
        for (formal, actual) in f.output.iter().zip(&call.output).filter(|(_, actual)| !actual.is_empty()) {
            known.insert(formal.as_str(), actual.clone());
        }
        for (i, formal) in f.input.iter().enumerate() {
            known.insert(formal, call.input.get(i).cloned().unwrap_or_default());
        }
        Names { known, prefix }
    }

    fn outside(&self, name: &str) -> String {
        match self.known.get(name) {
            Some(outside) => outside.clone(),
            None => self.own(name),
        }
    }

    /// What a value that the function defines is called outside.
    fn own(&self, name: &str) -> String {
        if name.is_empty() { String::new() } else { format!("{}/{name}", self.prefix) }
    }

    fn rename(&self, f: &FunctionProto, call: &NodeProto, node: &NodeProto) -> NodeProto {
        self.rename_inside(f, call, node, &BTreeSet::new())
    }

    /// As [`Names::rename`], for a node in graphs within the function that define `local`.
    fn rename_inside(
        &self,
        f: &FunctionProto,
        call: &NodeProto,
        node: &NodeProto,
        local: &BTreeSet<&str>,
    ) -> NodeProto {
        let name = |n: &String| if local.contains(n.as_str()) { self.own(n) } else { self.outside(n) };
        let attribute = |a: &AttributeProto| {
            let resolved = resolve(f, call, a)?;
            let graph = resolved.g.as_deref().filter(|_| a.ref_attr_name.is_empty());
            let g = graph.map(|g| Box::new(self.rename_graph(f, call, g, local)));
            Some(AttributeProto { g: g.or(resolved.g), ..resolved })
        };
        NodeProto {
            input: node.input.iter().map(name).collect(),
            output: node.output.iter().map(name).collect(),
            attribute: node.attribute.iter().filter_map(attribute).collect(),
            ..node.clone()
        }
    }

    fn rename_graph(
        &self,
        f: &FunctionProto,
        call: &NodeProto,
        graph: &GraphProto,
        around: &BTreeSet<&str>,
    ) -> GraphProto {
        let mut local = dataflow::defined(graph);
        local.extend(around);
        let mut renamed = graph.clone();
        renamed.node = graph.node.iter().map(|n| self.rename_inside(f, call, n, &local)).collect();
        renamed.initializer.iter_mut().for_each(|t| t.name = self.own(&t.name));
        for values in renamed.sparse_initializer.iter_mut().filter_map(|s| s.values.as_mut()) {
            values.name = self.own(&values.name);
        }
        for output in &mut renamed.output {
            let is_local = local.contains(output.name.as_str());
            output.name = if is_local { self.own(&output.name) } else { self.outside(&output.name) };
        }
        renamed
    }

    /// Outputs that are inputs: pairs of names outside.
    fn passed_through(&self, f: &FunctionProto, call: &NodeProto) -> Vec<(String, String)> {
        f.output
            .iter()
            .zip(&call.output)
            .filter(|(formal, actual)| f.input.contains(formal) && !actual.is_empty())
            .map(|(formal, actual)| (self.outside(formal), actual.clone()))
            .collect()
    }
}

/// `attribute` of a node in `f`, taken from the call or from the default where it refers to one of the function's; none
/// when the call omits it and there is no default.
fn resolve(f: &FunctionProto, call: &NodeProto, attribute: &AttributeProto) -> Option<AttributeProto> {
    let wanted = &attribute.ref_attr_name;
    if wanted.is_empty() {
        return Some(attribute.clone());
    }
    let found = call.attribute.iter().chain(&f.attribute_proto).find(|a| a.name == *wanted)?;
    Some(AttributeProto { name: attribute.name.clone(), ..found.clone() })
}
