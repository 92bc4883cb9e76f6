//! Several nests as one: what they do in each iteration of their parallel loops, one after the other.
//!
//! ```text
//! for L0 in 8 parallel { call 0 "conv" (.., dst = b3 + 448*L0) }
//! for L0 in 8 parallel { call 0 "pool" (src = b0 + 448*L0, .., dst = b1 + 112*L0) }
//! -> for L0 in 8 parallel { call 0 "conv" (.., dst = b3 + 448*L0)  call 1 "pool" (src = b3 + 448*L0, .., dst = b4 + 112*L0) }
//! ```
//!
//! This is `compute_at` for what is scheduled already. That an iteration reads only what it has written is proved where all
//! nests are, by [`verify`](super::verify).

use std::collections::BTreeMap;
use std::sync::Arc;

use octrt_ops::TensorType;
use octrt_ops::expr::{BufId, Expr, VarId};

use super::{BufferRole, Define, Distance, Form, Loop, Nest, SlotValue, Stmt, pointer};

/// Where in each iteration another nest's statements go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Before all others.
    First,
    /// Behind all others.
    Last,
}

impl Nest {
    /// Adds what another nest does in each iteration of its parallel loop. Its buffers are added, but for those that stand
    /// for one of this nest, which keeps its role. `None`, and nothing changes, where the loops are not of equal extents.
    pub fn join(
        &mut self,
        other: &Nest,
        order: Order,
        stands_for: &dyn Fn(BufId) -> Option<BufId>,
    ) -> Option<()> {
        let (own, (outer, body)) = (self.parallel()?.0.clone(), other.parallel()?);
        if own.extent != outer.extent {
            return None;
        }
        let mut buffers = Vec::with_capacity(other.buffers.len());
        for (i, b) in other.buffers.iter().enumerate() {
            buffers.push(stands_for(BufId(i as u32)).unwrap_or_else(|| self.buffer(b.clone())));
        }
        let mut names = BTreeMap::from([(outer.id, own.id)]);
        let first = self.fresh().0.max(own.id.0 + 1);
        let inner = other.loops().into_iter().filter(|l| l.id != outer.id);
        names.extend((first..).zip(inner).map(|(id, l)| (l.id, VarId(id))));
        let leaves: Vec<usize> = other.leaves.iter().map(|program| self.leaf(program)).collect();
        let renamed = Renamed { names: &names, buffers: &buffers, leaves: &leaves };
        let new: Vec<Stmt> = body.iter().map(|s| renamed.stmt(s)).collect();
        self.edit(own.id, |l, mut body| {
            match order {
                Order::First => drop(body.splice(0..0, new)),
                Order::Last => body.extend(new),
            }
            vec![Stmt::Loop(l, body)]
        });
        Some(())
    }

    /// The position of a program, which is added where it is new.
    pub fn leaf(&mut self, program: &Arc<crate::leaf::Program>) -> usize {
        let known = self.leaves.iter().position(|l| l == program);
        known.unwrap_or_else(|| {
            self.leaves.push(program.clone());
            self.leaves.len() - 1
        })
    }

    /// Makes scratch of a result that nobody else wants, if calls of each iteration of the parallel loop move in it by whole
    /// parts of its dimension `dim`, so many elements of that each: an iteration has room for its own. Says whether it did.
    pub fn keep(&mut self, dst: BufId, (dim, part): (usize, usize)) -> bool {
        let Some(outer) = self.parallel().map(|(l, _)| l.clone()) else { return false };
        let Some(b) = self.buffers.get(dst.index()).filter(|b| b.role == BufferRole::Dst) else {
            return false;
        };
        let mut dims = b.ty.shape.dims().to_vec();
        if dims.get(dim).is_none_or(|n| *n != part * outer.extent) || dims[..dim].iter().any(|n| *n != 1) {
            return false;
        }
        let bytes = (b.ty.bytes() / outer.extent) as i64;
        dims[dim] = part;
        let ty = TensorType::new(b.ty.dtype, dims);
        let step = |at: &Distance| {
            at.terms.iter().filter(|(l, _)| *l == outer.id).map(|(_, factor)| *factor).sum::<i64>()
        };
        let wanted = if outer.extent == 1 { 0 } else { bytes };
        let mut moves = true;
        self.body.iter().for_each(|s| {
            s.visit(&mut |s| match s {
                Stmt::Call { slots, .. } => slots.iter().for_each(|v| {
                    moves &= !matches!(v, SlotValue::Pointer(b, at) if *b == dst && step(at) != wanted);
                }),
                Stmt::Define(d) => moves &= d.dst != dst && !d.loads_of(dst),
                Stmt::Loop(..) => {}
            });
        });
        if !moves {
            return false;
        }
        self.body.iter_mut().for_each(|s| within(s, dst, outer.id));
        let b = &mut self.buffers[dst.index()];
        (b.ty, b.role) = (ty, BufferRole::Scratch);
        true
    }
}

/// Takes a loop out of all places in a buffer.
fn within(s: &mut Stmt, buffer: BufId, l: VarId) {
    match s {
        Stmt::Loop(_, body) => body.iter_mut().for_each(|s| within(s, buffer, l)),
        Stmt::Call { slots, .. } => slots.iter_mut().for_each(|v| {
            if let SlotValue::Pointer(b, at) = v
                && *b == buffer
            {
                at.terms.retain(|(id, _)| *id != l);
            }
        }),
        Stmt::Define(_) => {}
    }
}

/// How the statements of a nest are named in another one.
pub(super) struct Renamed<'a> {
    pub(super) names: &'a BTreeMap<VarId, VarId>,
    pub(super) buffers: &'a [BufId],
    pub(super) leaves: &'a [usize],
}

impl Renamed<'_> {
    /// A statement; loops inside are shared by no threads.
    pub(super) fn stmt(&self, s: &Stmt) -> Stmt {
        match s {
            Stmt::Loop(l, body) => {
                let form = if l.form == Form::Parallel { Form::Serial } else { l.form };
                let l = Loop { id: self.name(l.id), form, ..l.clone() };
                Stmt::Loop(l, body.iter().map(|s| self.stmt(s)).collect())
            }
            Stmt::Call { leaf, slots } => {
                let slots = slots.iter().map(|v| self.value(v)).collect();
                Stmt::Call { leaf: self.leaves.get(*leaf).copied().unwrap_or(*leaf), slots }
            }
            Stmt::Define(d) => {
                let renamed = d.map(&|e| self.expr(e));
                Stmt::Define(Define { dst: self.buffer(d.dst), ..renamed })
            }
        }
    }

    fn name(&self, l: VarId) -> VarId {
        self.names.get(&l).copied().unwrap_or(l)
    }

    fn buffer(&self, b: BufId) -> BufId {
        self.buffers.get(b.index()).copied().unwrap_or(b)
    }

    fn expr(&self, e: &Expr) -> Expr {
        e.map(&mut |e| match e {
            Expr::Var(l) => Some(Expr::Var(self.name(*l))),
            Expr::Load(b, index) => {
                Some(Expr::load(self.buffer(*b), index.iter().map(|e| self.expr(e)).collect::<Vec<_>>()))
            }
            _ => None,
        })
    }

    fn value(&self, v: &SlotValue) -> SlotValue {
        let SlotValue::Pointer(b, at) = v else { return v.clone() };
        let named = |(l, factor): &(VarId, i64)| (self.name(*l), *factor);
        pointer(self.buffer(*b), Distance { base: at.base, terms: at.terms.iter().map(named).collect() })
    }
}
