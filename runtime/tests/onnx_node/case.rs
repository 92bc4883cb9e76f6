//! One node test.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use octrt::compiler::CompileError;
use octrt::onnx::{Bytes, ElemType, read_tensor};
use octrt::ops::{OpError, Tensor};
use octrt::{Error, LoadOptions, Model};

use crate::support::proto::{self, GRAPH};
use crate::support::{Tolerance, compare_all, interpret, run, stem};

/// The backend's defaults for floats; integers and bools are compared exactly.
const TOLERANCE: Tolerance = Tolerance { absolute: 1e-7, relative: 1e-3 };

/// Which inputs of a test are given to the model as initializers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Constants {
    None,
    Integers,
    AllButFirst,
    All,
}

impl Constants {
    const TRIED: [Constants; 4] =
        [Constants::None, Constants::Integers, Constants::AllButFirst, Constants::All];

    fn takes(self, position: usize, input: &Stored) -> bool {
        match self {
            Constants::None => false,
            Constants::Integers => input.tensor.dtype().is_int(),
            Constants::AllButFirst => position > 0,
            Constants::All => true,
        }
    }
}

impl fmt::Display for Constants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Constants::None => "as it is",
            Constants::Integers => "integer inputs as initializers",
            Constants::AllButFirst => "inputs after the first as initializers",
            Constants::All => "all inputs as initializers",
        })
    }
}

pub enum Outcome {
    Passed(Constants),
    Failed(String),
}

/// A test as read from its folder.
pub struct Case {
    pub name: String,
    /// Operators of the model's nodes, with their domain if that is not the standard one.
    pub ops: BTreeSet<String>,
    /// The element type or container that octrt does not take.
    pub foreign: Option<String>,
    model: Vec<u8>,
    /// Names of the inputs.
    inputs: Vec<String>,
    sets: Vec<PathBuf>,
}

/// A tensor in a file.
struct Stored {
    bytes: Vec<u8>,
    tensor: Tensor,
}

/// Why a run gave nothing that could be compared.
enum Refusal {
    DataDependent,
    Other(String),
}

impl From<Error> for Refusal {
    fn from(e: Error) -> Self {
        match &e {
            Error::Compile { source: CompileError::Graph(g), .. }
                if matches!(g.source, OpError::DataDependent(_)) =>
            {
                Refusal::DataDependent
            }
            _ => Refusal::Other(e.to_string()),
        }
    }
}

/// `float16` or `sequence` for a `ValueInfoProto` whose values octrt does not take.
fn foreign_type(info: &[u8]) -> Option<String> {
    let ty = *proto::all(info, 2).last()?;
    let Some(tensor) = proto::all(ty, 1).last().copied() else {
        return Some("sequences, optionals, maps".to_string());
    };
    let elem = ElemType::from_onnx(proto::last_number(tensor, 1)? as i32);
    match elem.dtype() {
        None => Some(format!("elements of {elem}")),
        Some(_) => None,
    }
}

fn stored(set: &Path, prefix: &str) -> Result<Vec<Stored>, String> {
    (0..)
        .map(|i| set.join(format!("{prefix}_{i}.pb")))
        .take_while(|path| path.is_file())
        .map(|path| {
            let bytes = std::fs::read(&path).unwrap();
            let read = read_tensor(Bytes::from(bytes.clone())).map_err(|e| e.to_string());
            read.map(|(_, tensor, _)| Stored { bytes, tensor })
        })
        .collect()
}

impl Case {
    pub fn read(dir: &Path) -> Self {
        let model = std::fs::read(dir.join("model.onnx")).unwrap();
        let graphs = proto::all(&model, GRAPH);
        let in_graph = |field: u64| graphs.iter().flat_map(move |g| proto::all(g, field));
        let ops = in_graph(1).map(|node| match (proto::text(node, 7).as_str(), proto::text(node, 4)) {
            ("" | "ai.onnx", op) => op,
            (domain, op) => format!("{domain}.{op}"),
        });
        Case {
            name: stem(dir),
            ops: ops.collect(),
            foreign: in_graph(11).chain(in_graph(12)).find_map(foreign_type),
            inputs: in_graph(11).map(|info| proto::text(info, 1)).collect(),
            sets: (0..).map(|i| dir.join(format!("test_data_set_{i}"))).take_while(|d| d.is_dir()).collect(),
            model,
        }
    }

    /// Whether all sets of the test pass, with as few inputs as initializers as possible.
    pub fn run(&self) -> Outcome {
        let mut most = Constants::None;
        for set in &self.sets {
            match self.run_set(set) {
                Ok(constants) => most = most.max(constants),
                Err(why) => return Outcome::Failed(why),
            }
        }
        if self.sets.is_empty() { Outcome::Failed("no data".into()) } else { Outcome::Passed(most) }
    }

    fn run_set(&self, set: &Path) -> Result<Constants, String> {
        let (inputs, expected) = (stored(set, "input")?, stored(set, "output")?);
        let expected: Vec<Tensor> = expected.into_iter().map(|s| s.tensor).collect();
        for constants in Constants::TRIED {
            match self.outputs(&inputs, constants) {
                Ok((interpreted, compiled)) => {
                    for (how, found) in [("interpreter", interpreted), ("compiled", compiled)] {
                        compare_all(&found, &expected, &|_| TOLERANCE).map_err(|e| format!("{how}: {e}"))?;
                    }
                    return Ok(constants);
                }
                Err(Refusal::DataDependent) => {}
                Err(Refusal::Other(e)) => return Err(format!("{constants}: {e}")),
            }
        }
        Err("a shape depends on data though all inputs are constants".to_string())
    }

    /// The outputs of the interpreter and of compiled code.
    fn outputs(
        &self,
        inputs: &[Stored],
        constants: Constants,
    ) -> Result<(Vec<Tensor>, Vec<Tensor>), Refusal> {
        let (mut fixed, mut given) = (Vec::new(), Vec::new());
        for (i, (input, name)) in inputs.iter().zip(&self.inputs).enumerate() {
            if constants.takes(i, input) {
                fixed.push((name.clone(), input.bytes.clone()));
            } else {
                given.push(input.tensor.clone());
            }
        }
        let bytes = proto::with_initializers(&self.model, &fixed);
        let model = Model::from_bytes(bytes, &LoadOptions::default())?;
        let compiled = run(&mut model.session()?, &given)?;
        let interpreted = interpret(&model, &given).map_err(Refusal::Other)?;
        Ok((interpreted, compiled))
    }
}
