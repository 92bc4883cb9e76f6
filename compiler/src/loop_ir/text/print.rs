//! Printing of kernels and their loops.

use std::fmt;

use crate::loop_ir::{Form, Kernel, KernelBuffer, Loop, Role};

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

/// Prints as `i64[4] range 0..3`.
impl fmt::Display for KernelBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[", self.ty.dtype)?;
        separated(f, self.ty.shape.dims())?;
        f.write_str("]")?;
        self.range.map_or(Ok(()), |(lo, hi)| write!(f, " range {lo}..{hi}"))
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "kernel {:?} {{", self.name)?;
        for (i, buffer) in self.buffers.iter().enumerate() {
            let role = if i == self.dst.0 as usize { "out" } else { "in" };
            writeln!(f, "  {role} b{i}: {buffer}")?;
        }
        for l in &self.loops {
            writeln!(f, "  {l}")?;
        }
        write!(f, "  {}{}[", if self.update { "update " } else { "" }, self.dst)?;
        separated(f, &self.index)?;
        match &self.reduce {
            None => writeln!(f, "] = {}", self.body)?,
            Some(r) => {
                writeln!(f, "]\n    init {}", r.init)?;
                writeln!(f, "    {} {}", r.combine.name(), self.body)?;
                writeln!(f, "    finish {}", r.finish)?;
            }
        }
        f.write_str("}")
    }
}

fn separated(f: &mut fmt::Formatter<'_>, items: &[impl fmt::Display]) -> fmt::Result {
    for (i, item) in items.iter().enumerate() {
        write!(f, "{}{item}", if i > 0 { ", " } else { "" })?;
    }
    Ok(())
}
