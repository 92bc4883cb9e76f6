//! Calls of convolutions with the poolings of what they compute.

use octrt_ops::NodeId;

use super::calls::Virtual;
use super::ending::Unused;
use super::{Lowering, Owner};
use crate::decide::pools::{Pooled, pooling};
use crate::decide::{Kind, Tiled, Way};
use crate::schedule::script::Scheduled;
use crate::strategy::pooled::{self, Joined, Pooling};
use crate::strategy::refusal::Refusal;
use crate::strategy::share::Share;

impl Lowering<'_> {
    /// Adds the call that makes the result of a convolution, by a nest whose parallel loop has this share of it, with the
    /// poolings that run in its step.
    ///
    /// # Errors
    /// [`Refusal::Defect`]; what is refused of the poolings is noted to be decided anew.
    pub(super) fn with_pools(
        &mut self,
        t: &Tiled,
        (nest, share): (Scheduled, Result<Share, Refusal>),
        mut sources: Vec<Virtual>,
        owner: Owner<'_>,
        stage: &'static str,
    ) -> Result<(), Refusal> {
        let pools = self.pools_of(t);
        if pools.is_empty() {
            let (dst, _) = self.result(t.group.result, owner)?;
            return self.call(nest, &sources, dst, owner, stage);
        }
        let map = self.result_map(&t.group)?;
        let joined = share.and_then(|share| {
            let mut poolings = Vec::with_capacity(pools.len());
            for pool in &pools {
                let (pooling, operands) = self.pooling(t, pool, owner)?;
                poolings.push(pooling);
                sources.extend(operands);
            }
            pooled::join(&nest, (&map, share), &poolings, t.only_pooled, self.options.target)
        });
        let Joined { nest, bordered, kept } = match joined {
            Ok(joined) => joined,
            Err(defect) if defect.is_defect() => return Err(defect),
            Err(refusal) => {
                let roots = pools.iter().map(|pool| (pool.group.root, Way::Pooled));
                self.out.refused.extend(roots.map(|way| (way, refusal.clone())));
                return Ok(());
            }
        };
        let mut results = Vec::with_capacity(1 + pools.len());
        match (kept, bordered) {
            (true, _) => {}
            (false, true) => results.push(self.bare_result(t.group.result)?.0),
            (false, false) => results.push(self.result(t.group.result, owner)?.0),
        }
        for pool in &pools {
            let root = self.graph.node(pool.group.root);
            let owner = Owner { node: &root.name, op: root.op.as_operator().name() };
            results.push(match pool.kind {
                Kind::Global(_) if !self.has_maps(pool)? => self.plain_result(pool.group.result),
                _ => self.result(pool.group.result, owner)?.0,
            });
        }
        self.call_for_all(nest, &sources, &results, owner, stage)
    }

    /// The poolings that run in the step of a group.
    fn pools_of(&self, t: &Tiled) -> Vec<Tiled> {
        let last = t.group.nodes.iter().max().copied().unwrap_or(t.group.root);
        let within = |pool: &&Tiled| pool.pooled == Some(Pooled::In(NodeId(last.0)));
        self.choice.tiled.iter().flatten().filter(within).cloned().collect()
    }

    /// A pooling of the result of a convolution, and the buffers of what its ending reads.
    fn pooling(
        &mut self,
        t: &Tiled,
        pool: &Tiled,
        owner: Owner<'_>,
    ) -> Result<(Pooling, Vec<Virtual>), Refusal> {
        let src = self.result_map(&t.group)?;
        let dst = match pool.kind {
            Kind::Global(_) => self.global_map(pool, &src)?,
            _ => self.result_map(&pool.group)?,
        };
        let (tail, operands) = self.tail(&pool.group, (&dst, Unused::Computed), owner)?;
        let pooling = pooling(&pool.kind, (src, dst), tail);
        Ok((pooling.ok_or(Refusal::Defect("a pooling that is none"))?, operands))
    }
}
