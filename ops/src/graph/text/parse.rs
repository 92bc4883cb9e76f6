//! Text to graph: a recursive-descent parser over [`tokens`].

use std::collections::BTreeMap;

use crate::attr::{Attr, AttrMap};
use crate::dtype::DType;
use crate::graph::{Graph, Input, Node, NodeId, Output, Value, ValueDef, ValueId};
use crate::op::Op;
use crate::shape::{Dim, Shape, TensorType};
use crate::tensor::{Element, Tensor};

use super::ParseError;
use super::float::Float;
use super::lex::{Position, Token, tokens};

/// Largest constant that `random` and `fill` make.
const GENERATED_BYTES: usize = 1 << 30;

/// The graph of a text; `blob(i)` is `blobs[i]`.
///
/// The graph's values are defined exactly once; everything else is for [`verify`](crate::graph::verify) to check.
///
/// # Errors
/// [`ParseError`] at the first place that does not fit.
pub fn parse(text: &str, blobs: &[Tensor]) -> Result<Graph, ParseError> {
    graph(text, blobs, Forms::All)
}

/// As [`parse`], for texts of strangers: those that [`print()`](super::print()) makes, in which no constant is `random` or
/// `fill`. The graph takes memory in proportion to the text.
///
/// # Errors
/// As [`parse`].
pub fn parse_printed(text: &str, blobs: &[Tensor]) -> Result<Graph, ParseError> {
    graph(text, blobs, Forms::Printed)
}

/// How a constant may be given.
#[derive(Clone, Copy, PartialEq)]
enum Forms {
    /// As [`print()`](super::print()) gives it.
    Printed,
    /// Also as what is made when it is read.
    All,
}

fn graph(text: &str, blobs: &[Tensor], forms: Forms) -> Result<Graph, ParseError> {
    let tokens = tokens(text)?;
    let (graph, values) = (Graph::default(), BTreeMap::new());
    let mut parser = Parser { tokens: &tokens, next: 0, blobs, forms, graph, values };
    parser.graph()?;
    let Parser { mut graph, values, .. } = parser;
    for (i, (id, (value, at))) in values.into_iter().enumerate() {
        if id.index() != i {
            let expected = format!("a definition of {} somewhere", ValueId(i as u32));
            return Err(at.error(expected, format!("{id} as the next id")));
        }
        graph.values.push(value);
    }
    Ok(graph)
}

struct Parser<'a> {
    tokens: &'a [(Token, Position)],
    next: usize,
    blobs: &'a [Tensor],
    forms: Forms,
    /// The graph without its values.
    graph: Graph,
    values: BTreeMap<ValueId, (Value, Position)>,
}

/// Tokens.
impl<'a> Parser<'a> {
    fn peek(&self) -> &'a Token {
        &self.tokens[self.next].0
    }

    fn at(&self) -> Position {
        self.tokens[self.next].1
    }

    fn take(&mut self) -> &'a Token {
        let token = self.peek();
        // The last token, `End`, is never passed.
        self.next = (self.next + 1).min(self.tokens.len() - 1);
        token
    }

    fn unexpected<T>(&self, expected: &str) -> Result<T, ParseError> {
        Err(self.at().error(expected, self.peek().to_string()))
    }

    fn accept(&mut self, token: &Token) -> Option<()> {
        (self.peek() == token).then(|| {
            self.take();
        })
    }

    fn mark(&mut self, c: char) -> Result<(), ParseError> {
        match self.accept(&Token::Mark(c)) {
            Some(()) => Ok(()),
            None => self.unexpected(&format!("'{c}'")),
        }
    }

    fn ident(&mut self, expected: &str) -> Result<&'a str, ParseError> {
        match self.peek() {
            Token::Ident(s) => {
                self.take();
                Ok(s)
            }
            _ => self.unexpected(expected),
        }
    }

    fn string(&mut self, expected: &str) -> Result<String, ParseError> {
        match self.peek() {
            Token::Str(s) => {
                self.take();
                Ok(s.clone())
            }
            _ => self.unexpected(expected),
        }
    }

    fn optional_string(&mut self) -> String {
        self.string("").unwrap_or_default()
    }

    fn value_id(&mut self) -> Result<ValueId, ParseError> {
        match self.peek() {
            Token::Value(v) => {
                self.take();
                Ok(ValueId(*v))
            }
            _ => self.unexpected("a value such as %3"),
        }
    }

    fn number<T: std::str::FromStr>(&mut self, expected: &str) -> Result<T, ParseError> {
        match self.peek() {
            Token::Number(s) => match s.parse() {
                Ok(v) => {
                    self.take();
                    Ok(v)
                }
                Err(_) => self.unexpected(expected),
            },
            _ => self.unexpected(expected),
        }
    }

    /// Items between brackets, separated by commas.
    fn list<T>(
        &mut self,
        open: char,
        close: char,
        mut item: impl FnMut(&mut Self) -> Result<T, ParseError>,
    ) -> Result<Vec<T>, ParseError> {
        let mut items = Vec::new();
        self.mark(open)?;
        while self.accept(&Token::Mark(close)).is_none() {
            if !items.is_empty() {
                self.mark(',')?;
            }
            items.push(item(self)?);
        }
        Ok(items)
    }
}

