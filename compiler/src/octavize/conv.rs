//! One convolution as an OctConv.

use octrt_ops::def::binary::{Binary, BinaryKind};
use octrt_ops::def::conv::Conv;
use octrt_ops::window::AutoPad;
use octrt_ops::{DType, Node, OpError, Tensor, ValueId};

use super::extents;
use super::plan::Role;
use super::split::{Repr, Rewriter, Side, Split, half, part};

/// A convolution that can be replaced: its numbers and what is the same in all paths.
struct Kernel<'a> {
    node: &'a Node,
    /// `[oc, ic / groups, kh, kw]`.
    shape: [usize; 4],
    weight: Vec<f32>,
    bias: Option<Vec<f32>>,
    groups: usize,
    /// Attributes of the paths' convolutions, but for the groups.
    op: Conv,
    /// Names of weight and bias.
    names: [String; 2],
}

/// How a path's channels are taken from the weight.
struct Path<'a> {
    suffix: &'static str,
    src: &'a Side,
    /// First of the inputs of each group that the path reads, where there are groups.
    first: usize,
}

/// Puts an OctConv in place of `node`, or says why not.
///
/// # Errors
/// [`OpError`] when a tensor cannot be made.
pub(super) fn octave(
    rewriter: &mut Rewriter<'_>,
    node: &Node,
    conv: &Conv,
    role: Role,
    alpha: f64,
) -> Result<Result<(), String>, OpError> {
    let Some(x) = node.inputs.first().copied().flatten() else { return Ok(Err("it has no input".into())) };
    let input = rewriter.repr(x).clone();
    let (kernel, stride) = match role {
        Role::Stem => return Ok(Err("it reads the picture".into())),
        Role::Pixel => return Ok(Err("its input is a single pixel".into())),
        Role::Inner | Role::Last => match kernel(rewriter, node, conv) {
            Ok(found) => found,
            Err(reason) => return Ok(Err(reason)),
        },
    };
    let [Some(from), Some(to)] = [Some(0), None].map(|i| extents(rewriter.old, node, i)) else {
        return Ok(Err("it is not two-dimensional".into()));
    };
    let alpha = if role == Role::Last || to.contains(&1) { 0.0 } else { alpha };
    let out = match outputs(&kernel, &input, alpha) {
        Ok(out) => out,
        Err(reason) => return Ok(Err(reason)),
    };
    if let Err(reason) = check_groups(&kernel, &input, &out) {
        return Ok(Err(reason));
    }
    let (high, low) = match input {
        Repr::Full(value) => (Side { value, channels: (0..kernel.ic()).collect() }, None),
        Repr::Split(split) => (split.high, Some(split.low)),
    };
    let depthwise = kernel.is_depthwise();
    let has_low = !out[1].is_empty();
    let name = &node.name;
    let halve = |r: &mut Rewriter<'_>, what: &str, side: &Side, from| Side {
        value: r.halve(&format!("{name}.{what}"), side.value, from),
        channels: side.channels.clone(),
    };
    let stepped = |r: &mut Rewriter<'_>, what: &str, side: &Side, from| {
        if stride == 2 { halve(r, what, side, from) } else { side.clone() }
    };
    let high = stepped(rewriter, "h", &high, from);
    let first_low = high.channels.len() / kernel.groups;
    let mut y_high = kernel.path(rewriter, &path("h2h", &high, 0), &out[0], Bias::Yes)?;
    if let (Some(low), false) = (&low, depthwise) {
        let mut y = kernel.path(rewriter, &path("l2h", low, first_low), &out[0], Bias::No)?;
        if stride == 1 {
            y = rewriter.double(&format!("{name}.l2h"), y, to)?;
        }
        y_high = sum(rewriter, &format!("{name}.h"), y_high, y);
    }
    let [high_channels, low_channels] = out;
    let y_high = Side { value: y_high, channels: high_channels };
    if !has_low {
        rewriter.define(node.outputs[0], Repr::Full(y_high.value));
        return Ok(Ok(()));
    }
    let mut y_low = None;
    if !depthwise {
        let halved = halve(rewriter, "h2l", &high, to);
        y_low = Some(kernel.path(rewriter, &path("h2l", &halved, 0), &low_channels, Bias::Yes)?);
    }
    if let Some(low) = &low {
        let low = stepped(rewriter, "l", low, half(from));
        let bias = if depthwise { Bias::Yes } else { Bias::No };
        let y = kernel.path(rewriter, &path("l2l", &low, first_low), &low_channels, bias)?;
        y_low = Some(match y_low {
            Some(other) => sum(rewriter, &format!("{name}.l"), y, other),
            None => y,
        });
    }
    if let Some(value) = y_low {
        let low = Side { value, channels: low_channels };
        rewriter.define(node.outputs[0], Repr::Split(Split { high: y_high, low, extents: to }));
    }
    Ok(Ok(()))
}

fn path<'a>(suffix: &'static str, src: &'a Side, first: usize) -> Path<'a> {
    Path { suffix, src, first }
}

/// Whether a path has the convolution's bias: one of those that meet in a sum does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bias {
    Yes,
    No,
}

fn sum(rewriter: &mut Rewriter<'_>, name: &str, a: ValueId, b: ValueId) -> ValueId {
    rewriter.add_of(&format!("{name}.sum"), Binary { kind: BinaryKind::Add }, &[a, b])
}

