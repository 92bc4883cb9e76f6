//! Pass `fuse_batch_norm`.

use octrt_ops::def::batch_normalization::BatchNormalization;
use octrt_ops::graph::rewrite::{Editor, Patch};
use octrt_ops::{DType, Graph, Node, NodeId, Op, Tensor, ValueId};

use super::Skip;
use super::linear::{Linear, linear};

/// `BatchNormalization(Conv(x, w, b), scale, shift, mean, var) -> Conv(x, w * s, (b - mean) * s + shift)` with
/// `s = scale / sqrt(var + epsilon)` per output channel; ConvTranspose and Gemm (whose C becomes a bias per column)
/// likewise. A sum of such convolutions, some of them upsampled, is normalised by scaling each of them and shifting one.
///
/// Requires: no result before the normalisation has another user; weights, biases and statistics are constants. Weights
/// are products in f64, rounded once, computed when they are read. Nodes keep their names, the last result that of the
/// normalisation.
///
/// Blocked when: a result before the normalisation has other users or is an output; a part of a sum is no convolution;
/// something is not a constant; the new weights are not finite; or the C of a Gemm is not a bias per column.
pub fn fuse_batch_norm(graph: &Editor, id: NodeId) -> Result<Patch, Skip> {
    let norm = graph.node(id);
    let Op::BatchNormalization(op) = &norm.op else { return Err(Skip::NoMatch) };
    let x = norm.input(0).ok_or(Skip::NoMatch)?;
    let linear = linear(graph, x)?;
    let affine = Affine::of(graph, norm, op)?;
    let mut rebuild = Rebuild { graph, norm, affine, patch: Patch::new(graph), share: Share::ScaleAndShift };
    let result = norm.outputs[0];
    let new = rebuild.linear(&linear, Some(&graph.value(result).name))?;
    let mut patch = rebuild.patch;
    patch.replace(result, new);
    Ok(patch)
}

/// Adds nodes that compute a normalised value.
struct Rebuild<'a> {
    graph: &'a Graph,
    norm: &'a Node,
    affine: Affine,
    patch: Patch,
    /// That of the next convolution.
    share: Share,
}

/// What a convolution takes of the normalisation. Of those in a sum, one takes the shift.
#[derive(Clone, Copy)]
enum Share {
    ScaleAndShift,
    Scale,
}

impl Rebuild<'_> {
    /// The normalised value; the result of its last node has this name, or the one that it has now.
    fn linear(&mut self, linear: &Linear, name: Option<&str>) -> Result<ValueId, Skip> {
        let graph = self.graph;
        let (Linear::Conv(id) | Linear::Sum(id, _) | Linear::Resize(id, _)) = linear;
        let node = graph.node(*id);
        let (op, inputs) = match linear {
            Linear::Conv(_) => self.conv(node)?,
            Linear::Sum(_, parts) => {
                let [a, b] = &**parts;
                (node.op.clone(), vec![Some(self.linear(a, None)?), Some(self.linear(b, None)?)])
            }
            Linear::Resize(_, part) => {
                let part = self.linear(part, None)?;
                let rest = node.inputs.get(1..).unwrap_or(&[]).iter().copied();
                (node.op.clone(), [Some(part)].into_iter().chain(rest).collect())
            }
        };
        let old = node.outputs.first().map_or("", |v| &graph.value(*v).name);
        let outputs = self.patch.add_node(&node.name, op, inputs, &[name.unwrap_or(old)]);
        outputs.first().copied().ok_or(Skip::NoMatch)
    }

    fn conv(&mut self, conv: &Node) -> Result<(Op, Vec<Option<ValueId>>), Skip> {
        let (graph, norm) = (self.graph, self.norm);
        let weight = f32_constant(graph, conv, 1, "the weight")?;
        let new_weight = scaled(weight, conv, &self.affine.scale)?;
        let new_bias = self.affine.bias(graph, conv, self.share)?;
        self.share = Share::Scale;
        let named = |v: ValueId| Some(graph.value(v).name.as_str()).filter(|name| !name.is_empty());
        let name = |v: Option<ValueId>| v.and_then(named).unwrap_or(&conv.name);
        let w = self.patch.add_const(format!("{}*{}", name(conv.input(1)), norm.name), new_weight);
        let b = self.patch.add_const(format!("{}*{}", name(conv.input(2)), norm.name), new_bias);
        let mut op = conv.op.clone();
        if let Op::Gemm(gemm) = &mut op {
            gemm.beta = 1.0;
        }
        Ok((op, vec![conv.input(0), Some(w), Some(b)]))
    }
}

