//! `octavize`.

use octrt_bench::zoo::{Batch, Network, Options, Weights};

use crate::program::*;

/// A vanilla network of the zoo as a file.
fn vanilla(folder: &Folder, name: &str, size: usize, batch: Batch) -> String {
    let network: Network = name.parse().unwrap();
    let options = Options { alpha: None, style: None, size, batch, weights: Weights::Seeded(1) };
    let graph = network.graph(&options).unwrap();
    folder.file(&format!("{name}.onnx"), octrt_onnx::export(&graph, &Default::default()).unwrap())
}

#[test]
fn a_network_gets_octconvs_and_runs() {
    let folder = Folder::new();
    let model = vanilla(&folder, "mobilenet-v2-1.0", 64, Batch::Dynamic);
    let out = folder.path("oct.onnx");
    let done = octrt(&["octavize", &model, "--alpha", "0.5", "-o", &out]);
    let summary = done.text().replace(&out, "OUT");
    expect_test::expect![[r#"
        OUT: 38 of 52 convolutions are OctConvs, 25728512 -> 16760576 multiply-accumulates (65.1 %)
    "#]]
    .assert_eq(&summary);
    expect_test::expect![[r#"
        octrt: kept 'stem.conv': it reads the picture
        octrt: kept 'blocks.0.dw.conv': it is depthwise, and its input has one frequency
        octrt: kept 'blocks.13.dw.conv': the end of the network has one frequency
        octrt: kept 'blocks.13.project.conv': the end of the network has one frequency
        octrt: kept 'blocks.14.expand.conv': the end of the network has one frequency
        octrt: kept 'blocks.14.dw.conv': the end of the network has one frequency
        octrt: kept 'blocks.14.project.conv': the end of the network has one frequency
        octrt: kept 'blocks.15.expand.conv': the end of the network has one frequency
        octrt: kept 'blocks.15.dw.conv': the end of the network has one frequency
        octrt: kept 'blocks.15.project.conv': the end of the network has one frequency
        octrt: kept 'blocks.16.expand.conv': the end of the network has one frequency
        octrt: kept 'blocks.16.dw.conv': the end of the network has one frequency
        octrt: kept 'blocks.16.project.conv': the end of the network has one frequency
        octrt: kept 'tail.conv': the end of the network has one frequency
        octrt: the network computes something else now: train it further before you use it
    "#]]
    .assert_eq(&done.stderr);
    octrt(&["compare", &out, "random"]).text();
    let inspected = octrt(&["inspect", &out]);
    assert!(inspected.text().contains("input       x: f32[1,3,64,64]"), "{}", inspected.stdout);
}

#[test]
fn what_cannot_be_octavized_is_said() {
    let folder = Folder::new();
    let out = folder.path("oct.onnx");
    let octavize = |model: &str, alpha: &str| octrt(&["octavize", model, "--alpha", alpha, "-o", &out]);
    let tiny = folder.tiny_model();
    octavize(&tiny, "1").assert_fails(2, "'1': expected a number between 0 and 1");
    octavize(&tiny, "half").assert_fails(2, "'half': expected a number between 0 and 1");
    let only_stem = octavize(&tiny, "0.5");
    only_stem.assert_fails(4, "no convolution can be replaced");
    assert!(only_stem.stderr.contains("octrt: kept 'conv': it reads the picture\n"), "{}", only_stem.stderr);
    let open = folder.file("open.onnx", onnx(&TINY.replace("N,3,4,4", "N,3,H,4")));
    octavize(&open, "0.5").assert_fails(2, "give the extent of axis 2 as --dim H=N");
    assert!(!std::path::Path::new(&out).exists());
}
