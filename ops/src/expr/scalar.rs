//! Values of element types and how they convert into each other.

use crate::dtype::DType;
use crate::tensor::Element;

/// One variant per element type, with what is the same for all of them.
macro_rules! scalars {
    ($($(#[$doc:meta])* $v:ident($t:ty)),* $(,)?) => {
        /// A value of an element type.
        #[derive(Clone, Copy, Debug)]
        pub enum Scalar { $($(#[$doc])* $v($t)),* }

        impl Scalar {
            /// The element type.
            pub fn dtype(self) -> DType {
                match self { $(Scalar::$v(_) => DType::$v),* }
            }

            /// The element that these little-endian bytes hold, of which there are `dtype.size()`.
            pub fn read(dtype: DType, bytes: &[u8]) -> Scalar {
                match dtype { $(DType::$v => Scalar::$v(<$t>::read(bytes))),* }
            }

            /// Appends the element as little-endian bytes.
            pub fn write(self, out: &mut Vec<u8>) {
                match self { $(Scalar::$v(v) => v.write(out)),* }
            }
        }

        $(impl From<$t> for Scalar {
            fn from(v: $t) -> Scalar { Scalar::$v(v) }
        })*
    };
}

scalars! {
    /// `f32`
    F32(f32),
    /// `f64`
    F64(f64),
    /// `i64`
    I64(i64),
    /// `i32`
    I32(i32),
    /// `i16`
    I16(i16),
    /// `i8`
    I8(i8),
    /// `u64`
    U64(u64),
    /// `u32`
    U32(u32),
    /// `u16`
    U16(u16),
    /// `u8`
    U8(u8),
    /// `bool`
    Bool(bool),
}

impl PartialEq for Scalar {
    /// Bitwise: NaN equals the same NaN, so that expressions that print alike are equal.
    fn eq(&self, other: &Self) -> bool {
        let bits = |s: Scalar| {
            let mut bytes = Vec::with_capacity(8);
            s.write(&mut bytes);
            bytes
        };
        self.dtype() == other.dtype() && bits(*self) == bits(*other)
    }
}

/// What a value is on its way from one type to another: every value of every type is exactly one of these.
enum Number {
    Float(f64),
    Int(i128),
}

impl Scalar {
    fn number(self) -> Number {
        match self {
            Scalar::F32(v) => Number::Float(v.into()),
            Scalar::F64(v) => Number::Float(v),
            Scalar::I64(v) => Number::Int(v.into()),
            Scalar::I32(v) => Number::Int(v.into()),
            Scalar::I16(v) => Number::Int(v.into()),
            Scalar::I8(v) => Number::Int(v.into()),
            Scalar::U64(v) => Number::Int(v.into()),
            Scalar::U32(v) => Number::Int(v.into()),
            Scalar::U16(v) => Number::Int(v.into()),
            Scalar::U8(v) => Number::Int(v.into()),
            Scalar::Bool(v) => Number::Int(v.into()),
        }
    }

    /// The value of an integer or `bool`.
    pub fn int(self) -> Option<i128> {
        match self.number() {
            Number::Int(v) => Some(v),
            Number::Float(_) => None,
        }
    }

    /// The value as f64; integers beyond 2^53 are rounded.
    pub fn to_f64(self) -> f64 {
        match self.number() {
            Number::Float(v) => v,
            Number::Int(v) => v as f64,
        }
    }

    /// Zero (or false) of an element type.
    pub fn zero(dtype: DType) -> Scalar {
        Scalar::I64(0).cast(dtype)
    }

    /// The value that loses against every other in a maximum: `-inf`, the least integer, false.
    pub fn lowest(dtype: DType) -> Scalar {
        if dtype.is_float() { Scalar::F64(f64::NEG_INFINITY).cast(dtype) } else { Scalar::limits(dtype).0 }
    }

    /// The value that loses against every other in a minimum: `inf`, the greatest integer, true.
    pub fn highest(dtype: DType) -> Scalar {
        if dtype.is_float() { Scalar::F64(f64::INFINITY).cast(dtype) } else { Scalar::limits(dtype).1 }
    }

    /// The least and the greatest finite value of an element type.
    pub fn limits(dtype: DType) -> (Scalar, Scalar) {
        match dtype {
            DType::F32 => (f32::MIN.into(), f32::MAX.into()),
            DType::F64 => (f64::MIN.into(), f64::MAX.into()),
            DType::I64 => (i64::MIN.into(), i64::MAX.into()),
            DType::I32 => (i32::MIN.into(), i32::MAX.into()),
            DType::I16 => (i16::MIN.into(), i16::MAX.into()),
            DType::I8 => (i8::MIN.into(), i8::MAX.into()),
            DType::U64 => (u64::MIN.into(), u64::MAX.into()),
            DType::U32 => (u32::MIN.into(), u32::MAX.into()),
            DType::U16 => (u16::MIN.into(), u16::MAX.into()),
            DType::U8 => (u8::MIN.into(), u8::MAX.into()),
            DType::Bool => (false.into(), true.into()),
        }
    }

    /// Conversion between element types: floats truncate and saturate, NaN gives 0; integers wrap; f64 and integers
    /// round once to a narrower float; `bool` is `!= 0`.
    pub fn cast(self, to: DType) -> Scalar {
        macro_rules! to {
            ($v:expr) => {
                match to {
                    DType::F32 => Scalar::F32($v as f32),
                    DType::F64 => Scalar::F64($v as f64),
                    DType::I64 => Scalar::I64($v as i64),
                    DType::I32 => Scalar::I32($v as i32),
                    DType::I16 => Scalar::I16($v as i16),
                    DType::I8 => Scalar::I8($v as i8),
                    DType::U64 => Scalar::U64($v as u64),
                    DType::U32 => Scalar::U32($v as u32),
                    DType::U16 => Scalar::U16($v as u16),
                    DType::U8 => Scalar::U8($v as u8),
                    DType::Bool => Scalar::Bool($v != Default::default()),
                }
            };
        }
        match (self, to) {
            // The bits of a NaN are kept.
            (Scalar::F32(v), DType::F32) => Scalar::F32(v),
            (s, _) => match s.number() {
                Number::Float(v) => to!(v),
                Number::Int(v) => to!(v),
            },
        }
    }
}

/// `v` rounded to the nearest value of IEEE binary16 (halves to even; beyond 65504 infinite), as f32.
pub fn round_f16(v: f32) -> f32 {
    round_to(v, 10, -14, 65504.0)
}

/// `v` rounded to the nearest value of bfloat16 (halves to even), as f32.
pub fn round_bf16(v: f32) -> f32 {
    // The greatest bfloat16: eight ones, exponent 127.
    round_to(v, 7, -126, f32::from_bits(0x7f7f_0000))
}

/// `v` rounded to a float of `bits` explicit bits of mantissa whose least normal number is `2^lowest`.
fn round_to(v: f32, bits: i32, lowest: i32, largest: f32) -> f32 {
    if !v.is_finite() || v == 0.0 {
        return v;
    }
    let x = f64::from(v);
    let exponent = ((x.abs().to_bits() >> 52) as i32 - 1023).max(lowest);
    let step = 2f64.powi(exponent - bits);
    let rounded = (x / step).round_ties_even() * step;
    if rounded.abs() > largest.into() { f32::INFINITY.copysign(v) } else { (rounded as f32).copysign(v) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conversions() {
        assert_eq!(Scalar::F32(f32::NAN).cast(DType::I32), Scalar::I32(0));
        assert_eq!(Scalar::F32(1e30).cast(DType::I64), Scalar::I64(i64::MAX));
        assert_eq!(Scalar::I64(300).cast(DType::U8), Scalar::U8(44));
        assert_eq!(Scalar::I64(-1).cast(DType::U64), Scalar::U64(u64::MAX));
        assert_eq!(Scalar::F64(-1.5).cast(DType::U16), Scalar::U16(0));
        assert_eq!(Scalar::F64(1e199).cast(DType::F32), Scalar::F32(f32::INFINITY));
        assert_eq!(Scalar::I64(16_777_217).cast(DType::F64).cast(DType::I64), Scalar::I64(16_777_217));
        assert_eq!(Scalar::U64(u64::MAX).cast(DType::I8), Scalar::I8(-1));
        assert_eq!(Scalar::F32(f32::NAN).cast(DType::Bool), Scalar::Bool(true));
        for d in DType::ALL {
            let (low, high) = Scalar::limits(d);
            assert_eq!((low.dtype(), high.dtype(), Scalar::zero(d).dtype()), (d, d, d));
            let mut bytes = Vec::new();
            high.write(&mut bytes);
            assert_eq!(Scalar::read(d, &bytes), high);
        }
    }

    #[test]
    fn narrow_floats() {
        let half = [(70000.0, f32::INFINITY), (65519.0, 65504.0), (65520.0, f32::INFINITY), (1.0, 1.0)];
        for (v, expected) in half {
            assert_eq!(round_f16(v), expected);
            assert_eq!(round_f16(-v), -expected);
        }
        // Halfway between neighbours: to even. Below 2^-14 in steps of 2^-24.
        assert_eq!(round_f16(1.0 + 1.0 / 2048.0), 1.0);
        assert_eq!(round_f16(1.0 + 3.0 / 2048.0), 1.0 + 4.0 / 2048.0);
        assert_eq!(round_f16(2f32.powi(-25)), 0.0);
        assert_eq!(round_f16(2f32.powi(-25) * 1.001), 2f32.powi(-24));
        assert_eq!(round_bf16(1.0 + 1.0 / 256.0), 1.0);
        assert_eq!(round_bf16(f32::MAX), f32::INFINITY);
        assert!(round_bf16(f32::NAN).is_nan());
        assert_eq!(round_f16(-0.0).to_bits(), (-0.0f32).to_bits());
    }
}
