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
//! [`tensorize`](crate::schedule::tensorize), makes a call of what is inside:
//!
//! ```text
//! nest "conv" {
//!   in b0: f32[1,8,58,58,8]
//!   in b1: f32[36864]
//!   in b2: f32[64]
//!   table b3: i32[3136] = [0, 32, 64, ...]
//!   out b4: f32[1,8,56,56,8]
//!   for L0 in 4 parallel {
//!     for L1 in 523 {
//!       call 0 "conv_6x16" (src = b0, src_offsets = b3 + 24*L1, wei = b1 + 36864*L0, bias = b2 + 64*L0, ic = 8, ...)
//!     }
//!   }
//! }
//! ```
//!
//! Distances in calls are in bytes. A *scratch* buffer belongs to the thread that runs a part of the parallel loop: what it
//! holds means nothing to other iterations. [`verify`] proves that no call leaves its buffers, that iterations of the
//! parallel loop write different bytes, and that they read of them only what they wrote.

use std::sync::Arc;

use octrt_ops::expr::{BufId, Expr, VarId};
use octrt_ops::{Tensor, TensorType};

use crate::leaf::Program;

pub mod affine;
pub mod blocked;
pub mod build;
mod call;
mod definition;
pub mod index;
pub mod interp;
pub mod interval;
pub mod join;
pub mod lanes;
mod loops;
#[cfg(test)]
pub(crate) mod samples;
pub mod strides;
pub mod text;
pub mod turns;
pub mod verify;

pub use build::MissingSlot;
pub use call::{Distance, SlotValue, pointer};
pub use definition::Definition;
pub use loops::{Form, Loop, Reduction, Role};

/// What a nest does with a buffer.
#[derive(Clone, Debug, PartialEq)]
pub enum BufferRole {
    /// Reads it.
    Src,
    /// Reads numbers from it, which are known now: distances in bytes, or indices.
    Table(Tensor),
    /// Writes it, and reads what it has written in the same iteration of the parallel loop; one buffer, or several of calls.
    Dst,
    /// Writes and reads it within one iteration of the parallel loop.
    Scratch,
}

impl BufferRole {
    /// The word for it in text forms.
    pub fn word(&self) -> &'static str {
        match self {
            BufferRole::Src => "in",
            BufferRole::Table(_) => "table",
            BufferRole::Dst => "out",
            BufferRole::Scratch => "scratch",
        }
    }
}

/// A tensor that a nest touches.
#[derive(Clone, Debug, PartialEq)]
pub struct Buffer {
    /// Element type and shape: dense, row-major, blocks of channels and halos as dimensions and extents.
    pub ty: TensorType,
    /// What the nest does with it.
    pub role: BufferRole,
    /// Smallest and largest element, where known: of inputs that are indices.
    pub range: Option<(i64, i64)>,
}

impl Buffer {
    /// A buffer of elements of which nothing is known.
    pub fn new(ty: TensorType, role: BufferRole) -> Buffer {
        Buffer { ty, role, range: None }
    }

