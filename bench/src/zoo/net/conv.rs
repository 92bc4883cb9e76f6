//! Convolutions, vanilla and OctConv.

use octrt_ops::{Dim, Graph};

use super::{Made, Map, Maps, Net};
use crate::zoo::layer::{Channels, Groups, Layer};
use crate::zoo::signal::Signal;
use crate::zoo::{Down, Kind, Weights};

/// One way from a frequency to another.
struct Path {
    suffix: &'static str,
    src: Source,
    resize: Resized,
}

/// What a convolution reads, and its stride.
#[derive(Clone, Copy)]
struct Source {
    map: Map,
    stride: usize,
}

/// What follows the convolution of a path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Resized {
    No,
    Twice,
}

impl Net {
    /// An OctConv alone, stride 1: `channels` in and out, the part `alpha` of both at low frequency; inputs `x_h`
    /// `[1, _, size, size]` and `x_l` of half the extent, outputs `y_h` and `y_l`, as far as they have channels.
    pub fn octconv(channels: usize, alpha: f64, kernel: usize, size: usize) -> Made<Graph> {
        let mut net = Net::empty("octconv".to_string(), Kind::Octave, Weights::Blank, 0.0);
        let split = Channels::split(channels, alpha);
        let mut input = |name: &str, channels: usize, size: usize| {
            (channels > 0).then(|| net.input(name, Dim::Fixed(1), channels, size))
        };
        let x = Maps { high: input("x_h", split.high, size), low: input("x_l", split.low, size / 2) };
        let y = net.conv("octconv", x, &Layer::new(split, kernel))?;
        for (name, y) in [("y_h", y.high), ("y_l", y.low)] {
            if let Some(y) = y {
                net.graph.add_output(name, y.value);
            }
        }
        Ok(net.graph)
    }

    /// A convolution: in a vanilla network one with a stride, otherwise an OctConv, whose stride is an average pooling.
    pub fn conv(&mut self, name: &str, x: Maps, layer: &Layer) -> Made<Maps> {
        let source = |map| Source { map, stride: 1 };
        if self.kind == Kind::Vanilla {
            let src = x.high.map(|map| Source { map, stride: layer.stride });
            let path = src.map(|src| Path { suffix: "", src, resize: Resized::No });
            let high = self.paths(name, [path, None], layer.out.high, layer)?;
            return Ok(Maps { high, low: None });
        }
        let is_shrunk = layer.stride > 1;
        let [is_from_high, is_from_low] = self.exchanges(x, layer);
        let has_low = layer.out.low > 0;
        let mut shrink = |suffix: &str, x: Source| self.shrunk(&format!("{name}.{suffix}"), x);
        let high = x.high.map(source).map(|x| if is_shrunk { shrink("pool_h", x) } else { x });
        let high_for_low = high.filter(|_| has_low && is_from_high).map(|x| shrink("pool_h2l", x));
        let low = x.low.filter(|_| has_low).map(source);
        let low = low.map(|x| if is_shrunk { shrink("pool_l", x) } else { x });
        let low_for_high = x.low.filter(|_| is_from_low).map(source);
        let up = if is_shrunk { Resized::No } else { Resized::Twice };
        let path = |suffix, resize| move |src| Path { suffix, src, resize };
        let to_high = [high.map(path(".h2h", Resized::No)), low_for_high.map(path(".l2h", up))];
        let to_low = [low.map(path(".l2l", Resized::No)), high_for_low.map(path(".h2l", Resized::No))];
        let high = self.paths(name, to_high, layer.out.high, layer)?;
        let low = self.paths(name, to_low, layer.out.low, layer)?;
        Ok(Maps { high, low })
    }

    /// Whether the low frequency reads the high one, and the high one the low one.
    fn exchanges(&self, x: Maps, layer: &Layer) -> [bool; 2] {
        if layer.groups == Groups::Depthwise {
            return [false; 2];
        }
        let from = x.channels();
        let is_inner = [from.high, from.low, layer.out.high, layer.out.low].iter().all(|&c| c > 0);
        let exchange = self.ablation.exchange;
        [exchange.has_high_to_low() || !is_inner, exchange.has_low_to_high() || !is_inner]
    }

    /// At half the extent: now, or by the convolution.
    fn shrunk(&mut self, name: &str, x: Source) -> Source {
        match self.ablation.down {
            Down::Average => Source { map: self.half(name, x.map), ..x },
            Down::Stride => Source { stride: 2 * x.stride, ..x },
        }
    }

    /// The sum of the paths to one frequency; none without output channels.
    fn paths(&mut self, name: &str, paths: [Option<Path>; 2], oc: usize, layer: &Layer) -> Made<Option<Map>> {
        let groups = |src: Map| match layer.groups {
            Groups::Of(n) => n.min(oc),
            Groups::Depthwise => src.channels,
        };
        if oc == 0 {
            return Ok(None);
        }
        let inputs = |src: Map| (src.channels / groups(src)).max(1) * layer.kernel * layer.kernel;
        let fan: f64 =
            paths.iter().flatten().map(|p| inputs(p.src.map) as f64 * p.src.map.signal.square).sum();
        let spread = (3.0 * layer.power / fan).sqrt();
        let mut sum: Option<Map> = None;
        for Path { suffix, src, resize } in paths.into_iter().flatten() {
            let path = format!("{name}{suffix}");
            let Source { map, stride } = src;
            let mut y = self.window(&path, map, oc, [layer.kernel, stride], groups(map), spread)?;
            if resize == Resized::Twice {
                y = self.twice(&format!("{path}.up"), y)?;
            }
            sum = Some(match sum {
                Some(first) => self.plain_add(&format!("{name}.sum{suffix}"), first, y),
                None => y,
            });
        }
        Ok(sum.map(|m| Map { signal: Signal::centred(layer.power), ..m }))
    }
}
