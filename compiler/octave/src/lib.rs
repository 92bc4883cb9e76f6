//! Where a graph holds Octave Convolutions (Chen et al. 2019), and which of them cannot become one kernel per output.
//!
//! A layer is up to four convolutions between a tensor at high and one at low resolution, of half the rows and columns:
//!
//! ```text
//! Y_H = hh(X_H) + up(lh(X_L))        Y_L = ll(X_L) + hl(pool(X_H))
//! ```
//!
//! Nothing is rewritten: this is what `octrt inspect --octave` shows. Sums of two paths are found first (`sums`), then the sums
//! and single convolutions that are the two results of one layer (`pair`), then the convolutions behind a layer that have one
//! path only (`levels`).

use octrt_ops::{Graph, GraphError};

use octrt_compiler::passes::{self, DEDUPLICATE, Pass, Rule, fold_constants, remove_identity};
use octrt_compiler::{Isa, Options, Precision, Target};

mod describe;
mod levels;
pub mod octavize;
mod pair;
mod path;
mod rearrange;
mod sums;
#[cfg(test)]
mod tests;
mod upsample;
mod view;

use path::Heads;
use view::View;

/// The paths of a layer, in the order in which reports have them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Route {
    /// High to high resolution.
    Hh,
    /// High to low.
    Hl,
    /// Low to high.
    Lh,
    /// Low to low.
    Ll,
}

impl Route {
    /// All paths.
    pub const ALL: [Route; 4] = [Route::Hh, Route::Hl, Route::Lh, Route::Ll];

    /// Source and target: `hl` is high to low.
    pub fn name(self) -> &'static str {
        match self {
            Route::Hh => "hh",
            Route::Hl => "hl",
            Route::Lh => "lh",
            Route::Ll => "ll",
        }
    }
}

/// How a layer of stride 2 comes to its stride.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StrideKind {
    /// The high input is pooled before every convolution; the low result for the high output is not upsampled.
    Pool,
    /// Both inputs are pooled, the low result is upsampled.
    PoolBoth,
    /// Strided convolutions.
    Strided,
}

impl StrideKind {
    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            StrideKind::Pool => "pool",
            StrideKind::PoolBoth => "pool_both",
            StrideKind::Strided => "strided",
        }
    }
}

/// How the path `hl` comes to low resolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Down {
    /// There is no such path.
    None,
    /// Average pooling.
    Avg,
    /// Maximum pooling.
    Max,
    /// A stride of the convolution.
    Stride,
}

impl Down {
    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Down::None => "none",
            Down::Avg => "avg",
            Down::Max => "max",
            Down::Stride => "stride",
        }
    }
}

/// How the path `lh` comes to high resolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpKind {
    /// Every pixel is repeated.
    Nearest,
    /// Interpolation.
    Bilinear,
    /// A transposed convolution.
    Deconv,
}

impl UpKind {
    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            UpKind::Nearest => "nearest",
            UpKind::Bilinear => "bilinear",
            UpKind::Deconv => "deconv",
        }
    }
}

/// Whether the path `lh` convolves before or after it is upsampled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// At low resolution.
    ConvUp,
    /// At high resolution.
    UpConv,
}

impl Order {
    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Order::ConvUp => "conv_up",
            Order::UpConv => "up_conv",
        }
    }
}

/// Groups of the convolutions of a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Groups {
    /// One channel in each group of every path.
    Depthwise,
    /// Number of groups by path, in the order of [`Route::ALL`]; 1 where there is no path.
    Of([usize; 4]),
}

/// An Octave Convolution.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// Name of its first convolution.
    pub name: String,
    /// Its paths with the names of their convolutions, in the order of [`Route::ALL`].
    pub convs: Vec<(Route, String)>,
    /// Step of the windows in space, on the high map.
    pub stride: usize,
    /// How it comes to its stride; none for stride 1.
    pub stride_kind: Option<StrideKind>,
    /// Channels of the high and the low input.
    pub in_ch: [usize; 2],
    /// Channels of the high and the low output.
    pub out_ch: [usize; 2],
    /// Extents of the window.
    pub kernel: Vec<usize>,
    /// Groups of the convolutions.
    pub groups: Groups,
    /// How `hl` comes to low resolution.
    pub down: Down,
    /// How `lh` comes to high resolution; none where it does not have to.
    pub up: Option<UpKind>,
    /// Where `lh` is upsampled, if it is.
    pub order: Option<Order>,
    /// Why something of the layer beside its poolings cannot happen in its convolutions; none when nothing is in the way.
    pub unfused: Option<String>,
    /// Names of the nodes that are no steps of their own when the layer is fused: normalisations, upsampling, sums.
    pub inner: Vec<String>,
}

impl Layer {
    /// Part of the input channels at low resolution.
    pub fn alpha_in(&self) -> f64 {
        alpha(self.in_ch)
    }

    /// Part of the output channels at low resolution.
    pub fn alpha_out(&self) -> f64 {
        alpha(self.out_ch)
    }
}

/// To four decimals.
fn alpha([high, low]: [usize; 2]) -> f64 {
    (low as f64 / (high + low).max(1) as f64 * 1e4).round_ties_even() / 1e4
}

/// A sum that looks like that of an Octave Convolution and is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NearMiss {
    /// Name of the sum.
    pub node: String,
    /// What is different.
    pub reason: String,
}

/// The octave structure of a graph.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Octave {
    /// The layers in the order of their first convolutions.
    pub layers: Vec<Layer>,
    /// What looks like a layer and is none.
    pub near_misses: Vec<NearMiss>,
}

/// What makes structure visible and leaves it as it is: no normalisation is folded.
const PREPARATION: &[Pass] = &[
    Pass { name: "fold_constants", rule: Rule::Local(fold_constants) },
    Pass { name: "remove_identity", rule: Rule::Local(remove_identity) },
    DEDUPLICATE,
];

/// The octave structure of a graph whose types are known and that no pass has changed yet.
///
/// # Errors
/// As [`passes::optimize`].
pub fn find(graph: &Graph) -> Result<Octave, GraphError> {
    let options = Options { target: Target::new(Isa::V2), precision: Precision::Strict };
    let (graph, _) = passes::run(graph, PREPARATION, options)?;
    let view = View::new(&graph);
    let heads = Heads::new(&view);
    let (sums, misses) = sums::find(&view, &heads);
    let mut drafts = pair::layers(&view, &heads, sums, &misses);
    levels::single(&view, &heads, &misses, &mut drafts);
    drafts.sort_by_key(|d| d.first());
    let layers = drafts.iter().map(|d| describe::layer(&view, &heads, d)).collect();
    let near_misses =
        misses.into_iter().map(|m| NearMiss { node: view.node(m.add).name.clone(), reason: m.reason });
    Ok(Octave { layers, near_misses: near_misses.collect() })
}