    /// Smallest and largest element, as far as they are known: as declared, or those of a table.
    pub fn bounds(&self) -> Option<(i64, i64)> {
        let BufferRole::Table(t) = &self.role else { return self.range };
        let elements = t.to_i64s().ok()?;
        Some((*elements.iter().min()?, *elements.iter().max()?))
    }
}

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
    /// Whether elements of a buffer that is defined already are changed, one after the other.
    pub update: bool,
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
    pub buffers: Vec<Buffer>,
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

    /// Changes every expression in place.
    pub fn rewrite(&mut self, f: &mut dyn FnMut(&Expr) -> Option<Expr>) {
        let reduction = self.reduce.iter_mut().flat_map(|r| [&mut r.init, &mut r.finish]);
        let all = self.index.iter_mut().chain(&mut self.when).chain([&mut self.value]).chain(reduction);
        all.for_each(|e| e.rewrite(f));
    }

    /// All loads: buffers and indices, those inside other indices too.
    pub fn loads(&self) -> Vec<(BufId, &[Expr])> {
        let mut all = Vec::new();
        self.expressions().for_each(|e| {
            e.visit(&mut |e| {
                if let Expr::Load(b, index) = e {
                    all.push((*b, &index[..]));
                }
            });
        });
        all
    }

    /// Whether an element of a buffer is loaded.
    pub fn loads_of(&self, buffer: BufId) -> bool {
        self.loads().iter().any(|(b, _)| *b == buffer)
    }

    /// With every expression rebuilt by `f`.
    #[must_use]
    pub fn map(&self, f: &dyn Fn(&Expr) -> Expr) -> Define {
        Define {
            dst: self.dst,
            update: self.update,
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

    /// Changes every definition in place.
    pub fn each_define(&mut self, f: &mut dyn FnMut(&mut Define)) {
        match self {
            Stmt::Loop(_, body) => body.iter_mut().for_each(|s| s.each_define(f)),
            Stmt::Define(d) => f(d),
            Stmt::Call { .. } => {}
        }
    }

    /// Puts an expression in the place of a variable.
    pub fn substitute(&mut self, l: VarId, with: &Expr) {
        let mut each = |e: &Expr| matches!(e, Expr::Var(v) if *v == l).then(|| with.clone());
        self.each_define(&mut |d| d.rewrite(&mut each));
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

/// Whether a call stands in statements.
pub fn has_call(stmts: &[Stmt]) -> bool {
    let mut found = false;
    stmts.iter().for_each(|s| s.visit(&mut |s| found |= matches!(s, Stmt::Call { .. })));
    found
}

/// All definitions in statements, in their order.
pub fn defines(stmts: &[Stmt]) -> Vec<&Define> {
    let mut all = Vec::new();
    stmts.iter().for_each(|s| {
        s.visit(&mut |s| {
            if let Stmt::Define(d) = s {
                all.push(d);
            }
        });
    });
    all
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
        VarId(self.loops().iter().map(|l| l.id.0.saturating_add(1)).max().unwrap_or(0))
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
        self.edit(id, |_, _| with);
    }

    /// Puts what `f` makes of a loop and what it holds in its place.
    pub fn edit(&mut self, id: VarId, f: impl FnOnce(Loop, Vec<Stmt>) -> Vec<Stmt>) {
        fn place(stmts: &mut Vec<Stmt>, id: VarId) -> Option<(&mut Vec<Stmt>, usize)> {
            if let Some(at) = stmts.iter().position(|s| matches!(s, Stmt::Loop(l, _) if l.id == id)) {
                return Some((stmts, at));
            }
            stmts.iter_mut().find_map(|s| match s {
                Stmt::Loop(_, body) => place(body, id),
                _ => None,
            })
        }
        if let Some((stmts, at)) = place(&mut self.body, id)
            && let Stmt::Loop(l, body) = stmts.remove(at)
        {
            stmts.splice(at..at, f(l, body));
        }
    }

    /// The buffers that are written, in their order.
    pub fn dsts(&self) -> impl Iterator<Item = BufId> {
        let written = |(_, b): &(usize, &Buffer)| b.role == BufferRole::Dst;
        self.buffers.iter().enumerate().filter(written).map(|(at, _)| BufId(at as u32))
    }

    /// The buffer that is written, the first of several.
    pub fn dst(&self) -> Option<BufId> {
        self.dsts().next()
    }

    /// Adds a buffer.
    pub fn buffer(&mut self, buffer: Buffer) -> BufId {
        self.buffers.push(buffer);
        BufId((self.buffers.len() - 1) as u32)
    }

    /// The outermost loop, whose iterations may run on several threads, and what it holds; `None` where there is none.
    pub fn parallel(&self) -> Option<(&Loop, &[Stmt])> {
        match &self.body[..] {
            [Stmt::Loop(l, body)] if l.form == Form::Parallel => Some((l, body)),
            _ => None,
        }
    }

    /// The outermost loop, parallel or of turns, and what it holds; `None` where there is none.
    pub fn outer(&self) -> Option<(&Loop, &[Stmt])> {
        match &self.body[..] {
            [Stmt::Loop(l, body)] if matches!(l.form, Form::Parallel | Form::Turn) => Some((l, body)),
            _ => None,
        }
    }

    /// Iterations of the loop of which a call of the function runs a part, parallel or in turns; 1 where there is none.
    pub fn parallel_extent(&self) -> usize {
        self.outer().map_or(1, |(l, _)| l.extent)
    }

    /// The nest as code generation takes it: loops of one iteration are left out, those around calls are data loops, the
    /// outermost is that of turns or parallel, of one iteration where none was. `None` where a sum is left.
    pub fn canonical(&self) -> Option<Nest> {
        let (outer, body) = match self.outer() {
            Some((l, body)) => (l.clone(), plain(body)?),
            None => {
                let outer = Loop { id: self.fresh(), extent: 1, role: Role::Data, form: Form::Parallel };
                (outer, plain(&self.body)?)
            }
        };
        Some(Nest { body: vec![Stmt::Loop(outer, body)], ..self.clone() })
    }
}

fn plain(stmts: &[Stmt]) -> Option<Vec<Stmt>> {
    let mut out = Vec::new();
    for s in stmts {
        match s {
            Stmt::Loop(l, body) if l.extent == 1 => {
                let mut body = plain(body)?;
                body.iter_mut().for_each(|s| s.substitute(l.id, &Expr::int(0)));
                out.extend(body);
            }
            Stmt::Loop(l, body) => {
                let l = match has_call(body) {
                    true => Loop { role: Role::Data, form: Form::Serial, ..l.clone() },
                    false => l.clone(),
                };
                out.push(Stmt::Loop(l, plain(body)?));
            }
            Stmt::Define(d) if d.reduce.is_some() => return None,
            Stmt::Call { .. } | Stmt::Define(_) => out.push(s.clone()),
        }
    }
    Some(out)
}