/// Lines.
impl Parser<'_> {
    fn graph(&mut self) -> Result<(), ParseError> {
        if self.accept(&Token::Ident("graph".into())).is_none() {
            return self.unexpected("'graph'");
        }
        self.graph.name = self.string("the name of the graph in quotes")?;
        self.mark('{')?;
        while self.accept(&Token::Mark('}')).is_none() {
            self.line()?;
        }
        match self.peek() {
            Token::End => Ok(()),
            _ => self.unexpected("the end of the text"),
        }
    }

    fn line(&mut self) -> Result<(), ParseError> {
        match self.peek() {
            Token::Value(_) => self.node(),
            Token::Ident(word) if word == "input" => self.input(),
            Token::Ident(word) if word == "const" => self.constant(),
            Token::Ident(word) if word == "output" => self.output(),
            _ => self.unexpected("'input', 'const', a value, 'output' or '}'"),
        }
    }

    fn define(
        &mut self,
        (id, name): (ValueId, String),
        def: ValueDef,
        ty: Option<TensorType>,
        at: Position,
    ) -> Result<(), ParseError> {
        if self.values.contains_key(&id) {
            return Err(at.error("a value that is not defined yet", id.to_string()));
        }
        self.values.insert(id, (Value { name, def, ty }, at));
        Ok(())
    }

    fn input(&mut self) -> Result<(), ParseError> {
        self.take();
        let at = self.at();
        let target = (self.value_id()?, self.optional_string());
        self.mark(':')?;
        let dtype = self.dtype()?;
        let dims = self.list('[', ']', Self::dim)?;
        let input = Input { value: target.0, dtype, dims };
        let ty = match self.accept(&Token::Mark('=')) {
            None => input.declared_type(),
            Some(()) if self.accept(&Token::Mark('?')).is_some() => None,
            Some(()) => Some(self.ty()?),
        };
        self.define(target, ValueDef::Input(self.graph.inputs.len()), ty, at)?;
        self.graph.inputs.push(input);
        Ok(())
    }

    fn constant(&mut self) -> Result<(), ParseError> {
        self.take();
        let at = self.at();
        let target = (self.value_id()?, self.optional_string());
        self.mark(':')?;
        let ty = self.ty()?;
        self.mark('=')?;
        let tensor = self.tensor(&ty)?;
        self.define(target, ValueDef::Const(tensor), Some(ty), at)
    }

    fn node(&mut self) -> Result<(), ParseError> {
        let id = NodeId(self.graph.nodes.len() as u32);
        let mut outputs = Vec::new();
        loop {
            let at = self.at();
            let target = (self.value_id()?, self.optional_string());
            let ty = match self.accept(&Token::Mark(':')) {
                Some(()) => Some(self.ty()?),
                None => None,
            };
            let value = target.0;
            self.define(target, ValueDef::Node(id, outputs.len()), ty, at)?;
            outputs.push(value);
            if self.accept(&Token::Mark(',')).is_none() {
                break;
            }
        }
        self.mark('=')?;
        let name = self.node_name(id)?;
        let op = self.op()?;
        let inputs = self.list('(', ')', |p| match p.accept(&Token::Mark('_')) {
            Some(()) => Ok(None),
            None => p.value_id().map(Some),
        })?;
        self.graph.nodes.push(Node { name, op, inputs, outputs });
        Ok(())
    }

    /// `n3 "name"`, both optional.
    fn node_name(&mut self, id: NodeId) -> Result<String, ParseError> {
        if let Token::Ident(word) = self.peek()
            && word.strip_prefix('n').is_some_and(|n| n.parse::<u32>().is_ok())
        {
            if *word != id.to_string() {
                return self.unexpected(&format!("'{id}', the position of the node"));
            }
            self.take();
        }
        Ok(self.optional_string())
    }

    /// `Conv { group = 1, ... }`
    fn op(&mut self) -> Result<Op, ParseError> {
        let at = self.at();
        let tag = self.ident("an operator")?;
        if !Op::TAGS.contains(&tag) {
            return Err(at.error("an operator", format!("'{tag}'")));
        }
        let mut attrs = AttrMap::new();
        if *self.peek() == Token::Mark('{') {
            self.list('{', '}', |p| {
                let at = p.at();
                let name = p.ident("the name of an attribute")?;
                p.mark('=')?;
                let attr = p.attr()?;
                match attrs.insert(name.to_string(), attr) {
                    None => Ok(()),
                    Some(_) => Err(at.error("each attribute once", format!("'{name}' again"))),
                }
            })?;
        }
        Op::from_parts(tag, attrs).map_err(|e| at.error(format!("the attributes of {tag}"), e.to_string()))
    }

    fn output(&mut self) -> Result<(), ParseError> {
        self.take();
        let name = self.string("the name of the output in quotes")?;
        self.mark('=')?;
        let value = self.value_id()?;
        self.graph.outputs.push(Output { name, value });
        Ok(())
    }
}

