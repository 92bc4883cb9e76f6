//! That the problems are many, different, and hold what they are meant to hold.

use std::collections::BTreeSet;

use crate::check::shapes;
use crate::families::{CONVOLUTIONS, OTHERS, convolutions};
use crate::problem::{Bias, Binary, Conv, Kind, Pads, Problem, Unary};

#[test]
fn problems_are_many_and_different() {
    let mut seen = BTreeSet::new();
    for (name, draw) in CONVOLUTIONS.iter().chain(&OTHERS) {
        let problems = draw();
        println!("{name}: {}", problems.len());
        for p in problems {
            let text = p.to_string();
            assert_eq!(text.parse::<Problem>().as_ref(), Ok(&p), "{text}");
            assert!(shapes(&p).is_ok(), "{text}");
            seen.insert(text.split_once(';').unwrap().1.to_string());
        }
        if Some(name) == CONVOLUTIONS.last().map(|(name, _)| name) {
            println!("different problems of convolutions: {}", seen.len());
            assert!(seen.len() > 3000);
        }
    }
    println!("different problems: {}", seen.len());
}

/// A convolution with its input channels.
struct Use<'a> {
    conv: &'a Conv,
    src: &'a [usize],
}

impl Use<'_> {
    fn per_group(&self) -> usize {
        self.src[1] / self.conv.group
    }

    fn is_depthwise(&self) -> bool {
        self.conv.group > 1 && self.per_group() == 1
    }

    fn kernel(&self, of: &[usize]) -> bool {
        self.conv.window.kernel == of
    }

    fn differs(&self, of: &[usize]) -> bool {
        of.windows(2).any(|w| w[0] != w[1])
    }

    fn pads(&self) -> &[usize] {
        if let Pads::Explicit(p) = &self.conv.window.pads { p } else { &[] }
    }
}

type Rule = (&'static str, usize, fn(&Use<'_>) -> bool);

/// What convolutions there are, and how many at least.
const RULES: [Rule; 32] = [
    ("dense", 1500, |u| u.conv.group == 1),
    ("2 channels per group", 30, |u| u.conv.group > 1 && u.per_group() == 2),
    ("3 channels per group", 30, |u| u.conv.group > 1 && u.per_group() == 3),
    ("4 channels per group", 30, |u| u.conv.group > 1 && u.per_group() == 4),
    ("8 channels per group", 30, |u| u.conv.group > 1 && u.per_group() == 8),
    ("16 channels per group", 20, |u| u.conv.group > 1 && u.per_group() == 16),
    ("depthwise", 300, |u| u.is_depthwise() && u.conv.oc == u.src[1]),
    ("depthwise with a multiplier", 60, |u| u.is_depthwise() && u.conv.oc > u.src[1]),
    ("1x1", 400, |u| u.kernel(&[1, 1])),
    ("3x3", 600, |u| u.kernel(&[3, 3])),
    ("5x5", 150, |u| u.kernel(&[5, 5])),
    ("7x7", 80, |u| u.kernel(&[7, 7])),
    ("1x7", 40, |u| u.kernel(&[1, 7])),
    ("7x1", 40, |u| u.kernel(&[7, 1])),
    ("2x2", 40, |u| u.kernel(&[2, 2])),
    ("3x3 dense of stride 1", 300, |u| {
        u.kernel(&[3, 3]) && u.conv.group == 1 && u.conv.window.strides == [1, 1]
    }),
    ("stride 2", 400, |u| u.conv.window.strides == [2, 2]),
    ("stride 3", 20, |u| u.conv.window.strides == [3, 3]),
    ("unequal strides", 200, |u| u.differs(&u.conv.window.strides)),
    ("dilation 2 or 3", 150, |u| u.conv.window.dilations.iter().all(|&d| d > 1)),
    ("unequal dilations", 100, |u| u.differs(&u.conv.window.dilations)),
    ("asymmetric padding", 200, |u| {
        let (begin, end) = u.pads().split_at(u.pads().len() / 2);
        begin != end
    }),
    ("same_upper", 60, |u| u.conv.window.pads == Pads::SameUpper),
    ("same_lower", 30, |u| u.conv.window.pads == Pads::SameLower),
    ("valid", 30, |u| u.conv.window.pads == Pads::Valid),
    ("channels no multiple of 4", 1000, |u| !u.src[1].is_multiple_of(4) || !u.conv.oc.is_multiple_of(4)),
    ("channels a multiple of 8", 500, |u| u.src[1].is_multiple_of(8) && u.conv.oc.is_multiple_of(8)),
    ("maps of one element", 60, |u| u.src[2..].iter().all(|&d| d == 1)),
    ("7x7 maps", 150, |u| u.src[2..] == [7, 7]),
    ("14x14 maps", 100, |u| u.src[2..] == [14, 14]),
    ("28x28 maps", 40, |u| u.src[2..] == [28, 28]),
    ("56 wide", 60, |u| u.src.last() == Some(&56)),
];

