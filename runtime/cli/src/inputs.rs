//! The words for a model's inputs, and the tensors that they stand for.

use std::path::{Path, PathBuf};

use octrt::image::Preprocessing;
use octrt::{DataType, Model, PortInfo, Specialization, TensorRef};
use octrt_ops::graph::infer::values::may_decide;
use octrt_ops::graph::text;
use octrt_ops::{Dim, Shape, TensorType};

use crate::failure::Failure;
use crate::model::Dims;
use crate::preprocessing;
use crate::tensor_files::{self, Kind, NamedTensor, from_f32s};
use crate::values;

/// What a word of the command line stands for.
#[derive(Clone, Debug, PartialEq)]
pub enum Given {
    /// `random`
    Random,
    /// The picture in this file.
    Picture(PathBuf),
    /// A tensor.
    Tensor(NamedTensor),
    /// Numbers, as [`values::numbers`] reads them.
    Numbers(String),
}

/// Reads words as `file`, `name=file`, `random` or numbers, and puts them into the order of `ports`: named ones and the arrays of
/// an `.npz` file that bear a port's name at their place, the others in order at the places that are left. `what` names
/// the ports in messages: `input`, `output`.
///
/// # Errors
/// [`Failure::Usage`] when a name is unknown or given twice or there are too many; those of [`tensor_files::read`].
pub fn bind(ports: &[PortInfo], what: &str, words: &[String]) -> Result<Vec<Option<Given>>, Failure> {
    let mut slots: Vec<Option<Given>> = vec![None; ports.len()];
    let mut unnamed = Vec::new();
    for word in words {
        let (name, file) = split(ports, what, word)?;
        for given in read(file)? {
            let place = match (&name, &given) {
                (Some(name), _) => position(ports, name),
                (None, Given::Tensor(t)) if is_archive(file) => position(ports, &t.name),
                _ => None,
            };
            match place {
                None => unnamed.push(given),
                Some(i) if slots[i].is_none() => slots[i] = Some(given),
                Some(i) => {
                    return Err(Failure::Usage(format!("{what} '{}' is given twice", ports[i].name)));
                }
            }
        }
    }
    let count = slots.iter().flatten().count() + unnamed.len();
    if count > ports.len() {
        let (expected, names) = (ports.len(), names(ports));
        return Err(Failure::Usage(format!("{count} {what}s are given, the model has {expected}: {names}")));
    }
    let free = slots.iter_mut().filter(|s| s.is_none());
    free.zip(unnamed).for_each(|(slot, given)| *slot = Some(given));
    Ok(slots)
}

/// The failure that a port got nothing.
pub fn missing(port: &PortInfo, what: &str) -> Failure {
    Failure::Usage(format!("{what} '{}' is missing: expected {port}", port.name))
}

fn position(ports: &[PortInfo], name: &str) -> Option<usize> {
    ports.iter().position(|p| p.name == name)
}

fn names(ports: &[PortInfo]) -> String {
    let names: Vec<String> = ports.iter().map(|p| format!("'{}'", p.name)).collect();
    if names.is_empty() { "none".to_string() } else { names.join(", ") }
}

fn is_archive(file: &str) -> bool {
    Kind::of(Path::new(file)) == Some(Kind::Npz)
}

/// The port's name in front of a `=`, if there is one, and the rest. Names may hold `=`: the longest one counts.
fn split<'w>(ports: &[PortInfo], what: &str, word: &'w str) -> Result<(Option<&'w str>, &'w str), Failure> {
    let named = |p: &PortInfo| word.strip_prefix(&p.name)?.strip_prefix('=').map(|_| p.name.len());
    if let Some(len) = ports.iter().filter_map(named).max() {
        return Ok((Some(&word[..len]), &word[len + 1..]));
    }
    match word.split_once('=') {
        Some((name, _)) if !Path::new(word).exists() => {
            let known = names(ports);
            Err(Failure::Usage(format!("no {what} is named '{name}'; the model has {known}")))
        }
        _ => Ok((None, word)),
    }
}

