//! One configuration.

use std::path::Path;

use octrt::{LoadOptions, Model};
use octrt_onnx::export;
use octrt_ops::graph::text;
use octrt_ops::{Tensor, TensorType};

use crate::support::pb::{TOLERANCE, stored};
use crate::support::{Tolerance, compare_all, interpret, rounded, run};

/// A configuration as read from its folder.
pub struct Case {
    model: Vec<u8>,
    inputs: Vec<Tensor>,
    outputs: Vec<Tensor>,
}

/// Outputs with the same bits.
fn same(found: &[Tensor], expected: &[Tensor]) -> Result<(), String> {
    compare_all(found, expected, &|_| Tolerance::EXACT)?;
    match found == expected {
        true => Ok(()),
        false => Err("a zero or a NaN has other bits".to_string()),
    }
}

impl Case {
    pub fn read(dir: &Path) -> Self {
        let set = dir.join("test_data_set_0");
        Case {
            model: std::fs::read(dir.join("model.onnx")).unwrap(),
            inputs: stored(&set, "input").unwrap(),
            outputs: stored(&set, "output").unwrap(),
        }
    }

    /// # Errors
    /// All that is wrong.
    pub fn check(&self) -> Result<(), String> {
        let model = load(self.model.clone())?;
        let interpreted = interpret(&model, &self.inputs);
        let compiled = self.results(&model);
        let like_stored = |found: &Result<Vec<Tensor>, String>| {
            compare_all(found.as_ref().map_err(Clone::clone)?, &self.outputs, &|_| TOLERANCE).map(drop)
        };
        let mut all = vec![
            ("interpreter", like_stored(&interpreted)),
            ("machine code", like_stored(&compiled)),
            ("text", through_text(&model)),
        ];
        if let Ok(compiled) = &compiled {
            all.push((".octrt", self.through_file(&model, compiled)));
            all.push(("ONNX export", self.through_export(&model, compiled)));
        }
        let wrong: Vec<String> =
            all.into_iter().filter_map(|(how, found)| found.err().map(|e| format!("{how}: {e}"))).collect();
        if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
    }

    /// The outputs of a session of its own.
    fn results(&self, model: &Model) -> Result<Vec<Tensor>, String> {
        run(&mut model.session().map_err(|e| e.to_string())?, &self.inputs).map_err(|e| e.to_string())
    }

    fn through_file(&self, model: &Model, expected: &[Tensor]) -> Result<(), String> {
        let types: Vec<TensorType> = self.inputs.iter().map(|t| t.ty().clone()).collect();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.octrt");
        model.save(&types, &path).map_err(|e| e.to_string())?;
        same(&self.results(&load(std::fs::read(&path).unwrap())?)?, expected)
    }

    /// The graph's ports have the element types that it computes in, the file's may be narrower.
    fn through_export(&self, model: &Model, expected: &[Tensor]) -> Result<(), String> {
        let graph = model.graph().ok_or("no graph")?;
        let again = load(export(graph, model.metadata()).map_err(|e| e.to_string())?)?;
        let found = self.results(&again)?;
        let found: Vec<Tensor> =
            found.iter().zip(model.outputs()).map(|(t, port)| rounded(t, port.dtype)).collect();
        same(&found, expected)
    }
}

fn load(bytes: Vec<u8>) -> Result<Model, String> {
    Model::from_bytes(bytes, &LoadOptions::default()).map_err(|e| e.to_string())
}

fn through_text(model: &Model) -> Result<(), String> {
    let graph = model.graph().ok_or("no graph")?;
    let printed = text::print(graph);
    let again = text::parse_printed(&printed, &text::blobs(graph)).map_err(|e| e.to_string())?;
    if again == *graph { Ok(()) } else { Err(format!("another graph from\n{printed}")) }
}
