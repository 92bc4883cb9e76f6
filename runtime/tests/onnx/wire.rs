//! The few messages of ONNX that the tests need, in protobuf's wire format.

pub enum Weight {
    /// The bytes of three elements.
    Inside(Vec<u8>),
    Outside(External),
}

pub struct External {
    pub location: String,
    pub offset: u64,
    pub length: u64,
}

fn varint(mut v: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while v >= 0x80 {
        out.push(v as u8 | 0x80);
        v >>= 7;
    }
    out.push(v as u8);
    out
}

fn number(field: u64, v: u64) -> Vec<u8> {
    [varint(field << 3), varint(v)].concat()
}

fn bytes(field: u64, b: impl AsRef<[u8]>) -> Vec<u8> {
    [varint(field << 3 | 2), varint(b.as_ref().len() as u64), b.as_ref().to_vec()].concat()
}

fn entry(field: u64, key: &str, value: &str) -> Vec<u8> {
    bytes(field, [bytes(1, key), bytes(2, value)].concat())
}

/// `ValueInfoProto` of a vector: of 3 elements, or of `dim` elements if that is not empty.
fn value(field: u64, name: &str, elem: u64, dim: &str) -> Vec<u8> {
    let dim = if dim.is_empty() { number(1, 3) } else { bytes(2, dim) };
    let tensor = [number(1, elem), bytes(2, bytes(1, dim))].concat();
    bytes(field, [bytes(1, name), bytes(2, bytes(1, tensor))].concat())
}

fn initializer(weight: &Weight) -> Vec<u8> {
    let head = [number(1, 3), number(2, 1), bytes(8, "w")].concat();
    let data = match weight {
        Weight::Inside(raw) => bytes(9, raw),
        Weight::Outside(e) => [
            entry(13, "location", &e.location),
            entry(13, "offset", &e.offset.to_string()),
            entry(13, "length", &e.length.to_string()),
            number(14, 1),
        ]
        .concat(),
    };
    bytes(5, [head, data].concat())
}

/// `y = op(x, w)`, `w` three floats, `x` and `y` declared with element type `elem`.
pub fn model(op: &str, elem: u64, dim: &str, weight: &Weight) -> Vec<u8> {
    model_of(op, [elem, elem], dim, weight)
}

/// As [`model`], with the element types of `x` and `y`.
pub fn model_of(op: &str, elems: [u64; 2], dim: &str, weight: &Weight) -> Vec<u8> {
    let node =
        [bytes(1, "x"), bytes(1, "w"), bytes(2, "y"), bytes(3, op.to_lowercase()), bytes(4, op)].concat();
    let graph = [
        bytes(1, node),
        bytes(2, "test"),
        initializer(weight),
        value(11, "x", elems[0], dim),
        value(12, "y", elems[1], dim),
    ]
    .concat();
    let opset = [bytes(1, ""), number(2, 13)].concat();
    [number(1, 8), bytes(7, graph), bytes(8, opset), entry(14, "classes", "3")].concat()
}