fn blocked<T>(reason: impl Into<String>) -> Result<T, Skip> {
    Err(Skip::Blocked(reason.into()))
}

/// The elements of an input that must be a constant of f32.
fn f32_constant<'a>(graph: &'a Graph, node: &Node, i: usize, what: &str) -> Result<&'a Tensor, Skip> {
    graph.constant_input(node, i).filter(|t| t.dtype() == DType::F32).ok_or_else(|| {
        Skip::Blocked(format!("{what} of {} '{}' is not a constant of f32", node.op.tag(), node.name))
    })
}

/// A normalisation as `x * scale + shift` per channel.
struct Affine {
    scale: Vec<f64>,
    shift: Vec<f64>,
}

impl Affine {
    fn of(graph: &Graph, norm: &Node, op: &BatchNormalization) -> Result<Self, Skip> {
        let read = |i, what| f32_constant(graph, norm, i, what).map(Tensor::to_f64s);
        let (gamma, beta) = (read(1, "the scale")?, read(2, "the bias")?);
        let (mean, var) = (read(3, "the mean")?, read(4, "the variance")?);
        let [scale, shift] = op.affine([&gamma, &beta, &mean, &var]);
        Ok(Affine { scale, shift })
    }

    /// The bias of a convolution after its share of the normalisation, one element per channel.
    fn bias(&self, graph: &Graph, conv: &Node, share: Share) -> Result<Tensor, Skip> {
        let channels = self.scale.len();
        let factor = if let Op::Gemm(gemm) = &conv.op { f64::from(gemm.beta) } else { 1.0 };
        let old = match conv.input(2) {
            Some(_) if factor != 0.0 => {
                let bias = f32_constant(graph, conv, 2, "the bias")?;
                let per_channel =
                    bias.numel() == 1 || bias.numel() == channels && bias.shape().last() == Some(&channels);
                if !per_channel {
                    return blocked(format!(
                        "the bias {} of '{}' is not one per channel",
                        bias.ty(),
                        conv.name
                    ));
                }
                bias.to_f64s()
            }
            _ => vec![0.0],
        };
        let shifts = match share {
            Share::ScaleAndShift => self.shift.clone(),
            Share::Scale => vec![0.0; channels],
        };
        let scaled = old.iter().cycle().zip(&self.scale).map(|(b, s)| b * factor * s);
        let new: Vec<f32> = scaled.zip(shifts).map(|(b, shift)| (b + shift) as f32).collect();
        finite(Tensor::new([channels], &new).map_err(|e| Skip::Blocked(e.to_string()))?)
    }
}

/// The weight with every element scaled by the factor of its output channel.
fn scaled(weight: &Tensor, conv: &Node, scale: &[f64]) -> Result<Tensor, Skip> {
    let channels = scale.len();
    let first = weight.shape().first().copied().unwrap_or(0);
    // One factor for each run of as many elements as there are elements for a factor.
    let factors = match &conv.op {
        Op::Conv(_) => scale.to_vec(),
        Op::Gemm(op) if op.trans_b => scale.to_vec(),
        Op::Gemm(_) => scale.repeat(first),
        Op::ConvTranspose(op) if op.group > 0 && channels > 0 => {
            let group_outputs = (channels / op.group).max(1);
            let groups = scale.chunks(group_outputs);
            groups.flat_map(|of_group| of_group.repeat(first / op.group)).collect()
        }
        _ => Vec::new(),
    };
    let run = weight.numel().checked_div(factors.len()).unwrap_or(0);
    if run * factors.len() != weight.numel() || run == 0 {
        let message = format!("the weight {} of '{}' is not of {channels} channels", weight.ty(), conv.name);
        return blocked(message);
    }
    let bounded = factors.iter().all(|f| f.is_finite());
    let largest = factors.iter().fold(0.0, |a: f64, f| a.max(f.abs()));
    let scaled = weight.scaled(factors).map_err(|e| Skip::Blocked(e.to_string()))?;
    // Most weights need no look at the products, which are computed where they are packed.
    if bounded && f64::from(weight.magnitude()) * largest < f64::from(f32::MAX) {
        return Ok(scaled);
    }
    finite(scaled)
}

/// The tensor, all of whose elements must be finite.
fn finite(tensor: Tensor) -> Result<Tensor, Skip> {
    if tensor.magnitude().is_finite() { Ok(tensor) } else { blocked("the folded weights are not finite") }
}
