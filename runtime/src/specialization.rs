//! What a model is compiled for.

use std::collections::BTreeMap;
use std::fmt;

use octrt_ops::TensorType;

use crate::error::InputError;
use crate::ports::PortInfo;
use crate::tensor::{self, Tensor, TensorRef, describe};

/// What a model is compiled for: the types of its inputs, and what those inputs hold that decide shapes. Types are those
/// that the model computes in, [`DataType::inside`](crate::DataType::inside) of the inputs': `f32` for an input of `f16`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Specialization {
    types: Vec<TensorType>,
    values: BTreeMap<usize, Tensor>,
}

impl Specialization {
    /// Inputs of these types, in the model's order.
    pub fn new(types: impl Into<Vec<TensorType>>) -> Self {
        Specialization { types: types.into(), values: BTreeMap::new() }
    }

    /// With what the input at this position holds, in the element type of the model's input. What inputs hold that decide
    /// no shape is ignored.
    #[must_use]
    pub fn with_value(mut self, input: usize, value: Tensor) -> Self {
        self.values.insert(input, value);
        self
    }

    /// The types of the inputs.
    pub fn types(&self) -> &[TensorType] {
        &self.types
    }

    /// What inputs hold, by their position.
    pub fn values(&self) -> &BTreeMap<usize, Tensor> {
        &self.values
    }

    /// The same as a request to a model with these inputs.
    ///
    /// # Errors
    /// [`InputError::WrongType`] and [`InputError::WrongShape`] when a value is not of its input's type.
    pub(crate) fn request(&self, ports: &[PortInfo]) -> Result<Request<'_>, InputError> {
        for (port, (ty, i)) in ports.iter().zip(self.types.iter().zip(0..)) {
            let Some(value) = self.values.get(&i) else { continue };
            let (name, expected) = (port.name.clone(), port.to_string());
            let found = describe(value.dtype(), value.shape());
            if value.dtype() != port.dtype {
                return Err(InputError::WrongType { name, expected, found });
            }
            if value.shape() != ty.shape.dims() {
                let expected = describe(port.dtype, &ty.shape);
                return Err(InputError::WrongShape { name, expected, found });
            }
        }
        Ok(Request { types: &self.types, values: Values::Some(&self.values) })
    }
}

/// What a plan is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'a> {
    /// Types of the inputs inside the graph.
    pub(crate) types: &'a [TensorType],
    pub(crate) values: Values<'a>,
}

/// What inputs hold, as far as it is known.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Values<'a> {
    None,
    Some(&'a BTreeMap<usize, Tensor>),
    /// All inputs in the model's order.
    All(&'a [TensorRef<'a>]),
}

impl<'a> Values<'a> {
    /// What the input at this position holds.
    pub(crate) fn get(self, input: usize) -> Option<TensorRef<'a>> {
        match self {
            Values::None => None,
            Values::Some(values) => values.get(&input).map(Tensor::view),
            Values::All(inputs) => inputs.get(input).copied(),
        }
    }
}

impl<'a> Request<'a> {
    /// Inputs of these types, of which nothing else is known.
    pub(crate) fn of_types(types: &'a [TensorType]) -> Self {
        Request { types, values: Values::None }
    }

    /// Whether the inputs hold these values.
    pub(crate) fn has(&self, values: &BTreeMap<usize, Tensor>) -> bool {
        values.iter().all(|(&i, value)| {
            self.values.get(i).is_some_and(|v| v.dtype() == value.dtype() && v.bytes() == value.bytes())
        })
    }

    /// What an input holds, as the graph computes with it.
    pub(crate) fn inside(&self, input: usize) -> Option<octrt_ops::Tensor> {
        let given = self.values.get(input)?;
        let ty = TensorType::new(given.dtype().inside(), given.shape().to_vec());
        let mut bytes = vec![0; ty.bytes()];
        tensor::to_inside(given.dtype(), given.bytes(), &mut bytes);
        octrt_ops::Tensor::from_bytes(ty, bytes).ok()
    }

