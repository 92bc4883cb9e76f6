//! Weights that the model computes: packed at each run, by a movement of their elements.

use octrt_ops::compute::Compute;
use octrt_ops::expr::Expr;
use octrt_ops::{Arg, DType, Shape, TensorType, ValueId};

use super::calls::Virtual;
use super::{Lowering, Owner};
use crate::pack::{ConvPacking, Packing};
use crate::strategy::refusal::Refusal;

/// What [`Packing::Conv`] makes of the weights `[oc, ic, taps..]` of one group whose channels fill blocks, in tiles of as many
/// vectors each; `None` for others.
fn definition(p: &ConvPacking, weights: &TensorType) -> Option<Compute> {
    let &[oc, ic, ref taps @ ..] = weights.shape.dims() else { return None };
    let taps: usize = taps.iter().product();
    let vectors = *p.tiles.first()?;
    let fits = weights.dtype == DType::F32
        && (p.groups, p.merged) == (1, 1)
        && p.tiles.iter().all(|n| *n == vectors)
        && oc == p.vectors() * p.lanes
        && ic.is_multiple_of(p.src_lanes);
    let mut c = Compute::new();
    let shape = Shape::new([oc, ic, taps]);
    let src = c.input(0, &Arg { dtype: DType::F32, shape: &shape, value: None });
    let [tile, block, tap, channel, vector, lane] = [0, 1, 2, 3, 4, 5].map(Expr::var);
    let oc = (tile * Expr::int(vectors) + vector) * Expr::int(p.lanes) + lane;
    let ic = block * Expr::int(p.src_lanes) + channel;
    let dims = [p.tiles.len(), shape.dims()[1] / p.src_lanes.max(1), taps, p.src_lanes, vectors, p.lanes];
    let dst = c.map("pack", TensorType::new(DType::F32, dims), Expr::load(src, [oc, ic, tap]));
    c.output(dst);
    fits.then_some(c)
}

impl Lowering<'_> {
    /// The weights `v` of a convolution, packed.
    ///
    /// # Errors
    /// [`Refusal::Unfit`] where that is more than a movement of elements.
    pub(super) fn packed_now(
        &mut self,
        packing: &Packing,
        v: ValueId,
        owner: Owner<'_>,
    ) -> Result<Virtual, Refusal> {
        let unfit = Refusal::Unfit("computed weights that are packed otherwise than whole blocks");
        let Packing::Conv(p) = packing else { return Err(unfit) };
        let Some(compute) = definition(p, self.ty(v)?) else { return Err(unfit) };
        let [_, dst] = &compute.buffers[..] else { return Err(unfit) };
        let place = self.out.temporary(Some(dst.ty.clone()));
        let src = self.plain(v, owner.node);
        self.stages(&compute, &[src, place], owner);
        Ok(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use octrt_ops::Tensor;
    use octrt_ops::graph::text::random;

    /// The elements that a run moves are those that the recipe moves when a model is loaded.
    #[test]
    fn computed_weights_are_packed_as_constant_ones() {
        for (dims, [lanes, src_lanes], tiles, serves) in [
            (vec![32, 16, 3, 3], [8, 8], vec![2, 2], true),
            (vec![48, 8, 1, 1], [16, 8], vec![3], true),
            (vec![24, 5, 2, 3], [8, 1], vec![1, 1, 1], true),
            (vec![16, 8, 4], [8, 8], vec![1, 1], true),
            (vec![40, 16, 3, 3], [8, 8], vec![3, 2], false),
            (vec![20, 16, 3, 3], [8, 8], vec![3], false),
            (vec![16, 12, 3, 3], [8, 8], vec![2], false),
        ] {
            let weights = random(&dims.into(), 5).unwrap();
            let p = ConvPacking { lanes, src_lanes, groups: 1, merged: 1, tiles };
            let found = definition(&p, weights.ty());
            assert_eq!(found.is_some(), serves, "{p:?}");
            let Some(compute) = found else { continue };
            let [oc, ic, ref taps @ ..] = *weights.shape().dims() else { unreachable!("weights") };
            let flat = TensorType::new(DType::F32, [oc, ic, taps.iter().product()]);
            let flat = Tensor::from_bytes(flat, weights.bytes().to_vec()).unwrap();
            let found = compute.evaluate(&[Some(&flat)]).unwrap().remove(0);
            let mut expected = vec![0; found.bytes().len()];
            Packing::Conv(p.clone()).pack(&weights, &mut expected).unwrap();
            assert!(found.bytes() == expected, "{p:?}");
        }
    }
}
