//! Attributes of one node, read by name and type.

use std::collections::BTreeSet;

use crate::error::{Fault, invalid};
use crate::names::Names;
use crate::proto::attribute_proto::AttributeType;
use crate::proto::{AttributeProto, GraphProto, TensorProto};

/// The attributes of a node; remembers which were asked for.
#[derive(Debug)]
pub(crate) struct Attrs<'a> {
    all: &'a [AttributeProto],
    asked: BTreeSet<&'static str>,
}

impl<'a> Attrs<'a> {
    /// The attributes in `all`.
    pub(crate) fn new(all: &'a [AttributeProto]) -> Self {
        Attrs { all, asked: BTreeSet::new() }
    }

    /// Names of the attributes that nobody has asked for, for a message; empty when there are none.
    pub(crate) fn unknown(&self) -> String {
        let names = self.all.iter().map(|a| a.name.as_str());
        names.filter(|name| !self.asked.contains(name)).take(8).collect::<Vec<&str>>().join(", ")
    }

    /// Takes note of attributes that do not change the result.
    pub(crate) fn ignore(&mut self, names: &[&'static str]) {
        self.asked.extend(names);
    }

    /// The attribute `name`, if given.
    ///
    /// # Errors
    /// [`Fault::Invalid`] when it is not of type `expected`.
    fn get(
        &mut self,
        name: &'static str,
        expected: AttributeType,
    ) -> Result<Option<&'a AttributeProto>, Fault> {
        self.asked.insert(name);
        let mut found = self.all.iter().filter(|a| a.name == name);
        let Some(attribute) = found.next() else { return Ok(None) };
        if found.next().is_some() {
            return invalid!("attribute '{name}' is given twice");
        }
        match kind(attribute) {
            Some(kind) if kind == expected => Ok(Some(attribute)),
            Some(kind) => {
                invalid!("attribute '{name}': expected {}, found {}", type_name(expected), type_name(kind))
            }
            None => invalid!("attribute '{name}': expected {}, found nothing", type_name(expected)),
        }
    }

    /// Whether the attribute is given, whatever its type.
    pub(crate) fn has(&mut self, name: &'static str) -> bool {
        self.asked.insert(name);
        self.all.iter().any(|a| a.name == name)
    }

    /// An integer.
    pub(crate) fn int(&mut self, name: &'static str) -> Result<Option<i64>, Fault> {
        Ok(self.get(name, AttributeType::Int)?.map(|a| a.i.unwrap_or(0)))
    }

    /// An integer that must be given.
    pub(crate) fn required_int(&mut self, name: &'static str) -> Result<i64, Fault> {
        self.int(name)?.ok_or_else(|| missing(name))
    }

    /// An integer that is not negative.
    pub(crate) fn extent(&mut self, name: &'static str) -> Result<Option<usize>, Fault> {
        self.int(name)?.map(|v| extent(name, v)).transpose()
    }

    /// An integer that must be 0 or 1; false when omitted.
    pub(crate) fn flag(&mut self, name: &'static str) -> Result<bool, Fault> {
        self.flag_or(name, Flag::Off)
    }

    /// An integer that must be 0 or 1; `default` when omitted.
    pub(crate) fn flag_or(&mut self, name: &'static str, default: Flag) -> Result<bool, Fault> {
        match self.int(name)? {
            None => Ok(matches!(default, Flag::On)),
            Some(v @ (0 | 1)) => Ok(v == 1),
            Some(v) => invalid!("attribute '{name}': expected 0 or 1, found {v}"),
        }
    }

    /// A number.
    pub(crate) fn float(&mut self, name: &'static str) -> Result<Option<f32>, Fault> {
        Ok(self.get(name, AttributeType::Float)?.map(|a| a.f.unwrap_or(0.0)))
    }

