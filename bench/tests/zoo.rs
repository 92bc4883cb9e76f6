//! Networks of the zoo: counts, structure, and that they run.
#![allow(missing_docs)]

use octrt::{LoadOptions, Model, TensorRef};
use octrt_bench::zoo::{
    Ablation, Batch, Down, Exchange, Kind, Network, Options, Style, Weights, ZooError, parameters,
};
use octrt_ops::graph::infer::{Limits, specialize};
use octrt_ops::graph::{interp, text};
use octrt_ops::{DType, Graph, Node, NodeId, Op, Shape, Tensor, TensorType};

/// A network and what it must have.
struct Case {
    name: &'static str,
    alpha: f64,
    style: Option<Style>,
    macs: u64,
    parameters: usize,
    /// Published: billions of multiply-accumulates and millions of parameters, as printed; empty where there are none.
    published: (&'static str, &'static str),
}

const fn case(
    name: &'static str,
    alpha: f64,
    macs: u64,
    parameters: usize,
    published: (&'static str, &'static str),
) -> Case {
    Case { name, alpha, style: None, macs, parameters, published }
}

const fn v1(alpha: f64, macs: u64) -> Case {
    let name = if alpha == 0.0 { "resnet50" } else { "oct-resnet50" };
    let style = Some(Style::V1);
    Case { name, alpha, style, macs, parameters: 25_557_032, published: ("", "25.6") }
}

/// The paper's tables 2 (ResNet-50), 5 (MobileNet), 6 (ResNeXt) and 7 (ResNet-152 with deep stem); Open Model Zoo
/// (three digits after the point).
const CASES: [Case; 47] = [
    case("resnet26", 0.0, 2_342_256_640, 15_991_336, ("", "")),
    case("oct-resnet26", 0.25, 1_858_158_592, 15_991_336, ("1.884", "15.99")),
    case("resnet50", 0.0, 4_089_184_256, 25_553_192, ("4.1", "25.6")),
    case("oct-resnet50", 0.0, 4_089_184_256, 25_553_192, ("4.1", "25.6")),
    case("oct-resnet50", 0.125, 3_565_196_288, 25_553_192, ("3.6", "25.6")),
    case("oct-resnet50", 0.125, 3_565_196_288, 25_553_192, ("3.611", "25.551")),
    case("oct-resnet50", 0.25, 3_103_526_912, 25_553_192, ("3.1", "25.6")),
    case("oct-resnet50", 0.5, 2_367_143_936, 25_553_192, ("2.4", "25.6")),
    case("oct-resnet50", 0.75, 1_880_035_328, 25_553_192, ("1.9", "25.6")),
    v1(0.0, 4_089_184_256),
    v1(0.125, 3_565_196_288),
    v1(0.25, 3_103_526_912),
    v1(0.5, 2_367_143_936),
    v1(0.75, 1_880_035_328),
    case("resnet101", 0.0, 7_801_405_440, 44_545_320, ("", "44.543")),
    case("oct-resnet101", 0.125, 6_624_878_592, 44_545_320, ("6.694", "44.543")),
    case("resnet152", 0.0, 11_513_626_624, 60_188_968, ("", "")),
    case("oct-resnet152", 0.125, 9_684_560_896, 60_188_968, ("", "")),
    case("resnet200", 0.0, 15_007_481_856, 64_669_992, ("", "64.667")),
    case("oct-resnet200", 0.125, 12_564_261_888, 64_669_992, ("12.704", "64.667")),
    case("resnext50", 0.0, 4_230_479_872, 25_025_064, ("", "25.0")),
    case("oct-resnext50", 0.25, 3_170_988_544, 25_025_064, ("3.2", "25.0")),
    case("oct-resnext50", 0.25, 3_170_988_544, 25_025_064, ("3.222", "25.02")),
    case("oct-resnext50", 0.5, 2_386_511_872, 25_025_064, ("2.4", "25.0")),
    case("resnext101", 0.0, 7_969_996_800, 44_173_864, ("", "44.2")),
    case("oct-resnext101", 0.25, 5_683_476_480, 44_173_864, ("5.7", "44.2")),
    case("oct-resnext101", 0.25, 5_683_476_480, 44_173_864, ("5.761", "44.169")),
    case("oct-resnext101", 0.5, 4_022_550_528, 44_173_864, ("4.0", "44.2")),
    case("se-resnet50", 0.0, 4_091_699_200, 28_084_184, ("", "")),
    case("oct-se-resnet50", 0.125, 3_567_711_232, 28_084_184, ("", "")),
    case("resnet152-deep", 0.0, 12_780_871_680, 60_222_224, ("", "60.2")),
    case("oct-resnet152-deep", 0.125, 10_819_341_312, 60_222_224, ("10.9", "60.2")),
    case("resnet152-deep-se", 0.0, 12_787_449_856, 66_946_752, ("", "66.8")),
    case("oct-resnet152-deep-se", 0.125, 10_825_919_488, 66_946_752, ("10.9", "66.8")),
    case("densenet121", 0.0, 2_834_161_664, 7_978_856, ("", "7.977")),
    case("oct-densenet121", 0.125, 2_398_420_736, 7_978_856, ("2.442", "7.977")),
    case("mobilenet-v1-0.75", 0.0, 325_400_448, 2_585_560, (".325", "2.6")),
    case("oct-mobilenet-v1-0.75", 0.375, 211_379_016, 2_585_560, (".213", "2.6")),
    case("mobilenet-v1-1.0", 0.0, 568_740_352, 4_231_976, ("", "4.2")),
    case("oct-mobilenet-v1-1.0", 0.5, 318_167_680, 4_231_976, (".321", "4.2")),
    case("mobilenet-v2-1.0", 0.0, 300_774_272, 3_504_872, (".300", "3.5")),
    case("oct-mobilenet-v2-1.0", 0.375, 254_031_408, 3_505_960, (".256", "3.5")),
    case("mobilenet-v2-1.125", 0.0, 376_050_096, 4_241_638, ("", "4.2")),
    case("oct-mobilenet-v2-1.125", 0.5, 292_764_600, 4_243_006, (".295", "4.2")),
    // All channels at low frequency: the convolutions of stages 2 to 4 cost a quarter.
    case("oct-resnet50", 1.0, 1_642_201_088, 25_553_192, ("", "25.6")),
    case("oct-mobilenet-v1-1.0", 1.0, 212_101_888, 4_231_976, ("", "4.2")),
    case("oct-densenet121", 1.0, 876_093_440, 7_978_856, ("", "7.977")),
];

