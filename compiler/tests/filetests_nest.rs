//! Tile nests on the files of `filetests/nest`.
//!
//! `; test verify` verifies the nest and prints it. `; test run` runs it in the interpreter and with emulated machine code,
//! which must agree, and prints the results; the elements of its inputs stand in directives, one per buffer `in`, in order:
//! `; buffer 1.0 2.5`. `; test races` says which byte two iterations of the parallel loop write, or one reads unwritten, and
//! what the verifier says, which must refuse such a nest.

mod filetest;

use filetest::Case;
use octrt_compiler::nest::interp::{Engine, Part, Prepared, races};
use octrt_compiler::nest::{BufferRole, Nest, text, verify};
use octrt_ops::Tensor;

#[test]
fn nests() {
    filetest::run_folder("filetests/nest", &test);
}

fn test(case: &Case) -> Result<String, String> {
    let nest = text::parse(&case.input).map_err(|e| e.to_string())?;
    let printed = nest.to_string();
    assert_eq!(text::parse(&printed).as_ref(), Ok(&nest), "{}", case.path.display());
    let verified = verify::verify(&nest).map_err(|e| e.to_string());
    let inputs = inputs(case, &nest)?;
    let inputs: Vec<Option<&Tensor>> = inputs.iter().map(Option::as_ref).collect();
    let what = case.directive("test").map(|d| d.words.join(" ")).unwrap_or_default();
    match what.as_str() {
        "verify" => verified.map(|()| printed),
        "run" => {
            verified?;
            let by = |engine| {
                let run = Prepared::new(&nest, engine).and_then(|nest| nest.run_part(&inputs, Part::All));
                run.map_err(|e| e.to_string())
            };
            let results = by(Engine::Interpreter)?;
            assert_eq!(by(Engine::Emulator)?, results, "{}", case.path.display());
            let line = |r: &Tensor| Ok(format!("{:?}\n", r.to_vec::<f32>().map_err(|e| e.to_string())?));
            results.iter().map(line).collect()
        }
        "races" => {
            let race = races(&nest, &inputs).map_err(|e| e.to_string())?;
            assert!(race.is_none() || verified.is_err(), "{}", case.path.display());
            let race = race.map_or("none".into(), |byte| format!("byte {byte}"));
            Ok(format!("{race}\n{}\n", verified.map_or_else(|e| e, |()| "accepted".into())))
        }
        _ => Err(format!("there is no test '{what}'")),
    }
}

/// A tensor for each buffer `in`, zeros where the file has no elements.
fn inputs(case: &Case, nest: &Nest) -> Result<Vec<Option<Tensor>>, String> {
    let mut given = case.directives.iter().filter(|d| d.name == "buffer");
    let mut all = Vec::new();
    for b in &nest.buffers {
        if b.role != BufferRole::Src {
            all.push(None);
            continue;
        }
        let elements = match given.next() {
            Some(d) => d.words.iter().map(|w| w.parse::<f32>().map_err(|e| format!("{w}: {e}"))).collect(),
            None => Ok(vec![0.0; b.ty.shape.numel()]),
        };
        let tensor = Tensor::new(b.ty.shape.clone(), &elements?).map_err(|e| e.to_string())?;
        all.push(Some(tensor));
    }
    Ok(all)
}