    /// The inputs with these names, for messages: `'x': f32[1,3], 'shape': i64[2] = [3, 1]`; what they hold is shown for
    /// those in `shown`.
    pub(crate) fn describe(&self, ports: &[PortInfo], shown: &[usize]) -> String {
        let input = |(i, (port, ty)): (usize, (&PortInfo, &TensorType))| {
            let value = self.values.get(i).filter(|_| shown.contains(&i));
            let value = value.map(|v| format!(" = {}", Elements(v))).unwrap_or_default();
            format!("'{}': {ty}{value}", port.name)
        };
        ports.iter().zip(self.types).enumerate().map(input).collect::<Vec<_>>().join(", ")
    }
}

/// Elements that are shown in messages, at most.
const SHOWN: usize = 16;

/// The elements of a tensor, for messages: `[3, 1]`; the first ones of many.
pub(crate) struct Elements<'a>(pub(crate) TensorRef<'a>);

impl fmt::Display for Elements<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.bytes().len() / self.0.dtype().size();
        let shown: Vec<String> = match self.0.dtype() {
            crate::data_type::DataType::I64 => {
                let words = self.0.bytes().as_chunks::<8>().0.iter().take(SHOWN);
                words.map(|b| i64::from_le_bytes(*b).to_string()).collect()
            }
            _ => self.0.to_f64s().iter().take(SHOWN).map(ToString::to_string).collect(),
        };
        write!(f, "[{}", shown.join(", "))?;
        match count.checked_sub(SHOWN).filter(|&more| more > 0) {
            None => f.write_str("]"),
            Some(more) => write!(f, ", ... and {more} more]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use octrt_ops::DType;

    #[test]
    fn values_are_compared_by_type_and_bytes() {
        let shape = Tensor::new(&[2], &[3i64, 1]).unwrap();
        let types = [TensorType::new(DType::F32, [3]), TensorType::new(DType::I64, [2])];
        let values = BTreeMap::from([(1, shape.clone())]);
        let x = Tensor::new(&[3], &[0.0f32; 3]).unwrap();
        let has = |second: &Tensor| {
            let inputs = [x.view(), second.view()];
            Request { types: &types, values: Values::All(&inputs) }.has(&values)
        };
        assert!(has(&shape));
        assert!(!has(&Tensor::new(&[2], &[1i64, 3]).unwrap()));
        assert!(!has(&Tensor::new(&[4], &[3i32, 0, 1, 0]).unwrap()));
        assert!(!Request::of_types(&types).has(&values) && Request::of_types(&types).has(&BTreeMap::new()));
    }

    #[test]
    fn elements_are_shown_up_to_a_number() {
        let show = |t: Tensor| Elements(t.view()).to_string();
        assert_eq!(show(Tensor::new(&[2], &[i64::MIN, 7]).unwrap()), "[-9223372036854775808, 7]");
        assert_eq!(show(Tensor::new(&[], &[0.5f32]).unwrap()), "[0.5]");
        assert_eq!(
            show(Tensor::new(&[17], &[1u8; 17]).unwrap()),
            format!("[{}, ... and 1 more]", ["1"; 16].join(", "))
        );
    }

    #[test]
    fn values_of_other_types_are_refused() {
        let port = PortInfo { name: "s".into(), dtype: crate::DataType::I64, dims: None };
        let of = |value: Tensor| {
            let on = Specialization::new([TensorType::new(DType::I64, [2])]).with_value(0, value);
            on.request(std::slice::from_ref(&port)).map(|_| ()).map_err(|e| e.to_string())
        };
        assert_eq!(of(Tensor::new(&[2], &[1i64, 2]).unwrap()), Ok(()));
        assert_eq!(
            of(Tensor::new(&[2], &[1i32, 2]).unwrap()),
            Err("'s': expected elements of i64[...], found i32[2]".into())
        );
        assert_eq!(of(Tensor::new(&[1], &[1i64]).unwrap()), Err("'s': expected i64[2], found i64[1]".into()));
    }
}
