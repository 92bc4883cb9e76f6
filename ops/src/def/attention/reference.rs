//! Plain evaluation: query by query, in f64.

use super::problem::Problem;
use super::{Attention, AttentionStep};
use crate::compute::tensor;
use crate::expr::Scalar;
use crate::{DType, OpError, Shape, Tensor, TensorType};

/// What is past, then an input of this call, as `[batch, heads, elements, width]`.
fn present(p: &Problem<'_>, now: &Tensor, past: Option<&Tensor>, width: usize) -> Vec<f64> {
    let (now, past) = (now.to_f64s(), past.map(Tensor::to_f64s).unwrap_or_default());
    let mut all = Vec::new();
    for (b, h) in (0..p.batch).flat_map(|b| (0..p.kv_heads).map(move |h| (b, h))) {
        let head = b * p.kv_heads + h;
        all.extend_from_slice(&past[head * p.past * width..][..p.past * width]);
        for t in 0..p.kv {
            let at = if p.flat { (b * p.kv + t) * p.kv_heads + h } else { head * p.kv + t };
            all.extend_from_slice(&now[at * width..][..width]);
        }
    }
    all
}

/// What the masks add at `[b, h, s, t]`.
fn bias(op: &Attention, p: &Problem<'_>, mask: Option<&Tensor>, at: [usize; 4]) -> f64 {
    let [_, _, s, t] = at;
    let mut bias = 0.0;
    if let Some(mask) = mask {
        let dims = mask.shape();
        if t >= dims[dims.rank() - 1] {
            return f64::NEG_INFINITY;
        }
        let at = &at[4 - dims.rank()..];
        let flat = dims.iter().zip(at).fold(0, |flat, (&d, &i)| flat * d + if d == 1 { 0 } else { i });
        let size = mask.dtype().size();
        let element = Scalar::read(mask.dtype(), &mask.bytes()[flat * size..][..size]).to_f64();
        bias = match mask.dtype() {
            DType::Bool if element == 0.0 => f64::NEG_INFINITY,
            DType::Bool => 0.0,
            _ => element,
        };
    }
    if op.is_causal && t > s + p.past { f64::NEG_INFINITY } else { bias }
}

pub(super) fn attend(
    op: &Attention,
    p: &Problem<'_>,
    inputs: &[Option<&Tensor>],
) -> Result<Vec<Tensor>, OpError> {
    let types = p.outputs()?;
    let given = |i: usize| inputs.get(i).copied().flatten();
    let mut all: Vec<Vec<f64>> = types.iter().map(|ty| vec![0.0; ty.shape.numel()]).collect();
    if let (false, Some(q), Some(k), Some(v)) = (p.is_empty(), given(0), given(1), given(2)) {
        let q = q.to_f64s();
        all[1] = present(p, k, given(4), p.size);
        all[2] = present(p, v, given(5), p.value_size);
        let nonpad = given(6).map(|t| t.to_i64s()).transpose()?;
        let total = p.total();
        for at in Shape::from([p.batch, p.heads, p.queries]).indices() {
            let [b, h, s] = [at[0], at[1], at[2]];
            let row =
                if p.flat { (b * p.queries + s) * p.heads + h } else { (b * p.heads + h) * p.queries + s };
            let head = b * p.kv_heads + h / (p.heads / p.kv_heads);
            let query = &q[row * p.size..][..p.size];
            let key = |t: usize| &all[1][(head * total + t) * p.size..][..p.size];
            let dot = |t: usize| query.iter().zip(key(t)).map(|(a, b)| a * b).sum::<f64>();
            let product: Vec<f64> = (0..total).map(|t| dot(t) * op.factor(p)).collect();
            let cap = f64::from(op.softcap);
            let cap = |v: &f64| if cap == 0.0 { *v } else { (v / cap).tanh() * cap };
            let capped: Vec<f64> = product.iter().map(cap).collect();
            let beyond = |t: usize| nonpad.as_ref().is_some_and(|n| t as i64 >= n[b]);
            let masked = |(t, v): (usize, &f64)| match bias(op, p, given(3), [b, h, s, t]) {
                _ if beyond(t) => f64::NEG_INFINITY,
                // Also of an infinite product.
                bias if bias == f64::NEG_INFINITY => bias,
                bias => v + bias,
            };
            let biased: Vec<f64> = capped.iter().enumerate().map(masked).collect();
            let max = biased.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = biased.iter().map(|v| (v - max).exp()).sum();
            let softmax: Vec<f64> = biased.iter().map(|v| (v - max).exp() / sum).collect();
            for e in 0..p.value_size {
                let value = |t: usize| all[2][(head * total + t) * p.value_size + e];
                all[0][row * p.value_size + e] = (0..total).map(|t| softmax[t] * value(t)).sum();
            }
            let step = match op.step {
                AttentionStep::Product => product,
                AttentionStep::Capped => capped,
                AttentionStep::Biased => biased,
                AttentionStep::Softmax => softmax,
            };
            let step_at = ((b * p.heads + h) * p.queries + s) * total;
            all[3][step_at..][..total].copy_from_slice(&step);
        }
    }
    types.iter().zip(all).map(|(ty, v)| rounded(ty, &v)).collect()
}

fn rounded(ty: &TensorType, v: &[f64]) -> Result<Tensor, OpError> {
    let elements: Vec<Scalar> = v.iter().map(|v| Scalar::F64(*v).cast(ty.dtype)).collect();
    tensor(ty, &elements)
}
