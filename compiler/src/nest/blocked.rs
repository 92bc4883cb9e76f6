//! Naive nests on tensors that lie in blocks: an operator's definition, its tensors' indices rewritten for their layouts.
//!
//! ```text
//! dst[n, oc, oh, ow] = ... src[n, ic, oh + kh, ow + kw] * wei[oc, ic, kh, kw]
//! ->
//! dst[n, ocb, top + oh, left + ow, ocl] = ... src[n, icb, oh + kh, ow + kw, icl] * wei[ocb, icb, kh, kw, icl, ocl]
//! ```
//!
//! The definition reads padded tensors; here padding is the halo of the input, which holds it already. Lanes past the last
//! channel of the input hold numbers, and the weights there are 0; those of the output become 0.

use octrt_ops::expr::{BufId, Expr};

use crate::layout::{AXES, Map};

pub mod conv;
pub mod gemm;
pub mod window;

/// The values for the axes that a map has.
fn of_axes<T: Copy>(map: &Map, all: [T; AXES]) -> Vec<T> {
    all[AXES - map.axes..].to_vec()
}

/// The index of an element of a map: picture, channel and position, counted from the map's first; to be resolved.
pub(crate) fn index(map: &Map, n: &Expr, channel: Expr, position: Vec<Expr>) -> Vec<Expr> {
    let lanes = map.layout.lanes;
    let mut pixel = [0; AXES].map(Expr::int);
    pixel.iter_mut().skip(AXES - map.axes).zip(position).for_each(|(of, at)| *of = at);
    let mut index = map.index(n, &(channel.clone() / Expr::int(lanes)), pixel);
    if let (Some(lane), true) = (index.last_mut(), lanes > 1) {
        *lane = channel % Expr::int(lanes);
    }
    index
}

fn rename(e: &Expr, to: &dyn Fn(BufId) -> BufId) -> Expr {
    e.map(&mut |e| match e {
        Expr::Load(b, index) => Some(Expr::Load(to(*b), index.iter().map(|i| rename(i, to)).collect())),
        _ => None,
    })
}
