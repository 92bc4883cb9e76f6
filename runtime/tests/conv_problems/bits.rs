//! Results as bits: they do not depend on the number of threads, on what ran before in the same memory, or on what
//! else is in the batch.

use octrt::{DataType, LoadOptions, Model, PortInfo, Session, TensorMut, TensorRef, Threads};
use octrt_ops::Tensor;

use crate::build::{self, Extents};
use crate::check::{Setting, model, session, shapes};
use crate::families::{CONVOLUTIONS, OTHERS, convolutions, family, sample};
use crate::problem::{Kind, Problem};
use crate::support;

/// About 250 of all problems.
fn some() -> Vec<Problem> {
    let all = CONVOLUTIONS.iter().chain(&OTHERS).flat_map(|(_, draw)| draw()).collect();
    sample(all, 250)
}

fn run(session: &mut Session, inputs: &[Tensor]) -> Vec<Tensor> {
    support::run(session, inputs).unwrap()
}

/// `f` of every problem, with a failure that says which one it is.
fn each(problems: &[Problem], f: impl Fn(&Problem) -> Result<(), String>) {
    let wrong: Vec<String> =
        problems.iter().filter_map(|p| f(p).err().map(|e| format!("{e}\n  OCTRT_PROBLEM='{p}'"))).collect();
    println!("{} problems, {} wrong", problems.len(), wrong.len());
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong[..wrong.len().min(8)].join("\n"));
    assert!(!problems.is_empty());
}

fn equal(what: &str, found: &[Tensor], expected: &[Tensor]) -> Result<(), String> {
    for (i, (f, e)) in found.iter().zip(expected).enumerate() {
        if f != e {
            let (f, e) = (f.to_f64s(), e.to_f64s());
            let first = f.iter().zip(&e).position(|(f, e)| f.to_bits() != e.to_bits());
            let at = first.map_or(String::new(), |i| format!("element {i} is {}, not {}", f[i], e[i]));
            return Err(format!("{what}: output {i} differs: {at}"));
        }
    }
    Ok(())
}

/// As many elements of one value as each tensor has.
fn filled_elements(like: &[Tensor], value: f32) -> Vec<Vec<f32>> {
    like.iter().map(|t| vec![value; t.numel()]).collect()
}

/// The tensors filled with one value.
fn filled(like: &[Tensor], value: f32) -> Vec<Tensor> {
    let elements = filled_elements(like, value);
    like.iter().zip(elements).map(|(t, v)| Tensor::new(t.shape().clone(), &v).unwrap()).collect()
}

#[test]
fn threads_do_not_matter() {
    let threads = [2, 3].map(|n| Threads::new(n).unwrap());
    each(&some(), |p| {
        let inputs = build::inputs(p, 0);
        let one = session(p, Setting::DEFAULT)?;
        let mut others = threads.clone().map(|t| one.model().session().map(|s| s.with_threads(t)).unwrap());
        let mut one = one;
        let expected = run(&mut one, &inputs);
        for s in &mut others {
            equal("other threads", &run(s, &inputs), &expected)?;
            equal("other threads, again", &run(s, &inputs), &expected)?;
        }
        Ok(())
    });
}

/// What a run leaves in the arena does not reach the next: not through borders, not through padded channels.
#[test]
fn earlier_runs_do_not_matter() {
    each(&some(), |p| {
        let [a, b] = [0, 1].map(|set| build::inputs(p, set));
        let mut s = session(p, Setting::DEFAULT)?;
        let first = run(&mut s, &a);
        let mut fresh = s.model().session().map_err(|e| e.to_string())?;
        let second = run(&mut fresh, &b);
        equal("after other numbers", &run(&mut fresh, &a), &first)?;
        equal("after the first run", &run(&mut s, &b), &second)?;
        for value in [f32::NAN, f32::INFINITY, -1e30] {
            run(&mut s, &filled(&a, value));
            equal(&format!("after inputs of {value}"), &run(&mut s, &a), &first)?;
        }
        let mut polluted = s.model().session().map_err(|e| e.to_string())?;
        run(&mut polluted, &filled(&a, f32::NAN));
        equal("after a first run on NaN", &run(&mut polluted, &b), &second)
    });
}

/// Every element of the outputs is written, whatever was there.
#[test]
fn outputs_are_written_entirely() {
    each(&some(), |p| {
        let inputs = build::inputs(p, 0);
        let mut s = session(p, Setting::DEFAULT)?;
        let expected = run(&mut s, &inputs);
        let names = |ports: &[PortInfo]| ports.iter().map(|p| p.name.clone()).collect::<Vec<_>>();
        let (sources, results) = (names(s.model().inputs()), names(s.model().outputs()));
        let mut given = Vec::new();
        for (name, t) in sources.iter().zip(&inputs) {
            let t = TensorRef::from_bytes(DataType::F32, t.shape(), t.bytes()).map_err(|e| e.to_string())?;
            given.push((name.as_str(), t));
        }
        let mut rooms = filled_elements(&expected, f32::NAN);
        let mut wanted = Vec::new();
        for ((name, t), room) in results.iter().zip(&expected).zip(&mut rooms) {
            wanted.push((name.as_str(), TensorMut::new(t.shape(), room).map_err(|e| e.to_string())?));
        }
        s.run_into(&given, &mut wanted).map_err(|e| e.to_string())?;
        let found: Vec<Tensor> =
            expected.iter().zip(&rooms).map(|(t, v)| Tensor::new(t.shape().clone(), v).unwrap()).collect();
        equal("in the caller's memory", &found, &expected)
    });
}

