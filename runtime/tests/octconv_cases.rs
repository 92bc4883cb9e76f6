//! Small OctConv networks of every known dialect: compiled code gives the outputs that another runtime stored, and so
//! does the interpreter; one thread and two give the same bits.
#![allow(missing_docs)]

mod support;

use std::path::Path;

use octrt::ops::Tensor;
use octrt::{Model, Session, Threads};
use support::{Tolerance, compare_all, folders, interpret, load, npy_files, run, shared, stem};

/// Largest error as a part of the largest magnitude of an output.
const PART: f64 = 1e-4;

/// What the cases gave.
#[derive(Default)]
struct Summary {
    cases: usize,
    sets: usize,
    worst_compiled: f64,
    worst_interpreted: f64,
    failures: Vec<String>,
}

/// `tolerance` of the case's `case.json`, where it has one.
fn stated_tolerance(case: &Path) -> Option<f64> {
    let text = std::fs::read_to_string(case.join("case.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    json.get("tolerance").and_then(serde_json::Value::as_f64)
}

/// The largest error, relative to the largest magnitude, of outputs that are within the tolerance.
fn judge(found: &[Tensor], expected: &[Tensor], stated: Option<f64>) -> Result<f64, String> {
    let tolerance = |e: &Tensor| match stated {
        Some(absolute) => Tolerance { absolute, relative: 0.0 },
        None => Tolerance::of_largest(PART, e),
    };
    let worst = compare_all(found, expected, &tolerance)?;
    Ok(worst / expected.iter().map(support::largest).fold(f64::MIN_POSITIVE, f64::max))
}

/// One pair of inputs and outputs: relative errors of compiled code and of the interpreter. `sessions` differ in their
/// threads.
fn run_set(sessions: &mut [Session; 2], set: &Path, stated: Option<f64>) -> Result<(f64, f64), String> {
    let [session, other] = sessions;
    let (inputs, expected) = (npy_files(set, "input"), npy_files(set, "output"));
    if expected.is_empty() {
        return Err("no stored outputs".into());
    }
    let interpreted = interpret(session.model(), &inputs)?;
    let interpreted = judge(&interpreted, &expected, stated).map_err(|e| format!("interpreter: {e}"))?;
    let compiled = run(session, &inputs).map_err(|e| format!("compiled: {e}"))?;
    if run(other, &inputs).map_err(|e| format!("two threads: {e}"))? != compiled {
        return Err("two threads give other results than one".into());
    }
    let compiled = judge(&compiled, &expected, stated).map_err(|e| format!("compiled: {e}"))?;
    Ok((compiled, interpreted))
}

fn run_case(case: &Path, summary: &mut Summary) {
    let name = stem(case);
    summary.cases += 1;
    let stated = stated_tolerance(case);
    let sessions = |m: Model| Ok([m.session()?, m.session()?.with_threads(Threads::new(2)?)]);
    let mut sessions = match load(&case.join("model.onnx")).and_then(sessions) {
        Ok(sessions) => sessions,
        Err(e) => return summary.failures.push(format!("{name}: {e}")),
    };
    let sets = std::iter::once(case.to_path_buf()).chain(folders(case));
    for set in sets {
        summary.sets += 1;
        match run_set(&mut sessions, &set, stated) {
            Ok((compiled, interpreted)) => {
                summary.worst_compiled = summary.worst_compiled.max(compiled);
                summary.worst_interpreted = summary.worst_interpreted.max(interpreted);
            }
            Err(e) => summary.failures.push(format!("{name}, {}: {e}", stem(&set))),
        }
    }
}

#[test]
fn every_case_gives_the_stored_outputs() {
    let Some(root) = shared("octconv") else { return };
    let mut summary = Summary::default();
    folders(&root).iter().for_each(|case| run_case(case, &mut summary));
    let Summary { cases, sets, worst_compiled, worst_interpreted, failures } = summary;
    println!(
        "{cases} cases, {sets} sets, {} failed; largest error over largest output: compiled {worst_compiled:.1e}, \
         interpreter {worst_interpreted:.1e}",
        failures.len()
    );
    assert!(failures.is_empty(), "{} of {sets} sets failed:\n{}", failures.len(), failures.join("\n"));
    assert!(cases >= 39, "{cases} cases in {}", root.display());
}
