//! The text form of tile nests: printing is `Display`, as in the header of [`tile`](super). Leaf programs follow the
//! nest, in their own text form.

use std::fmt;

use super::{BufferId, BufferRole, Distance, SlotValue, Stmt, TileNest};

impl fmt::Display for Distance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.base != 0 || self.terms.is_empty() {
            write!(f, " + {}", self.base)?;
        }
        self.terms.iter().try_for_each(|(id, factor)| write!(f, " + {factor}*{id}"))
    }
}

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
            let role = match b.role {
                BufferRole::Src => "in",
                BufferRole::Table(_) => "table",
                BufferRole::Dst => "out",
                BufferRole::Scratch => "scratch",
            };
            writeln!(f, "  {role} {}: {}", BufferId(i as u32), b.ty)?;
        }
        writeln!(f, "  for {} in {} parallel {{", self.parallel, self.extent)?;
        self.body.iter().try_for_each(|s| self.stmt(f, s, 2))?;
        writeln!(f, "  }}\n}}")
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
                let Some(program) = self.leaves.get(*leaf) else {
                    return writeln!(f, "{:indent$}call leaf {leaf}", "");
                };
                let values: Vec<String> =
                    program.slots.iter().zip(slots).map(|(s, v)| format!("{} = {v}", s.name)).collect();
                writeln!(f, "{:indent$}call {leaf} {} {}", "", program.name, values.join(", "))
            }
        }
    }
}
