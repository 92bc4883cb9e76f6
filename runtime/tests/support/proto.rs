//! As much of protobuf and of ONNX as tests need to read a model's names and to write models that no exporter would.

/// A field of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    /// Four or eight bytes.
    Fixed(&'a [u8]),
}

fn read_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (&first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first < 0x80 {
            return Some(value);
        }
    }
    None
}

/// The first `n` bytes, which are cut off.
fn take<'a>(n: usize, message: &mut &'a [u8]) -> &'a [u8] {
    let (bytes, rest) = message.split_at(n);
    *message = rest;
    bytes
}

/// The fields of a valid message, in order.
pub fn fields(mut message: &[u8]) -> Vec<(u64, Value<'_>)> {
    let mut found = Vec::new();
    while !message.is_empty() {
        let key = read_varint(&mut message).expect("a key");
        let value = match key & 7 {
            0 => Value::Number(read_varint(&mut message).expect("a number")),
            1 => Value::Fixed(take(8, &mut message)),
            2 => {
                let len = read_varint(&mut message).expect("a length") as usize;
                Value::Bytes(take(len, &mut message))
            }
            5 => Value::Fixed(take(4, &mut message)),
            other => panic!("wire type {other}"),
        };
        found.push((key >> 3, value));
    }
    found
}

/// The numbers that stand in one field without keys.
pub fn packed(mut bytes: &[u8]) -> Vec<u64> {
    std::iter::from_fn(|| (!bytes.is_empty()).then(|| read_varint(&mut bytes).expect("a number"))).collect()
}

/// The messages or strings in field `field`, in order.
pub fn all(message: &[u8], field: u64) -> Vec<&[u8]> {
    let wanted = |(f, value)| match value {
        Value::Bytes(b) if f == field => Some(b),
        _ => None,
    };
    fields(message).into_iter().filter_map(wanted).collect()
}

/// The last number in field `field`.
pub fn last_number(message: &[u8], field: u64) -> Option<u64> {
    let wanted = |(f, value)| match value {
        Value::Number(n) if f == field => Some(n),
        _ => None,
    };
    fields(message).into_iter().filter_map(wanted).next_back()
}

/// The last string in field `field`; empty when there is none.
pub fn text(message: &[u8], field: u64) -> String {
    all(message, field).last().map(|b| String::from_utf8_lossy(b).into_owned()).unwrap_or_default()
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

/// Numbers without keys.
pub fn pack(numbers: &[u64]) -> Vec<u8> {
    numbers.iter().flat_map(|&n| varint(n)).collect()
}

/// A number as a field.
pub fn number(field: u64, v: u64) -> Vec<u8> {
    [varint(field << 3), varint(v)].concat()
}

/// A string or message as a field.
pub fn bytes(field: u64, b: impl AsRef<[u8]>) -> Vec<u8> {
    [varint(field << 3 | 2), varint(b.as_ref().len() as u64), b.as_ref().to_vec()].concat()
}

/// Four or eight bytes as a field.
pub fn fixed(field: u64, b: &[u8]) -> Vec<u8> {
    let wire = if b.len() == 4 { 5 } else { 1 };
    [varint(field << 3 | wire), b.to_vec()].concat()
}

/// Element types of ONNX.
pub mod elem {
    pub const F32: u64 = 1;
    pub const I64: u64 = 7;
}

/// `ModelProto.graph`.
pub const GRAPH: u64 = 7;