fn read(file: &str) -> Result<Vec<Given>, Failure> {
    if file == "random" {
        return Ok(vec![Given::Random]);
    }
    let path = Path::new(file);
    if values::are_numbers(file) && !path.exists() {
        return Ok(vec![Given::Numbers(file.to_string())]);
    }
    match Kind::of(path) {
        None => Ok(vec![Given::Picture(path.to_path_buf())]),
        Some(kind) => Ok(tensor_files::read(path, kind)?.into_iter().map(Given::Tensor).collect()),
    }
}

/// The tensors that a model is run on, in the model's order, each with the name of its input.
pub struct Inputs(pub Vec<NamedTensor>);

impl Inputs {
    /// Makes a tensor for every input of the model. Pictures are prepared as `settings` say, which take the
    /// size from the input; random tensors have at most `max_bytes`.
    ///
    /// # Errors
    /// [`Failure::Usage`] when an input is missing, takes no picture, or decides a shape and is `random`;
    /// [`Failure::Limit`]; those of reading a picture.
    pub fn make(
        model: &Model,
        dims: &Dims<'_>,
        given: Vec<Option<Given>>,
        settings: &mut Preprocessing,
        max_bytes: usize,
    ) -> anyhow::Result<Self> {
        let mut tensors = Vec::new();
        for (i, (port, given)) in model.inputs().iter().zip(given).enumerate() {
            let tensor = match given.ok_or_else(|| missing(port, "input"))? {
                Given::Tensor(tensor) => tensor,
                Given::Numbers(word) => values::numbers(port, &word)?,
                Given::Random => any(model, i, dims, max_bytes)?,
                Given::Picture(path) => {
                    preprocessing::fit(settings, port, dims)?;
                    preprocessing::announce(settings);
                    let image = settings.file(&path)?;
                    let bytes = from_f32s(port.dtype, &image.data).unwrap_or_default();
                    let (dtype, shape) = (port.dtype, image.shape.to_vec());
                    NamedTensor { name: String::new(), dtype, shape, bytes }
                }
            };
            tensors.push(NamedTensor { name: port.name.clone(), ..tensor });
        }
        Ok(Inputs(tensors))
    }

    /// A tensor for every input of the model: those that `words` give, and random ones, at most `max_bytes` each.
    ///
    /// # Errors
    /// [`Failure::Usage`] when a word does not fit the model, a dimension is open, or an input that decides a shape is not
    /// given; [`Failure::Limit`]; those of reading files.
    pub fn random(
        model: &Model,
        dims: &Dims<'_>,
        words: &[String],
        max_bytes: usize,
    ) -> Result<Self, Failure> {
        let mut tensors = Vec::new();
        for (i, (port, given)) in model.inputs().iter().zip(bind(model.inputs(), "input", words)?).enumerate()
        {
            let tensor = match given {
                Some(Given::Tensor(tensor)) => NamedTensor { name: port.name.clone(), ..tensor },
                Some(Given::Numbers(word)) => values::numbers(port, &word)?,
                Some(Given::Random) | None => any(model, i, dims, max_bytes)?,
                Some(Given::Picture(path)) => {
                    let (name, path) = (&port.name, path.display());
                    let message = format!(
                        "input '{name}': expected a file .npy, .npz or .pb, or numbers, found {path}"
                    );
                    return Err(Failure::Usage(message));
                }
            };
            tensors.push(tensor);
        }
        let inputs = Inputs(tensors);
        inputs.misfit(model.inputs()).map_or(Ok(inputs), |message| Err(Failure::Usage(message)))
    }

    /// Names and tensors, borrowed.
    ///
    /// # Errors
    /// As [`NamedTensor::view`].
    pub fn views(&self) -> Result<Vec<(&str, TensorRef<'_>)>, octrt::Error> {
        self.0.iter().map(|t| Ok((t.name.as_str(), t.view()?))).collect()
    }

