//! Nests: trees of loops over statements.
//!
//! ```text
//! nest "conv" {
//!   in b0: f32[1, 8, 58, 58, 8]
//!   in b1: f32[8, 8, 3, 3, 8, 8]
//!   in b2: f32[64]
//!   out b3: f32[1, 8, 56, 56, 8]
//!   for L0 in 8 parallel {
//!     for L1 in 3136 {
//!       for L2 in 8 {
//!         reduce L3 in 8 {
//!           b3[0, L0, div(L1, 56), rem(L1, 56), L2]
//!             init b2[add(mul(L0, 8), L2)]
//!             sum mul(b0[0, L3, ...], b1[...])
//!             finish acc
//!         }
//!       }
//!     }
//!   }
//! }
//! ```
//!
//! A statement is a [`Define`], an element by an expression with an optional reduction over the reduce loops around it, or
//! a call of a leaf program on tiles. An operator is lowered to the naive nest of its definition on tensors that lie in
//! [blocks](blocked); schedules rewrite it with the [primitives](crate::schedule), the last of which,
//! [`tensorize`](crate::schedule::tensorize), makes a call of what is inside. A nest of calls only is a [`TileNest`].

use std::sync::Arc;

use octrt_ops::expr::{BufId, Expr, VarId};

use crate::leaf::Program;
use crate::loop_ir::{Loop, Reduction};
use crate::tile::{BufferId, BufferRole, Distance, LoopId, SlotValue, TileBuffer, TileNest};

pub mod blocked;
pub mod build;
pub mod index;
pub mod interp;
pub mod strides;
pub mod text;

/// One element by an expression: `dst[index] = value`, or the reduction of `value` over the reduce loops around it, for
/// iterations in which `when` is true.
#[derive(Clone, Debug, PartialEq)]
pub struct Define {
    /// The buffer that is written.
    pub dst: BufId,
    /// Which element, over the data loops.
    pub index: Vec<Expr>,
    /// A condition over the data loops: where it is false, nothing is read or written.
    pub when: Option<Expr>,
    /// The element, or what is combined.
    pub value: Expr,
    /// The reduction, if there is one.
    pub reduce: Option<Reduction>,
}

/// A statement.
#[derive(Clone, Debug, PartialEq)]
pub enum Stmt {
    /// Runs what it holds for each value of its variable.
    Loop(Loop, Vec<Stmt>),
    /// Defines an element.
    Define(Define),
    /// Calls a leaf program.
    Call {
        /// Position in [`Nest::leaves`].
        leaf: usize,
        /// One value per slot of the program.
        slots: Vec<SlotValue>,
    },
}

/// A tree of loops over statements.
#[derive(Clone, Debug, PartialEq)]
pub struct Nest {
    /// Name for dumps and symbols.
    pub name: String,
    /// All buffers; a [`BufId`] is a position here.
    pub buffers: Vec<TileBuffer>,
    /// The leaf programs that are called; nests share them.
    pub leaves: Vec<Arc<Program>>,
    /// What it does.
    pub body: Vec<Stmt>,
}

impl Define {
    /// All expressions.
    pub fn expressions(&self) -> impl Iterator<Item = &Expr> {
        let reduction = self.reduce.iter().flat_map(|r| [&r.init, &r.finish]);
        self.index.iter().chain(&self.when).chain([&self.value]).chain(reduction)
    }

    /// With every expression rebuilt by `f`.
    #[must_use]
    pub fn map(&self, f: &dyn Fn(&Expr) -> Expr) -> Define {
        Define {
            dst: self.dst,
            index: self.index.iter().map(f).collect(),
            when: self.when.as_ref().map(f),
            value: f(&self.value),
            reduce: self.reduce.as_ref().map(|r| Reduction {
                combine: r.combine,
                init: f(&r.init),
                finish: f(&r.finish),
            }),
        }
    }
}

impl Stmt {
    /// With every expression of every definition rebuilt by `f`, and every loop by `l`.
    #[must_use]
    pub fn map(&self, f: &dyn Fn(&Expr) -> Expr, l: &dyn Fn(&Loop) -> Loop) -> Stmt {
        match self {
            Stmt::Loop(of, body) => Stmt::Loop(l(of), body.iter().map(|s| s.map(f, l)).collect()),
            Stmt::Define(d) => Stmt::Define(d.map(f)),
            Stmt::Call { .. } => self.clone(),
        }
    }

    /// Visits the statement and all within, outermost first.
    pub fn visit<'a>(&'a self, f: &mut dyn FnMut(&'a Stmt)) {
        f(self);
        if let Stmt::Loop(_, body) = self {
            body.iter().for_each(|s| s.visit(f));
        }
    }

    /// The loops from this statement on, each the only statement of the one around it, and what the last holds.
    pub fn chain(&self) -> (Vec<&Loop>, Option<&Define>) {
        let mut loops = Vec::new();
        let mut at = self;
        loop {
            match at {
                Stmt::Loop(l, body) => {
                    loops.push(l);
                    match &body[..] {
                        [one] => at = one,
                        _ => return (loops, None),
                    }
                }
                Stmt::Define(d) => return (loops, Some(d)),
                Stmt::Call { .. } => return (loops, None),
            }
        }
    }
}

/// Loops around one definition, outermost first.
pub fn around(loops: impl DoubleEndedIterator<Item = Loop>, inner: Vec<Stmt>) -> Vec<Stmt> {
    loops.rev().fold(inner, |body, l| vec![Stmt::Loop(l, body)])
}

