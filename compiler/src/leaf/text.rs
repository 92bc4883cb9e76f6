//! The text form of leaf programs, as in the header of [`leaf`](super): printing is `Display`.
//!
//! ```text
//! program = `leaf` string (`w8` | `w16`) `{` slot* inst* `}`
//! slot    = `slot` N string `:` (`pointer` | `count` | `stride`)            N in order
//! inst    = pN `=` slot N | pN `=` pN `+` oN | pN `+=` (bytes | slot N) | oN `=` `table` pN `[` entry `]`
//!         | vN `=` (`zero` | `splat` number | `copy` vN | `load` address lanes? | `broadcast` address
//!                  | op vN `,` operand | (shuffle | test) vN `,` vN | function vN | shift vN `,` bits
//!                  | `select` vN `,` vN `,` vN)
//!         | vN `+=` vN `*` operand | vN `=` vN `*` vN `+` operand                  the first two are one
//!         | `store` address lanes? `,` vN | `prefetch` (`l1` | `l2`) address
//!         | `loop` slot N `{` inst* `}`
//! address = `[` pN (`+` oN)? ((`+` | `-`) bytes)? `]`
//! operand = vN | address | `broadcast` address | `splat` number
//! lanes   = `lanes` count                                                   all when absent
//! op      = `add` | `sub` | `mul` | `div` | `min` | `max` | `and` | `and_not` | `or` | `xor` | `sub_bits` | `scale`
//! function = `sqrt` | `round` | `floor` | `ceil` | `from_int` | `exponent` | `mantissa`
//! shift   = `shift_left` | `shift_right`
//! test    = `lt` | `le` | `gt` | `ge` | `eq` | `ne` | `unordered`
//! shuffle = `interleave_low` | `interleave_high` | `join_low` | `join_high` | `even_quads` | `odd_quads`
//! ```
//!
//! Spaces and line ends separate words and mean nothing else; `;` starts a comment that ends with the line.

mod parse;
mod print;
#[cfg(test)]
mod tests;

pub use crate::text::ParseError;
pub use parse::parse;
pub(crate) use parse::program;