    /// The first tensor whose element type or fixed extents are not those that its port declares, as a message.
    pub fn misfit(&self, ports: &[PortInfo]) -> Option<String> {
        ports.iter().zip(&self.0).find_map(|(port, tensor)| misfit(port, tensor))
    }

    /// What a model is compiled for to run on the inputs.
    ///
    /// # Errors
    /// As [`NamedTensor::view`].
    pub fn specialization(&self) -> Result<Specialization, octrt::Error> {
        let ty = |t: &NamedTensor| TensorType::new(t.dtype.inside(), t.shape.clone());
        let types: Vec<TensorType> = self.0.iter().map(ty).collect();
        let mut on = Specialization::new(types.clone());
        for (i, tensor) in self.0.iter().enumerate().filter(|(i, _)| may_decide(&types[*i])) {
            on = on.with_value(i, tensor.view()?.to_owned()?);
        }
        Ok(on)
    }
}

/// That a tensor's element type or fixed extents are not those that its port declares, as a message.
pub fn misfit(port: &PortInfo, tensor: &NamedTensor) -> Option<String> {
    let is_extent = |(dim, &n): (&Dim, &usize)| !matches!(dim, Dim::Fixed(fixed) if *fixed != n);
    let fits = port.dims.as_ref().is_some_and(|dims| {
        port.dtype == tensor.dtype
            && dims.len() == tensor.shape.len()
            && dims.iter().zip(&tensor.shape).all(is_extent)
    });
    let (dtype, shape) = (tensor.dtype, Shape::new(tensor.shape.clone()));
    (!fits).then(|| format!("input '{}': expected {port}, found {dtype}{shape}", port.name))
}

/// What `words` say that inputs hold, and types for all: of inputs that are not given, with the extents of `dims`.
///
/// # Errors
/// [`Failure::Usage`] when a word does not fit the model, or a dimension is open; those of reading files.
pub fn specialization(model: &Model, dims: &Dims<'_>, words: &[String]) -> Result<Specialization, Failure> {
    let given = bind(model.inputs(), "input", words)?;
    let (mut types, mut held) = (Vec::new(), Vec::new());
    for (i, (port, given)) in model.inputs().iter().zip(given).enumerate() {
        let tensor = match given {
            Some(given) => Some(held_by(port, given)?),
            None => values::default_value(model, i)?,
        };
        let Some(tensor) = tensor else {
            types.push(TensorType::new(port.dtype.inside(), dims.shape(port)?));
            continue;
        };
        if let Some(message) = misfit(port, &tensor) {
            return Err(Failure::Usage(message));
        }
        types.push(TensorType::new(tensor.dtype.inside(), tensor.shape.clone()));
        let owned = tensor.view().map_err(octrt::Error::from).and_then(|t| t.to_owned());
        held.push((i, owned.map_err(|e| Failure::Usage(e.to_string()))?));
    }
    Ok(held.into_iter().fold(Specialization::new(types), |on, (i, value)| on.with_value(i, value)))
}

/// What is given of an input that is not run.
fn held_by(port: &PortInfo, given: Given) -> Result<NamedTensor, Failure> {
    match given {
        Given::Tensor(tensor) => Ok(tensor),
        Given::Numbers(word) => values::numbers(port, &word),
        Given::Random | Given::Picture(_) => {
            let name = &port.name;
            Err(Failure::Usage(format!(
                "input '{name}': expected a file .npy, .npz or .pb, or numbers as [1,2]"
            )))
        }
    }
}

/// A tensor for an input of which nothing is said.
fn any(model: &Model, input: usize, dims: &Dims<'_>, max_bytes: usize) -> Result<NamedTensor, Failure> {
    let port = &model.inputs()[input];
    match values::default_value(model, input)? {
        Some(tensor) => Ok(tensor),
        None => random(port, dims.shape(port)?, input as u64, max_bytes),
    }
}

