//! The text form of kernels, as in the header of [`loop_ir`](super): printing is `Display`.
//!
//! ```text
//! kernel     = `kernel` string `{` buffer* loop* store `}`
//! buffer     = (`in` | `out`) bN `:` dtype `[` extents `]` (`range` lo `..` hi)?      bN in order; one is `out`
//! loop       = (`for` | `reduce`) LN `in` extent (`parallel` | `unrolled` | `vector`)?
//! store      = element `=` expr
//!            | element `init` expr (`sum` | `max` | `min`) expr `finish` expr
//! element    = bN `[` expr, ... `]`
//! ```
//!
//! Expressions are written as [`Expr`](octrt_ops::expr::Expr) prints; a NaN keeps only that it is one. Spaces and
//! line ends separate words and mean nothing else; `;` starts a comment that ends with the line.

mod parse;
mod print;
#[cfg(test)]
mod tests;

pub use crate::text::ParseError;
pub use parse::parse;
