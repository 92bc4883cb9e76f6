//! Calls of what is computed element by element, and what operators end with.

use octrt_ops::expr::{CompareFn, Expr};

use super::calls::{Constant, Virtual};
use super::{Lowering, Owner};
use crate::decide::Tiled;
use crate::decide::elementwise::{Source, keeps_zero};
use crate::decide::fuse::{self, Group};
use crate::layout::{Layout, Map};
use crate::pack::Packing;
use crate::strategy::plain::{self, PlainProblem};
use crate::strategy::problem::GemmProblem;
use crate::strategy::refusal::Refusal;
use crate::strategy::rows::{self, RowsProblem};
use crate::strategy::tail::{Operand, Tail};

/// What an operator leaves in lanes that are no channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unused {
    /// Zeros, whatever it ends with.
    Cleared,
    /// What it ends with makes of zeros.
    Computed,
}

impl Lowering<'_> {
    /// What a group's root ends with, and the buffers of what that reads.
    pub(super) fn tail(
        &mut self,
        group: &Group,
        (dst, unused): (&Map, Unused),
        owner: Owner<'_>,
    ) -> Result<(Tail, Vec<Virtual>), Refusal> {
        let (mut operands, mut places) = (Vec::new(), Vec::new());
        for o in &group.ending.operands {
            let (operand, place) = self.tail_operand(o, dst, owner)?;
            operands.push(operand);
            places.push(place);
        }
        let mut tail = Tail { value: group.ending.value.clone(), operands };
        let partial = !dst.c.is_multiple_of(dst.layout.lanes);
        if partial && unused == Unused::Computed && !keeps_zero(&tail.value) {
            // Lanes that are no channels become 0.
            let len = dst.blocks() * dst.layout.lanes;
            let exists: Vec<f32> = (0..len).map(|c| if c < dst.c { -1.0 } else { 0.0 }).collect();
            let negative = Expr::compare(CompareFn::Lt, Tail::operand(places.len()), Expr::f32(0.0));
            tail.value = negative.select(tail.value, Expr::f32(0.0));
            tail.operands.push(Operand::Channel(len));
            places.push(self.vector(&exists));
        }
        Ok((tail, places))
    }

    /// A tensor that an ending in blocks reads.
    fn tail_operand(
        &mut self,
        o: &fuse::Operand,
        dst: &Map,
        owner: Owner<'_>,
    ) -> Result<(Operand, Virtual), Refusal> {
        let lanes = self.width()?.lanes() as usize;
        let len = dst.blocks() * dst.layout.lanes;
        let constant = match &o.read.source {
            Source::Made(t) => Some(t.clone()),
            Source::Value(v) => self.graph.constant(*v).cloned(),
        };
        if let Some(t) = constant {
            return Ok((Operand::Channel(len), self.packed(Packing::Vector { len }, &t)));
        }
        let v = o.read.value().ok_or(Refusal::Defect("an operand without a value"))?;
        let (place, map) = self.blocked(v, Layout::blocked(lanes), owner.node)?;
        let operand = match map.pixels() == 1 && dst.pixels() > 1 && o.repeat == 1 {
            true => Operand::Pixel(map),
            false => Operand::Map { map, repeat: o.repeat },
        };
        Ok((operand, place))
    }

    /// What a product ends with, and the buffers of what that reads.
    pub(super) fn product_tail(
        &mut self,
        group: &Group,
        p: &GemmProblem,
        owner: Owner<'_>,
    ) -> Result<(Tail, Vec<Virtual>), Refusal> {
        let shape = self.ty(group.result)?.shape.clone();
        let (mut operands, mut places) = (Vec::new(), Vec::new());
        for fuse::Operand { read, .. } in &group.ending.operands {
            let extents = if read.is_whole(&shape) { [p.batch, p.m, p.n] } else { [1, 1, p.n] };
            operands.push(Operand::Product(extents));
            places.push(self.source(&read.source, owner));
        }
        Ok((Tail { value: group.ending.value.clone(), operands }, places))
    }

    fn source(&mut self, source: &Source, owner: Owner<'_>) -> Virtual {
        match source {
            Source::Value(v) => self.plain(*v, owner.node),
            Source::Made(t) => self.out.constant(Constant::Plain(t.clone())),
        }
    }

    /// Elements of tensors in blocks.
    pub(super) fn elements(&mut self, t: &Tiled, owner: Owner<'_>) -> Result<(), Refusal> {
        let dst = self.result_map(&t.group)?;
        let (tail, sources) = self.tail(&t.group, (&dst, Unused::Computed), owner)?;
        let problem = RowsProblem { value: tail.value, operands: tail.operands, dst, first_block: 0 };
        let nest = rows::nest(&problem, self.options.target)?;
        let (dst, _) = self.result(t.group.result, owner)?;
        self.call(nest, &sources, dst, owner, "map")
    }

    /// Elements of plain tensors.
    pub(super) fn plain_elements(&mut self, t: &Tiled, owner: Owner<'_>) -> Result<(), Refusal> {
        let fuse::Ending { value, operands } = &t.group.ending;
        let dims = self.ty(t.group.result)?.shape.dims().to_vec();
        let reads: Vec<Vec<bool>> = operands.iter().map(|o| o.read.varies.clone()).collect();
        let problem = PlainProblem::new(value.clone(), &dims, &reads);
        let nest = plain::schedule(&problem, self.options.target)?.finish()?;
        let sources: Vec<Virtual> = operands.iter().map(|o| self.source(&o.read.source, owner)).collect();
        let dst = self.plain_result(t.group.result);
        self.call(nest, &sources, dst, owner, "map")
    }
}
