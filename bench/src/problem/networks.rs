//! The convolutions of well-known networks at 224 x 224 pixels, from the definitions of the networks.

use std::fmt;
use std::str::FromStr;

use super::{Axis, Problem};

/// Height and width of the pictures.
const PIXELS: usize = 224;

/// A network for ImageNet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Network {
    /// ResNet-50 (He et al. 2015), the stride of a block in its 3x3 convolution.
    ResNet50,
    /// ResNeXt-50 32x4d (Xie et al. 2016).
    ResNext50,
    /// MobileNet 1.0 (Howard et al. 2017).
    MobileNetV1,
    /// MobileNet v2 1.0 (Sandler et al. 2018).
    MobileNetV2,
    /// SqueezeNet 1.1 (Iandola et al. 2016).
    SqueezeNet11,
    /// DenseNet-121 (Huang et al. 2016).
    DenseNet121,
}

/// A convolution of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layer {
    /// The convolution.
    pub problem: Problem,
    /// How often it occurs.
    pub count: usize,
}

impl Network {
    /// All of them.
    pub const ALL: [Network; 6] = [
        Network::ResNet50,
        Network::ResNext50,
        Network::MobileNetV1,
        Network::MobileNetV2,
        Network::SqueezeNet11,
        Network::DenseNet121,
    ];

    /// Every distinct convolution, in the order in which the network first needs it. Fully connected layers are not
    /// among them.
    pub fn layers(self) -> Vec<Layer> {
        let mut layers: Vec<Layer> = Vec::new();
        for problem in self.convolutions() {
            match layers.iter_mut().find(|l| l.problem == problem) {
                Some(layer) => layer.count += 1,
                None => layers.push(Layer { problem, count: 1 }),
            }
        }
        layers
    }

    /// All convolutions in order.
    pub fn convolutions(self) -> Vec<Problem> {
        let mut map = Map::picture();
        match self {
            Network::ResNet50 => residual(&mut map, Bottlenecks { group: 1, width: 64 }),
            Network::ResNext50 => residual(&mut map, Bottlenecks { group: 32, width: 128 }),
            Network::MobileNetV1 => mobile_v1(&mut map),
            Network::MobileNetV2 => mobile_v2(&mut map),
            Network::SqueezeNet11 => squeeze(&mut map),
            Network::DenseNet121 => dense(&mut map),
        }
        map.convolutions
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Network::ResNet50 => "resnet50",
            Network::ResNext50 => "resnext50_32x4d",
            Network::MobileNetV1 => "mobilenet_v1",
            Network::MobileNetV2 => "mobilenet_v2",
            Network::SqueezeNet11 => "squeezenet1_1",
            Network::DenseNet121 => "densenet121",
        })
    }
}

impl FromStr for Network {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let names = || Network::ALL.map(|n| n.to_string()).join(", ");
        let found = Network::ALL.into_iter().find(|n| n.to_string() == text);
        found.ok_or_else(|| format!("unknown network '{text}': expected one of {}", names()))
    }
}

/// A square feature map on its way through a network, and the convolutions that it has met.
struct Map {
    channels: usize,
    extent: usize,
    convolutions: Vec<Problem>,
}

/// Windows of a square convolution or pooling.
#[derive(Clone, Copy)]
struct Window {
    k: usize,
    s: usize,
    p: usize,
}

/// A window that keeps the extent, or divides it by the stride `s`.
fn same(k: usize, s: usize) -> Window {
    Window { k, s, p: k / 2 }
}

impl Map {
    fn picture() -> Self {
        Map { channels: 3, extent: PIXELS, convolutions: Vec::new() }
    }

    /// A convolution to `oc` channels.
    fn conv(&mut self, oc: usize, window: Window) {
        self.grouped(oc, window, 1);
    }

    fn grouped(&mut self, oc: usize, window: Window, g: usize) {
        let problem = self.problem(self.channels, oc, window, g);
        self.convolutions.push(problem);
        (self.channels, self.extent) = (oc, problem.h.o);
    }

