//! One model used by many threads, runs on any number of threads, and runs that another thread ends: the same bits.
#![allow(missing_docs)]

mod support;

use std::time::Instant;

use octrt::{Error, FileAccess, LoadOptions, Model, Threads};
use octrt_ops::graph::text::parse;
use octrt_ops::{Tensor, TensorType};
use support::{root, run, shared};

/// What an OctConv becomes, small.
fn octave() -> Model {
    let text = std::fs::read_to_string(root().join("runtime/fuzz/seeds/octconv.txt")).unwrap();
    Model::from_graph(parse(&text, &[]).unwrap(), &LoadOptions::default()).unwrap()
}

fn carried() -> Model {
    support::load(&root().join("bench/shapes/oct_resnet_shapes.onnx")).unwrap()
}

/// An input of floats for a batch of `n`, others for every `seed`.
fn input(model: &Model, n: usize, seed: usize) -> Vec<Tensor> {
    let dims = model.inputs()[0].dims.as_ref().unwrap();
    let mut shape: Vec<usize> = dims.iter().map(|d| d.to_string().parse().unwrap_or(1)).collect();
    shape[0] = n;
    let elements = shape.iter().product();
    let value = |i: usize| ((i * 31 + seed * 17 + i * i * 7) % 256) as f32 / 64.0 - 2.0;
    vec![Tensor::new(shape, &(0..elements).map(value).collect::<Vec<_>>()).unwrap()]
}

#[test]
fn many_threads_on_one_model() {
    for threads in [Threads::one(), Threads::shared(2).unwrap()] {
        let model = octave();
        let sets: Vec<Vec<Tensor>> = (0..4).map(|seed| input(&model, 1, seed)).collect();
        let mut alone = model.session().unwrap();
        let expected: Vec<Vec<Tensor>> = sets.iter().map(|s| run(&mut alone, s).unwrap()).collect();
        assert!(expected.windows(2).all(|w| w[0] != w[1]));
        std::thread::scope(|s| {
            for thread in 0..64 {
                let (model, sets, expected, threads) = (&model, &sets, &expected, &threads);
                s.spawn(move || {
                    let mut session = model.session().unwrap().with_threads(threads.clone());
                    for i in 0..200 {
                        let set = (thread + i) % sets.len();
                        assert!(run(&mut session, &sets[set]).unwrap() == expected[set], "{thread}, run {i}");
                    }
                });
            }
        });
    }
}

#[test]
fn any_number_of_threads() {
    let mut models = vec![(carried(), 2), (octave(), 3)];
    if let Some(folder) = shared("models/oct_resnet20_cifar10_a05") {
        models.push((support::load(&folder.join("model.onnx")).unwrap(), 1));
    }
    for (model, batch) in models {
        let inputs = input(&model, batch, 1);
        let expected = run(&mut model.session().unwrap(), &inputs).unwrap();
        for count in [1, 2, 3, 4, 7] {
            let threads = Threads::new(count).unwrap();
            let mut session = model.session().unwrap().with_threads(threads);
            for _ in 0..3 {
                assert!(run(&mut session, &inputs).unwrap() == expected, "{}: {count} threads", model.name());
            }
        }
    }
}

/// Cancels a run that is under way, and says how long it took to end.
fn cancel_in_the_middle(threads: Threads) {
    let model = carried();
    // Long enough that the run is still under way when the other thread cancels it.
    let inputs = input(&model, 64, 1);
    let mut session = model.session().unwrap().with_threads(threads.clone());
    let expected = run(&mut session, &inputs).unwrap();
    let token = session.cancel_token().clone();
    let other_token = token.clone();
    let (tell, hear) = std::sync::mpsc::channel();
    let mut tell = Some(tell);
    let ports: Vec<String> = model.inputs().iter().map(|p| p.name.clone()).collect();
    let named =
        octrt::TensorRef::from_bytes(octrt::DataType::F32, inputs[0].shape(), inputs[0].bytes()).unwrap();
    let (result, end, cancelled) = std::thread::scope(|s| {
        let other = s.spawn(move || {
            hear.recv().unwrap();
            other_token.cancel();
            Instant::now()
        });
        // The observer tells that the first step is done, and waits for the cancellation in the third: it comes from
        // the other thread, whoever is faster.
        let mut steps = 0;
        let mut observer = |_: &octrt::StepEvent<'_>| {
            steps += 1;
            if let Some(tell) = tell.take() {
                tell.send(()).unwrap();
            }
            while steps == 3 && !token.is_cancelled() {
                std::thread::yield_now();
            }
            std::ops::ControlFlow::Continue(())
        };
        let result = session.run_observed(&[(&ports[0], named)], &mut observer);
        (result, Instant::now(), other.join().unwrap())
    });
    assert!(matches!(result, Err(Error::Cancelled { .. })), "{result:?}");
    let took = end.saturating_duration_since(cancelled);
    println!("{} threads: the run ended {took:?} after it was cancelled", threads.count());
    assert!(matches!(run(&mut session, &inputs), Err(Error::Cancelled { .. })), "until it is reset");
    session.cancel_token().reset();
    assert!(run(&mut session, &inputs).unwrap() == expected, "the run after a cancelled one differs");
}

