//! Words for the values of an enum: one table gives `Display`, `FromStr` and the list of all values.

/// Gives a field-less enum `all()`, `name()`, `Display` and `FromStr` from one table of words.
macro_rules! named {
    ($type:ident, $what:literal, { $($variant:ident => $word:literal),+ $(,)? }) => {
        impl $type {
            /// Every value, in the order of the documentation.
            pub const fn all() -> &'static [Self] {
                &[$(Self::$variant),+]
            }

            /// The word for this value, the same in `Display`, `FromStr` and JSON.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $word),+
                }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.name())
            }
        }

        impl std::str::FromStr for $type {
            type Err = $crate::image::ImageError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::all().iter().copied().find(|value| value.name() == text).ok_or_else(|| {
                    $crate::image::ImageError::UnknownName {
                        what: $what,
                        found: text.to_owned(),
                        expected: [$($word),+].join(", "),
                    }
                })
            }
        }
    };
}

pub(super) use named;
