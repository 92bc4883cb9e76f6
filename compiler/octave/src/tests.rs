use octrt_ops::graph::infer::{Limits, specialize};
use octrt_ops::graph::text;

use super::{Octave, Order, Route, StrideKind, UpKind, find};

const CONV: &str =
    "Conv { kernel = [], strides = [], dilations = [], pads = [1, 1, 1, 1], auto_pad = notset, group = 1 }";
const POINTWISE: &str =
    "Conv { kernel = [], strides = [], dilations = [], pads = [], auto_pad = notset, group = 1 }";
const POOL: &str = "AveragePool { kernel = [2, 2], strides = [2, 2], dilations = [], pads = [], auto_pad = notset, \
     ceil_mode = 0, count_include_pad = 0 }";
const UP: &str = "Resize { mode = nearest, coordinates = asymmetric, nearest_mode = floor, cubic_coeff_a = -0.75f, \
     exclude_outside = 0, extrapolation_value = 0.0f, antialias = 0, aspect = stretch, axes = [] }";

/// The structure of a graph in which `CONV`, `HALF` (of stride 2), `POOL`, `UP`, `ADD` and `RELU` stand for operators. Its inputs are a map of
/// 4 channels and 8x8 pixels, `%0`, and one of 4x4, `%1`; `%2` is a weight and `%3` are the scales of an upsampling.
fn of(nodes: &str, outputs: &[u32]) -> Octave {
    let mut lines = "input %0 \"h\": f32[1,4,8,8]
        input %1 \"l\": f32[1,4,4,4]
        const %2: f32[4,4,3,3] = random(1)
        const %3: f32[4] = [1, 1, 2, 2]\n"
        .to_string();
    lines += nodes;
    lines.extend(outputs.iter().map(|v| format!("\noutput \"y{v}\" = %{v}")));
    let half = CONV.replace("strides = []", "strides = [2, 2]");
    for (word, op) in [("CONV", CONV), ("HALF", &half), ("POOL", POOL), ("UP", UP)] {
        lines = lines.replace(word, op);
    }
    lines = lines.replace("ADD", "Binary { kind = add }").replace("RELU", "Unary { kind = relu }");
    let graph = text::parse(&format!("graph \"g\" {{\n{lines}\n}}"), &[]).unwrap();
    let types: Vec<_> = graph.inputs.iter().map(|i| i.declared_type().unwrap()).collect();
    find(&specialize(&graph, &types, Limits::default()).unwrap()).unwrap()
}

/// Paths, stride and why it is not fused, of each layer.
fn layers(octave: &Octave) -> Vec<(String, usize, Option<&str>)> {
    let paths = |convs: &[(Route, String)]| convs.iter().map(|(r, _)| r.name()).collect::<Vec<_>>().join(" ");
    octave.layers.iter().map(|l| (paths(&l.convs), l.stride, l.unfused.as_deref())).collect()
}

fn misses(octave: &Octave) -> Vec<(&str, &str)> {
    octave.near_misses.iter().map(|m| (m.node.as_str(), m.reason.as_str())).collect()
}

const HIGH: &str = "%4 = \"hh\" CONV (%0, %2)
    %5 = \"lh\" CONV (%1, %2)
    %6 = \"up\" UP (%5, _, %3)
    %7 \"sum_h\" = \"sum_h\" ADD (%4, %6)\n";

#[test]
fn four_paths_are_a_layer() {
    let low = "%8 = \"pool\" POOL (%0)
        %9 = \"hl\" CONV (%8, %2)
        %10 = \"ll\" CONV (%1, %12)
        %11 = \"sum_l\" ADD (%10, %9)
        const %12: f32[4,4,3,3] = random(2)";
    let octave = of(&format!("{HIGH}{low}"), &[7, 11]);
    assert_eq!(layers(&octave), [("hh hl lh ll".to_string(), 1, None)]);
    let layer = &octave.layers[0];
    assert_eq!((layer.up, layer.in_ch, layer.out_ch), (Some(UpKind::Nearest), [4, 4], [4, 4]));
    assert_eq!(layer.inner, ["up", "sum_h", "sum_l"]);
    assert_eq!((layer.alpha_in(), layer.alpha_out()), (0.5, 0.5));
}