#[test]
fn cancelled_in_the_middle() {
    cancel_in_the_middle(Threads::one());
    cancel_in_the_middle(Threads::new(2).unwrap());
}

#[test]
fn a_token_ends_the_runs_of_its_session_only() {
    let model = octave();
    let inputs = input(&model, 1, 0);
    let (mut a, mut b) = (model.session().unwrap(), model.session().unwrap());
    let expected = run(&mut b, &inputs).unwrap();
    a.cancel_token().cancel();
    let e = run(&mut a, &inputs).unwrap_err();
    assert!(matches!(&e, Error::Cancelled { .. }) && e.to_string().contains("cancelled at node '"), "{e}");
    assert!(run(&mut b, &inputs).unwrap() == expected);
}

/// Before a run, in it wherever it may be, or not at all: what is not cancelled is right, and so is the next run.
#[test]
fn cancelled_at_any_time() {
    let model = octave();
    let inputs = input(&model, 1, 0);
    let expected = run(&mut model.session().unwrap(), &inputs).unwrap();
    for threads in [Threads::one(), Threads::new(2).unwrap()] {
        let mut session = model.session().unwrap().with_threads(threads);
        let token = session.cancel_token().clone();
        let (mut cancelled, mut complete) = (0, 0);
        for i in 0..400 {
            let result = std::thread::scope(|s| match i % 4 {
                0 => {
                    token.cancel();
                    run(&mut session, &inputs)
                }
                1 => run(&mut session, &inputs),
                _ => {
                    s.spawn(|| {
                        (0..i * 10).for_each(|_| std::hint::spin_loop());
                        token.cancel();
                    });
                    run(&mut session, &inputs)
                }
            });
            match result {
                Ok(found) => {
                    assert!(found == expected && i % 4 != 0, "{i}");
                    complete += 1;
                }
                Err(Error::Cancelled { .. }) => {
                    assert_ne!(i % 4, 1);
                    cancelled += 1;
                }
                Err(e) => panic!("{i}: {e}"),
            }
            token.reset();
        }
        println!("{cancelled} cancelled, {complete} complete");
    }
}

/// Copies of files do not care what becomes of them.
#[test]
fn files_that_were_read_may_change() {
    let folder = tempfile::tempdir().unwrap();
    let model = carried();
    let types = [TensorType::new(octrt_ops::DType::F32, [1, 3, 64, 64])];
    let (onnx, octrt) = (folder.path().join("m.onnx"), folder.path().join("m.octrt"));
    std::fs::copy(root().join("bench/shapes/oct_resnet_shapes.onnx"), &onnx).unwrap();
    model.save(&types, &octrt).unwrap();
    let inputs = input(&model, 1, 3);
    let expected = run(&mut model.session().unwrap(), &inputs).unwrap();
    for path in [onnx, octrt] {
        let options = LoadOptions::default().with_file_access(FileAccess::Read);
        let read = Model::load(&path, &options).unwrap();
        std::fs::File::options().write(true).open(&path).unwrap().set_len(10).unwrap();
        let mut session = read.session().unwrap();
        assert!(run(&mut session, &inputs).unwrap() == expected);
        std::fs::remove_file(&path).unwrap();
        assert!(run(&mut session, &inputs).unwrap() == expected);
    }
}
