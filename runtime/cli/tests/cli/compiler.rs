//! `inspect`, `compile` and `compare`.

use crate::program::*;

#[test]
fn inspect_shows_what_a_model_is_made_of() {
    expect_test::expect![[r#"
        model       bench/shapes/oct_resnet_shapes.onnx
        opset       17
        producer    octrt bench/shapes 1
        input       input: f32[N,3,64,64]
        output      logits: f32[N,10]
        parameters  180910 (723640 bytes)
        MACs        59769472
        nodes       168
             35  Add
             14  AveragePool
             30  BatchNormalization
             54  Conv
              1  Flatten
              1  Gemm
              1  GlobalAveragePool
             23  Relu
              9  Resize
        metadata:
          octrt.labels: arrow ... (10 lines)
          octrt.preprocess: {"resize": "whole", "filter": "bilinear", "order": "rgb", "scale": 0.00392156862745098, "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]}
    "#]].assert_eq(octrt(&["inspect", SHAPES]).text());
}

#[test]
fn inspect_as_json_says_the_same() {
    let folder = Folder::new();
    let report = octrt(&["inspect", &folder.tiny_model(), "--format", "json", "--dim", "N=2"]).json();
    assert_eq!(report["schema"], "octrt.inspect/1");
    assert_eq!(report["inputs"][0]["dims"], serde_json::json!(["N", "3", "4", "4"]));
    assert_eq!(report["ops"]["Conv"], 1);
    assert_eq!(report["parameters"]["count"], 6);
    assert!(report["macs"].as_u64().unwrap() >= 2 * 2 * 3 * 16);
    assert_eq!(report["unsupported"], serde_json::json!([]));
}

#[test]
fn inspect_shows_what_the_passes_did() {
    let passes = octrt(&["inspect", SHAPES, "--passes"]);
    assert!(passes.text().contains("  fuse_batch_norm: applied "), "{}", passes.stdout);
    let open = Folder::new();
    let model = open.file("open.onnx", onnx(&TINY.replace("N,3,4,4", "N,3,H,4")));
    assert!(octrt(&["inspect", &model]).text().contains("MACs        not known: input 'x'"));
    octrt(&["inspect", &model, "--passes"]).assert_fails(2, "--dim H=N");
}

#[test]
fn inspect_shows_how_nodes_are_computed() {
    let shown = octrt(&["inspect", SHAPES, "--plan"]);
    let plan: Vec<&str> = shown.text().lines().skip_while(|l| !l.starts_with("plan ")).collect();
    assert!(plan[0].contains(" in groups, ") && plan[0].ends_with(" on plain tensors"), "{}", plan[0]);
    let nodes = octrt(&["inspect", SHAPES, "--plan", "--format", "json"]).json()["plan"]["nodes"].clone();
    let nodes = nodes.as_array().unwrap();
    assert_eq!(plan.len(), 1 + nodes.len());
    // Every node is in a group, or there is a reason; on a machine without leaf programs that is the one for all.
    let said =
        |n: &serde_json::Value| ["group", "within", "reason"].iter().filter(|k| n[**k].is_string()).count();
    assert!(nodes.iter().all(|n| said(n) == 1), "{nodes:?}");
    let leafless = nodes.iter().all(|n| n["reason"].as_str().is_some_and(|r| r.contains("no leaf programs")));
    let relu = |n: &&serde_json::Value| n["with"].to_string().contains("Relu");
    let conv =
        |n: &&serde_json::Value| n["group"].as_str().is_some_and(|g| g.starts_with("convolution in blocks"));
    let convolutions = nodes.iter().filter(|n| conv(n) && relu(n)).count();
    assert!(leafless || convolutions > 10, "{convolutions} convolutions with Relu");
    // A pooling in the step of a convolution is with it.
    let pools = |n: &&serde_json::Value| n["op"].as_str().is_some_and(|op| op.contains("Pool"));
    let within = nodes.iter().filter(pools).filter(|n| n["within"].to_string().contains("Conv")).count();
    assert!(leafless || within > 0, "{nodes:?}");
    // A Relu that follows a sum whose other user is another sum has its reason.
    let without = nodes.iter().filter(|n| n["without"].is_string()).count();
    assert!(leafless || without > 0, "{nodes:?}");
    octrt(&["inspect", SHAPES, "--plan", "--dim", "nothing=1"]).assert_fails(2, "nothing");
}

#[test]
fn inspect_shows_the_octave_structure() {
    let shown = octrt(&["inspect", SHAPES, "--octave"]);
    let rows: Vec<&str> = shown.text().lines().skip_while(|l| !l.starts_with("octave ")).collect();
    assert!(rows[0].starts_with("octave      16 OctConvs"), "{}", shown.stdout);
    let cells =
        |row: &str| row.split("  ").map(str::trim).filter(|c| !c.is_empty()).map(str::to_string).collect();
    let row: Vec<String> = cells(rows[4]);
    let expected =
        ["3", "/blocks.0/conv2/hh/Conv", "hh hl lh ll", "8 -> 8", "8 -> 8", "0.5 -> 0.5", "1", "3"];
    assert_eq!(row[..8], expected);
    assert_eq!(rows.len(), 2 + 16, "{}", shown.stdout);

    let report = octrt(&["inspect", SHAPES, "--octave", "--format", "json"]).json()["octave"].take();
    assert_eq!(report["octconv_layers"], 16);
    assert!(report["kernels"].as_u64().unwrap() > 16);
    let layer = &report["layers"][5];
    assert_eq!(layer["name"], "/blocks.2/shortcut/hh/Conv");
    assert_eq!((&layer["stride"], &layer["stride_kind"]), (&2.into(), &"pool".into()));
    assert_eq!(layer["out_ch"], serde_json::json!([16, 16]));
    assert_eq!(layer["fused"], layer["reason"].is_null());
}

#[test]
fn a_model_without_octave_convolutions_says_so() {
    let folder = Folder::new();
    let model = folder.tiny_model();
    let report = octrt(&["inspect", &model, "--octave"]);
    assert!(report.text().contains("octave      0 OctConvs; the model runs in "), "{}", report.stdout);
    let open = folder.file("open.onnx", onnx(&TINY.replace("N,3,4,4", "N,3,H,4")));
    octrt(&["inspect", &open, "--octave"]).assert_fails(2, "--dim H=N");
}

fn emit(stage: &str) -> String {
    let folder = Folder::new();
    octrt(&["compile", &folder.tiny_model(), "--emit", stage, "--target", "x86-64-v3"]).text().to_string()
}

#[test]
fn the_graph_is_emitted_before_and_after_the_passes() {
    expect_test::expect![[r#"
        graph "tiny" {
          input %0 "x": f32[1,3,4,4]
          const %1 "w": f32[2,3,1,1] = [1.0, 2.0, 3.0, -4.0, -5.0, -6.0]
          %2 "c": f32[1,2,4,4] = n0 "conv" Conv { kernel = [1, 1], strides = [1, 1], dilations = [1, 1], pads = [0, 0, 0, 0], auto_pad = notset, group = 1 } (%0, %1)
          %3 "r": f32[1,2,4,4] = n1 "leaky" LeakyRelu { alpha = 0.5f } (%2)
          %4 "p": f32[1,2,1,1] = n2 "pool" GlobalPool { kind = average } (%3)
          %5 "scores": f32[1,2] = n3 "flat" Flatten { axis = 1 } (%4)
          output "scores" = %5
        }
    "#]].assert_eq(&emit("graph"));
    expect_test::expect![[r#"
        graph "tiny" {
          input %0 "x": f32[1,3,4,4]
          const %1 "w": f32[2,3,1,1] = [1.0, 2.0, 3.0, -4.0, -5.0, -6.0]
          %2 "c": f32[1,2,4,4] = n0 "conv" Conv { kernel = [1, 1], strides = [1, 1], dilations = [1, 1], pads = [0, 0, 0, 0], auto_pad = notset, group = 1 } (%0, %1)
          %3 "r": f32[1,2,4,4] = n1 "leaky" LeakyRelu { alpha = 0.5f } (%2)
          %4 "p": f32[1,2,1,1] = n2 "pool" GlobalPool { kind = average } (%3)
          %5 "scores": f32[1,2] = n3 "flat" Flatten { axis = 1 } (%4)
          output "scores" = %5
        }
    "#]].assert_eq(&emit("passes"));
}

#[test]
fn loops_plan_and_code_are_emitted_for_every_function() {
    // Schedules change; what stays is how each text looks.
    let symbols = |text: &str| -> Vec<String> {
        text.lines().filter(|l| l.starts_with("; f") && l.contains(" octrt_")).map(str::to_string).collect()
    };
    let loops = emit("loop");
    let functions = symbols(&loops);
    assert!(functions[0].starts_with("; f0 octrt_0_"), "{loops}");
    assert!(functions.iter().any(|f| f.contains("_conv_global_pool 'conv' (Conv): conv")), "{functions:?}");
    // What is printed of a function is a nest that reads back.
    for text in loops.split("; f").filter(|text| text.contains("nest \"")) {
        let text = &text[text.find("nest \"").unwrap()..];
        let nest = octrt_compiler::nest::text::parse(text).unwrap_or_else(|e| panic!("{e}\n{text}"));
        assert_eq!(nest.to_string().trim_end(), text.trim_end());
    }
    let naive = emit("nest");
    assert!(naive.contains("init 0.0f32") && naive.contains("[1,1,4,4,8]"), "{naive}");
    let clif = emit("clif");
    assert!(clif.contains("function u0:0(i64, i64, i64) system_v {"), "{clif}");
    assert_eq!(symbols(&clif), functions);
    let asm = emit("asm");
    assert!(asm.contains("ret") && asm.contains("%xmm"), "{asm}");
    assert_eq!(symbols(&asm), functions);
    let plan = emit("plan");
    assert!(plan.starts_with("arena ") && plan.contains("'conv' (Conv)"), "{plan}");
    assert_eq!(plan, emit("plan"));
}

#[test]
fn the_schedule_of_a_node_is_emitted_as_a_test_file() {
    let folder = Folder::new();
    let model = folder.tiny_model();
    let of = |node: &str| {
        octrt(&["compile", &model, "--emit", "schedule", "--node", node, "--target", "x86-64-v3"])
    };
    let conv = of("conv");
    let text = conv.text();
    let heading = "; test 'conv' (Conv): conv, the part \"conv\" of its nest\n; start_from b2\n; fuse L3 L4";
    assert!(text.starts_with(heading), "{text}");
    let (steps, made) = text.split_once("\n; ---- expect\n").unwrap();
    assert!(steps.contains("\n; tensorize conv ") && steps.contains("\nnest \"conv\" {"), "{text}");
    assert!(steps.contains("init 0.0f32") && !made.contains("init"), "{text}");
    assert!(made.contains("call 0 \"conv_8x8\""), "{text}");
    let flat = of("flat");
    assert!(
        flat.text().starts_with("; test 'flat' (Layout): layout\n; parallel L0\n\nnest"),
        "{}",
        flat.stdout
    );
    of("no such node").assert_fails(2, "node 'no such node' is none of the compiled graph's");
    octrt(&["compile", &model, "--node", "conv", "-o", &folder.path("x")]).assert_fails(2, "--emit");
}

#[test]
fn the_schedules_of_small_groups_and_of_parts_of_nests_are_emitted() {
    let folder = Folder::new();
    let conv = |name: &str, channels: usize, group: usize| {
        let graph = format!(
            r#"graph "g" {{
  input %0 "x": f32[1,{channels},32,32]
  const %1 "w": f32[{channels},{},3,3] = random(1)
  %2 "y" = n0 "conv" Conv {{ kernel = [3, 3], strides = [1, 1], dilations = [1, 1], pads = [1, 1, 1, 1], auto_pad = notset, group = {group} }} (%0, %1)
  output "y" = %2
}}
"#,
            channels / group
        );
        let model = folder.file(name, onnx(&graph));
        let target = ["--target", "x86-64-v3", "--precision", "default", "--node", "conv"];
        octrt(&[&["compile", &model, "--emit", "schedule"][..], &target].concat()).text().to_string()
    };
    let winograd = conv("winograd.onnx", 32, 1);
    let heading = "; test 'conv' (Conv): conv, the part \"winograd_products\" of its nest\n; reorder ";
    assert!(winograd.contains(heading), "{winograd}");
    assert!(winograd.contains("\n; ---- expect\nnest \"winograd_products\" {\n"), "{winograd}");
    let grouped = conv("grouped.onnx", 33, 11);
    assert!(grouped.contains("; test 'conv' (Conv): conv\n; start_from b2\n"), "{grouped}");
    assert!(grouped.contains("\n  table b4: i64[5,12] = [\n    0, 1, 2, 3, 4, 5, 6, 7, 8, 8, "), "{grouped}");
}

#[test]
fn compile_writes_a_file_for_any_target() {
    let folder = Folder::new();
    let (model, file) = (folder.tiny_model(), folder.path("asm.txt"));
    for target in ["x86-64-v2", "x86-64-v3", "x86-64-v4"] {
        let made = octrt(&["compile", &model, "--emit", "asm", "--target", target, "-o", &file]);
        assert_eq!(made.text(), "");
        assert!(std::fs::read_to_string(&file).unwrap().contains("ret"));
    }
    octrt(&["compile", &model, "--emit", "asm", "-o", &folder.path("no/dir")]).assert_fails(1, "no/dir");
    assert_eq!(folder.names(), ["asm.txt", "tiny.onnx"]);
}

#[test]
fn any_precision_and_the_native_target_are_taken() {
    let folder = Folder::new();
    let model = folder.tiny_model();
    let plan =
        |args: &[&str]| octrt(&[&["compile", &model, "--emit", "plan"], args].concat()).text().to_string();
    assert_eq!(plan(&["--target", "native"]), plan(&[]));
    assert_eq!(plan(&["--precision", "default"]), plan(&[]));
    // A pointwise convolution has nothing that could be less exact.
    assert_eq!(plan(&["--precision", "strict"]), plan(&[]));
    octrt(&["compare", &model, "random", "--precision", "strict", "--target", "x86-64-v2"]).text();
}

#[test]
fn compare_shows_every_value() {
    let folder = Folder::new();
    let model = folder.tiny_model();
    expect_test::expect![[r#"
        max abs max rel bad node
        # # - conv (Conv) f32[1,2,4,4]
        # # - leaky (LeakyRelu) f32[1,2,4,4]
        # # - pool (GlobalAveragePool) f32[1,2,1,1]
        # # - flat (Flatten) f32[1,2]
        # # - conv + leaky + pool f32[1,2,1,1], together
        # # - output 'scores' f32[1,2], as for a run
        all 4 values agree, also in 2 groups and 1 outputs as for a run, max rel #
    "#]]
    .assert_eq(&without_floats(octrt(&["compare", &model, "random"]).text()));
    let report = octrt(&["compare", &model, "random", "--dim", "N=3", "--format", "json"]).json();
    assert_eq!(report["first_bad"], serde_json::Value::Null);
    assert_eq!(report["nodes"][0]["type"], "f32[3,2,4,4]");
}

#[test]
fn compare_runs_the_model_as_it_is_compiled_for_a_run() {
    let picture = "bench/shapes/pictures/ring_0.jpg";
    let args = ["compare", SHAPES, picture, "--target", "x86-64-v3", "--format", "json"];
    let report = octrt(&args).json();
    let nodes = |r: &serde_json::Value| r["nodes"].as_array().map_or(0, Vec::len);
    let groups = report["groups"].as_array().unwrap();
    // The nodes of the groups are those that were compared one by one.
    assert_eq!(groups.iter().map(nodes).sum::<usize>(), nodes(&report));
    let several = groups.iter().filter(|g| nodes(g) > 1);
    assert!(several.count() > 3, "{groups:?}");
    let outputs = report["outputs"].as_array().unwrap();
    assert_eq!(outputs.len(), 1);
    assert_eq!((outputs[0]["output"].as_str(), outputs[0]["count"].as_u64()), (Some("logits"), Some(10)));
    for part in groups.iter().chain(outputs) {
        assert_eq!(part["bad"], 0, "{part}");
    }
}

#[test]
fn compare_takes_a_model_without_nodes() {
    let folder = Folder::new();
    // One output is folded, the other one shows the input.
    let graph = r#"graph "nothing" {
      input %0 "x": f32[2,3]
      %1 "s" = "shape" Shape { start = 0, end = none } (%0)
      %2 "y" = "same" Identity {} (%0)
      output "s" = %1
      output "y" = %2
    }"#;
    let model = folder.file("m.onnx", onnx(graph));
    let found = octrt(&["compare", &model, "random"]);
    let expected = "all 0 values agree, also in 0 groups and 2 outputs as for a run";
    assert!(found.text().contains(expected), "{}", found.stdout);
    assert_eq!(octrt(&["compare", &model, "random", "--format", "json"]).json()["outputs"][1]["count"], 6);
}

#[test]
fn compare_finds_the_first_node_that_differs() {
    let picture = "bench/shapes/pictures/ring_0.jpg";
    octrt(&["compare", SHAPES, picture]).text();
    // No two ways to sum up agree to the last bit everywhere.
    let run = octrt(&["compare", SHAPES, picture, "--atol", "0", "--rtol", "0"]);
    run.assert_fails(3, "is the first that differs");
    assert!(run.stdout.contains("first bad node: "), "{}", run.stdout);
}