/// Types and data.
impl Parser<'_> {
    fn dtype(&mut self) -> Result<DType, ParseError> {
        let expected = "an element type (f32, f64, i64, i32, i16, i8, u64, u32, u16, u8, bool)";
        match self.peek() {
            Token::Ident(s) => match s.parse() {
                Ok(dtype) => {
                    self.take();
                    Ok(dtype)
                }
                Err(_) => self.unexpected(expected),
            },
            _ => self.unexpected(expected),
        }
    }

    fn ty(&mut self) -> Result<TensorType, ParseError> {
        let dtype = self.dtype()?;
        let dims = self.list('[', ']', |p| p.number::<usize>("an extent"))?;
        Ok(TensorType { dtype, shape: Shape::new(dims) })
    }

    fn dim(&mut self) -> Result<Dim, ParseError> {
        let expected = "an extent, the name of a dimension or '?'";
        match self.peek() {
            Token::Number(_) => self.number(expected).map(Dim::Fixed),
            Token::Mark('?') => {
                self.take();
                Ok(Dim::Dynamic(String::new()))
            }
            Token::Ident(name) | Token::Str(name) => {
                self.take();
                Ok(Dim::Dynamic(name.clone()))
            }
            _ => self.unexpected(expected),
        }
    }

    /// `3`, `0.5f`, `same_upper`, `"text"`, `none` or a list of integers, floats or names.
    fn attr(&mut self) -> Result<Attr, ParseError> {
        if *self.peek() != Token::Mark('[') {
            return self.attr_item();
        }
        let at = self.at();
        let items = self.list('[', ']', Self::attr_item)?;
        let ints = items.iter().map(|a| if let Attr::Int(v) = a { Some(*v) } else { None });
        let floats = items.iter().map(|a| if let Attr::Float(v) = a { Some(*v) } else { None });
        let names = items.iter().map(|a| if let Attr::Name(v) = a { Some(v.clone()) } else { None });
        match (ints.collect(), floats.collect(), names.collect()) {
            (Some(ints), ..) => Ok(Attr::Ints(ints)),
            (_, Some(floats), _) => Ok(Attr::Floats(floats)),
            (.., Some(names)) => Ok(Attr::Names(names)),
            _ => Err(at.error("a list of integers, of floats or of names", "another list")),
        }
    }

    fn attr_item(&mut self) -> Result<Attr, ParseError> {
        if let Token::Str(text) = self.peek() {
            self.take();
            return Ok(Attr::Text(text.clone()));
        }
        let (Token::Number(text) | Token::Ident(text)) = self.peek() else {
            return self.unexpected("an attribute: 3, 0.5f, a name, none or a list");
        };
        let float = text.strip_suffix('f').and_then(|t| t.parse().ok());
        let attr = match (float, text.parse(), self.peek()) {
            (Some(float), ..) => Attr::Float(float),
            (_, Ok(int), _) => Attr::Int(int),
            (_, _, Token::Ident(name)) if name == "none" => Attr::None,
            (_, _, Token::Ident(name)) => Attr::Name(name.clone()),
            _ => return self.unexpected("an attribute: 3, 0.5f, a name, none or a list"),
        };
        self.take();
        Ok(attr)
    }

    fn tensor(&mut self, ty: &TensorType) -> Result<Tensor, ParseError> {
        let at = self.at();
        if *self.peek() == Token::Mark('[') {
            let mut bytes = Vec::new();
            let items = self.list('[', ']', |p| p.element(ty.dtype, &mut bytes))?;
            return Tensor::from_bytes(ty.clone(), bytes)
                .map_err(|_| at.error(format!("the elements of {ty}"), format!("{} elements", items.len())));
        }
        let expected = match self.forms {
            Forms::Printed => "[elements] or blob(i)",
            Forms::All => "[elements], blob(i), random(seed) or fill(element)",
        };
        let form = self.ident(expected)?;
        self.mark('(')?;
        let tensor = match form {
            "blob" => {
                let i: usize = self.number("the number of a blob")?;
                let found = self.blobs.get(i).filter(|t| t.ty() == ty).cloned();
                found.ok_or_else(|| {
                    let found = self.blobs.get(i).map_or("no such blob".into(), |t| t.ty().to_string());
                    at.error(format!("blob {i} to be {ty}"), found)
                })?
            }
            "random" | "fill" if self.forms == Forms::All => self.generated(form, ty, at)?,
            _ => return Err(at.error(expected, format!("'{form}'"))),
        };
        self.mark(')')?;
        Ok(tensor)
    }

    /// The argument of `random` or `fill`, and the tensor that it stands for.
    fn generated(&mut self, form: &str, ty: &TensorType, at: Position) -> Result<Tensor, ParseError> {
        let size = ty.shape.checked_bytes(ty.dtype).ok().filter(|&n| n <= GENERATED_BYTES);
        if size.is_none() {
            return Err(at.error(format!("at most {GENERATED_BYTES} bytes"), ty.to_string()));
        }
        let refused = |e: crate::OpError| at.error(format!("a constant {ty}"), e.to_string());
        if form == "fill" {
            let mut element = Vec::new();
            self.element(ty.dtype, &mut element)?;
            return Tensor::from_bytes(ty.clone(), element.repeat(ty.shape.numel())).map_err(refused);
        }
        if ty.dtype != DType::F32 {
            return Err(at.error("f32 for random", ty.to_string()));
        }
        let seed = self.number("a seed")?;
        super::random(&ty.shape, seed).map_err(refused)
    }

    /// Appends the bytes of one element.
    fn element(&mut self, dtype: DType, bytes: &mut Vec<u8>) -> Result<(), ParseError> {
        match dtype {
            DType::F32 => self.float::<f32>()?.write(bytes),
            DType::F64 => self.float::<f64>()?.write(bytes),
            DType::I64 => self.number::<i64>("an i64")?.write(bytes),
            DType::I32 => self.number::<i32>("an i32")?.write(bytes),
            DType::I16 => self.number::<i16>("an i16")?.write(bytes),
            DType::I8 => self.number::<i8>("an i8")?.write(bytes),
            DType::U64 => self.number::<u64>("a u64")?.write(bytes),
            DType::U32 => self.number::<u32>("a u32")?.write(bytes),
            DType::U16 => self.number::<u16>("a u16")?.write(bytes),
            DType::U8 => self.number::<u8>("a u8")?.write(bytes),
            DType::Bool => match self.peek() {
                Token::Ident(word) if word == "true" || word == "false" => {
                    bytes.push((word == "true").into());
                    self.take();
                }
                _ => bytes.push(self.number("true, false or a byte")?),
            },
        }
        Ok(())
    }

    fn float<T: Float>(&mut self) -> Result<T, ParseError> {
        let Token::Ident(word) = self.peek() else {
            return self.number("a float");
        };
        let special = match word.as_str() {
            "inf" => T::special(f64::INFINITY),
            "-inf" => T::special(f64::NEG_INFINITY),
            "nan" => T::special(f64::NAN),
            _ => return self.unexpected("a float"),
        };
        self.take();
        if word != "nan" || self.accept(&Token::Mark('(')).is_none() {
            return Ok(special);
        }
        let bits = match self.peek() {
            Token::Number(n) => n.strip_prefix("0x").and_then(T::nan),
            _ => None,
        };
        let Some(nan) = bits else {
            return self.unexpected("the bits of a NaN such as 0xffc00000");
        };
        self.take();
        self.mark(')')?;
        Ok(nan)
    }
}
