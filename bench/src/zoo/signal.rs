//! What is expected of the elements of a feature map, so that weights and statistics can be drawn that fit.

/// Mean and mean square of all elements of a map, taken as normally distributed. The picture has mean 0 and square 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Signal {
    /// Mean.
    pub mean: f64,
    /// Mean square.
    pub square: f64,
}

impl Signal {
    /// Mean 0 and mean square 1.
    pub const UNIT: Signal = Signal { mean: 0.0, square: 1.0 };

    /// Mean 0 and this mean square.
    pub fn centred(square: f64) -> Self {
        Signal { mean: 0.0, square }
    }

    fn with_variance(mean: f64, variance: f64) -> Self {
        Signal { mean, square: mean * mean + variance }
    }

    /// Variance, never 0.
    pub fn variance(self) -> f64 {
        (self.square - self.mean * self.mean).max(1e-6)
    }

    /// After a 2x2 average: of independent elements a quarter of the variance would be left, of equal ones all. Channels
    /// differ by their means more than pixels do.
    pub fn pooled(self) -> Self {
        Signal::with_variance(self.mean, 0.75 * self.variance())
    }

    /// After a 3x3 maximum of elements that are partly alike.
    pub fn maximum(self) -> Self {
        Signal::with_variance(self.mean + self.variance().sqrt(), 0.5 * self.variance())
    }

    /// After a mean over the whole map: what is left is how channels differ.
    pub fn mean_of_all(self) -> Self {
        Signal::with_variance(self.mean, 0.7 * self.variance())
    }

    /// After `max(x, 0)`.
    pub fn rectified(self) -> Self {
        let sigma = self.variance().sqrt();
        let z = self.mean / sigma;
        // The logistic function stands for the normal distribution's.
        let above = 1.0 / (1.0 + (-1.702 * z).exp());
        let density = (-0.5 * z * z).exp() / std::f64::consts::TAU.sqrt();
        let mean = self.mean * above + sigma * density;
        Signal { mean, square: self.square * above + self.mean * sigma * density }
    }

    /// The sum of two independent maps.
    pub fn plus(self, other: Signal) -> Self {
        let mean = self.mean + other.mean;
        Signal::with_variance(mean, self.variance() + other.variance())
    }

    /// Maps of `n` and `m` channels, one after the other.
    pub fn beside(self, n: usize, other: Signal, m: usize) -> Self {
        let part = n as f64 / (n + m).max(1) as f64;
        let mix = |a: f64, b: f64| part * a + (1.0 - part) * b;
        Signal { mean: mix(self.mean, other.mean), square: mix(self.square, other.square) }
    }

    /// After a product with values near a half.
    pub fn halved(self) -> Self {
        Signal { mean: 0.5 * self.mean, square: 0.26 * self.square }
    }
}
