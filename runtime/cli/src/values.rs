//! What inputs hold that decide shapes, as words of the command line.

use octrt::{DataType, Model, PortInfo};

use crate::failure::Failure;
use crate::tensor_files::{NamedTensor, from_f32s};

/// Whether a word is numbers: a list as `[1,3,224]`, or one number.
pub fn are_numbers(word: &str) -> bool {
    let is_list = word.starts_with('[') && word.ends_with(']');
    is_list || (word.starts_with(|c: char| c.is_ascii_digit() || c == '-') && word.parse::<f64>().is_ok())
}

/// The numbers of a word as a tensor for `port`: a list has rank 1, a number alone has rank 0.
///
/// # Errors
/// [`Failure::Usage`] when one is none, or out of the range of the element type.
pub fn numbers(port: &PortInfo, word: &str) -> Result<NamedTensor, Failure> {
    let list = word.strip_prefix('[').and_then(|w| w.strip_suffix(']'));
    let words: Vec<&str> = match list {
        Some(list) if list.trim().is_empty() => Vec::new(),
        Some(list) => list.split(',').map(str::trim).collect(),
        None => vec![word],
    };
    let bytes = bytes(port.dtype, &words).map_err(|word| {
        let (name, dtype) = (&port.name, port.dtype);
        Failure::Usage(format!("input '{name}': '{word}' is no element of type {dtype}"))
    })?;
    let shape = list.map(|_| words.len()).into_iter().collect();
    Ok(NamedTensor { name: port.name.clone(), dtype: port.dtype, shape, bytes })
}

/// The bytes of the elements; the word that is none.
fn bytes<'w>(dtype: DataType, words: &[&'w str]) -> Result<Vec<u8>, &'w str> {
    fn each<'w, const N: usize>(
        words: &[&'w str],
        read: impl Fn(&str) -> Option<[u8; N]>,
    ) -> Result<Vec<u8>, &'w str> {
        Ok(words.iter().map(|w| read(w).ok_or(*w)).collect::<Result<Vec<_>, _>>()?.concat())
    }
    macro_rules! numbers {
        ($T:ty) => {
            each(words, |w| Some(w.parse::<$T>().ok()?.to_le_bytes()))
        };
    }
    match dtype {
        DataType::I64 => numbers!(i64),
        DataType::I32 => numbers!(i32),
        DataType::I16 => numbers!(i16),
        DataType::I8 => numbers!(i8),
        DataType::U64 => numbers!(u64),
        DataType::U32 => numbers!(u32),
        DataType::U16 => numbers!(u16),
        DataType::U8 => numbers!(u8),
        DataType::F64 => numbers!(f64),
        DataType::Bool => each(words, |w| match w {
            "0" | "false" => Some([0]),
            "1" | "true" => Some([1]),
            _ => None,
        }),
        float => {
            let floats =
                words.iter().map(|w| w.parse::<f32>().map_err(|_| *w)).collect::<Result<Vec<_>, _>>()?;
            from_f32s(float, &floats).ok_or(words.first().copied().unwrap_or_default())
        }
    }
}

/// What an input holds for which nothing or the word `random` is given: what a compiled model was compiled for.
///
/// # Errors
/// [`Failure::Usage`] when the input decides a shape and the model was not compiled before.
pub fn default_value(model: &Model, input: usize) -> Result<Option<NamedTensor>, Failure> {
    if !model.value_inputs().contains(&input) {
        return Ok(None);
    }
    let port = &model.inputs()[input];
    let compiled = model.compiled_for();
    if let Some(value) = compiled.as_ref().and_then(|on| on.values().get(&input)) {
        let (name, dtype, shape) = (port.name.clone(), value.dtype(), value.shape().to_vec());
        return Ok(Some(NamedTensor { name, dtype, shape, bytes: value.bytes().to_vec() }));
    }
    let name = &port.name;
    Err(Failure::Usage(format!(
        "input '{name}' {port} decides a shape, so it cannot be random: give what it holds as --input {name}=FILE \
         (.npy, .npz, .pb) or as numbers, --input '{name}=[1,2]'"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(dtype: DataType) -> PortInfo {
        PortInfo::new("s", dtype, None)
    }

    #[test]
    fn numbers_become_tensors() {
        let of =
            |dtype, word| numbers(&port(dtype), word).map(|t| (t.shape.clone(), t.view().unwrap().to_f64s()));
        assert_eq!(of(DataType::I64, "[1, -3,224]").unwrap(), (vec![3], vec![1.0, -3.0, 224.0]));
        assert_eq!(of(DataType::I32, "7").unwrap(), (vec![], vec![7.0]));
        assert_eq!(of(DataType::F16, "[0.5]").unwrap(), (vec![1], vec![0.5]));
        assert_eq!(of(DataType::Bool, "[true,0]").unwrap(), (vec![2], vec![1.0, 0.0]));
        assert_eq!(of(DataType::U8, "[]").unwrap(), (vec![0], vec![]));
        assert_eq!(of(DataType::F64, "[0.1]").unwrap(), (vec![1], vec![0.1]));
        assert_eq!(of(DataType::I8, "[-128]").unwrap(), (vec![1], vec![-128.0]));
        assert_eq!(of(DataType::U16, "65535").unwrap(), (vec![], vec![65535.0]));
        let refused = |dtype, word| numbers(&port(dtype), word).unwrap_err().to_string();
        assert_eq!(refused(DataType::U8, "[1,256]"), "input 's': '256' is no element of type u8");
        assert_eq!(refused(DataType::I8, "[128]"), "input 's': '128' is no element of type i8");
        assert_eq!(refused(DataType::U32, "-1"), "input 's': '-1' is no element of type u32");
        assert_eq!(refused(DataType::I64, "[1,,2]"), "input 's': '' is no element of type i64");
        assert_eq!(refused(DataType::I64, "0.5"), "input 's': '0.5' is no element of type i64");
    }

    #[test]
    fn numbers_are_told_from_files() {
        for word in ["[1,2]", "[]", "7", "-1", "0.5", "1e3"] {
            assert!(are_numbers(word), "{word}");
        }
        for word in ["x.npy", "random", "7.npy", "[x].npy", "nan", "inf", "-x"] {
            assert!(!are_numbers(word), "{word}");
        }
    }
}