fn options(alpha: f64, size: usize, weights: Weights, network: &Network) -> Options {
    let alpha = (network.kind() == Kind::Octave).then_some(alpha);
    Options { alpha, style: None, size, batch: Batch::One, weights }
}

fn blank(network: &Network, alpha: f64, style: Option<Style>) -> Result<Graph, ZooError> {
    network.graph(&Options { style, ..options(alpha, 224, Weights::Blank, network) })
}

fn typed(graph: &Graph, size: usize) -> Graph {
    specialize(graph, &[TensorType::new(DType::F32, [1, 3, size, size])], Limits::default()).unwrap()
}

/// Whether `found` prints as `published` or lies within the part `tolerance` of it.
fn agrees(found: f64, published: &str, tolerance: f64) -> bool {
    let Ok(number) = published.parse::<f64>() else { return published.is_empty() };
    let digits = published.split_once('.').map_or(0, |(_, d)| d.len() as i32);
    (found - number).abs() <= (tolerance * number).max(0.5 * 0.1f64.powi(digits))
}

#[test]
fn counts_are_pinned_and_near_those_published() {
    for Case { name, alpha, style, macs, parameters: learned, published } in &CASES {
        let network: Network = name.parse().unwrap();
        let graph = typed(&blank(&network, *alpha, *style).unwrap(), 224);
        assert_eq!((graph.macs(), parameters(&graph)), (*macs, *learned), "{name} {alpha}");
        let (billions, millions) = published;
        assert!(agrees(*macs as f64 / 1e9, billions, 0.025), "{name} {alpha}: {macs}, published {billions}");
        assert!(
            agrees(*learned as f64 / 1e6, millions, 0.005),
            "{name} {alpha}: {learned}, published {millions}"
        );
    }
    let pinned = |n: &Network| CASES.iter().any(|c| c.name == n.to_string());
    assert!(Network::all().all(|n| pinned(&n)));
}