#[test]
fn a_low_path_from_the_high_result_is_none() {
    let low = "%8 = \"pool\" POOL (%7)
        %9 = \"hl\" CONV (%8, %2)
        %10 = \"ll\" CONV (%1, %12)
        %11 = \"sum_l\" ADD (%10, %9)
        const %12: f32[4,4,3,3] = random(2)";
    let octave = of(&format!("{HIGH}{low}"), &[7, 11]);
    assert_eq!(layers(&octave), [("hh lh".to_string(), 1, None)]);
    let reason = "Conv 'hl' reads 'sum_h', which is computed from the input of Conv 'll'";
    assert_eq!(misses(&octave), [("sum_l", reason)]);
}

#[test]
fn an_upsampled_branch_of_a_network_is_none() {
    // A pyramid: the low map is made from the high one.
    let nodes = "%4 = \"hh\" CONV (%0, %2)
        %5 = \"pool\" POOL (%4)
        %6 = \"relu\" RELU (%5)
        %7 = \"lateral\" CONV (%4, %2)
        %8 = \"top\" CONV (%6, %2)
        %9 = \"up\" UP (%8, _, %3)
        %10 = \"sum\" ADD (%7, %9)
        %11 = \"other\" CONV (%1, %2)";
    let octave = of(nodes, &[4, 10, 11]);
    assert_eq!(layers(&octave), []);
    assert_eq!(misses(&octave).len(), 1);
}

#[test]
fn a_last_layer_that_sums_at_low_resolution_is_none() {
    let nodes = "%4 = \"hh\" CONV (%0, %2)
        %5 = \"pool\" POOL (%4)
        %6 = \"ll\" CONV (%1, %2)
        %7 = \"sum\" ADD (%5, %6)";
    let octave = of(nodes, &[7]);
    assert_eq!(layers(&octave), []);
    let reason = "AveragePool 'pool' stands behind Conv 'hh': the sum is at low resolution";
    assert_eq!(misses(&octave), [("sum", reason)]);
}

#[test]
fn pooling_inside_a_layer_of_one_resolution_is_none() {
    let nodes = "%4 = \"full\" CONV (%0, %2)
        %5 = \"pool\" POOL (%0)
        %6 = \"half\" CONV (%5, %2)
        %7 = \"up\" UP (%6, _, %3)
        %8 = \"sum\" ADD (%4, %7)
        %9 = \"other\" CONV (%1, %2)";
    let octave = of(nodes, &[8, 9]);
    assert_eq!(layers(&octave), []);
    let reason = "both paths read 'h': there is no tensor at low resolution";
    assert_eq!(misses(&octave), [("sum", reason)]);
}

#[test]
fn a_residual_network_with_pooled_shortcuts_has_no_layers() {
    // conv(x) and conv(pool(x)) are the first layer of an octave network, but nothing reads them as two resolutions.
    let nodes = "const %4: f32[4] = [1, 1, 1, 1]
        %5 = \"a\" CONV (%0, %2)
        %6 = \"b\" HALF (%5, %2)
        %7 = \"c\" CONV (%6, %2)
        %8 = \"pool\" POOL (%0)
        %9 = \"shortcut\" CONV (%8, %2, %4)
        %10 = \"sum\" ADD (%7, %9)
        %11 = \"other\" CONV (%1, %2)";
    let octave = of(nodes, &[10, 11]);
    assert_eq!((layers(&octave), misses(&octave)), (vec![], vec![]));
}

#[test]
fn a_preactivated_residual_network_has_no_layers() {
    // The shortcut and the branch have activations of their own: neither convolution's input is computed from the other's.
    for shortcut in ["HALF (%4, %2)", "CONV (%9, %2)"] {
        let nodes = format!(
            "%4 = \"shortcut_act\" RELU (%0)
            %5 = \"branch_act\" Unary {{ kind = hard_swish }} (%0)
            %6 = \"a\" HALF (%5, %2)
            %7 = \"act\" RELU (%6)
            %8 = \"b\" CONV (%7, %2)
            %9 = \"pool\" POOL (%4)
            %10 = \"shortcut\" {shortcut}
            %11 = \"sum\" ADD (%8, %10)
            %12 = \"other\" CONV (%1, %2)"
        );
        let octave = of(&nodes, &[11, 12]);
        assert_eq!((layers(&octave), misses(&octave)), (vec![], vec![]));
    }
}

