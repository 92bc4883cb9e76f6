//! The text form of nests, as in the header of [`nest`](super): printing is `Display`.
//!
//! ```text
//! nest     = `nest` string `{` buffer* stmt* `}` leaf*
//! buffer   = (`in` | `out` | `scratch`) bN `:` type (`range` lo `..` hi)?      N in order
//!          | `table` bN `:` type `=` `[` entry,* `]`                          row-major
//! stmt     = (`for` | `reduce`) LN `in` extent form? `{` stmt* `}`
//!          | `update`? element `=` expr
//!          | element `init` expr (`sum` | `max` | `min` | `prod`) expr `finish` expr
//!          | `call` N string `(` (slot `=` value),* `)`                       leaf N, whose name is the string
//! form     = `parallel` | `unrolled` | `vector` | `turn`
//! element  = bN `[` expr,* `]` (`when` expr)?
//! value    = number | bN ((`+` | `-`) bytes)? ((`+` | `-`) bytes `*` LN)*
//! type     = dtype `[` extent,* `]`
//! ```
//!
//! Expressions are written as [`Expr`](octrt_ops::expr::Expr) prints. The leaf programs that are called follow the nest, in
//! their own [text form](crate::leaf::text). Slots stand in the order of the leaf's; where a nest that breaks the rules
//! calls a leaf that is not there the string is missing, and where it has more values than slots their name is `_`. Spaces
//! and line ends separate words and mean nothing else; `;` starts a comment that ends with the line.

use std::fmt;

use octrt_ops::expr::BufId;
use octrt_ops::{DType, Tensor};

use super::{BufferRole, Define, Distance, Form, Loop, Nest, Role, SlotValue, Stmt};

pub(crate) mod expr;
mod parse;
#[cfg(test)]
mod tests;

pub use crate::text::ParseError;
pub use expr::parse_expr;
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

fn separated(items: &[impl fmt::Display]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Prints as `for L3 in 16 unrolled`; a serial loop names no form.
impl fmt::Display for Loop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let role = match self.role {
            Role::Data => "for",
            Role::Reduce => "reduce",
        };
        write!(f, "{role} {} in {}", self.id, self.extent)?;
        if self.form != Form::Serial { write!(f, " {}", self.form) } else { Ok(()) }
    }
}

/// Prints as `serial`, `parallel`, `unrolled`, `vector` or `turn`.
impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Form::Serial => "serial",
            Form::Parallel => "parallel",
            Form::Unrolled => "unrolled",
            Form::Vector => "vector",
            Form::Turn => "turn",
        })
    }
}

/// A nest that prints without its leaf programs.
pub struct Outline<'a>(&'a Nest);

impl fmt::Display for Outline<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nest = self.0;
        writeln!(f, "nest {:?} {{", nest.name)?;
        for (i, b) in nest.buffers.iter().enumerate() {
            write!(f, "  {} {}: {}", b.role.word(), BufId(i as u32), b.ty)?;
            match &b.role {
                BufferRole::Table(t) => writeln!(f, " = {}", entries(t))?,
                _ => b
                    .range
                    .map_or(Ok(()), |(lo, hi)| write!(f, " range {lo}..{hi}"))
                    .and_then(|()| writeln!(f))?,
            }
        }
        nest.body.iter().try_for_each(|s| nest.stmt(f, s, 1))?;
        writeln!(f, "}}")
    }
}

impl fmt::Display for Nest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.outline().fmt(f)?;
        let mut leaves = self.leaves.iter().enumerate();
        leaves.try_for_each(|(i, leaf)| write!(f, "\n; leaf {i}\n{leaf}"))
    }
}

impl Nest {
    /// The text without the leaf programs.
    pub fn outline(&self) -> Outline<'_> {
        Outline(self)
    }

    fn stmt(&self, f: &mut fmt::Formatter<'_>, stmt: &Stmt, depth: usize) -> fmt::Result {
        let indent = 2 * depth;
        match stmt {
            Stmt::Loop(l, body) => {
                writeln!(f, "{:indent$}{l} {{", "")?;
                body.iter().try_for_each(|s| self.stmt(f, s, depth + 1))?;
                writeln!(f, "{:indent$}}}", "")
            }
            Stmt::Define(d) => d.print(f, indent),
            Stmt::Call { leaf, slots } => {
                write!(f, "{:indent$}call {leaf} ", "")?;
                let program = self.leaves.get(*leaf);
                if let Some(program) = program {
                    write!(f, "{:?} ", program.name)?;
                }
                let name = |i: usize| program.and_then(|p| p.slots.get(i)).map_or("_", |s| s.name.as_str());
                let values: Vec<String> =
                    slots.iter().enumerate().map(|(i, v)| format!("{} = {v}", name(i))).collect();
                writeln!(f, "({})", values.join(", "))
            }
        }
    }
}

impl Define {
    fn print(&self, f: &mut fmt::Formatter<'_>, indent: usize) -> fmt::Result {
        let update = if self.update { "update " } else { "" };
        write!(f, "{:indent$}{update}{}[{}]", "", self.dst, separated(&self.index))?;
        if let Some(when) = &self.when {
            write!(f, " when {when}")?;
        }
        match &self.reduce {
            None => writeln!(f, " = {}", self.value),
            Some(r) => {
                writeln!(f, "\n{:indent$}  init {}", "", r.init)?;
                writeln!(f, "{:indent$}  {} {}", "", r.combine.name(), self.value)?;
                writeln!(f, "{:indent$}  finish {}", "", r.finish)
            }
        }
    }
}

/// The elements of a table in brackets: in one line where they are few, else in lines of their own.
fn entries(t: &Tensor) -> String {
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
