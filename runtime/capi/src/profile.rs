//! Where the time of a run goes.

use std::collections::BTreeMap;
use std::ffi::{CString, c_char};
use std::ops::ControlFlow;
use std::time::Instant;

use octrt::{StepEvent, TensorRef};
use serde::Serialize;

use crate::canceller::octrt_canceller;
use crate::error::{Failure, OCTRT_E_INTERNAL, c_string, octrt_error};
use crate::guard;
use crate::run;
use crate::state::{State, octrt_session, with_state};
use crate::tensor::{View, octrt_tensor};

/// Most runs of one profile.
const MAX_RUNS: u32 = 1_000_000;

/// The JSON of octrt_session_profile; the fields are those of `octrt profile --format json`.
#[derive(Serialize)]
struct Report<'a> {
    schema: &'static str,
    model: &'a str,
    threads: usize,
    runs: u32,
    /// What takes longest comes first.
    rows: Vec<Row>,
    /// What the nodes of a run took together, the median in milliseconds.
    nodes_ms: f64,
    /// What a run took that was not observed, the median in milliseconds.
    end_to_end_ms: f64,
    /// By how much the former is larger, as a share of the latter.
    difference: f64,
}

/// The steps of one node, or those that bring its input into its layout.
#[derive(Serialize)]
struct Row {
    node: String,
    op: &'static str,
    steps: usize,
    median_ms: f64,
    min_ms: f64,
    /// The median as a share of the sum of all.
    share: f64,
    /// Size of all buffers of all steps.
    bytes: usize,
}

/// A step as the first run shows it.
struct Step {
    /// [`StepEvent::part`].
    part: String,
    op: &'static str,
    bytes: usize,
}

/// Tells where the time of a run goes: runs `runs` times observed, and as often not observed, after one of each to warm
/// up.
///
/// inputs, input_count  as for octrt_session_run
/// runs                 1 to 1000000
/// json                 gets a text that octrt_string_free frees; unchanged on error
///
/// The text is an object: "schema" ("octrt.profile/1"), "model", "threads", "runs"; "rows", for each node "node", "op",
/// "steps", "median_ms", "min_ms", "share" of the sum, "bytes" touched; "nodes_ms", all nodes together, "end_to_end_ms", a
/// run that was not observed, and "difference" of the two as a share of the latter. What brings the input of a node "conv1"
/// into the layout in which the node reads it is a row of its own, "conv1 (layout)", whose "op" is "Layout"; no two rows have
/// the same "node". Views of outputs end.
///
/// One thread at a time. Errors: as octrt_session_run.
///
/// # Safety
/// `session` is NULL or a session that was not freed; the other pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn octrt_session_profile(
    session: *mut octrt_session,
    inputs: *const octrt_tensor,
    input_count: usize,
    runs: u32,
    json: *mut *mut c_char,
) -> *mut octrt_error {
    let body = |state: &mut State, canceller: &octrt_canceller| {
        if json.is_null() {
            return Err(Failure::null("json"));
        }
        if !(1..=MAX_RUNS).contains(&runs) {
            return Err(Failure::argument(format!("runs is {runs}: expected 1 to {MAX_RUNS}")));
        }
        let model = state.session.model().clone();
        // SAFETY: the caller's promise.
        let mut inputs = unsafe { View::all(inputs, input_count, model.inputs(), "input")? };
        for input in &mut inputs {
            input.shaped(|port| state.input_shape(port))?;
        }
        // SAFETY: the caller's promise.
        let inputs = unsafe { run::named(model.inputs(), &inputs)? };
        let _running = canceller.start()?;
        state.is_current.fill(false);
        let measured = measure(state, &inputs, runs);
        state.update_outputs();
        let text = c_string(&measured?);
        // SAFETY: not NULL, and the caller's promise.
        unsafe { json.write(text.into_raw()) };
        Ok(())
    };
    // SAFETY: the caller's promise.
    unsafe { with_state(session, body) }
}