/// What an exporter would write: normalisations with their own statistics, no bias before them.
#[test]
fn graphs_hold_what_the_exporter_writes() {
    let network: Network = "oct-resnet50".parse().unwrap();
    let graph = blank(&network, 0.5, Some(Style::V1)).unwrap();
    let count = |tag: &str| graph.nodes.iter().filter(|n| n.op.tag() == tag).count();
    // 42 OctConvs in stages 2 to 4; the first two have two paths. The two that merge have two, the rest of stage 5 one.
    assert_eq!(count("Conv"), 1 + 2 * 2 + 40 * 4 + 2 * 2 + 8);
    assert_eq!(count("BatchNormalization"), 1 + 42 * 2 + 10);
    // No upsampling at a stride of 2, of which there are two in each stage.
    assert_eq!(count("Resize"), 40 - 4 + 1);
    assert_eq!((count("Gemm"), count("Flatten"), count("GlobalPool")), (1, 1, 1));
    let biased = graph.nodes.iter().filter(|n| n.op.tag() == "Conv" && n.inputs.len() > 2).count();
    assert_eq!(biased, 0);
    let strided = |n: &&Node| matches!(&n.op, Op::Conv(c) if c.window.strides != [1, 1]);
    assert_eq!(graph.nodes.iter().filter(strided).count(), 1);
}

#[test]
fn a_network_at_any_alpha_has_the_parameters_of_the_vanilla_one() {
    for alpha in [0.0, 0.001, 0.1, 0.3, 0.875, 1.0] {
        for name in ["resnet26", "se-resnet50", "densenet121", "mobilenet-v1-0.75"] {
            let octave: Network = format!("oct-{name}").parse().unwrap();
            let graph = blank(&octave, alpha, None).unwrap();
            let vanilla = blank(&name.parse().unwrap(), alpha, None).unwrap();
            assert_eq!(parameters(&graph), parameters(&vanilla), "{name} {alpha}");
        }
    }
}

#[test]
fn what_cannot_be_built_is_said() {
    let network = |name: &str| name.parse::<Network>();
    let unknown = network("oct-vgg").unwrap_err().to_string();
    assert!(
        unknown.starts_with("unknown network 'oct-vgg': expected one of resnet26, resnet50, "),
        "{unknown}"
    );
    let error = |name: &str, change: fn(&mut Options)| {
        let network = network(name).unwrap();
        let mut options = options(0.5, 224, Weights::Blank, &network);
        change(&mut options);
        network.graph(&options).unwrap_err().to_string()
    };
    let cases: [(String, &str); 7] = [
        (error("oct-resnet50", |o| o.alpha = Some(1.5)), "alpha 1.5: expected a number from 0 to 1"),
        (error("oct-resnet50", |o| o.alpha = Some(f64::NAN)), "alpha NaN: expected"),
        (error("oct-resnet50", |o| o.alpha = None), "oct-resnet50: alpha is missing"),
        (error("resnet50", |o| o.alpha = Some(0.5)), "network with OctConvs is 'oct-resnet50'"),
        (error("resnet50", |o| o.size = 100), "size 100: expected a multiple of 32 up to 8192"),
        (error("oct-densenet121", |o| o.style = Some(Style::V2)), "oct-densenet121 has no style"),
        (
            error("oct-resnext50", |o| o.alpha = Some(0.125)),
            "layer1.0.conv2.h2h: 32 groups do not divide 112 and 112 channels",
        ),
    ];
    for (found, expected) in cases {
        assert!(found.contains(expected), "{found}");
    }
}

fn ablated(name: &str, ablation: Ablation, size: usize, weights: Weights) -> Result<Graph, ZooError> {
    let network: Network = name.parse()?;
    network.ablated(&options(0.5, size, weights, &network), ablation)
}

