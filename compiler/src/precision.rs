//! Which algorithms the compiler may choose between, by how exact they are.

use std::fmt;
use std::str::FromStr;

/// How exact the algorithms of compiled code must be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Precision {
    /// Any algorithm, Winograd's included: where the inputs of a convolution are of about one size, no result is off by more
    /// than 1e-5 of the root mean square of all. What is far larger than its neighbours, or not finite, may reach results that
    /// do not depend on it.
    #[default]
    Default,
    /// Sums of the products that the definition has, and no others: Winograd's algorithm is excluded, and products with zeros
    /// in place of the weights of other groups, or of other phases of a transposed convolution.
    Strict,
}

impl Precision {
    /// All of them.
    pub const ALL: [Precision; 2] = [Precision::Default, Precision::Strict];
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Precision::Default => "default",
            Precision::Strict => "strict",
        })
    }
}

impl FromStr for Precision {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        let found = Precision::ALL.into_iter().find(|p| p.to_string() == s);
        found.ok_or_else(|| format!("unknown precision '{s}': expected default or strict"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_back() {
        for p in Precision::ALL {
            assert_eq!(p.to_string().parse(), Ok(p));
        }
        assert_eq!(
            "fast".parse::<Precision>(),
            Err("unknown precision 'fast': expected default or strict".to_string())
        );
        assert_eq!(Precision::default(), Precision::Default);
    }
}
