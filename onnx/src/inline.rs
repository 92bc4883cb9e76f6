//! Functions of the model: calls are replaced by the nodes of the function, until only operators are left.

use std::borrow::Cow;
use std::collections::BTreeMap;

use prost::Message;

use crate::error::{Fault, OnnxError};
use crate::model::{Opsets, domain};
use crate::proto::{AttributeProto, FunctionProto, ModelProto, NodeProto};

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

/// The nodes of the model's graph in the model's order, calls of functions expanded.
///
/// # Errors
/// [`OnnxError`] when a function is defined twice, called with too many inputs or outputs, calls itself, or when the
/// expansion is too large; also as [`Opsets::new`] for the operator sets of functions.
pub(crate) fn flatten<'a>(model: &'a ModelProto, opsets: &Opsets) -> Result<Vec<SourceNode<'a>>, OnnxError> {
    let mut functions = BTreeMap::new();
    for f in &model.functions {
        let place = || format!("function '{}'", f.name);
        let opsets = Opsets::new(&f.opset_import).map_err(|e| e.at(place()))?;
        let key = (domain(&f.domain), f.name.as_str(), f.overload.as_str());
        if functions.insert(key, Function { proto: f, opsets }).is_some() {
            return Err(Fault::Invalid("it is defined twice".into()).at(place()));
        }
    }
    let mut inliner = Inliner { functions: &functions, out: Vec::new(), calls: 0, cost: 0 };
    for (i, node) in model.graph.iter().flat_map(|g| &g.node).enumerate() {
        inliner.add(Cow::Borrowed(node), node_name(node, i), opsets, 0)?;
    }
    Ok(inliner.out)
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

struct Function<'a> {
    proto: &'a FunctionProto,
    opsets: Opsets,
}

struct Inliner<'a, 'f> {
    functions: &'f BTreeMap<(&'a str, &'a str, &'a str), Function<'a>>,
    out: Vec<SourceNode<'a>>,
    calls: usize,
    cost: usize,
}

impl<'a> Inliner<'a, '_> {
    fn add(
        &mut self,
        node: Cow<'a, NodeProto>,
        name: String,
        opsets: &Opsets,
        depth: usize,
    ) -> Result<(), OnnxError> {
        if depth > 0 {
            self.cost += NODE_COST + node.encoded_len();
            if self.cost > MAX_EXPANSION {
                let message = format!("expanded functions take more than {MAX_EXPANSION} bytes");
                return Err(Fault::TooLarge(message).at("model"));
            }
        }
        let key = (domain(&node.domain), node.op_type.as_str(), node.overload.as_str());
        match self.functions.get(&key) {
            Some(function) => self.expand(function, &node, &name, depth + 1),
            None => {
                let opset = opsets.version(domain(&node.domain));
                self.out.push(SourceNode { name, proto: node, opset });
                Ok(())
            }
        }
    }

    /// Adds the nodes of `function` for the node `call` named `name`.
    fn expand(
        &mut self,
        function: &Function<'a>,
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
        self.calls += 1;
        let names = Names::of_call(f, call, format!("{name}@{}", self.calls));
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
            let opset = function.opsets.version("");
            let name = format!("{name}/output_{i}");
            self.out.push(SourceNode { name, proto: Cow::Owned(identity), opset });
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
            None if name.is_empty() => String::new(),
            None => format!("{}/{name}", self.prefix),
        }
    }

    fn rename(&self, f: &FunctionProto, call: &NodeProto, node: &NodeProto) -> NodeProto {
        NodeProto {
            input: node.input.iter().map(|n| self.outside(n)).collect(),
            output: node.output.iter().map(|n| self.outside(n)).collect(),
            attribute: node.attribute.iter().filter_map(|a| resolve(f, call, a)).collect(),
            ..node.clone()
        }
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
