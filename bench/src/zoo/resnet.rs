//! ResNet, ResNeXt and SE-ResNet of bottleneck blocks.

use super::layer::{Affine, Channels, Groups, Layer};
use super::net::{Map, Maps, Net};
use super::{Style, ZooError};

/// Squeezed channels are so many times fewer.
const REDUCTION: usize = 16;
/// Sum over all blocks of the mean squares of what they add to their inputs: small, so that the sum grows slowly.
const BRANCHES: f64 = 2.0;

/// What comes before the blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stem {
    /// A 7x7 convolution and max pooling; blocks have their stride in the 3x3 convolution.
    Shallow,
    /// Three 3x3 convolutions and a light residual block; blocks have their stride in the last 1x1 convolution.
    Deep,
}

/// What ends the branch of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gate {
    None,
    SqueezeExcite,
}

/// A member of the family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ResNet {
    /// Blocks of stages 2 to 5.
    pub blocks: [usize; 4],
    /// Groups of the 3x3 convolutions.
    pub groups: usize,
    /// Channels inside the blocks of stage 2; doubled in every stage.
    pub width: usize,
    pub stem: Stem,
    pub gate: Gate,
}

/// A block's place.
struct Block {
    name: String,
    inside: Channels,
    out: Channels,
    stride: usize,
    shortcut: Shortcut,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shortcut {
    Identity,
    Convolution,
}

impl ResNet {
    /// All between input and global pooling.
    pub fn build(&self, net: &mut Net, x: Map, alpha: f64, style: Style) -> Result<Maps, ZooError> {
        let x = match self.stem {
            Stem::Shallow => shallow_stem(net, x)?,
            Stem::Deep => deep_stem(net, x)?,
        };
        let mut x = Maps::from(x);
        for (stage, &blocks) in self.blocks.iter().enumerate() {
            let alpha = if stage == 3 { 0.0 } else { alpha };
            for i in 0..blocks {
                let block = Block {
                    name: format!("layer{}.{i}", stage + 1),
                    inside: Channels::split(self.width << stage, alpha),
                    out: Channels::split(256 << stage, alpha),
                    stride: if stage > 0 && i == 0 { 2 } else { 1 },
                    shortcut: if i == 0 { Shortcut::Convolution } else { Shortcut::Identity },
                };
                x = match style {
                    Style::V1 => self.post_activation(net, x, &block)?,
                    Style::V2 => self.pre_activation(net, x, &block)?,
                };
            }
        }
        if style == Style::V2 {
            x = net.norm("tail.bn", x, Affine::Learned(1.0))?;
            x = net.relu("tail.relu", x)?;
        }
        Ok(x)
    }

    /// Mean square of what a block adds to its input.
    fn branch(&self) -> f64 {
        BRANCHES / self.blocks.iter().sum::<usize>().max(1) as f64
    }

    /// The three convolutions of a block and the one of its shortcut.
    fn layers(&self, block: &Block) -> [Layer; 4] {
        let at_3x3 = self.stem == Stem::Shallow;
        let (second, third) = if at_3x3 { (block.stride, 1) } else { (1, block.stride) };
        [
            Layer::new(block.inside, 1),
            Layer::new(block.inside, 3).stride(second).groups(Groups::Of(self.groups)),
            Layer::new(block.out, 1).stride(third),
            Layer::new(block.out, 1).stride(block.stride),
        ]
    }

    /// Conv, norm, ReLU; the last ReLU after the sum.
    fn post_activation(&self, net: &mut Net, x: Maps, block: &Block) -> Result<Maps, ZooError> {
        let name = &block.name;
        let layers = self.layers(block);
        let is_gated = self.gate == Gate::SqueezeExcite;
        let mut y = x;
        if is_gated {
            // The reference's; without it SE does not converge well in ResNet-152.
            y = net.norm(&format!("{name}.bn1a"), y, Affine::Fixed)?;
        }
        for (i, layer) in layers[..3].iter().enumerate() {
            let gain = if i == 2 { self.branch().sqrt() } else { 1.0 };
            y = net.conv(&format!("{name}.conv{}", i + 1), y, layer)?;
            y = net.norm(&format!("{name}.bn{}", i + 1), y, Affine::Learned(gain))?;
            if i < 2 {
                y = net.relu(&format!("{name}.relu{}", i + 1), y)?;
            }
        }
        let y = self.gated(net, y, block)?;
        let mut shortcut = x;
        if block.shortcut == Shortcut::Convolution {
            if is_gated {
                shortcut = net.norm(&format!("{name}.bn4a"), shortcut, Affine::Fixed)?;
            }
            shortcut = net.conv(&format!("{name}.conv4"), shortcut, &layers[3])?;
            shortcut = net.norm(&format!("{name}.bn4"), shortcut, Affine::Learned(1.0))?;
        }
        let sum = net.add(&format!("{name}.add"), y, shortcut);
        net.relu(&format!("{name}.relu3"), sum)
    }

