//! One node test.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use octrt::onnx::{Bytes, ElemType, read_tensor};
use octrt::ops::Tensor;
use octrt::{LoadOptions, Model};

use crate::support::proto::{self, GRAPH};
use crate::support::{Tolerance, compare_all, interpret, run, stem};

/// The backend's defaults for floats; integers and bools are compared exactly.
const TOLERANCE: Tolerance = Tolerance { absolute: 1e-7, relative: 1e-3 };

pub enum Outcome {
    /// The model was compiled for so many inputs' values.
    Passed(usize),
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
    sets: Vec<PathBuf>,
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

fn stored(set: &Path, prefix: &str) -> Result<Vec<Tensor>, String> {
    (0..)
        .map(|i| set.join(format!("{prefix}_{i}.pb")))
        .take_while(|path| path.is_file())
        .map(|path| {
            let bytes = Bytes::from(std::fs::read(&path).unwrap());
            read_tensor(bytes).map(|(_, tensor, _)| tensor).map_err(|e| e.to_string())
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
            sets: (0..).map(|i| dir.join(format!("test_data_set_{i}"))).take_while(|d| d.is_dir()).collect(),
            model,
        }
    }

    /// Whether all sets of the test pass.
    pub fn run(&self) -> Outcome {
        let mut values = 0;
        for set in &self.sets {
            match self.run_set(set) {
                Ok(count) => values = values.max(count),
                Err(why) => return Outcome::Failed(why),
            }
        }
        if self.sets.is_empty() { Outcome::Failed("no data".into()) } else { Outcome::Passed(values) }
    }

    /// Compares the outputs of the interpreter and of compiled code; how many inputs' values the code was compiled for.
    fn run_set(&self, set: &Path) -> Result<usize, String> {
        let (inputs, expected) = (stored(set, "input")?, stored(set, "output")?);
        let text = |e: octrt::Error| e.to_string();
        let model = Model::from_bytes(self.model.clone(), &LoadOptions::default()).map_err(text)?;
        let mut session = model.session().map_err(text)?;
        let compiled = run(&mut session, &inputs).map_err(text)?;
        let interpreted = interpret(&model, &inputs)?;
        for (how, found) in [("interpreter", interpreted), ("compiled", compiled)] {
            compare_all(&found, &expected, &|_| TOLERANCE).map_err(|e| format!("{how}: {e}"))?;
        }
        let taken = session.specialization().unwrap_or_default();
        let taken: Vec<usize> = taken.values().keys().copied().collect();
        if taken != model.value_inputs() {
            let told = model.value_inputs();
            return Err(format!(
                "inputs {told:?} are said to decide shapes, the code was compiled for {taken:?}"
            ));
        }
        Ok(taken.len())
    }
}
