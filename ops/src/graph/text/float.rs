//! Floats in the text form that are no decimal numbers.

/// What the text form says of floats.
pub(super) trait Float: std::str::FromStr {
    /// An infinity, or the NaN that prints as `nan`.
    fn special(v: f64) -> Self;
    /// The NaN with these bits, in hexadecimal digits.
    fn nan(digits: &str) -> Option<Self>;
}

impl Float for f32 {
    fn special(v: f64) -> Self {
        if v.is_nan() { f32::from_bits(0x7fc0_0000) } else { v as f32 }
    }
    fn nan(digits: &str) -> Option<Self> {
        u32::from_str_radix(digits, 16).ok().map(f32::from_bits).filter(|v| v.is_nan())
    }
}

impl Float for f64 {
    fn special(v: f64) -> Self {
        if v.is_nan() { f64::from_bits(0x7ff8_0000_0000_0000) } else { v }
    }
    fn nan(digits: &str) -> Option<Self> {
        u64::from_str_radix(digits, 16).ok().map(f64::from_bits).filter(|v| v.is_nan())
    }
}