/// The tensors with NaN in every element for which `f` is true of its position on axes 0 and 1.
fn polluted(tensors: &[Tensor], f: impl Fn(&Tensor, usize, usize) -> bool) -> Vec<Tensor> {
    let one = |t: &Tensor| {
        let mut v: Vec<f32> = t.to_vec().unwrap();
        let plane: usize = t.shape()[2..].iter().product();
        for (i, v) in v.iter_mut().enumerate() {
            let (item, channel) = (i / plane / t.shape()[1], i / plane % t.shape()[1]);
            if f(t, item, channel) {
                *v = f32::NAN;
            }
        }
        Tensor::new(t.shape().clone(), &v).unwrap()
    };
    tensors.iter().map(one).collect()
}

/// The items of a batch do not see each other.
#[test]
fn items_of_a_batch_do_not_matter() {
    let is_batch = |p: &Problem, i: usize| {
        !p.is_weights(i) && matches!(&p.nodes[i].kind, Kind::Input { shape, .. } if shape[0] > 1)
    };
    let batch = |p: &Problem| p.input_nodes().all(|i| is_batch(p, i));
    let problems: Vec<Problem> = convolutions().into_iter().filter(batch).collect();
    each(&sample(problems, 150), |p| {
        let inputs = build::inputs(p, 0);
        let mut s = session(p, Setting::DEFAULT)?;
        let clean = run(&mut s, &inputs);
        let last = inputs[0].shape()[0] - 1;
        for dirty in [0, last] {
            let found = run(&mut s, &polluted(&inputs, |_, item, _| item == dirty));
            // NaN where they may be: there both become NaN.
            let hide = |t: &[Tensor]| polluted(t, |_, item, _| item == dirty);
            equal(&format!("NaN in item {dirty}"), &hide(&found), &hide(&clean))?;
        }
        Ok(())
    });
}

/// The channels of a depthwise convolution do not see each other; where each gives several channels, a block of these has
/// parts of several, and they are kept apart by strict precision only.
#[test]
fn channels_of_a_depthwise_convolution_do_not_matter() {
    each(&sample(family("depthwise"), 60), |p| {
        let inputs = build::inputs(p, 0);
        let ic = inputs[0].shape()[1];
        let several = shapes(p)?.last().is_some_and(|shape| shape[1] != ic);
        let setting = if several { Setting::STRICT } else { Setting::DEFAULT };
        let mut s = session(p, setting)?;
        let clean = run(&mut s, &inputs);
        for dirty in [0, ic / 2, ic - 1] {
            let found = run(&mut s, &polluted(&inputs, |_, _, channel| channel == dirty));
            let hide = |t: &[Tensor]| polluted(t, |t, _, channel| channel / (t.shape()[1] / ic) == dirty);
            equal(&format!("NaN in channel {dirty}"), &hide(&found), &hide(&clean))?;
        }
        Ok(())
    });
}

/// The problem with its batch and its maps larger, if it is one for these shapes too.
fn larger(p: &Problem, batch: usize, factor: usize) -> Option<Problem> {
    let mut p = p.clone();
    for node in &mut p.nodes {
        match &mut node.kind {
            Kind::Input { shape, .. } => {
                shape[0] *= batch;
                shape[2..].iter_mut().for_each(|d| *d *= factor);
            }
            // Weights of other extents are other weights.
            Kind::Gemm(_) => return None,
            _ => {}
        }
    }
    shapes(&p).ok().map(|_| p)
}

/// Whether the element types of a graph's outputs are found without the extents of its inputs.
fn loads(p: &Problem) -> bool {
    let graph = build::graph(p, &shapes(p).unwrap(), Extents::Dynamic);
    !matches!(Model::from_graph(graph, &LoadOptions::default()), Err(octrt::Error::Unsupported { .. }))
}

/// A session that runs on maps of one size, then of another in the same memory, gives what sessions for one size give.
#[test]
fn shapes_of_earlier_runs_do_not_matter() {
    let small = |p: &Problem| shapes(p).is_ok_and(|s| s.iter().all(|s| s.iter().product::<usize>() < 6000));
    let fits = |p: &Problem| small(p) && larger(p, 1, 2).is_some();
    let problems: Vec<Problem> = sample(convolutions().into_iter().filter(fits).collect(), 110);
    let problems: Vec<Problem> = problems.into_iter().filter(loads).collect();
    assert!(problems.len() > 90, "{}", problems.len());
    each(&problems, |p| {
        let mut s = model(p, Extents::Dynamic, Setting::DEFAULT)?.session().map_err(|e| e.to_string())?;
        let sizes = [(1, 1), (1, 2), (2, 1), (1, 1)].map(|(batch, factor)| larger(p, batch, factor));
        for (i, size) in sizes.iter().flatten().enumerate() {
            let inputs = build::inputs(size, i);
            let expected = run(&mut session(size, Setting::DEFAULT)?, &inputs);
            equal(&format!("size {i}"), &run(&mut s, &inputs), &expected)?;
            run(&mut s, &filled(&inputs, f32::NAN));
        }
        Ok(())
    });
}