    /// Norm, ReLU, conv; the shortcut's convolution has a norm and a ReLU of its own.
    fn pre_activation(&self, net: &mut Net, x: Maps, block: &Block) -> Result<Maps, ZooError> {
        let name = &block.name;
        let layers = self.layers(block);
        let activated = |net: &mut Net, x: Maps, i: usize, power: f64| {
            let x = net.norm(&format!("{name}.bn{i}"), x, Affine::Learned(1.0))?;
            let x = net.relu(&format!("{name}.relu{i}"), x)?;
            let Layer { out, kernel, stride, groups, .. } = layers[i - 1];
            let layer = Layer { out, kernel, stride, groups, power };
            net.conv(&format!("{name}.conv{i}"), x, &layer)
        };
        let mut y = activated(net, x, 1, 1.0)?;
        y = activated(net, y, 2, 1.0)?;
        y = activated(net, y, 3, self.branch())?;
        let shortcut = match block.shortcut {
            Shortcut::Convolution => activated(net, x, 4, 1.0)?,
            Shortcut::Identity => x,
        };
        let y = self.gated(net, y, block)?;
        Ok(net.add(&format!("{name}.add"), shortcut, y))
    }

    fn gated(&self, net: &mut Net, y: Maps, block: &Block) -> Result<Maps, ZooError> {
        match self.gate {
            Gate::None => Ok(y),
            Gate::SqueezeExcite => {
                let middle = (block.out.high + block.out.low) / REDUCTION;
                net.squeeze_excite(&format!("{}.se", block.name), y, middle)
            }
        }
    }
}

/// Conv, norm, ReLU outside the OctConvs.
fn unit(net: &mut Net, name: &str, x: Map, oc: usize, [kernel, stride]: [usize; 2]) -> Result<Map, ZooError> {
    let x = net.plain_conv(&format!("{name}.conv"), x, oc, kernel, stride)?;
    let x = net.plain_norm(&format!("{name}.bn"), x, Affine::Learned(1.0))?;
    Ok(net.plain_relu(&format!("{name}.relu"), x))
}

fn shallow_stem(net: &mut Net, x: Map) -> Result<Map, ZooError> {
    let x = unit(net, "stem", x, 64, [7, 2])?;
    Ok(net.max_pool("maxpool", x))
}

/// Three 3x3 convolutions, and a residual block with a stride of 2 for max pooling (Big-Little Net, Chen et al. 2019).
fn deep_stem(net: &mut Net, x: Map) -> Result<Map, ZooError> {
    let x = unit(net, "stem.0", x, 8, [3, 1])?;
    let x = unit(net, "stem.1", x, 32, [3, 2])?;
    let x = unit(net, "stem.2", x, 64, [3, 1])?;
    let y = unit(net, "stem2.0", x, 32, [1, 1])?;
    let y = unit(net, "stem2.1", y, 32, [3, 2])?;
    let y = net.plain_conv("stem2.2.conv", y, 64, 1, 1)?;
    let y = net.plain_norm("stem2.2.bn", y, Affine::Learned(0.5))?;
    let shortcut = net.plain_conv("stem2.shortcut.conv", x, 64, 1, 2)?;
    let shortcut = net.plain_norm("stem2.shortcut.bn", shortcut, Affine::Learned(1.0))?;
    let sum = net.plain_add("stem2.add", y, shortcut);
    Ok(net.plain_relu("stem2.relu", sum))
}