    fn depthwise(&mut self, stride: usize) {
        self.grouped(self.channels, same(3, stride), self.channels);
    }

    /// A convolution beside the way, from `ic` channels of this map; the map stays as it is.
    fn branch(&mut self, ic: usize, oc: usize, window: Window) {
        let problem = self.problem(ic, oc, window, 1);
        self.convolutions.push(problem);
    }

    fn problem(&self, ic: usize, oc: usize, Window { k, s, p }: Window, g: usize) -> Problem {
        let o = (self.extent + 2 * p - k) / s + 1;
        let axis = Axis { i: self.extent, o, k, s, d: 0, p };
        Problem { mb: 1, g, ic, oc, h: axis, w: axis }
    }

    /// A pooling; windows that are cut off at the end are left out.
    fn pool(&mut self, Window { k, s, p }: Window) {
        self.extent = (self.extent + 2 * p - k) / s + 1;
    }

    /// A pooling without padding; windows that are cut off at the end count.
    fn pool_ceil(&mut self, k: usize, s: usize) {
        self.extent = (self.extent - k).div_ceil(s) + 1;
    }
}

/// What the variants of ResNet-50 differ in.
struct Bottlenecks {
    /// Groups of the 3x3 convolutions.
    group: usize,
    /// Channels inside the blocks of the first stage; doubled in every stage.
    width: usize,
}

fn residual(map: &mut Map, Bottlenecks { group, width }: Bottlenecks) {
    map.conv(64, same(7, 2));
    map.pool(same(3, 2));
    for (stage, blocks) in [3, 4, 6, 3].into_iter().enumerate() {
        let (inside, oc) = (width << stage, 256 << stage);
        for block in 0..blocks {
            let stride = if stage > 0 && block == 0 { 2 } else { 1 };
            if block == 0 {
                map.branch(map.channels, oc, same(1, stride));
            }
            map.conv(inside, same(1, 1));
            map.grouped(inside, same(3, stride), group);
            map.conv(oc, same(1, 1));
        }
    }
}

fn mobile_v1(map: &mut Map) {
    map.conv(32, same(3, 2));
    let pairs = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)];
    for (oc, stride) in pairs.into_iter().chain([(512, 1); 5]).chain([(1024, 2), (1024, 1)]) {
        map.depthwise(stride);
        map.conv(oc, same(1, 1));
    }
}

fn mobile_v2(map: &mut Map) {
    map.conv(32, same(3, 2));
    // Expansion, channels, blocks, stride of the first one: table 2 of the paper.
    let stages = [
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    ];
    for (expansion, oc, blocks, stride) in stages {
        for block in 0..blocks {
            if expansion > 1 {
                map.conv(map.channels * expansion, same(1, 1));
            }
            map.depthwise(if block == 0 { stride } else { 1 });
            map.conv(oc, same(1, 1));
        }
    }
    map.conv(1280, same(1, 1));
}

fn squeeze(map: &mut Map) {
    let fire = |map: &mut Map, squeezed: usize, expanded: usize| {
        map.conv(squeezed, same(1, 1));
        map.branch(squeezed, expanded, same(1, 1));
        map.conv(expanded, same(3, 1));
        map.channels = 2 * expanded;
    };
    map.conv(64, Window { k: 3, s: 2, p: 0 });
    map.pool_ceil(3, 2);
    fire(map, 16, 64);
    fire(map, 16, 64);
    map.pool_ceil(3, 2);
    fire(map, 32, 128);
    fire(map, 32, 128);
    map.pool_ceil(3, 2);
    fire(map, 48, 192);
    fire(map, 48, 192);
    fire(map, 64, 256);
    fire(map, 64, 256);
    map.conv(1000, same(1, 1));
}

