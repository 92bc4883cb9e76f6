//! OctConvs with something taken away: table 3 of the paper.

use std::fmt;

use serde::Serialize;

/// Which frequencies OctConvs let through to each other. Those that read or give one frequency only keep their paths, so
/// that the low frequency comes from the picture and counts for the classes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Exchange {
    /// Both ways, as in an OctConv.
    #[default]
    Both,
    /// From high to low only.
    HighToLow,
    /// From low to high only.
    LowToHigh,
    /// None: two networks side by side.
    None,
}

impl Exchange {
    /// Whether the low frequency reads the high one.
    pub fn has_high_to_low(self) -> bool {
        matches!(self, Exchange::Both | Exchange::HighToLow)
    }

    /// Whether the high frequency reads the low one.
    pub fn has_low_to_high(self) -> bool {
        matches!(self, Exchange::Both | Exchange::LowToHigh)
    }
}

impl fmt::Display for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Exchange::Both => "both",
            Exchange::HighToLow => "H to L",
            Exchange::LowToHigh => "L to H",
            Exchange::None => "none",
        })
    }
}

/// How OctConvs halve the extent, for the low frequency and for a stride of 2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Down {
    /// A 2x2 average before the convolution.
    #[default]
    Average,
    /// The convolution's stride: 4 where a layer of stride 2 goes from high to low.
    Stride,
}

impl fmt::Display for Down {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Down::Average => "average",
            Down::Stride => "stride",
        })
    }
}

/// What a network's OctConvs are made of; the default is the paper's OctConv.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Ablation {
    /// Paths between the frequencies.
    pub exchange: Exchange,
    /// Down-sampling.
    pub down: Down,
}
