//! One backend test.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use octrt::{LoadOptions, Model, PortInfo};
use octrt_onnx::ElemType;
use octrt_ops::{Dim, Tensor};

use crate::support::pb::{TOLERANCE, read, stored};
use crate::support::proto::{self, GRAPH};
use crate::support::{compare_all, folders, interpret, run, stem};

pub enum Outcome {
    /// The model was compiled for so many inputs' values.
    Passed(usize),
    Failed(String),
}

/// Where the inputs and expected outputs are.
enum Data {
    /// `input_0.pb`, ..., `output_0.pb`, ... in folders.
    Folders(Vec<PathBuf>),
    /// The input counts up from 0 to 1; the expected output is in this file.
    Ramp(PathBuf),
}

/// A model with inputs and expected outputs.
pub struct Case {
    pub name: String,
    /// Operators of the graph, with their domain unless it is the standard one.
    pub ops: BTreeSet<String>,
    /// Element types and containers of inputs and outputs that octrt does not take.
    pub foreign: BTreeSet<String>,
    model: Vec<u8>,
    data: Data,
}

/// `FLOAT8E5M2` or `sequence` for a `ValueInfoProto` whose values octrt does not take.
fn foreign_type(info: &[u8]) -> Option<String> {
    let ty = *proto::all(info, 2).last()?;
    let Some(tensor) = proto::all(ty, 1).last().copied() else {
        let containers = [(4, "sequence"), (5, "map"), (8, "sparse tensor"), (9, "optional")];
        return containers.into_iter().find(|(f, _)| !proto::all(ty, *f).is_empty()).map(|(_, n)| n.into());
    };
    let elem = ElemType::from_onnx(proto::last_number(tensor, 1)? as i32);
    elem.dtype().is_none().then(|| elem.to_string())
}

/// `0/n, 1/n, ...` for an input of n floats.
fn ramp(port: &PortInfo) -> Tensor {
    let extent = |d: &Dim| match d {
        Dim::Fixed(n) => *n,
        Dim::Dynamic(name) => panic!("dimension '{name}' of a light model"),
    };
    let shape: Vec<usize> = port.dims.iter().flatten().map(extent).collect();
    let n: usize = shape.iter().product();
    let values: Vec<f32> = (0..n).map(|i| (i as f64 / n as f64) as f32).collect();
    Tensor::new(shape, &values).unwrap()
}

/// The tests of `kind`, a folder of the backend's data: folders, or for `light` files of models.
pub fn cases(kind: &Path) -> Vec<Case> {
    if stem(kind) != "light" {
        return folders(kind).iter().map(|dir| Case::of_folder(dir)).collect();
    }
    let entries = std::fs::read_dir(kind).unwrap_or_else(|e| panic!("{}: {e}", kind.display()));
    let mut models: Vec<PathBuf> = entries.map(|e| e.unwrap().path()).collect();
    models.retain(|p| p.extension().is_some_and(|e| e == "onnx"));
    models.sort();
    models.iter().map(|model| Case::of_light_model(model)).collect()
}

impl Case {
    fn of_folder(dir: &Path) -> Self {
        let sets = (0..).map(|i| dir.join(format!("test_data_set_{i}"))).take_while(|d| d.is_dir()).collect();
        Case::new(stem(dir), &dir.join("model.onnx"), Data::Folders(sets))
    }

    fn of_light_model(model: &Path) -> Self {
        let name = stem(&model.with_extension(""));
        let output = model.with_file_name(format!("{name}_output_0.pb"));
        Case::new(name, model, Data::Ramp(output))
    }

    fn new(name: String, model: &Path, data: Data) -> Self {
        let model = std::fs::read(model).unwrap_or_else(|e| panic!("{}: {e}", model.display()));
        let graphs = proto::all(&model, GRAPH);
        let in_graph = |field: u64| graphs.iter().flat_map(move |g| proto::all(g, field));
        let ops = in_graph(1).map(|node| match (proto::text(node, 7).as_str(), proto::text(node, 4)) {
            ("" | "ai.onnx", op) => op,
            (domain, op) => format!("{domain}.{op}"),
        });
        let (ops, foreign) =
            (ops.collect(), in_graph(11).chain(in_graph(12)).filter_map(foreign_type).collect());
        Case { name, ops, foreign, model, data }
    }

    /// Whether all sets of the test pass.
    pub fn run(&self) -> Outcome {
        let result = match &self.data {
            Data::Ramp(output) => self.run_ramp(output),
            Data::Folders(sets) if sets.is_empty() => Err("no data".into()),
            Data::Folders(sets) => sets.iter().try_fold(0, |values, set| Ok(self.run_set(set)?.max(values))),
        };
        result.map_or_else(Outcome::Failed, Outcome::Passed)
    }

    fn load(&self) -> Result<Model, String> {
        Model::from_bytes(self.model.clone(), &LoadOptions::default()).map_err(|e| e.to_string())
    }

    /// Compares the outputs of compiled code; these models are too large for the interpreter.
    fn run_ramp(&self, output: &Path) -> Result<usize, String> {
        let model = self.load()?;
        let inputs: Vec<Tensor> = model.inputs().iter().map(ramp).collect();
        let mut session = model.session().map_err(|e| e.to_string())?;
        let found = run(&mut session, &inputs).map_err(|e| e.to_string())?;
        compare_all(&found, &[read(output)?], &|_| TOLERANCE)?;
        Ok(0)
    }

    /// Compares the outputs of the interpreter and of compiled code; how many inputs' values the code was compiled for.
    fn run_set(&self, set: &Path) -> Result<usize, String> {
        let (inputs, expected) = (stored(set, "input")?, stored(set, "output")?);
        let model = self.load()?;
        let mut session = model.session().map_err(|e| e.to_string())?;
        let compiled = run(&mut session, &inputs).map_err(|e| e.to_string())?;
        let interpreted = interpret(&model, &inputs)?;
        for (how, found) in [("interpreter", interpreted), ("compiled", compiled)] {
            compare_all(&found, &expected, &|_| TOLERANCE).map_err(|e| format!("{how}: {e}"))?;
        }
        let taken = session.specialization().unwrap_or_default();
        let taken: Vec<usize> = taken.values().keys().copied().collect();
        let told = model.value_inputs();
        if taken != told {
            return Err(format!(
                "inputs {told:?} are said to decide shapes, the code was compiled for {taken:?}"
            ));
        }
        Ok(taken.len())
    }
}
