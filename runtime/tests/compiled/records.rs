//! Records: they decide how a model is compiled, and files of compiled models keep what they have decided.

use octrt::records::{Record, Subject, model_key};
use octrt::{Error, Isa, LoadOptions, Model, Records, Specialization, Target, detect_isa};
use octrt_compiler::Options;
use octrt_compiler::leaf::programs::Winograd;
use octrt_compiler::pipeline;
use octrt_compiler::strategy::conv::Algorithm;
use octrt_compiler::strategy::decision::{Decision, Tiling};
use octrt_ops::graph::text::parse;
use serde_json::{Value, json};

use crate::given::*;
use crate::support::compiled_file::Parts;

/// A convolution of 3x3 in which there is something to choose.
const CONV: &str = r#"graph "g" {
  input %0 "x": f32[1,32,8,8]
  const %1 "w": f32[64,32,3,3] = random(1)
  %2 "y" = n0 "conv" Conv { kernel = [], strides = [], dilations = [], pads = [1, 1, 1, 1], auto_pad = notset, group = 1 } (%0, %1)
  output "y" = %2
}
"#;

const PROBLEM: &str = "mb1g1ic32oc64id1ih8iw8od1oh8ow8kd1kh3kw3sd1sh1sw1dd0dh0dw0pd0ph1pw1";

const TARGET: Target = Target::new(Isa::V3);

/// Records that decide this for the convolution.
fn records(decision: Decision) -> Records {
    let subject = Subject::Convolution(PROBLEM.parse().unwrap(), decision);
    Records::parse(Record { isa: Isa::V3, subject, ns: 1000 }.line().as_bytes())
}

fn model(records: Records) -> Model {
    let options = LoadOptions::default().with_target(TARGET).with_records(records);
    Model::from_graph(parse(CONV, &[]).unwrap(), &options).unwrap()
}

/// What is decided for the convolution of a model.
fn decided(model: &Model) -> Decision {
    let graph = model.specialized(&Specialization::new(types(model, 1))).unwrap();
    let options = Options { target: TARGET, precision: model.precision() };
    let choice = pipeline::decide(&graph, options, model.records()).unwrap().choice;
    assert_eq!(choice.convolutions.len(), 1);
    choice.convolutions[0].decision
}

fn saved(model: &Model) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.octrt");
    model.save(&types(model, 1), &path).unwrap();
    std::fs::read(path).unwrap()
}

/// Ways to carry it out, all of them other than the compiler's own.
fn ways() -> [Decision; 3] {
    let tiling = Tiling { parts: Some(2), vectors: Some(4), ..Tiling::NONE };
    [
        Decision { algorithm: Algorithm::Direct, tiling },
        Algorithm::Winograd(Winograd::F2).into(),
        Decision {
            algorithm: Algorithm::Winograd(Winograd::F4),
            tiling: Tiling { chunks: Some(2), ..Tiling::NONE },
        },
    ]
}

#[test]
fn records_decide_and_compiled_files_keep_what_they_have_decided() {
    if detect_isa().unwrap() < Isa::V3 {
        eprintln!("skipped: this machine does not run x86-64-v3");
        return;
    }
    for way in ways() {
        let model = model(records(way));
        assert_eq!(decided(&model), way);
        let file = saved(&model);
        assert_eq!(file, saved(&model), "{way}");
        let parts = Parts::of(&file);
        assert_eq!(parts.manifest["decisions"][0]["problem"], PROBLEM);
        assert_eq!(parts.manifest["decisions"][0]["algorithm"], way.algorithm.to_string());
        let loaded = Model::from_bytes(file, &LoadOptions::default()).unwrap();
        assert_eq!(loaded.records(), model.records());
        assert_eq!(
            results(&loaded, &inputs(&types(&loaded, 1))).unwrap(),
            results(&model, &inputs(&types(&model, 1))).unwrap()
        );
    }
}

#[test]
fn without_records_a_file_has_no_decisions() {
    let own = model(Records::default());
    assert_eq!(Parts::of(&saved(&own)).manifest["decisions"], json!([]));
    // Those of other convolutions are not kept.
    let line = Record {
        isa: Isa::V3,
        subject: Subject::Convolution(
            PROBLEM.replace("ic32", "ic31").parse().unwrap(),
            Algorithm::Direct.into(),
        ),
        ns: 1,
    };
    let other = model(Records::parse(line.line().as_bytes()));
    assert_eq!(saved(&other), saved(&own));
}

