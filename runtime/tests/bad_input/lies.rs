//! Valid files whose numbers lie: each attribute, extent, element type, version and integer constant of the small
//! models, replaced by numbers that fit nothing.

use crate::damage::{Counts, small_models};
use crate::support::hostile::MEMORY;
use crate::support::proto::{self, Value, bytes, elem, fields, fixed, last_number, number, pack};

const INTEGERS: [i64; 9] = [0, 1, 3, 1 << 31, 1 << 40, i64::MAX, -1, -2, i64::MIN];
const FLOATS: [f32; 4] = [f32::NAN, f32::INFINITY, -1.0, 0.0];

/// The messages of ONNX that numbers are looked for in.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Model,
    Graph,
    Node,
    Tensor,
    /// `ValueInfoProto` and everything in it, attributes, operator sets.
    Other,
}

impl Kind {
    /// What the bytes in field `field` are; none for strings and elements.
    fn field(self, field: u64, first: bool) -> Option<Kind> {
        match (self, field) {
            (Kind::Model, 7) => Some(Kind::Graph),
            (Kind::Model, 8) => Some(Kind::Other),
            (Kind::Graph, 1) => Some(Kind::Node),
            (Kind::Graph, 5) => Some(Kind::Tensor),
            (Kind::Graph, 11 | 12) | (Kind::Node, 5) => Some(Kind::Other),
            // The type of a value, its tensor type, its shape, its extents; a name comes first in the outermost.
            (Kind::Other, 1 | 2) if !first => Some(Kind::Other),
            _ => None,
        }
    }
}

impl Kind {
    /// Whether a field has numbers without keys: the extents of a tensor, the integers of an attribute.
    fn is_packed(self, field: u64) -> bool {
        (self == Kind::Tensor && field == 1) || (self == Kind::Other && field == 8)
    }
}

/// Writes a model again with one of its numbers replaced.
struct Rewrite {
    /// Numbers that are left before the one to replace.
    left: usize,
    integer: i64,
    float: f32,
    replaced: bool,
}

impl Rewrite {
    /// Whether this number is the one.
    fn hit(&mut self) -> bool {
        let hit = !self.replaced && self.left == 0;
        self.replaced |= hit;
        self.left = self.left.saturating_sub(1);
        hit
    }

    fn message(&mut self, kind: Kind, message: &[u8]) -> Vec<u8> {
        let is_i64 = kind == Kind::Tensor && last_number(message, 2) == Some(elem::I64);
        let mut out = Vec::new();
        for (field, value) in fields(message) {
            out.extend(match value {
                Value::Number(n) => number(field, if self.hit() { self.integer as u64 } else { n }),
                Value::Fixed(b) if b.len() == 4 && self.hit() => fixed(field, &self.float.to_le_bytes()),
                Value::Fixed(b) => fixed(field, b),
                Value::Bytes(b) if is_i64 && field == 9 => bytes(field, self.elements(b)),
                Value::Bytes(b) if kind.is_packed(field) => bytes(field, self.numbers(b)),
                Value::Bytes(b) => match kind.field(field, is_name(b)) {
                    Some(inner) => bytes(field, self.message(inner, b)),
                    None => bytes(field, b),
                },
            });
        }
        out
    }

    fn numbers(&mut self, packed: &[u8]) -> Vec<u8> {
        let numbers = proto::packed(packed).into_iter();
        pack(&numbers.map(|n| if self.hit() { self.integer as u64 } else { n }).collect::<Vec<_>>())
    }

    fn elements(&mut self, raw: &[u8]) -> Vec<u8> {
        let chunks = raw.as_chunks::<8>().0.iter();
        chunks.flat_map(|b| if self.hit() { self.integer.to_le_bytes() } else { *b }).collect()
    }
}

/// Whether bytes are a name rather than a message: messages begin with a key that no name begins with.
fn is_name(b: &[u8]) -> bool {
    b.first().is_none_or(|&first| first >= b'0')
}

/// The model with its number at `position` replaced; none when it has fewer.
fn lie(model: &[u8], position: usize, integer: i64, float: f32) -> Option<Vec<u8>> {
    let mut rewrite = Rewrite { left: position, integer, float, replaced: false };
    let lying = rewrite.message(Kind::Model, model);
    rewrite.replaced.then_some(lying)
}

#[test]
fn any_number_replaced() {
    let mut counts = Counts::default();
    let mut numbers = 0;
    for (_, model) in small_models() {
        for position in 0.. {
            let Some(_) = lie(&model, position, 0, 0.0) else { break };
            numbers += 1;
            for (i, &integer) in INTEGERS.iter().enumerate() {
                let lying = lie(&model, position, integer, FLOATS[i % FLOATS.len()]).unwrap();
                counts.add(&lying, MEMORY);
            }
        }
    }
    println!("{numbers} numbers replaced: {counts:?}");
    assert!(numbers > 300 && counts.load > 1000 && counts.results > 300, "{numbers}, {counts:?}");
}

#[test]
fn rewriting_finds_every_number() {
    for (name, model) in small_models() {
        let mut rewrite = Rewrite { left: usize::MAX, integer: 0, float: 0.0, replaced: false };
        assert!(rewrite.message(Kind::Model, &model) == model, "{name}");
    }
}
