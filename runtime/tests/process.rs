//! What a process as a whole must hold: tests that look at its memory map or change its rules, one process each.
#![allow(missing_docs)]

mod support;

use octrt::{Error, LoadOptions, Model, TensorRef, Threads};
use octrt_ops::Tensor;
use octrt_ops::graph::text::parse;
use serde_json::json;
use support::compiled_file::Parts;
use support::process::in_child;
use support::{root, run};

/// Bytes of all mappings, and of the executable ones.
fn mapped() -> (usize, usize) {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let mut sums = (0, 0);
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        let (begin, end) = words.next().unwrap().split_once('-').unwrap();
        let hex = |s| usize::from_str_radix(s, 16).unwrap();
        let bytes = hex(end) - hex(begin);
        sums.0 += bytes;
        if words.next().unwrap().contains('x') {
            sums.1 += bytes;
        }
    }
    sums
}

/// `y = x * 2 * 3` for `n` numbers.
fn scale_twice(n: &str) -> Model {
    let text = format!(
        "graph \"g\" {{\n  input %0 \"x\": f32[{n}]\n  const %1 \"a\": f32[1] = [2]\n  \
         const %2 \"b\": f32[1] = [3]\n  %3 \"t\" = \"first\" Binary {{ kind = mul }} (%0, %1)\n  \
         %4 \"y\" = \"second\" Binary {{ kind = mul }} (%3, %2)\n  output \"y\" = %4\n}}\n"
    );
    Model::from_graph(parse(&text, &[]).unwrap(), &LoadOptions::default()).unwrap()
}

fn run_once() {
    let model = scale_twice("100000");
    let mut session = model.session().unwrap();
    let x = vec![1.0f32; 100_000];
    session.run(&[("x", TensorRef::new(&[100_000], &x).unwrap())]).unwrap();
}

#[test]
fn dropped_models_leave_no_memory_behind() {
    in_child("dropped_models_leave_no_memory_behind", || {
        (0..10).for_each(|_| run_once());
        let before = mapped();
        (0..200).for_each(|_| run_once());
        let after = mapped();
        assert_eq!(after.1, before.1, "executable memory");
        assert!(after.0 <= before.0 + (1 << 20), "{} bytes mapped before, {} after", before.0, after.0);
    });
}

#[test]
fn code_for_shapes_of_long_ago_is_freed() {
    in_child("code_for_shapes_of_long_ago_is_freed", || {
        let model = scale_twice("?");
        let mut session = model.session().unwrap();
        let mut run = |n: usize| {
            session.run(&[("x", TensorRef::new(&[n], &vec![1.0f32; n]).unwrap())]).unwrap();
            mapped().1
        };
        let kept = run(1).max((2..10).map(&mut run).max().unwrap());
        assert_eq!((10..=200).map(run).max(), Some(kept));
    });
}

#[test]
fn refused_executable_memory_is_an_error() {
    in_child("refused_executable_memory_is_an_error", || {
        const PR_SET_MDWE: libc::c_int = 65;
        const PR_MDWE_REFUSE_EXEC_GAIN: libc::c_ulong = 1;
        // SAFETY: changes a rule of this child process only.
        let refused = unsafe { libc::prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) };
        if refused != 0 {
            return eprintln!("SKIPPED: this kernel, before 6.3, cannot forbid executable memory");
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.octrt");
        let (carried, types) = carried();
        // Making a file needs no code that runs.
        carried.save(&types, &path).unwrap();
        let compiled = Model::load(&path, &LoadOptions::default()).unwrap();
        for model in [carried, compiled] {
            let e = model.session().and_then(|mut s| s.prepare(&types)).unwrap_err();
            assert!(matches!(e, Error::NotExecutable(_)), "{e}");
            assert!(e.to_string().contains("may not run generated code (Permission denied"), "{e}");
        }
    });
}

/// The carried model, and the types of its input.
fn carried() -> (Model, Vec<octrt_ops::TensorType>) {
    let model = support::load(&root().join("bench/shapes/oct_resnet_shapes.onnx")).unwrap();
    (model, vec![octrt_ops::TensorType::new(octrt_ops::DType::F32, [1, 3, 64, 64])])
}

fn picture() -> Vec<Tensor> {
    let pixels: Vec<f32> = (0..3 * 64 * 64).map(|i| (i * i % 251) as f32 / 64.0 - 2.0).collect();
    vec![Tensor::new([1, 3, 64, 64], &pixels).unwrap()]
}

/// Calls `body` in a fork of this process, and waits until it has ended well. A fork that hangs is ended by a signal.
fn in_fork(body: impl FnOnce()) {
    // SAFETY: the child has one thread, which ends it without returning from here.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // SAFETY: concerns this process only.
        unsafe { libc::alarm(60) };
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body));
        // SAFETY: ends the process without what the parent would do at its end.
        unsafe { libc::_exit(i32::from(ended.is_err())) };
    }
    assert!(child > 0, "{}", std::io::Error::last_os_error());
    let mut status = -1;
    // SAFETY: `status` lives until the call returns.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert_eq!(status, 0, "the fork failed, or was ended by a signal");
}

#[test]
fn a_fork_runs_on_one_thread() {
    in_child("a_fork_runs_on_one_thread", || {
        let (model, types) = carried();
        let mut session = model.session().unwrap();
        let expected = run(&mut session, &picture()).unwrap();
        in_fork(|| {
            assert!(run(&mut session, &picture()).unwrap() == expected);
            let mut other = model.session().unwrap();
            assert!(run(&mut other, &picture()).unwrap() == expected);
            let mut batch = types.clone();
            batch[0].shape = [2, 3, 64, 64].into();
            other.prepare(&batch).unwrap();
        });
        assert!(run(&mut session, &picture()).unwrap() == expected);
    });
}

