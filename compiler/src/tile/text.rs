//! The text form of tile nests, as in the header of [`tile`](super): printing is `Display`.
//!
//! ```text
//! nest     = `tile` string `{` buffer* `for` LN `in` extent `parallel` `{` stmt* `}` `}` leaf*
//! buffer   = (`in` | `out` | `scratch`) bN `:` type                             N in order
//!          | `table` bN `:` type `=` `[` entry,* `]`                            row-major
//! stmt     = `for` LN `in` extent `{` stmt* `}`
//!          | `call` N string `(` (slot `=` value),* `)`                         leaf N, whose name is the string
//! value    = number | bN ((`+` | `-`) bytes)? ((`+` | `-`) bytes `*` LN)*
//! type     = dtype `[` extent,* `]`
//! ```
//!
//! The leaf programs follow the nest, in their own [text form](crate::leaf::text), whose rules on spaces, comments and
//! names hold here too. Slots stand in the order of the leaf's; where a nest that breaks the rules calls a leaf that is not
//! there the string is missing, and where it has more values than slots their name is `_`.

use std::fmt;

use octrt_ops::{DType, Tensor};

use super::{BufferId, BufferRole, Distance, SlotValue, Stmt, TileNest};

mod parse;
#[cfg(test)]
mod tests;

pub use crate::leaf::text::ParseError;
pub use parse::parse;

/// Columns of a line of a table.
const COLUMNS: usize = 100;

/// Prints as ` + 64 - 448*L0`, and as nothing for 0.
impl fmt::Display for Distance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = |bytes: i64| if bytes < 0 { '-' } else { '+' };
        if self.base != 0 {
            write!(f, " {} {}", sign(self.base), self.base.unsigned_abs())?;
        }
        let mut terms = self.terms.iter();
        terms.try_for_each(|(id, factor)| write!(f, " {} {}*{id}", sign(*factor), factor.unsigned_abs()))
    }
}

/// Prints as `b0 + 64 - 448*L0` or `8`.
impl fmt::Display for SlotValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SlotValue::Pointer(b, at) => write!(f, "{b}{at}"),
            SlotValue::Number(n) => write!(f, "{n}"),
        }
    }
}

impl fmt::Display for TileNest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "tile \"{}\" {{", self.name)?;
        for (i, b) in self.buffers.iter().enumerate() {
            let role = b.role.word();
            write!(f, "  {role} {}: {}", BufferId(i as u32), b.ty)?;
            match &b.role {
                BufferRole::Table(t) => writeln!(f, " = {}", entries(t))?,
                _ => writeln!(f)?,
            }
        }
        writeln!(f, "  for {} in {} parallel {{", self.parallel, self.extent)?;
        self.body.iter().try_for_each(|s| self.stmt(f, s, 2))?;
        writeln!(f, "  }}\n}}")?;
        for (i, leaf) in self.leaves.iter().enumerate() {
            write!(f, "\n; leaf {i}\n{leaf}")?;
        }
        Ok(())
    }
}

impl TileNest {
    fn stmt(&self, f: &mut fmt::Formatter<'_>, stmt: &Stmt, depth: usize) -> fmt::Result {
        let indent = 2 * depth;
        match stmt {
            Stmt::Loop { id, extent, body } => {
                writeln!(f, "{:indent$}for {id} in {extent} {{", "")?;
                body.iter().try_for_each(|s| self.stmt(f, s, depth + 1))?;
                writeln!(f, "{:indent$}}}", "")
            }
            Stmt::Call { leaf, slots } => {
                write!(f, "{:indent$}call {leaf} ", "")?;
                let program = self.leaves.get(*leaf);
                if let Some(program) = program {
                    write!(f, "\"{}\" ", program.name)?;
                }
                let name = |i: usize| program.and_then(|p| p.slots.get(i)).map_or("_", |s| s.name.as_str());
                let values: Vec<String> =
                    slots.iter().enumerate().map(|(i, v)| format!("{} = {v}", name(i))).collect();
                writeln!(f, "({})", values.join(", "))
            }
        }
    }
}

/// The elements of a table in brackets: in one line where they are few, else in lines of their own.
pub(crate) fn entries(t: &Tensor) -> String {
    let words: Vec<String> = match t.dtype() {
        DType::I32 | DType::I64 => t.to_i64s().unwrap_or_default().iter().map(i64::to_string).collect(),
        _ => t.to_f64s().iter().map(|x| format!("{x:?}")).collect(),
    };
    let line = words.join(", ");
    if line.len() <= COLUMNS / 2 {
        return format!("[{line}]");
    }
    let mut out = String::from("[");
    let mut columns = COLUMNS;
    for word in words {
        if columns + word.len() + 2 > COLUMNS {
            out.push_str("\n   ");
            columns = 3;
        }
        out.push_str(&format!(" {word},"));
        columns += word.len() + 2;
    }
    out.push_str("\n  ]");
    out
}
