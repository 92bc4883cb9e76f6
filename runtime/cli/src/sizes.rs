//! Numbers, sizes, dimensions, machines, and what is resized and cropped, as words of the command line.

use std::str::FromStr;
use std::time::Duration;

use octrt::image::{Crop, ImageError, ResizePolicy};
use octrt_compiler::Target;

/// `--size`: `224` or `480x640`, height first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(pub [usize; 2]);

impl FromStr for Size {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let side = |t: &str| t.parse::<usize>().ok().filter(|&n| n > 0);
        let size = match text.split_once('x') {
            None => side(text).map(|n| [n, n]),
            Some((h, w)) => side(h).zip(side(w)).map(|(h, w)| [h, w]),
        };
        size.map(Size).ok_or_else(|| format!("'{text}' is no size: expected pixels as N or HEIGHTxWIDTH"))
    }
}

/// `--mean`, `--std`: three numbers, or one for all three planes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Triple(pub [f32; 3]);

impl FromStr for Triple {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let numbers: Result<Vec<f32>, _> = text.split(',').map(|t| t.trim().parse::<f32>()).collect();
        match numbers.as_deref() {
            Ok([a]) => Ok(Triple([*a; 3])),
            Ok([a, b, c]) => Ok(Triple([*a, *b, *c])),
            _ => Err(format!("'{text}': expected one number or three separated by commas")),
        }
    }
}

/// `--scale`: a number, or a fraction of two.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Factor(pub f64);

impl FromStr for Factor {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let number = |t: &str| t.trim().parse::<f64>().ok();
        let factor = match text.split_once('/') {
            None => number(text),
            Some((a, b)) => number(a).zip(number(b)).map(|(a, b)| a / b),
        };
        factor.map(Factor).ok_or_else(|| format!("'{text}': expected a number, or a fraction as 1/255"))
    }
}

/// `--max-memory`: bytes, with `K`, `M`, `G` or `T` (powers of 1024, also written `KiB`) after the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteCount(pub usize);

impl FromStr for ByteCount {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let shift = match text[digits.len()..].to_ascii_lowercase().as_str() {
            "" | "b" => Some(0),
            "k" | "kib" => Some(10),
            "m" | "mib" => Some(20),
            "g" | "gib" => Some(30),
            "t" | "tib" => Some(40),
            _ => None,
        };
        let bytes = shift.zip(digits.parse::<usize>().ok()).and_then(|(s, n)| n.checked_mul(1 << s));
        bytes.map(ByteCount).ok_or_else(|| format!("'{text}': expected bytes, as 500M or 2GiB"))
    }
}

/// `--target`: an instruction set, or `native` for none in particular: the best that this machine has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TargetArg(pub Option<Target>);

impl FromStr for TargetArg {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "native" {
            return Ok(TargetArg(None));
        }
        text.parse().map(|t| TargetArg(Some(t))).map_err(|e| format!("{e}, or native"))
    }
}

/// `--budget`: a number of seconds, minutes or hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget(pub Duration);

impl FromStr for Budget {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(end);
        let seconds = match unit {
            "s" => Some(1),
            "m" => Some(60),
            "h" => Some(3600),
            _ => None,
        };
        let number = number.parse::<u32>().ok().map(u64::from);
        let seconds = number.zip(seconds).map(|(number, seconds)| number * seconds);
        let budget = seconds.map(|s| Budget(Duration::from_secs(s)));
        budget.ok_or_else(|| format!("'{text}': expected a number with s, m or h, as 90s or 10m"))
    }
}

/// `--dim NAME=N`: the extent of a dynamic dimension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DimArg {
    /// The dimension's name, or `INPUT:AXIS` for one that has none.
    pub name: String,
    /// Its extent.
    pub extent: usize,
}

impl FromStr for DimArg {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.rsplit_once('=').and_then(|(name, n)| Some((name, n.parse::<usize>().ok()?)));
        match parsed {
            Some((name, extent)) if !name.is_empty() => Ok(DimArg { name: name.to_string(), extent }),
            _ => Err(format!("'{text}': expected NAME=N")),
        }
    }
}

/// `--resize`: a policy and to how many pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resize {
    pub policy: ResizePolicy,
    pub pixels: Option<usize>,
}

/// `none`, `whole`, `short-side:256`.
pub fn parse_resize(text: &str) -> Result<Resize, String> {
    let (policy, pixels) = match text.split_once(':') {
        None => (text, None),
        Some((policy, n)) => {
            let n = n.parse().map_err(|_| format!("'{n}': expected a number of pixels"))?;
            (policy, Some(n))
        }
    };
    Ok(Resize { policy: policy.parse().map_err(|e: ImageError| e.to_string())?, pixels })
}

/// `none`, `to-input`, `224`, `224x320`.
pub fn parse_crop(text: &str) -> Result<Crop, String> {
    match text {
        "none" => Ok(Crop::None),
        "to-input" => Ok(Crop::ToInput),
        size => size.parse().map(|Size(s)| Crop::Size(s)).map_err(|e| format!("{e}, none or to-input")),
    }
}

#[cfg(test)]
mod tests {
    use octrt_compiler::Isa;

    use super::*;

    #[test]
    fn words_become_values() {
        assert_eq!("224".parse(), Ok(Size([224, 224])));
        assert_eq!("48x64".parse(), Ok(Size([48, 64])));
        assert_eq!("1,2.5, 3".parse(), Ok(Triple([1.0, 2.5, 3.0])));
        assert_eq!("0.5".parse(), Ok(Triple([0.5; 3])));
        assert_eq!("1/4".parse(), Ok(Factor(0.25)));
        assert_eq!("2GiB".parse(), Ok(ByteCount(2 << 30)));
        assert_eq!("500m".parse(), Ok(ByteCount(500 << 20)));
        assert_eq!("a=b=3".parse(), Ok(DimArg { name: "a=b".into(), extent: 3 }));
        assert_eq!("native".parse(), Ok(TargetArg(None)));
        assert_eq!("x86-64-v3".parse(), Ok(TargetArg(Some(Target::new(Isa::V3)))));
    }

    #[test]
    fn other_words_are_refused() {
        for text in ["", "0", "2x", "x", "-1", "1x0"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
        assert!("1,2".parse::<Triple>().is_err());
        assert!("1/x".parse::<Factor>().is_err());
        for text in ["", "G", "1Q", "99999999999999T"] {
            assert!(text.parse::<ByteCount>().is_err(), "{text}");
        }
        assert!("arm64".parse::<TargetArg>().is_err());
        assert!("=3".parse::<DimArg>().is_err());
        assert!("n".parse::<DimArg>().is_err());
    }

    #[test]
    fn broken_words_about_pictures_are_refused() {
        assert!(parse_resize("short-side:x").is_err());
        assert!(parse_resize("what").is_err());
        assert!(parse_crop("0").is_err());
    }
}