#[test]
fn upsampling_before_a_convolution_is_fused_where_that_is_the_same() {
    let nodes = "%4 = \"hh\" CONV (%0, %2)
        %5 = \"up\" UP (%1, _, %3)
        %6 = \"lh\" CONV (%5, %2)
        %7 = \"sum\" ADD (%4, %6)";
    let reason = "Resize 'up' upsamples before Conv 'lh', which runs at high resolution";
    let octave = of(nodes, &[7]);
    assert_eq!(layers(&octave), [("hh lh".to_string(), 1, Some(reason))]);
    assert_eq!(octave.layers[0].order, Some(Order::UpConv));
    let pointwise = nodes.replace("%2)", "%8)").replace("CONV", POINTWISE);
    let octave = of(&format!("const %8: f32[4,4,1,1] = random(2)\n{pointwise}"), &[7]);
    assert_eq!(layers(&octave), [("hh lh".to_string(), 1, None)]);
}

#[test]
fn an_activation_on_a_path_keeps_a_layer_from_being_fused() {
    let nodes = "%4 = \"hh\" CONV (%0, %2)
        %5 = \"lh\" CONV (%1, %2)
        %6 = \"relu\" RELU (%5)
        %7 = \"up\" UP (%6, _, %3)
        %8 = \"sum\" ADD (%4, %7)";
    let octave = of(nodes, &[8]);
    assert_eq!(
        layers(&octave),
        [("hh lh".to_string(), 1, Some("Relu 'relu' is applied to lh before the sum"))]
    );
}

#[test]
fn upsampling_that_repeats_no_pixels_is_not_fused() {
    let nodes = HIGH.replace("UP", &UP.replace("floor", "ceil"));
    let reason = "Resize 'up' does not repeat every pixel twice";
    assert_eq!(layers(&of(&nodes, &[7])), [("hh lh".to_string(), 1, Some(reason))]);
    let nodes = HIGH.replace("UP", &UP.replace("nearest,", "linear,"));
    let octave = of(&nodes, &[7]);
    let reason = "Resize 'up' interpolates, and only repeated pixels are fused";
    assert_eq!(layers(&octave), [("hh lh".to_string(), 1, Some(reason))]);
    assert_eq!(octave.layers[0].up, Some(UpKind::Bilinear));
}

#[test]
fn rows_and_columns_that_are_repeated_in_another_way_are_upsampling() {
    let nodes = "const %4: i64[2] = [3, 5]
        const %5: i64[6] = [1, 1, 1, 2, 1, 2]
        const %6: i64[4] = [1, 4, 8, 8]
        %7 = \"hh\" CONV (%0, %2)
        %8 = \"lh\" CONV (%1, %2)
        %9 = \"unsqueeze\" Unsqueeze (%8, %4)
        %10 = \"tile\" Tile (%9, %5)
        %11 = \"reshape\" Reshape { allow_zero = 0 } (%10, %6)
        %12 = \"sum\" ADD (%7, %11)";
    let reason = "the upsampling ends with Reshape 'reshape' and is no Resize";
    assert_eq!(layers(&of(nodes, &[12])), [("hh lh".to_string(), 1, Some(reason))]);
}

#[test]
fn two_layers_that_read_the_same_inputs_are_kept_apart() {
    // A last layer at stride 1, and the shortcut at stride 2: at another place of the network the sum would be a low result.
    let shortcut = "%8 = \"relu\" RELU (%7)
        %9 = \"next_pool\" POOL (%8)
        %10 = \"next\" CONV (%9, %2)
        %11 = \"pool\" POOL (%0)
        %12 = \"shortcut_hh\" CONV (%11, %2)
        %13 = \"shortcut_lh\" CONV (%1, %16)
        %14 = \"shortcut\" ADD (%12, %13)
        %15 = \"residual\" ADD (%10, %14)
        const %16: f32[4,4,3,3] = random(2)";
    let octave = of(&format!("{HIGH}{shortcut}"), &[15]);
    let plain = |paths: &str, stride| (paths.to_string(), stride, None);
    assert_eq!(layers(&octave), [plain("hh lh", 1), plain("hh", 2), plain("hh lh", 2)]);
    assert_eq!(octave.layers[2].stride_kind, Some(StrideKind::Pool));
}
