//! Generated configurations of operators: `OCTRT_GENERATED` = the folder that `bench/operators/generate.py` writes.
//!
//! Each gives the outputs that ONNX Runtime computed, in the interpreter and as machine code; its graph comes back equal
//! from its text; and what is loaded from its compiled file, and what is imported from its export to ONNX, computes the
//! same bits. Configurations that need not are named in `EXCLUDED` with the reason, and one that is named there but passes
//! is a failure too.
#![allow(missing_docs)]

mod case;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use case::Case;
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use support::{folders, stem};

const SINGLE: &str = "the centre of a single element with align_corners: 1 in ONNX Runtime, -1 in onnx.reference, 0 here as in PyTorch";
const SOFTPLUS: &str = "ONNX Runtime's Softplus in recurrent layers is inf above 88";
const LOWEST: &str = "masked products: the lowest finite number in ONNX Runtime, the standard's -inf here";

/// Configurations that need not pass: the whole name, and why.
const EXCLUDED: &[(&str, &str)] = &[
    ("test_affinegrid_00", SINGLE),
    ("test_affinegrid_15", SINGLE),
    ("test_attention_17", LOWEST),
    ("test_rnn_19", SOFTPLUS),
];

fn check(case: &Case) -> Result<(), String> {
    let panicked = |cause: Box<dyn std::any::Any + Send>| {
        let text = cause.downcast_ref::<String>().cloned();
        let text = text.or_else(|| cause.downcast_ref::<&str>().map(|s| (*s).to_string()));
        Err(format!("panic: {}", text.unwrap_or_default()))
    };
    catch_unwind(AssertUnwindSafe(|| case.check())).unwrap_or_else(panicked)
}

/// What is wrong with a configuration, given what it is excluded for.
fn failure(name: &str, exclusion: Option<&str>, result: &Result<(), String>) -> Option<String> {
    match (exclusion, result) {
        (None, Err(why)) => Some(format!("{name}: {why}")),
        (Some(why), Ok(())) => Some(format!("{name}: passes, but is excluded: {why}")),
        _ => None,
    }
}

#[test]
fn generated_configurations_agree_everywhere() {
    let Some(folder) = std::env::var_os("OCTRT_GENERATED").map(PathBuf::from) else {
        return support::skip::without("OCTRT_GENERATED is not set");
    };
    let cases: Vec<PathBuf> = folders(&support::root().join(folder));
    let results: BTreeMap<String, Result<(), String>> =
        cases.par_iter().map(|dir| (stem(dir), check(&Case::read(dir)))).collect();
    let exclusion = |name: &str| EXCLUDED.iter().find(|(excluded, _)| *excluded == name).map(|(_, why)| *why);
    let mut failures: Vec<String> =
        results.iter().filter_map(|(name, result)| failure(name, exclusion(name), result)).collect();
    let unknown = EXCLUDED.iter().filter(|(name, _)| !results.contains_key(*name));
    failures.extend(unknown.map(|(name, _)| format!("{name}: is excluded, but does not exist")));
    println!("{} configurations, {} excluded, {} failures", results.len(), EXCLUDED.len(), failures.len());
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    assert!(results.len() > 2500, "{} configurations", results.len());
}