/// The paper's table 3.
#[test]
fn parts_of_octconvs_can_be_left_out() {
    let counts = |exchange, down| {
        let graph = ablated("oct-resnet50", Ablation { exchange, down }, 224, Weights::Blank).unwrap();
        let graph = typed(&graph, 224);
        let count = |tag: &str| graph.nodes.iter().filter(|n| n.op.tag() == tag).count();
        (graph.macs(), parameters(&graph), ["Conv", "AveragePool", "Resize"].map(count))
    };
    let (macs, learned, [convs, pools, ups]) = counts(Exchange::Both, Down::Average);
    assert_eq!((macs, learned, convs, ups), (2_367_143_936, 25_553_192, 177, 37));
    // A stride costs what an average before the convolution leaves.
    assert_eq!(counts(Exchange::Both, Down::Stride), (macs, learned, [convs, 0, ups]));
    // 40 OctConvs read and give both frequencies, 4 of them with a stride.
    let (down_macs, _, nodes) = counts(Exchange::HighToLow, Down::Average);
    assert_eq!(nodes, [convs - 40, pools, ups - 36]);
    let (up_macs, _, nodes) = counts(Exchange::LowToHigh, Down::Average);
    assert_eq!(nodes, [convs - 40, pools - 40, ups]);
    let (none_macs, _, nodes) = counts(Exchange::None, Down::Average);
    assert_eq!(nodes, [convs - 80, pools - 40, ups - 36]);
    assert_eq!(macs - none_macs, (macs - down_macs) + (macs - up_macs));
    let error =
        ablated("resnet50", Ablation { down: Down::Stride, ..Ablation::default() }, 224, Weights::Blank);
    assert_eq!(
        error.unwrap_err().to_string(),
        "resnet50 is vanilla and has no OctConvs to take something from"
    );
}

/// Root mean square.
fn rms(v: &[f32]) -> f64 {
    (v.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / v.len() as f64).sqrt()
}

/// Height and width of the pictures of networks that run.
const SIZE: usize = 32;

/// Compiled, and by the interpreter; activations stay near 1.
fn runs(name: &str, alpha: f64, style: Option<Style>) {
    let network: Network = name.parse().unwrap();
    let options = Options { style, ..options(alpha, SIZE, Weights::Seeded(7), &network) };
    run_graph(&format!("{name} {alpha}"), network.graph(&options).unwrap());
}

/// The same of a graph for pictures of [`SIZE`].
fn run_graph(name: &str, graph: Graph) {
    let picture = text::random(&Shape::new(vec![1, 3, SIZE, SIZE]), 3).unwrap();
    let pixels: Vec<f32> = picture.to_vec::<f32>().unwrap().iter().map(|p| p * 3f32.sqrt()).collect();
    let x = Tensor::new([1, 3, SIZE, SIZE], &pixels).unwrap();
    let mut loudest = 0.0f64;
    let mut visit = |_: NodeId, outputs: &[Tensor]| {
        let v = outputs[0].to_vec::<f32>().unwrap();
        assert!(v.iter().all(|x| x.is_finite()), "{name}");
        loudest = loudest.max(rms(&v));
    };
    let expected = interp::run_visiting(&graph, &[x], &mut visit).unwrap()[0].to_vec::<f32>().unwrap();
    let model = Model::from_graph(graph, &LoadOptions::default()).unwrap();
    let mut session = model.session().unwrap();
    let input = TensorRef::new(&[1, 3, SIZE, SIZE], &pixels).unwrap();
    let outputs = session.run(&[("x", input)]).unwrap();
    let found = outputs[0].1.elements::<f32>().unwrap();
    let worst = found.iter().zip(&expected).map(|(a, b)| f64::from((a - b).abs())).fold(0.0, f64::max);
    println!("{name}: scores {:.2}, loudest {loudest:.2}, difference {worst:.1e}", rms(&expected));
    assert!(worst < 1e-5 * rms(&expected), "{name}: {worst}");
    assert!((0.1..10.0).contains(&rms(&expected)) && loudest < 30.0, "{name}: {loudest}");
}

#[test]
fn residual_networks_run() {
    runs("oct-resnet26", 0.5, None);
    runs("oct-resnet26", 0.25, Some(Style::V1));
    runs("oct-resnet26", 1.0, None);
}

#[test]
fn residual_networks_without_parts_of_their_octconvs_run() {
    let both = [
        Ablation { down: Down::Stride, ..Ablation::default() },
        Ablation { exchange: Exchange::None, ..Ablation::default() },
    ];
    for ablation in both {
        let graph = ablated("oct-resnet26", ablation, SIZE, Weights::Seeded(7)).unwrap();
        run_graph(&format!("{ablation:?}"), graph);
    }
}

#[test]
fn gated_and_grouped_networks_run() {
    runs("oct-se-resnet50", 0.125, None);
    runs("oct-resnext50", 0.25, Some(Style::V1));
}

#[test]
fn dense_networks_run() {
    runs("oct-densenet121", 0.125, None);
}

#[test]
fn mobile_networks_run() {
    runs("oct-mobilenet-v1-0.75", 0.375, None);
    runs("oct-mobilenet-v2-1.125", 0.5, None);
    runs("mobilenet-v2-1.0", 0.0, None);
}
