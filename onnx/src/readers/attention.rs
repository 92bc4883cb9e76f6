//! Attention and what goes with it.

use octrt_ops::def::attention::{Attention, AttentionStep};
use octrt_ops::def::rotary_embedding::RotaryEmbedding;

use crate::error::{Fault, invalid};
use crate::node::NodeReader;

/// `Attention`; `softmax_precision` does not make the softmax more or less exact than its operands.
pub(crate) fn attention(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    n.attrs.ignore(&["softmax_precision"]);
    let mode = n.attrs.int("qk_matmul_output_mode")?.unwrap_or(0);
    let Some(step) = usize::try_from(mode).ok().and_then(|i| AttentionStep::ALL.get(i)) else {
        return invalid!("attribute 'qk_matmul_output_mode': expected 0 to 3, found {mode}");
    };
    let op = Attention {
        is_causal: n.attrs.flag("is_causal")?,
        q_num_heads: n.attrs.extent("q_num_heads")?,
        kv_num_heads: n.attrs.extent("kv_num_heads")?,
        scale: n.attrs.float("scale")?,
        softcap: n.attrs.float("softcap")?.unwrap_or(0.0),
        step: *step,
    };
    n.emit_all(op, n.inputs(3, 4)?)
}

/// `RotaryEmbedding`.
pub(crate) fn rotary_embedding(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let op = RotaryEmbedding {
        interleaved: n.attrs.flag("interleaved")?,
        num_heads: n.attrs.extent("num_heads")?.unwrap_or(0),
        rotary_dim: n.attrs.extent("rotary_embedding_dim")?.unwrap_or(0),
    };
    n.emit(op, n.inputs(3, 1)?)
}
