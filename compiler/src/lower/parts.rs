//! The calls of convolutions that are several: one for each part of the result.

use super::calls::Virtual;
use super::ending::Unused;
use super::{Lowering, Owner};
use crate::decide::Tiled;
use crate::decide::parts::{Part, Parts};
use crate::layout::Map;
use crate::pack::Packing;
use crate::schedule::script::Scheduled;
use crate::strategy::conv::{ConvProblem, Plan};
use crate::strategy::conv_plan::{self, ConvPlan};
use crate::strategy::decision::Decision;
use crate::strategy::problem::{WindowKind, WindowProblem};
use crate::strategy::refusal::Refusal;
use crate::strategy::tail::{Operand, Tail};
use crate::strategy::window;

impl Part {
    /// What its results end with.
    fn tail(&self, tail: &Tail) -> Tail {
        let operand = |o: &Operand| match *o {
            Operand::Map { map, repeat } => Operand::Map { map: self.dst(map), repeat },
            other => other,
        };
        Tail { value: tail.value.clone(), operands: tail.operands.iter().map(operand).collect() }
    }
}

impl Lowering<'_> {
    pub(super) fn parts(
        &mut self,
        t: &Tiled,
        Parts { parts, depthwise }: &Parts,
        owner: Owner<'_>,
    ) -> Result<(), Refusal> {
        let wei = self.weight(&t.group)?;
        let (src, src_map) = self.input(t, 0, owner)?;
        let dst_map = self.result_map(&t.group)?;
        let unused = if *depthwise { Unused::Computed } else { Unused::Cleared };
        let (tail, operands) = self.tail(&t.group, (&dst_map, unused), owner)?;
        let mut calls = Vec::with_capacity(parts.len());
        for part in parts {
            let (maps, tail) = ((part.src(src_map), part.dst(dst_map)), part.tail(&tail));
            calls.push(match depthwise {
                true => self.of_each_channel(part, maps, tail)?,
                false => self.of_all_channels(part, maps, tail)?,
            });
        }
        let (dst, _) = self.result(t.group.result, owner)?;
        for ((nest, packing, bias_elements), part) in calls.into_iter().zip(parts) {
            let wei = self.packed(Packing::Part(part.kernel.clone(), Box::new(packing)), &wei);
            let bias = self.bias(&t.group, 2, bias_elements);
            let sources: Vec<Virtual> =
                [src, wei, bias].into_iter().chain(operands.iter().copied()).collect();
            self.call(nest, &sources, dst, owner, "conv")?;
        }
        Ok(())
    }

    /// The nest of a part, how its weights are packed, and the elements of its bias.
    fn of_all_channels(
        &mut self,
        part: &Part,
        maps: (Map, Map),
        tail: Tail,
    ) -> Result<(Scheduled, Packing, usize), Refusal> {
        let w = &part.windows;
        let problem = ConvProblem::new((w.groups, w.sharing), w.window(), maps, tail);
        let elements = problem.bias_elements();
        // Parts are no convolutions that records know.
        match conv_plan::plan(&problem, Decision::DIRECT, self.options.target)? {
            ConvPlan { nests: Plan::Whole(nest), packing, .. } => Ok((nest, packing, elements)),
            ConvPlan { .. } => Err(Refusal::Defect("a part that is not computed directly")),
        }
    }

    /// As [`Lowering::of_all_channels`], where every channel is a group of its own.
    fn of_each_channel(
        &self,
        part: &Part,
        (src, dst): (Map, Map),
        tail: Tail,
    ) -> Result<(Scheduled, Packing, usize), Refusal> {
        let (kind, lanes) = (WindowKind::Weights, src.layout.lanes);
        let problem = WindowProblem { kind, src, dst, window: part.windows.window(), tail };
        let nest = window::schedule(&problem, self.options.target)?.finish()?;
        Ok((nest, Packing::Depthwise { lanes }, src.blocks() * lanes))
    }
}