    /// Integers.
    pub(crate) fn ints(&mut self, name: &'static str) -> Result<Option<&'a [i64]>, Fault> {
        Ok(self.get(name, AttributeType::Ints)?.map(|a| a.ints.as_slice()))
    }

    /// Integers that must be given.
    pub(crate) fn required_ints(&mut self, name: &'static str) -> Result<&'a [i64], Fault> {
        self.ints(name)?.ok_or_else(|| missing(name))
    }

    /// Integers that are not negative; empty when omitted.
    pub(crate) fn extents(&mut self, name: &'static str) -> Result<Vec<usize>, Fault> {
        self.ints(name)?.unwrap_or_default().iter().map(|v| extent(name, *v)).collect()
    }

    /// Numbers.
    pub(crate) fn floats(&mut self, name: &'static str) -> Result<Option<&'a [f32]>, Fault> {
        Ok(self.get(name, AttributeType::Floats)?.map(|a| a.floats.as_slice()))
    }

    /// A text that must be given.
    pub(crate) fn required_text(&mut self, name: &'static str) -> Result<String, Fault> {
        let attribute = self.get(name, AttributeType::String)?.ok_or_else(|| missing(name))?;
        utf8(name, attribute.s.as_deref().unwrap_or_default())
    }

    /// Texts.
    pub(crate) fn texts(&mut self, name: &'static str) -> Result<Option<Vec<String>>, Fault> {
        let Some(attribute) = self.get(name, AttributeType::Strings)? else { return Ok(None) };
        attribute.strings.iter().map(|bytes| utf8(name, bytes)).collect::<Result<Vec<_>, _>>().map(Some)
    }

    /// A tensor.
    pub(crate) fn tensor(&mut self, name: &'static str) -> Result<Option<&'a TensorProto>, Fault> {
        match self.get(name, AttributeType::Tensor)? {
            None => Ok(None),
            Some(AttributeProto { t: Some(t), .. }) => Ok(Some(t)),
            Some(_) => invalid!("attribute '{name}': expected a tensor, found nothing"),
        }
    }

    /// A graph that must be given.
    pub(crate) fn required_graph(&mut self, name: &'static str) -> Result<&'a GraphProto, Fault> {
        match self.get(name, AttributeType::Graph)? {
            Some(AttributeProto { g: Some(g), .. }) => Ok(g),
            Some(_) => invalid!("attribute '{name}': expected a graph, found nothing"),
            None => Err(missing(name)),
        }
    }

    /// A string.
    pub(crate) fn text(&mut self, name: &'static str) -> Result<Option<String>, Fault> {
        let attribute = self.get(name, AttributeType::String)?;
        Ok(attribute.map(|a| String::from_utf8_lossy(a.s.as_deref().unwrap_or_default()).into_owned()))
    }

    /// Whether the attribute is given as a string.
    pub(crate) fn is_text(&self, name: &str) -> bool {
        self.all.iter().any(|a| a.name == name && kind(a) == Some(AttributeType::String))
    }

    /// A string that must be one of `names`; `default` when omitted.
    pub(crate) fn keyword<T: Copy>(
        &mut self,
        name: &'static str,
        names: Names<T>,
        default: T,
    ) -> Result<T, Fault> {
        let Some(attribute) = self.get(name, AttributeType::String)? else { return Ok(default) };
        let text = attribute.s.as_deref().unwrap_or_default();
        match names.iter().find(|(n, _)| n.as_bytes() == text) {
            Some((_, value)) => Ok(*value),
            None => {
                let known: Vec<&str> = names.iter().map(|(n, _)| *n).collect();
                let found = String::from_utf8_lossy(text);
                invalid!("attribute '{name}': expected one of {}, found '{found}'", known.join(", "))
            }
        }
    }
}

/// The value of an integer attribute that stands for a truth value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Flag {
    /// 0
    Off,
    /// 1
    On,
}

fn utf8(name: &str, bytes: &[u8]) -> Result<String, Fault> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.into()),
        Err(_) => invalid!("attribute '{name}': expected UTF-8, found {}", String::from_utf8_lossy(bytes)),
    }
}

fn missing(name: &str) -> Fault {
    Fault::Invalid(format!("attribute '{name}' is missing"))
}

fn extent(name: &str, value: i64) -> Result<usize, Fault> {
    usize::try_from(value)
        .map_err(|_| Fault::Invalid(format!("attribute '{name}': {value} is negative; expected 0 or more")))
}

/// The type of an attribute: the one declared, or what its contents say where none is.
fn kind(a: &AttributeProto) -> Option<AttributeType> {
    match a.r#type() {
        AttributeType::Undefined => {
            let present = [
                (a.f.is_some(), AttributeType::Float),
                (a.i.is_some(), AttributeType::Int),
                (a.s.is_some(), AttributeType::String),
                (a.t.is_some(), AttributeType::Tensor),
                (a.g.is_some(), AttributeType::Graph),
                (!a.floats.is_empty(), AttributeType::Floats),
                (!a.ints.is_empty(), AttributeType::Ints),
                (!a.strings.is_empty(), AttributeType::Strings),
            ];
            present.iter().find(|(present, _)| *present).map(|(_, kind)| *kind)
        }
        declared => Some(declared),
    }
}

fn type_name(kind: AttributeType) -> String {
    kind.as_str_name().to_lowercase()
}