#[test]
fn convolutions_of_every_kind() {
    let problems = convolutions();
    let mut counts = [0; RULES.len()];
    for p in &problems {
        let shapes = shapes(p).unwrap();
        for node in &p.nodes {
            let Kind::Conv(conv) = &node.kind else { continue };
            let u = Use { conv, src: &shapes[node.inputs[0]] };
            counts.iter_mut().zip(&RULES).for_each(|(n, (_, _, holds))| *n += usize::from(holds(&u)));
        }
    }
    for (n, (what, least, _)) in counts.iter().zip(&RULES) {
        println!("{what}: {n}");
        assert!(n >= least, "{what}: {n}, expected {least} or more");
    }
}

/// Whether a node that follows a convolution at once is `f`.
fn follows(p: &Problem, f: impl Fn(&Kind) -> bool) -> bool {
    let is_conv = |i: usize| matches!(p.nodes[i].kind, Kind::Conv(_));
    p.nodes.iter().any(|n| f(&n.kind) && n.inputs.iter().any(|&i| is_conv(i)))
}

#[test]
fn everything_follows_convolutions() {
    type Follower = (&'static str, fn(&Kind) -> bool);
    const FOLLOWERS: [Follower; 22] = [
        ("bias", |k| matches!(k, Kind::Conv(c) if c.bias != Bias::None)),
        ("convolution", |k| matches!(k, Kind::Conv(_))),
        ("batch normalisation", |k| matches!(k, Kind::BatchNorm)),
        ("relu", |k| *k == Kind::Unary(Unary::Relu)),
        ("relu6", |k| *k == Kind::Unary(Unary::Clip(0.0, 6.0))),
        ("another clip", |k| matches!(k, Kind::Unary(Unary::Clip(low, _)) if *low != 0.0)),
        ("hard_swish", |k| *k == Kind::Unary(Unary::HardSwish)),
        ("sigmoid", |k| *k == Kind::Unary(Unary::Sigmoid)),
        ("leaky_relu", |k| matches!(k, Kind::Unary(Unary::LeakyRelu(_)))),
        ("prelu", |k| *k == Kind::Unary(Unary::PRelu)),
        ("add", |k| *k == Kind::Binary(Binary::Add)),
        ("mul", |k| *k == Kind::Binary(Binary::Mul)),
        ("div", |k| *k == Kind::Binary(Binary::Div)),
        ("max_pool", |k| matches!(k, Kind::MaxPool(..))),
        ("average_pool", |k| matches!(k, Kind::AveragePool(..))),
        ("global_average", |k| *k == Kind::GlobalAverage),
        ("global_max", |k| *k == Kind::GlobalMax),
        ("concat", |k| *k == Kind::Concat),
        ("up", |k| matches!(k, Kind::Up(_))),
        ("pad", |k| matches!(k, Kind::Pad(_))),
        ("slice", |k| matches!(k, Kind::Slice(..))),
        ("channels_last", |k| *k == Kind::ChannelsLast),
    ];
    let problems = convolutions();
    for (what, f) in FOLLOWERS {
        let n = problems.iter().filter(|p| follows(p, f)).count();
        println!("{what}: {n}");
        assert!(n >= 3, "{what}: {n}");
    }
    let middle = |p: &&Problem| !p.outputs.is_empty();
    println!("outputs in the middle: {}", problems.iter().filter(middle).count());
    assert!(problems.iter().filter(middle).count() > 300);
}