/// Floats in [-1, 1), integers 0 to 9, any bools: the same for the same shape and seed.
fn random(port: &PortInfo, shape: Vec<usize>, seed: u64, max_bytes: usize) -> Result<NamedTensor, Failure> {
    let limit = |message| Failure::Limit { file: format!("input '{}'", port.name), message };
    let shape = Shape::new(shape);
    // Numbers are made as floats first.
    let bytes = TensorType::new(octrt_ops::DType::F32, shape.clone()).bytes();
    if bytes > max_bytes {
        return Err(limit(format!("{}{shape} is larger than the limit of {max_bytes} bytes", port.dtype)));
    }
    let floats =
        text::random(&shape, seed).and_then(|t| t.to_vec::<f32>()).map_err(|e| limit(e.to_string()))?;
    let digits = floats.iter().map(|v| ((v + 1.0) * 5.0) as u8);
    let bytes = match port.dtype {
        DataType::I64 => digits.flat_map(|d| i64::from(d).to_le_bytes()).collect(),
        DataType::I32 => digits.flat_map(|d| i32::from(d).to_le_bytes()).collect(),
        DataType::I16 => digits.flat_map(|d| i16::from(d).to_le_bytes()).collect(),
        DataType::U64 => digits.flat_map(|d| u64::from(d).to_le_bytes()).collect(),
        DataType::U32 => digits.flat_map(|d| u32::from(d).to_le_bytes()).collect(),
        DataType::U16 => digits.flat_map(|d| u16::from(d).to_le_bytes()).collect(),
        DataType::U8 | DataType::I8 => digits.collect(),
        DataType::Bool => digits.map(|d| d % 2).collect(),
        float => from_f32s(float, &floats).unwrap_or_default(),
    };
    Ok(NamedTensor { name: port.name.clone(), dtype: port.dtype, shape: shape.to_vec(), bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(name: &str, dtype: DataType) -> PortInfo {
        PortInfo::new(name, dtype, Some(vec![Dim::Fixed(3)]))
    }

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn names_come_first_the_rest_in_order() {
        let ports = [port("a", DataType::F32), port("b", DataType::F32), port("c", DataType::F32)];
        let slots = bind(&ports, "input", &words(&["b=random", "p.jpg"])).unwrap();
        assert_eq!(slots, [Some(Given::Picture("p.jpg".into())), Some(Given::Random), None]);
    }

    #[test]
    fn names_may_hold_equals_signs() {
        let ports = [port("a", DataType::F32), port("a=b", DataType::F32), port("a=b=c", DataType::F32)];
        let slots = bind(&ports, "input", &words(&["a=b=c=p.jpg", "a=b=random", "a=d=e.jpg"])).unwrap();
        let picture = |file: &str| Some(Given::Picture(file.into()));
        assert_eq!(slots, [picture("d=e.jpg"), Some(Given::Random), picture("p.jpg")]);
    }

    #[test]
    fn words_that_do_not_fit_are_refused() {
        let ports = [port("a", DataType::F32)];
        let e = |list: &[&str]| bind(&ports, "input", &words(list)).unwrap_err().to_string();
        assert_eq!(e(&["x=random"]), "no input is named 'x'; the model has 'a'");
        assert_eq!(e(&["a=random", "a=random"]), "input 'a' is given twice");
        assert_eq!(e(&["random", "random"]), "2 inputs are given, the model has 1: 'a'");
    }

    #[test]
    fn random_tensors_repeat() {
        for dtype in [DataType::F16, DataType::I64, DataType::Bool, DataType::U8, DataType::F64] {
            let make = || random(&port("a", dtype), vec![3, 5], 1, 1 << 20).unwrap();
            assert_eq!(make(), make());
            assert!(make().view().is_ok(), "{dtype:?}");
        }
        let huge = random(&port("a", DataType::F32), vec![usize::MAX, 5], 1, 1 << 20);
        assert!(matches!(huge, Err(Failure::Limit { .. })));
    }
}