impl Nest {
    /// All loops, outermost first.
    pub fn loops(&self) -> Vec<&Loop> {
        let mut loops = Vec::new();
        for s in &self.body {
            s.visit(&mut |s| {
                if let Stmt::Loop(l, _) = s {
                    loops.push(l);
                }
            });
        }
        loops
    }

    /// A variable that no loop has.
    pub fn fresh(&self) -> VarId {
        VarId(self.loops().iter().map(|l| l.id.0 + 1).max().unwrap_or(0))
    }

    /// Number of iterations of a loop.
    pub fn extent(&self, id: VarId) -> Option<usize> {
        match self.find(id) {
            Some(Stmt::Loop(l, _)) => Some(l.extent),
            _ => None,
        }
    }

    /// The statement that is this loop.
    pub fn find(&self, id: VarId) -> Option<&Stmt> {
        fn within(stmts: &[Stmt], id: VarId) -> Option<&Stmt> {
            stmts.iter().find_map(|s| match s {
                Stmt::Loop(l, _) if l.id == id => Some(s),
                Stmt::Loop(_, body) => within(body, id),
                _ => None,
            })
        }
        within(&self.body, id)
    }

    /// The loops around a loop, outermost first.
    pub fn outside(&self, id: VarId) -> Vec<&Loop> {
        fn within<'a>(stmts: &'a [Stmt], id: VarId, path: &mut Vec<&'a Loop>) -> bool {
            stmts.iter().any(|s| {
                let Stmt::Loop(l, body) = s else { return false };
                if l.id == id {
                    return true;
                }
                path.push(l);
                let found = within(body, id, path);
                if !found {
                    path.pop();
                }
                found
            })
        }
        let mut path = Vec::new();
        within(&self.body, id, &mut path);
        path
    }

    /// Puts other statements in the place of a loop.
    pub fn replace(&mut self, id: VarId, with: Vec<Stmt>) {
        fn within(stmts: &mut Vec<Stmt>, id: VarId, with: &mut Option<Vec<Stmt>>) {
            if let Some(at) = stmts.iter().position(|s| matches!(s, Stmt::Loop(l, _) if l.id == id)) {
                stmts.splice(at..=at, with.take().unwrap_or_default());
                return;
            }
            for s in stmts {
                if let (Stmt::Loop(_, body), true) = (s, with.is_some()) {
                    within(body, id, with);
                }
            }
        }
        within(&mut self.body, id, &mut Some(with));
    }

    /// With every definition rebuilt by `f`; `None` where `f` gives none for one.
    pub fn each_define(&self, f: &dyn Fn(&Define) -> Option<Define>) -> Option<Nest> {
        fn within(stmts: &[Stmt], f: &dyn Fn(&Define) -> Option<Define>) -> Option<Vec<Stmt>> {
            let each = |s: &Stmt| match s {
                Stmt::Define(d) => f(d).map(Stmt::Define),
                Stmt::Loop(l, body) => Some(Stmt::Loop(l.clone(), within(body, f)?)),
                call @ Stmt::Call { .. } => Some(call.clone()),
            };
            stmts.iter().map(each).collect()
        }
        Some(Nest { body: within(&self.body, f)?, ..self.clone() })
    }

    /// The buffer that is written.
    pub fn dst(&self) -> Option<BufId> {
        let at = self.buffers.iter().position(|b| b.role == BufferRole::Dst)?;
        Some(BufId(at as u32))
    }

    /// Adds a buffer.
    pub fn buffer(&mut self, buffer: TileBuffer) -> BufId {
        self.buffers.push(buffer);
        BufId((self.buffers.len() - 1) as u32)
    }

    /// The nest as code generation takes it: loops of one iteration are left out, what is outside the parallel loop is one
    /// iteration. `None` where a definition is left, or loops stand side by side outside the parallel one.
    pub fn tiles(&self) -> Option<TileNest> {
        let body = tiles(&self.body)?;
        let name = self.name.clone();
        let buffers = self.buffers.clone();
        let leaves: Vec<Program> = self.leaves.iter().map(|l| (**l).clone()).collect();
        let is_parallel =
            |s: &Stmt| matches!(s, Stmt::Loop(l, _) if l.form == crate::loop_ir::Form::Parallel);
        if let [Stmt::Loop(l, inner)] = &self.body[..]
            && is_parallel(&self.body[0])
        {
            let body = tiles(inner)?;
            return Some(TileNest {
                name,
                buffers,
                leaves,
                parallel: LoopId(l.id.0),
                extent: l.extent,
                body,
            });
        }
        let parallel = LoopId(self.fresh().0);
        Some(TileNest { name, buffers, leaves, parallel, extent: 1, body })
    }
}

fn tiles(stmts: &[Stmt]) -> Option<Vec<crate::tile::Stmt>> {
    let mut out = Vec::new();
    for s in stmts {
        match s {
            Stmt::Loop(l, body) if l.extent == 1 => out.extend(tiles(body)?),
            Stmt::Loop(l, body) => {
                let (id, extent, body) = (LoopId(l.id.0), l.extent, tiles(body)?);
                out.push(crate::tile::Stmt::Loop { id, extent, body });
            }
            Stmt::Call { leaf, slots } => {
                out.push(crate::tile::Stmt::Call { leaf: *leaf, slots: slots.clone() });
            }
            Stmt::Define(_) => return None,
        }
    }
    Some(out)
}

/// An address some bytes into a buffer.
pub fn pointer(buffer: BufId, at: Distance) -> SlotValue {
    SlotValue::Pointer(BufferId(buffer.0), at)
}
