//! The ONNX node tests (`OCTRT_ONNX_NODE` = the folder `onnx/backend/test/data/node` of the wheel of onnx 1.22.0):
//! whatever consists of supported operators imports and, run by the reference interpreter, gives the stored outputs.

use std::path::{Path, PathBuf};

use octrt_onnx::{Bytes, ElemType, NoExternalData, OnnxError, import, read_tensor};
use octrt_ops::graph::interp;
use octrt_ops::{OpError, Tensor};

/// What became of one test.
#[derive(Debug)]
enum Outcome {
    Equal,
    /// The model uses what is not supported.
    Unsupported(String),
    Wrong(String),
}

fn tensors(set: &Path, prefix: &str) -> Result<Vec<(Tensor, ElemType)>, OnnxError> {
    let file = |i: usize| set.join(format!("{prefix}_{i}.pb"));
    (0..)
        .map(file)
        .take_while(|path| path.is_file())
        .map(|path| {
            let bytes = std::fs::read(path).expect("a readable tensor");
            read_tensor(Bytes::from(bytes)).map(|(_, tensor, elem)| (tensor, elem))
        })
        .collect()
}

/// Largest difference allowed, relative to the expected magnitude: 16-bit models are computed in f32 here.
fn tolerance(elem: ElemType) -> f64 {
    match elem {
        ElemType::F16 => 2e-3,
        ElemType::BF16 => 2e-2,
        // Some expectations are stored rounded.
        _ => 1e-4,
    }
}

fn compare(found: &Tensor, expected: &Tensor, elem: ElemType) -> Result<(), String> {
    if found.ty() != expected.ty() {
        return Err(format!("expected {}, found {}", expected.ty(), found.ty()));
    }
    for (i, (f, e)) in found.to_f64s().into_iter().zip(expected.to_f64s()).enumerate() {
        let same =
            f == e || (f.is_nan() && e.is_nan()) || (f - e).abs() <= tolerance(elem) * e.abs().max(1.0);
        if !same {
            return Err(format!("element {i}: expected {e}, found {f}"));
        }
    }
    Ok(())
}

fn run(dir: &Path) -> Outcome {
    let bytes = Bytes::from(std::fs::read(dir.join("model.onnx")).expect("a readable model"));
    let model = match import(bytes, &NoExternalData) {
        Ok(model) => model,
        Err(OnnxError::Unsupported(items)) => return Outcome::Unsupported(items[0].to_string()),
        Err(e) => return Outcome::Wrong(format!("import: {e}")),
    };
    for set in (0..).map(|i| dir.join(format!("test_data_set_{i}"))).take_while(|d| d.is_dir()) {
        let (inputs, expected) = match (tensors(&set, "input"), tensors(&set, "output")) {
            (Ok(inputs), Ok(outputs)) => (inputs, outputs),
            (Err(e), _) | (_, Err(e)) => return Outcome::Unsupported(e.to_string()),
        };
        let inputs: Vec<Tensor> = inputs.into_iter().map(|(t, _)| t).collect();
        let found = match interp::run(&model.graph, &inputs) {
            Ok(found) => found,
            Err(e) if matches!(e.source, OpError::Unsupported(_) | OpError::DataDependent(_)) => {
                return Outcome::Unsupported(e.to_string());
            }
            Err(e) => return Outcome::Wrong(format!("run: {e}")),
        };
        if found.len() != expected.len() {
            return Outcome::Wrong(format!("expected {} outputs, found {}", expected.len(), found.len()));
        }
        for (found, (expected, elem)) in found.iter().zip(&expected) {
            if let Err(e) = compare(found, expected, *elem) {
                return Outcome::Wrong(e);
            }
        }
    }
    Outcome::Equal
}

/// The divisor of align_corners is in * scale - 1 there; PyTorch and ONNX Runtime round in * scale down.
const DIFFERENT: [&str; 2] = [
    "test_resize_downsample_scales_cubic_align_corners",
    "test_resize_downsample_scales_linear_align_corners",
];

#[test]
fn node_tests_of_supported_operators_pass() {
    let Some(root) = std::env::var_os("OCTRT_ONNX_NODE").map(PathBuf::from) else {
        eprintln!("SKIPPED: OCTRT_ONNX_NODE is not set");
        return;
    };
    let entries = std::fs::read_dir(&root).expect("a folder of node tests");
    let mut dirs: Vec<PathBuf> = entries.map(|e| e.expect("a readable entry").path()).collect();
    dirs.sort();
    let (mut equal, mut different, mut unsupported, mut wrong) = (0, 0, 0, Vec::new());
    for dir in &dirs {
        let name = dir.file_name().unwrap_or_default().to_string_lossy();
        match run(dir) {
            Outcome::Wrong(_) if DIFFERENT.contains(&&*name) => different += 1,
            Outcome::Equal if DIFFERENT.contains(&&*name) => {
                wrong.push(format!("{name}: is equal after all"))
            }
            Outcome::Equal => equal += 1,
            Outcome::Unsupported(why) => {
                println!("not supported: {name}: {why}");
                unsupported += 1;
            }
            Outcome::Wrong(why) => wrong.push(format!("{name}: {why}")),
        }
    }
    println!("{equal} equal, {different} different as meant, {unsupported} not supported");
    assert!(equal >= 1300, "only {equal} tests could be run");
    assert_eq!(different, DIFFERENT.len());
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}
