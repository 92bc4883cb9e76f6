//! The text form of nests, as in the header of [`nest`](super): printing is `Display`.
//!
//! ```text
//! nest       = `nest` string `{` buffer* stmt* `}`
//! buffer     = (`in` | `out` | `scratch`) bN `:` dtype `[` extents `]`                     bN in order
//!            | `table` bN `:` (`i32` | `i64`) `[` extents `]` `=` `[` entry,* `]`          row-major
//! stmt       = (`for` | `reduce`) LN `in` extent (`parallel` | `unrolled` | `vector`)? `{` stmt* `}`
//!            | element `=` expr
//!            | element `init` expr (`sum` | `max` | `min` | `prod`) expr `finish` expr
//! element    = bN `[` expr, ... `]` (`when` expr)?
//! ```
//!
//! Expressions and the rest are as in the text form of [kernels](crate::loop_ir::text). Calls are printed, and not
//! read: a nest that has them is written as a [tile nest](crate::tile::text).

use std::fmt;

mod parse;

pub use parse::parse;

use super::{Define, Nest, Stmt};
use crate::tile::BufferRole;
use crate::tile::text::entries;

fn separated(items: &[impl fmt::Display]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

impl fmt::Display for Nest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "nest \"{}\" {{", self.name)?;
        for (i, b) in self.buffers.iter().enumerate() {
            let role = b.role.word();
            write!(f, "  {role} b{i}: {}", b.ty)?;
            match &b.role {
                BufferRole::Table(t) => writeln!(f, " = {}", entries(t))?,
                _ => writeln!(f)?,
            }
        }
        self.body.iter().try_for_each(|s| self.stmt(f, s, 1))?;
        writeln!(f, "}}")
    }
}

impl Nest {
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
                let program = self.leaves.get(*leaf);
                let name = program.map_or("", |p| p.name.as_str());
                let slot = |i: usize| program.and_then(|p| p.slots.get(i)).map_or("_", |s| s.name.as_str());
                let values: Vec<String> =
                    slots.iter().enumerate().map(|(i, v)| format!("{} = {v}", slot(i))).collect();
                writeln!(f, "{:indent$}call {leaf} \"{name}\" ({})", "", values.join(", "))
            }
        }
    }
}

impl Define {
    fn print(&self, f: &mut fmt::Formatter<'_>, indent: usize) -> fmt::Result {
        write!(f, "{:indent$}{}[{}]", "", self.dst, separated(&self.index))?;
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