/// The convolution's numbers and its stride, or why it cannot be replaced.
fn kernel<'a>(rewriter: &Rewriter<'_>, node: &'a Node, conv: &Conv) -> Result<(Kernel<'a>, usize), String> {
    let graph = rewriter.old;
    let constant = |i: usize, what: &str| match node.inputs.get(i).copied().flatten() {
        None => Ok(None),
        Some(v) => match graph.constant(v).filter(|t| t.dtype() == DType::F32) {
            Some(t) => Ok(Some((t, graph.value(v).name.clone()))),
            None => Err(format!("its {what} is no constant of f32")),
        },
    };
    let (weight, weight_name) = constant(1, "weight")?.ok_or("it has no weight")?;
    let bias = constant(2, "bias")?;
    let &[oc, ic, kh, kw] = weight.shape().dims() else { return Err("it is not two-dimensional".into()) };
    let stride = match conv.strides[..] {
        [] | [1, 1] => 1,
        [2, 2] => 2,
        _ => return Err(format!("its strides are {:?}; an OctConv has 1 or 2", conv.strides)),
    };
    let dilations = if conv.dilations.is_empty() { vec![1; 2] } else { conv.dilations.clone() };
    let reach = |k: usize, d: usize| (k - 1) * d;
    let (h, w) = (reach(kh.max(1), dilations[0]), reach(kw.max(1), dilations[1]));
    let same = vec![h / 2, w / 2, h / 2, w / 2];
    let is_same = match conv.auto_pad {
        AutoPad::NotSet => conv.pads == same || (conv.pads.is_empty() && h + w == 0),
        AutoPad::SameUpper | AutoPad::SameLower => true,
        AutoPad::Valid => h + w == 0,
    };
    if !is_same || h % 2 == 1 || w % 2 == 1 {
        return Err(format!(
            "its padding does not keep the extent of a map ({kh}x{kw}, pads {:?})",
            conv.pads
        ));
    }
    let numbers = |t: &Tensor| t.to_vec::<f32>().map_err(|e| e.message().to_string());
    let bias_name = bias.as_ref().map_or_else(String::new, |(_, name)| name.clone());
    let op = Conv {
        kernel: vec![kh, kw],
        strides: vec![1; 2],
        dilations,
        pads: same,
        auto_pad: AutoPad::NotSet,
        group: 1,
    };
    let kernel = Kernel {
        node,
        shape: [oc, ic, kh, kw],
        weight: numbers(weight)?,
        bias: bias.map(|(t, _)| numbers(t)).transpose()?,
        groups: conv.group,
        op,
        names: [weight_name, bias_name],
    };
    Ok((kernel, stride))
}

/// The channels of the output by frequency, high first.
fn outputs(kernel: &Kernel<'_>, input: &Repr, alpha: f64) -> Result<[Vec<usize>; 2], String> {
    let oc = kernel.shape[0];
    match input {
        Repr::Full(_) if kernel.is_depthwise() => {
            Err("it is depthwise, and its input has one frequency".into())
        }
        Repr::Split(split) if kernel.is_depthwise() => {
            let multiple = oc / kernel.groups;
            let of =
                |side: &Side| side.channels.iter().flat_map(|c| c * multiple..(c + 1) * multiple).collect();
            Ok([of(&split.high), of(&split.low)])
        }
        _ => {
            let low = (alpha * oc as f64) as usize;
            if low == 0 && matches!(input, Repr::Full(_)) {
                return Err("its input and its output have one frequency".into());
            }
            Ok([(0..oc - low).collect(), (oc - low..oc).collect()])
        }
    }
}

fn check_groups(kernel: &Kernel<'_>, input: &Repr, out: &[Vec<usize>; 2]) -> Result<(), String> {
    if kernel.groups == 1 || kernel.is_depthwise() {
        return Ok(());
    }
    let inputs = match input {
        Repr::Full(_) => vec![kernel.ic()],
        Repr::Split(split) => vec![split.high.channels.len(), split.low.channels.len()],
    };
    let counts: Vec<usize> = inputs.into_iter().chain(out.iter().map(Vec::len)).collect();
    match counts.iter().find(|c| !c.is_multiple_of(kernel.groups)) {
        Some(c) => Err(format!("its {} groups do not divide the {c} channels of a frequency", kernel.groups)),
        None => Ok(()),
    }
}

impl Kernel<'_> {
    fn ic(&self) -> usize {
        self.shape[1] * self.groups
    }

    fn is_depthwise(&self) -> bool {
        self.groups > 1 && self.shape[1] == 1
    }

    /// The convolution of one path, with the rows of the weight for `out`.
    fn path(
        &self,
        rewriter: &mut Rewriter<'_>,
        path: &Path<'_>,
        out: &[usize],
        bias: Bias,
    ) -> Result<ValueId, OpError> {
        let Path { suffix, src, first } = path;
        let [_, ic, kh, kw] = self.shape;
        let (groups, columns) = match self.groups {
            1 => (1, src.channels.clone()),
            _ if self.is_depthwise() => (src.channels.len(), vec![0]),
            n => (n, (*first..first + src.channels.len() / n).collect()),
        };
        let window = kh * kw;
        let mut weight = Vec::with_capacity(out.len() * columns.len() * window);
        for row in out {
            for column in &columns {
                weight.extend_from_slice(&self.weight[(row * ic + column) * window..][..window]);
            }
        }
        let weight = Tensor::new([out.len(), columns.len(), kh, kw], &weight)?;
        let mut inputs = vec![src.value, rewriter.graph.add_const(part(&self.names[0], suffix), weight)];
        if let (Some(all), Bias::Yes) = (&self.bias, bias) {
            let own: Vec<f32> = out.iter().map(|&c| all[c]).collect();
            let own = Tensor::new([own.len()], &own)?;
            inputs.push(rewriter.graph.add_const(part(&self.names[1], suffix), own));
        }
        let op = Conv { group: groups, ..self.op.clone() };
        Ok(rewriter.add_of(&format!("{}.{suffix}", self.node.name), op, &inputs))
    }
}
