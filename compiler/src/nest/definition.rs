//! One definition with the loops around it: what analyses of a statement look at.

use octrt_ops::TensorType;
use octrt_ops::expr::{BufId, VarId};

use super::{Buffer, Define, Form, Loop, Nest, Role, Stmt};

/// A definition in its place in a nest.
#[derive(Clone, Debug)]
pub struct Definition<'a> {
    /// All buffers of the nest.
    pub buffers: &'a [Buffer],
    /// The loops around it, outermost first.
    pub loops: Vec<&'a Loop>,
    /// The definition.
    pub define: &'a Define,
}

impl Nest {
    /// All definitions, in their order.
    pub fn definitions(&self) -> Vec<Definition<'_>> {
        fn within<'a>(
            nest: &'a Nest,
            stmts: &'a [Stmt],
            path: &mut Vec<&'a Loop>,
            out: &mut Vec<Definition<'a>>,
        ) {
            for s in stmts {
                match s {
                    Stmt::Loop(l, body) => {
                        path.push(l);
                        within(nest, body, path, out);
                        path.pop();
                    }
                    Stmt::Define(define) => {
                        out.push(Definition { buffers: &nest.buffers, loops: path.clone(), define });
                    }
                    Stmt::Call { .. } => {}
                }
            }
        }
        let mut out = Vec::new();
        within(self, &self.body, &mut Vec::new(), &mut out);
        out
    }

    /// The definition of a perfect nest: loops each of which is the only statement of the one around it.
    pub fn perfect(&self) -> Option<Definition<'_>> {
        let [one] = &self.body[..] else { return None };
        let (loops, define) = one.chain();
        Some(Definition { buffers: &self.buffers, loops, define: define? })
    }
}

impl Definition<'_> {
    /// A buffer, where there is one of this name.
    pub fn buffer(&self, b: BufId) -> Option<&Buffer> {
        self.buffers.get(b.index())
    }

    /// The type of the buffer that is written.
    pub fn dst_ty(&self) -> &TensorType {
        &self.buffers[self.define.dst.index()].ty
    }

    /// Position of a loop among those around the definition.
    pub fn position(&self, id: VarId) -> Option<usize> {
        self.loops.iter().position(|l| l.id == id)
    }

    /// Position of the outermost reduce loop; the number of loops when there is none.
    pub fn first_reduce(&self) -> usize {
        self.loops.iter().position(|l| l.role == Role::Reduce).unwrap_or(self.loops.len())
    }

    /// Whether calls come in turns.
    pub fn in_turns(&self) -> bool {
        self.loops.first().is_some_and(|l| l.form == Form::Turn)
    }

    /// Whether the definition may load the buffer that it writes.
    pub fn may_load_dst(&self) -> bool {
        self.define.update || self.in_turns()
    }
}