fn dense(map: &mut Map) {
    const GROWTH: usize = 32;
    map.conv(64, same(7, 2));
    map.pool(same(3, 2));
    for (stage, layers) in [6, 12, 24, 16].into_iter().enumerate() {
        if stage > 0 {
            map.conv(map.channels / 2, same(1, 1));
            map.pool(Window { k: 2, s: 2, p: 0 });
        }
        for _ in 0..layers {
            map.branch(map.channels, 4 * GROWTH, same(1, 1));
            map.branch(4 * GROWTH, GROWTH, same(3, 1));
            map.channels += GROWTH;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn macs(network: Network) -> f64 {
        let sum: u64 = network.layers().iter().map(|l| l.count as u64 * l.problem.macs()).sum();
        sum as f64
    }

    fn parameters(network: Network) -> usize {
        let weights = |p: &Problem| p.oc * (p.ic / p.g) * p.h.k * p.w.k;
        network.convolutions().iter().map(weights).sum()
    }

    /// Multiply-accumulates as published for each network (torchvision's tables of weights; for MobileNet v1 table 8 of
    /// the paper), less those of its fully connected layer.
    #[test]
    fn macs_are_those_published() {
        let published = [
            (Network::ResNet50, 4.089e9, 2048.0),
            (Network::ResNext50, 4.230e9, 2048.0),
            (Network::MobileNetV1, 0.569e9, 1024.0),
            (Network::MobileNetV2, 0.3008e9, 1280.0),
            (Network::SqueezeNet11, 0.3492e9, 0.0),
            (Network::DenseNet121, 2.834e9, 1024.0),
        ];
        for (network, total, features) in published {
            let expected = total - 1000.0 * features;
            let off = (macs(network) - expected).abs() / expected;
            assert!(off < 0.005, "{network}: {} instead of {expected}", macs(network));
        }
    }

    /// Weights of the convolutions: those of the whole network less the fully connected layer, batch normalisations
    /// and biases.
    #[test]
    fn weights_are_as_many_as_published() {
        let batch_norm = |n: Network| -> usize { n.convolutions().iter().map(|p| 2 * p.oc).sum() };
        for (network, total, features) in [
            (Network::ResNet50, 25_557_032, 2048),
            (Network::ResNext50, 25_028_904, 2048),
            (Network::MobileNetV2, 3_504_872, 1280),
        ] {
            let dense = 1000 * features + 1000;
            assert_eq!(parameters(network) + batch_norm(network) + dense, total, "{network}");
        }
        let bias: usize = Network::SqueezeNet11.convolutions().iter().map(|p| p.oc).sum();
        assert_eq!(parameters(Network::SqueezeNet11) + bias, 1_235_496);
    }

    #[test]
    fn layers_are_counted() {
        let counts = |n: Network| (n.layers().len(), n.convolutions().len());
        assert_eq!(counts(Network::ResNet50), (23, 53));
        assert_eq!(counts(Network::ResNext50).1, 53);
        assert_eq!(counts(Network::MobileNetV1).1, 27);
        assert_eq!(counts(Network::MobileNetV2).1, 52);
        assert_eq!(counts(Network::SqueezeNet11).1, 26);
        assert_eq!(counts(Network::DenseNet121).1, 120);
        for network in Network::ALL {
            let sum: usize = network.layers().iter().map(|l| l.count).sum();
            assert_eq!(sum, network.convolutions().len(), "{network}");
        }
        let first = Network::ResNet50.layers()[2];
        assert_eq!((first.problem.to_string().as_str(), first.count), ("ic64ih56oc64kh1", 1));
    }

    #[test]
    fn networks_end_where_they_should() {
        for (network, end) in [(Network::ResNet50, 7), (Network::SqueezeNet11, 13), (Network::DenseNet121, 7)]
        {
            assert_eq!(network.convolutions().last().unwrap().h.o, end, "{network}");
        }
    }

    #[test]
    fn names_come_back_and_problems_too() {
        for network in Network::ALL {
            assert_eq!(network.to_string().parse(), Ok(network));
            for problem in network.convolutions() {
                assert_eq!(problem.to_string().parse(), Ok(problem));
            }
        }
        assert!("vgg".parse::<Network>().unwrap_err().contains("resnet50, "));
    }
}
