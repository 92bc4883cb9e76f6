//! DenseNet of bottleneck layers, growth 32 (Huang et al. 2016).

use super::ZooError;
use super::layer::{Affine, Channels, Layer};
use super::net::{Map, Maps, Net};

const GROWTH: usize = 32;

/// A member of the family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DenseNet {
    /// Layers of each dense block.
    pub layers: [usize; 4],
}

impl DenseNet {
    /// All between input and global pooling. Concatenations and the poolings between blocks are done by frequency; the
    /// last transition merges.
    pub fn build(&self, net: &mut Net, x: Map, alpha: f64) -> Result<Maps, ZooError> {
        let x = net.plain_conv("stem.conv", x, 64, 7, 2)?;
        let x = net.plain_norm("stem.bn", x, Affine::Learned(1.0))?;
        let x = net.plain_relu("stem.relu", x);
        let mut x = Maps::from(net.max_pool("maxpool", x));
        let mut width = 64;
        for (block, &layers) in self.layers.iter().enumerate() {
            let alpha = if block == 3 { 0.0 } else { alpha };
            if block > 0 {
                width /= 2;
                let name = format!("transition{block}");
                x = activated(net, &name, x, &Layer::new(Channels::split(width, alpha), 1))?;
                x = net.average_pool(&format!("{name}.pool"), x)?;
            }
            for i in 0..layers {
                let name = format!("block{}.{i}", block + 1);
                let inside = Layer::new(Channels::split(4 * GROWTH, alpha), 1);
                let new = Layer::new(Channels::split(GROWTH, alpha), 3);
                let y = activated(net, &format!("{name}.1"), x, &inside)?;
                let y = activated(net, &format!("{name}.2"), y, &new)?;
                x = net.concat(&format!("{name}.concat"), x, y);
                width += GROWTH;
            }
        }
        let x = net.norm("tail.bn", x, Affine::Learned(1.0))?;
        net.relu("tail.relu", x)
    }
}

/// Norm, ReLU, conv.
fn activated(net: &mut Net, name: &str, x: Maps, layer: &Layer) -> Result<Maps, ZooError> {
    let x = net.norm(&format!("{name}.bn"), x, Affine::Learned(1.0))?;
    let x = net.relu(&format!("{name}.relu"), x)?;
    net.conv(&format!("{name}.conv"), x, layer)
}