/// What loading and compiling says of a file whose decision was changed.
fn changed(change: impl Fn(&mut Value)) -> Result<(), Error> {
    let mut parts = Parts::of(&saved(&model(records(ways()[0]))));
    change(&mut parts.manifest["decisions"][0]);
    let options = LoadOptions::default().with_max_memory(8 << 20);
    Model::from_bytes(parts.file(), &options)?.session().map(|_| ())
}

#[test]
fn decisions_of_a_file_cannot_harm() {
    if detect_isa().unwrap() < Isa::V3 {
        eprintln!("skipped: this machine does not run x86-64-v3");
        return;
    }
    changed(|_| ()).unwrap();
    let corrupt = |change: &dyn Fn(&mut Value), says: &str| match changed(change) {
        Err(Error::Corrupt { message, .. }) => assert!(message.contains(says), "{message}"),
        other => panic!("{other:?}"),
    };
    corrupt(&|d| d["algorithm"] = json!("fft"), "unknown algorithm 'fft'");
    corrupt(&|d| d["problem"] = json!("mb1"), "a decision for 'mb1'");
    corrupt(&|d| d["tiling"]["order"] = json!("x"), "unknown order 'x'");
    corrupt(&|d| d["tiling"]["parts"] = json!(-1), "manifest");
    // The weights of the file are packed for another algorithm, or in other tiles.
    corrupt(&|d| d["algorithm"] = json!("f2"), "packed weight 0: expected");
    corrupt(&|d| d["tiling"]["vectors"] = json!(1), "packed weight 0: expected");
    // What does not serve the convolution is passed over.
    changed(|d| d["tiling"]["parts"] = json!(usize::MAX)).unwrap();
    changed(|d| d["tiling"]["chunks"] = json!(0)).unwrap();
}

#[test]
fn a_cache_folder_has_an_entry_for_each_set_of_records() {
    if detect_isa().unwrap() < Isa::V3 {
        eprintln!("skipped: this machine does not run x86-64-v3");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let bytes = octrt_onnx::export(&parse(CONV, &[]).unwrap(), &Default::default()).unwrap();
    let mut seen = Vec::new();
    for records in [Records::default(), records(ways()[0]), records(ways()[1]), records(ways()[0])] {
        let options = LoadOptions::default()
            .with_target(TARGET)
            .with_records(records)
            .with_cache_dir(folder.path().join("cache"));
        let model = Model::from_bytes(bytes.clone(), &options).unwrap();
        model.session().unwrap();
        seen.push(std::fs::read_dir(folder.path().join("cache")).unwrap().count());
    }
    assert_eq!(seen, [1, 2, 3, 3]);
}

#[test]
fn records_of_a_whole_model_choose_the_target() {
    if detect_isa().unwrap() < Isa::V3 {
        eprintln!("skipped: this machine does not run x86-64-v3");
        return;
    }
    let graph = parse(CONV, &[]).unwrap();
    let key = model_key(&graph);
    let target = |isas: &[(Isa, u64)], chosen: Option<Target>| {
        let line = |(isa, ns): &(Isa, u64)| {
            Record { isa: *isa, subject: Subject::Model(key.clone()), ns: *ns }.line()
        };
        let text: String = isas.iter().map(line).collect();
        let options =
            LoadOptions::default().with_target(chosen).with_records(Records::parse(text.as_bytes()));
        Model::from_graph(graph.clone(), &options).unwrap().target().unwrap().isa
    };
    let native = octrt::detect_target().unwrap().isa;
    assert_eq!(target(&[], None), native);
    assert_eq!(target(&[(Isa::V2, 5)], None), native);
    assert_eq!(target(&[(Isa::V2, 5), (Isa::V3, 6)], None), Isa::V2);
    assert_eq!(target(&[(Isa::V2, 6), (Isa::V3, 5)], None), Isa::V3);
    assert_eq!(target(&[(Isa::V2, 5), (Isa::V3, 6)], Some(TARGET)), Isa::V3);
}
