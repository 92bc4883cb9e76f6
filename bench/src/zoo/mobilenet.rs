//! MobileNet v1 (Howard et al. 2017) and v2 (Sandler et al. 2018).

use super::layer::{Affine, Channels, Groups, Layer};
use super::net::{Map, Maps, Net};
use super::{Kind, ZooError};

/// A width of MobileNet v1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct MobileNetV1 {
    /// Times as many channels as in the original.
    pub multiplier: f64,
}

/// A width of MobileNet v2.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct MobileNetV2 {
    /// Times as many channels as in the original.
    pub multiplier: f64,
}

/// Channels and stride of the blocks of MobileNet v1.
const V1: [(usize, usize); 13] = [
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (1024, 2),
    (1024, 1),
];

/// Blocks of MobileNet v1 whose output has a low frequency.
const V1_SPLIT: usize = 10;

/// Expansion, channels, blocks and first stride: table 2 of the paper on MobileNet v2.
const V2: [(usize, usize, usize, usize); 7] = [
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
];

/// Blocks of MobileNet v2 whose expanded channels are split.
const V2_SPLIT: usize = 13;

fn scaled(channels: usize, multiplier: f64) -> usize {
    (channels as f64 * multiplier) as usize
}

impl MobileNetV1 {
    /// All between input and global pooling.
    pub fn build(&self, net: &mut Net, x: Map, alpha: f64) -> Result<Maps, ZooError> {
        let x = net.plain_conv("stem.conv", x, scaled(32, self.multiplier), 3, 2)?;
        let x = net.plain_norm("stem.bn", x, Affine::Learned(1.0))?;
        let mut x = Maps::from(net.plain_relu("stem.relu", x));
        for (i, (oc, stride)) in V1.into_iter().enumerate() {
            let alpha = if i < V1_SPLIT { alpha } else { 0.0 };
            let depthwise = Layer::new(x.channels(), 3).stride(stride).groups(Groups::Depthwise);
            let pointwise = Layer::new(Channels::split(scaled(oc, self.multiplier), alpha), 1);
            for (part, layer) in [("dw", depthwise), ("pw", pointwise)] {
                x = net.conv(&format!("blocks.{i}.{part}.conv"), x, &layer)?;
                x = net.norm(&format!("blocks.{i}.{part}.bn"), x, Affine::Learned(1.0))?;
                x = net.relu(&format!("blocks.{i}.{part}.relu"), x)?;
            }
        }
        Ok(x)
    }
}

impl MobileNetV2 {
    /// All between input and global pooling.
    pub fn build(&self, net: &mut Net, x: Map, alpha: f64, kind: Kind) -> Result<Maps, ZooError> {
        let x = net.plain_conv("stem.conv", x, scaled(32, self.multiplier), 3, 2)?;
        let x = net.plain_norm("stem.bn", x, Affine::Learned(1.0))?;
        let mut x = Maps::from(net.plain_relu6("stem.relu6", x));
        let mut i = 0;
        for (expansion, oc, blocks, first_stride) in V2 {
            for block in 0..blocks {
                let alpha = if i < V2_SPLIT { alpha } else { 0.0 };
                let stride = if block == 0 { first_stride } else { 1 };
                let out = Channels::high(scaled(oc, self.multiplier));
                let inside = Channels::split(x.channels().high * expansion, alpha);
                let layers = [
                    ("expand", Layer::new(inside, 1)),
                    ("dw", Layer::new(inside, 3).stride(stride).groups(Groups::Depthwise)),
                    ("project", Layer::new(out, 1)),
                ];
                let shortcut = Some(x).filter(|x| stride == 1 && x.channels() == out);
                let from = if expansion == 1 && kind == Kind::Vanilla { 1 } else { 0 };
                for (part, layer) in &layers[from..] {
                    let name = format!("blocks.{i}.{part}");
                    x = net.conv(&format!("{name}.conv"), x, layer)?;
                    x = net.norm(&format!("{name}.bn"), x, Affine::Learned(1.0))?;
                    if *part != "project" {
                        x = net.relu6(&format!("{name}.relu6"), x)?;
                    }
                }
                if let Some(shortcut) = shortcut {
                    x = net.add(&format!("blocks.{i}.add"), shortcut, x);
                }
                i += 1;
            }
        }
        let Some(x) = x.high else { return Err(ZooError::Unmerged) };
        let x = net.plain_conv("tail.conv", x, scaled(1280, self.multiplier.max(1.0)), 1, 1)?;
        let x = net.plain_norm("tail.bn", x, Affine::Learned(1.0))?;
        Ok(net.plain_relu6("tail.relu6", x).into())
    }
}
