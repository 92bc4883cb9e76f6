//! What a family says of its layers.

/// Channels of a feature map by frequency.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Channels {
    pub high: usize,
    pub low: usize,
}

impl Channels {
    /// Of `channels` the part `alpha` at low frequency, rounded down.
    pub fn split(channels: usize, alpha: f64) -> Self {
        let low = ((alpha * channels as f64) as usize).min(channels);
        Channels { high: channels - low, low }
    }

    /// All at high frequency.
    pub fn high(channels: usize) -> Self {
        Channels { high: channels, low: 0 }
    }
}

/// How the channels of a convolution are connected.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Groups {
    /// In so many groups, in each path that has as many output channels.
    Of(usize),
    /// Each channel with itself: nothing passes from one frequency to the other.
    Depthwise,
}

/// A convolution, vanilla or OctConv.
pub(super) struct Layer {
    pub out: Channels,
    pub kernel: usize,
    pub stride: usize,
    pub groups: Groups,
    /// Mean square of what it gives.
    pub power: f64,
}

impl Layer {
    /// A window of `kernel` x `kernel`, step 1.
    pub fn new(out: Channels, kernel: usize) -> Self {
        Layer { out, kernel, stride: 1, groups: Groups::Of(1), power: 1.0 }
    }

    pub fn stride(self, stride: usize) -> Self {
        Layer { stride, ..self }
    }

    pub fn groups(self, groups: Groups) -> Self {
        Layer { groups, ..self }
    }
}

/// Scale and shift of a normalisation.
#[derive(Clone, Copy)]
pub(super) enum Affine {
    /// Learned, the scale around this number.
    Learned(f64),
    /// 1 and 0, which training leaves as they are.
    Fixed,
}