fn measure(state: &mut State, inputs: &[(&str, TensorRef<'_>)], runs: u32) -> Result<String, Failure> {
    let mut steps: Vec<Step> = Vec::new();
    // Milliseconds by run, then by step.
    let mut observed: Vec<Vec<f64>> = Vec::new();
    let mut whole: Vec<f64> = Vec::new();
    for i in 0..=runs {
        let mut times = Vec::with_capacity(steps.len());
        let mut observer = |event: &StepEvent<'_>| {
            if i == 0 {
                steps.push(Step { part: event.part(), op: event.op, bytes: event.bytes_touched });
            }
            times.push(event.elapsed.as_secs_f64() * 1e3);
            ControlFlow::Continue(())
        };
        state.session.run_observed(inputs, &mut observer)?;
        let start = Instant::now();
        state.session.run(inputs)?;
        if i > 0 {
            whole.push(start.elapsed().as_secs_f64() * 1e3);
            observed.push(times);
        }
    }
    let (rows, sums) = rows(&steps, &observed);
    let (nodes_ms, end_to_end_ms) = (median(sums), median(whole));
    let report = Report {
        schema: "octrt.profile/1",
        model: state.session.model().name(),
        threads: state.session.model().threads().count(),
        runs,
        rows,
        nodes_ms,
        end_to_end_ms,
        difference: nodes_ms / end_to_end_ms - 1.0,
    };
    serde_json::to_string(&report).map_err(|e| Failure::new(OCTRT_E_INTERNAL, e.to_string()))
}

/// A row for each node, and what all steps of each run took together.
fn rows(steps: &[Step], runs: &[Vec<f64>]) -> (Vec<Row>, Vec<f64>) {
    let mut nodes: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (i, step) in steps.iter().enumerate() {
        nodes.entry(&step.part).or_default().push(i);
    }
    let row = |of_node: &Vec<usize>| {
        let times: Vec<f64> = runs.iter().map(|r| of_node.iter().map(|&i| r[i]).sum()).collect();
        let first = &steps[of_node[0]];
        Row {
            node: first.part.clone(),
            op: first.op,
            steps: of_node.len(),
            min_ms: times.iter().copied().fold(f64::INFINITY, f64::min),
            median_ms: median(times),
            share: 0.0,
            bytes: of_node.iter().map(|&i| steps[i].bytes).sum(),
        }
    };
    let mut rows: Vec<Row> = nodes.values().map(row).collect();
    let total: f64 = rows.iter().map(|r| r.median_ms).sum();
    rows.iter_mut().for_each(|r| r.share = if total > 0.0 { r.median_ms / total } else { 0.0 });
    rows.sort_by(|a, b| b.median_ms.total_cmp(&a.median_ms));
    (rows, runs.iter().map(|r| r.iter().sum()).collect())
}

/// The middle value, or the mean of the two in the middle; 0 of none.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let n = values.len();
    match n {
        0 => 0.0,
        _ => f64::midpoint(values[(n - 1) / 2], values[n / 2]),
    }
}

/// Frees a text that a call handed to the caller. NULL is allowed. Any thread.
///
/// # Safety
/// `text` is NULL or such a text that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn octrt_string_free(text: *mut c_char) {
    guard::value((), || {
        if !text.is_null() {
            // SAFETY: the text was made by `CString::into_raw`, and the caller gives it up.
            drop(unsafe { CString::from_raw(text) });
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_of_a_node_are_summed_up() {
        let step = |part: &str| Step { part: part.to_string(), op: "Conv", bytes: 10 };
        let steps = [step("b"), step("a"), step("b")];
        let (rows, sums) = rows(&steps, &[vec![1.0, 2.0, 3.0], vec![3.0, 2.0, 3.0]]);
        assert_eq!((rows[0].node.as_str(), rows[0].steps, rows[0].bytes), ("b", 2, 20));
        assert_eq!((rows[0].median_ms, rows[0].min_ms, rows[1].median_ms), (5.0, 4.0, 2.0));
        assert_eq!(sums, [6.0, 8.0]);
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(
            [median(vec![3.0, 1.0, 2.0]), median(vec![4.0, 1.0]), median(Vec::new())],
            [2.0, 2.5, 0.0]
        );
    }
}
