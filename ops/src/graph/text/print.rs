//! Graph to text.

use std::fmt;

use crate::dtype::DType;
use crate::expr::Scalar;
use crate::graph::{Graph, Input, Node, ValueDef, ValueId};
use crate::quoted::Quoted;
use crate::shape::Dim;
use crate::tensor::{Element, Tensor};

use super::INLINE_ELEMENTS;

/// The text of a graph; constants above [`INLINE_ELEMENTS`] elements refer to [`blobs`](super::blobs).
pub fn print(graph: &Graph) -> String {
    graph.to_string()
}

impl fmt::Display for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "graph {} {{", Quoted(&self.name))?;
        for input in &self.inputs {
            writeln!(f, "  input {}", InputLine(self, input))?;
        }
        let mut blob = 0;
        for (i, value) in self.values.iter().enumerate() {
            let ValueDef::Const(tensor) = &value.def else { continue };
            write!(f, "  const {}{}: {} = ", ValueId(i as u32), Name(&value.name), tensor.ty())?;
            if tensor.numel() > INLINE_ELEMENTS {
                writeln!(f, "blob({blob})")?;
                blob += 1;
            } else {
                writeln!(f, "[{}]", elements(tensor).join(", "))?;
            }
        }
        for id in self.node_ids() {
            let node = self.node(id);
            for (i, &v) in node.outputs.iter().enumerate() {
                f.write_str(if i == 0 { "  " } else { ", " })?;
                write_definition(f, self, v)?;
            }
            writeln!(f, " = {id}{} {}", Name(&node.name), Use(node))?;
        }
        for output in &self.outputs {
            writeln!(f, "  output {} = {}", Quoted(&output.name), output.value)?;
        }
        f.write_str("}\n")
    }
}

/// `%3 "name": f32[2]`
fn write_definition(f: &mut fmt::Formatter<'_>, graph: &Graph, id: ValueId) -> fmt::Result {
    write!(f, "{id}")?;
    let Some(value) = graph.values.get(id.index()) else { return Ok(()) };
    write!(f, "{}", Name(&value.name))?;
    match &value.ty {
        Some(ty) => write!(f, ": {ty}"),
        None => Ok(()),
    }
}

/// `%0 "name": f32[N,3]`, with the type where the declaration does not say it.
struct InputLine<'a>(&'a Graph, &'a Input);

impl fmt::Display for InputLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let InputLine(graph, input) = self;
        let value = graph.values.get(input.value.index());
        let name = value.map_or("", |v| &v.name);
        write!(f, "{}{}: {}[", input.value, Name(name), input.dtype)?;
        for (i, dim) in input.dims.iter().enumerate() {
            f.write_str(if i == 0 { "" } else { "," })?;
            match dim {
                Dim::Dynamic(name) if !name.is_empty() && !is_identifier(name) => {
                    write!(f, "{}", Quoted(name))?;
                }
                dim => write!(f, "{dim}")?,
            }
        }
        f.write_str("]")?;
        match (value.and_then(|v| v.ty.as_ref()), input.declared_type()) {
            (found, declared) if found == declared.as_ref() => Ok(()),
            (Some(found), _) => write!(f, " = {found}"),
            (None, _) => f.write_str(" = ?"),
        }
    }
}

/// `Conv { kernel = [], ... } (%0, %1, _)`
struct Use<'a>(&'a Node);

impl fmt::Display for Use<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Use(node) = self;
        f.write_str(node.op.tag())?;
        let attrs = node.op.attrs();
        for (i, (name, attr)) in attrs.iter().enumerate() {
            write!(f, "{}{name} = {attr}", if i == 0 { " { " } else { ", " })?;
        }
        f.write_str(if attrs.is_empty() { " (" } else { " } (" })?;
        for (i, input) in node.inputs.iter().enumerate() {
            f.write_str(if i == 0 { "" } else { ", " })?;
            match input {
                Some(v) => write!(f, "{v}")?,
                None => f.write_str("_")?,
            }
        }
        f.write_str(")")
    }
}

/// A space and the quoted name, or nothing when it is empty.
struct Name<'a>(&'a str);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, " {}", Quoted(self.0)) }
    }
}

/// Whether a text can stand without quotes.
fn is_identifier(s: &str) -> bool {
    s != "_"
        && s.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && s.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// The elements of a constant as text.
fn elements(tensor: &Tensor) -> Vec<String> {
    let each = tensor.bytes().chunks_exact(tensor.dtype().size());
    match tensor.dtype() {
        DType::F32 => each.map(|b| float(f32::read(b))).collect(),
        DType::F64 => each.map(|b| double(f64::read(b))).collect(),
        DType::Bool => each
            .map(|b| match b[0] {
                0 => "false".into(),
                1 => "true".into(),
                other => other.to_string(),
            })
            .collect(),
        integer => each.map(|b| Scalar::read(integer, b).int().unwrap_or_default().to_string()).collect(),
    }
}

fn float(v: f32) -> String {
    if !v.is_nan() {
        return format!("{v:?}");
    }
    match v.to_bits() {
        0x7fc0_0000 => "nan".into(),
        bits => format!("nan(0x{bits:08x})"),
    }
}

fn double(v: f64) -> String {
    if !v.is_nan() {
        return format!("{v:?}");
    }
    match v.to_bits() {
        0x7ff8_0000_0000_0000 => "nan".into(),
        bits => format!("nan(0x{bits:016x})"),
    }
}