#[test]
fn a_fork_has_no_worker_threads() {
    in_child("a_fork_has_no_worker_threads", || {
        let (model, _) = carried();
        let expected = run(&mut model.session().unwrap(), &picture()).unwrap();
        let threads = Threads::new(2).unwrap();
        let mut session = Some(model.session().unwrap().with_threads(threads.clone()));
        let mut kept = [Some(model), None];
        assert!(run(session.as_mut().unwrap(), &picture()).unwrap() == expected);
        let mut threads = Some(threads);
        in_fork(|| {
            let e = run(session.as_mut().unwrap(), &picture()).unwrap_err();
            assert!(matches!(&e, Error::Forked(_)), "{e}");
            assert!(e.to_string().contains("load the model after the fork"), "{e}");
            // On threads of its own, the child can go on.
            let own = Threads::new(2).unwrap();
            let mut other = kept[0].as_ref().unwrap().session().unwrap().with_threads(own);
            assert!(run(&mut other, &picture()).unwrap() == expected);
            drop((other, session.take(), kept[0].take(), threads.take()));
        });
        // The fork's copies went, not these.
        assert!(kept[1].is_none() && threads.is_some());
        assert!(run(session.as_mut().unwrap(), &picture()).unwrap() == expected);
    });
}

/// A line of this process's status, in KiB.
fn status(field: &str) -> usize {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|l| l.strip_prefix(field)?.strip_prefix(':')).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse().unwrap()
}

/// Runs so often, and panics when the process is larger after the last run than after the first fifty.
fn runs_do_not_add_up(runs: usize) {
    let (model, _) = carried();
    for threads in [Threads::one(), Threads::new(2).unwrap()] {
        let mut session = model.session().unwrap().with_threads(threads);
        let picture = picture();
        let expected = run(&mut session, &picture).unwrap();
        let mut before = 0;
        for i in 0..50 + runs {
            assert!(run(&mut session, &picture).unwrap() == expected, "run {i}");
            if i == 50 {
                before = status("VmRSS");
            }
        }
        let after = status("VmRSS");
        println!("{before} KiB before {runs} runs, {after} KiB after");
        assert!(after <= before + 1024, "{before} KiB before {runs} runs, {after} KiB after");
    }
}

#[test]
fn a_process_does_not_grow() {
    in_child("a_process_does_not_grow", || runs_do_not_add_up(300));
}

#[test]
#[ignore = "ten thousand runs of a network take about a minute"]
fn a_process_that_runs_for_long_does_not_grow() {
    in_child("a_process_that_runs_for_long_does_not_grow", || runs_do_not_add_up(10_000));
}

/// Few bytes of file that ask for much memory.
#[test]
fn compiled_files_take_no_more_memory_than_the_limit() {
    in_child("compiled_files_take_no_more_memory_than_the_limit", || {
        const LIMIT: usize = 64 << 20;
        let text = "graph \"g\" {\n  input %0 \"x\": f32[300]\n  const %1 \"c\": f32[300] = random(1)\n  \
                    %2 \"y\" = \"add\" Binary { kind = add } (%0, %1)\n  output \"y\" = %2\n}\n";
        let model = Model::from_graph(parse(text, &[]).unwrap(), &LoadOptions::default()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.octrt");
        model.save(&model.fixed_input_types().unwrap(), &path).unwrap();
        let file = std::fs::read(path).unwrap();
        let options = LoadOptions::default().with_max_memory(LIMIT);
        run(
            &mut Model::from_bytes(file.clone(), &options).unwrap().session().unwrap(),
            &[Tensor::new([300], &[1.0f32; 300]).unwrap()],
        )
        .unwrap();
        let changed = |change: &dyn Fn(&mut Parts)| {
            let mut parts = Parts::of(&file);
            change(&mut parts);
            parts.file()
        };
        let graph = |from: &'static str, to: &'static str| {
            move |p: &mut Parts| p.manifest["graph"] = json!(p.graph().replace(from, to))
        };
        let hostile = [
            // The same four megabytes a thousand times.
            changed(&|p| {
                p.data.resize(4 << 20, 0);
                p.manifest["blobs"] = json!(vec![json!({"dtype": "f32", "dims": [1 << 20], "at": 0}); 1000]);
            }),
            // Constants that the text itself makes.
            changed(&graph(
                "const %1",
                "const %3: f32[250000000] = fill(1)\n  const %4: f32[250000000] = random(1)\n  const %1",
            )),
            // Tokens are larger than their characters.
            changed(&|p| p.manifest["graph"] = json!("1,".repeat(16 << 20))),
            changed(&|p| {
                p.manifest["blobs"] = json!(vec![json!({"dtype": "f32", "dims": [1], "at": null}); 600_000])
            }),
            // Zeros take no memory, unless somebody writes them elsewhere.
            changed(&|p| {
                p.manifest["blobs"] = json!([{"dtype": "f32", "dims": [300, 10_000_000], "at": null}]);
                let text = p.graph().replace("f32[300] = blob", "f32[300,10000000] = blob");
                p.manifest["graph"] = json!(text.replace("kind = add", "kind = mul"));
            }),
        ];
        for (i, file) in hostile.into_iter().enumerate() {
            let before = status("VmHWM");
            let e = Model::from_bytes(file, &options).and_then(|m| m.session()).unwrap_err();
            let grown = (status("VmHWM") - before) << 10;
            println!("file {i}: {grown} bytes more, {}", e.to_string().chars().take(200).collect::<String>());
            assert!(grown < 3 * LIMIT, "file {i}: {grown} bytes, {e}");
            assert!(e.kind() != octrt::ErrorKind::Runtime, "file {i}: {e:?}");
        }
    });
}
