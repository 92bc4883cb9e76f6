//! One convolution as an OctConv.

use octrt_ops::def::binary::{Binary, BinaryKind};
use octrt_ops::def::conv::Conv;
use octrt_ops::window::{AutoPad, Window};
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

/// Why there is no OctConv in place of a convolution.
pub(super) enum Refusal {
    /// It cannot be replaced, for this reason.
    Kept(String),
    /// A tensor cannot be made.
    Failed(OpError),
}

impl From<OpError> for Refusal {
    fn from(e: OpError) -> Self {
        Refusal::Failed(e)
    }
}

fn kept<T>(reason: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::Kept(reason.into()))
}

/// Puts an OctConv in place of `node`.
///
/// # Errors
/// [`Refusal`]; then nothing has changed, or the new graph is of no use.
pub(super) fn octave(
    rewriter: &mut Rewriter<'_>,
    node: &Node,
    conv: &Conv,
    role: Role,
    alpha: f64,
) -> Result<(), Refusal> {
    let Some(x) = node.inputs.first().copied().flatten() else { return kept("it has no input") };
    let input = rewriter.repr(x).clone();
    match role {
        Role::Stem => return kept("it reads the picture"),
        Role::Pixel => return kept("its input is a single pixel"),
        Role::Last if matches!(input, Repr::Full(_)) => {
            return kept("the end of the network has one frequency");
        }
        Role::Inner | Role::Last => {}
    }
    let (kernel, stride) = kernel(rewriter, node, conv)?;
    let [Some(from), Some(to)] = [Some(0), None].map(|i| extents(rewriter.old, node, i)) else {
        return kept("it is not two-dimensional");
    };
    let alpha = if role == Role::Last || to.contains(&1) { 0.0 } else { alpha };
    let out = outputs(&kernel, &input, alpha)?;
    check_groups(&kernel, &input, &out)?;
    let layer = Layer { kernel, stride, from, to };
    let repr = layer.build(rewriter, input, out)?;
    rewriter.define(node.outputs[0], repr);
    Ok(())
}

/// A convolution that will be replaced.
struct Layer<'a> {
    kernel: Kernel<'a>,
    stride: usize,
    /// Height and width of the input at high frequency.
    from: [usize; 2],
    /// Those of the output.
    to: [usize; 2],
}

impl Layer<'_> {
    /// The nodes of the OctConv whose output has the channels `out`, high first.
    fn build(&self, rewriter: &mut Rewriter<'_>, input: Repr, out: [Vec<usize>; 2]) -> Result<Repr, OpError> {
        let (high, low) = match input {
            Repr::Full(value) => (Side { value, channels: (0..self.kernel.ic()).collect() }, None),
            Repr::Split(split) => (split.high, Some(split.low)),
        };
        let high = self.stepped(rewriter, "h", &high, self.from);
        let [high_out, low_out] = out;
        let value = self.to_high(rewriter, &high, low.as_ref(), &high_out)?;
        let y = Side { value, channels: high_out };
        Ok(match self.to_low(rewriter, &high, low.as_ref(), &low_out)? {
            Some(value) => {
                let low = Side { value, channels: low_out };
                Repr::Split(Split { high: y, low, extents: self.to })
            }
            None => Repr::Full(y.value),
        })
    }

    /// `conv(h) + upsample(conv(l))`, without the upsampling where `h` is halved.
    fn to_high(
        &self,
        rewriter: &mut Rewriter<'_>,
        high: &Side,
        low: Option<&Side>,
        out: &[usize],
    ) -> Result<ValueId, OpError> {
        let Layer { kernel, stride, to, .. } = self;
        let name = &kernel.node.name;
        let y = kernel.path(rewriter, &path("h2h", high, 0), out, Bias::Yes)?;
        let Some(low) = low.filter(|_| !kernel.is_depthwise()) else { return Ok(y) };
        let first = high.channels.len() / kernel.groups;
        let mut from_low = kernel.path(rewriter, &path("l2h", low, first), out, Bias::No)?;
        if *stride == 1 {
            from_low = rewriter.double(&format!("{name}.l2h"), from_low, *to)?;
        }
        Ok(sum(rewriter, &format!("{name}.h"), y, from_low))
    }

    /// `conv(l) + conv(average(h))`; none without output channels.
    fn to_low(
        &self,
        rewriter: &mut Rewriter<'_>,
        high: &Side,
        low: Option<&Side>,
        out: &[usize],
    ) -> Result<Option<ValueId>, OpError> {
        let Layer { kernel, from, to, .. } = self;
        if out.is_empty() {
            return Ok(None);
        }
        let mut from_high = None;
        if !kernel.is_depthwise() {
            let halved = self.halved(rewriter, "h2l", high, *to);
            from_high = Some(kernel.path(rewriter, &path("h2l", &halved, 0), out, Bias::Yes)?);
        }
        let Some(low) = low else { return Ok(from_high) };
        let first = high.channels.len() / kernel.groups;
        let low = self.stepped(rewriter, "l", low, half(*from));
        let bias = if from_high.is_some() { Bias::No } else { Bias::Yes };
        let y = kernel.path(rewriter, &path("l2l", &low, first), out, bias)?;
        Ok(Some(match from_high {
            Some(other) => sum(rewriter, &format!("{}.l", kernel.node.name), y, other),
            None => y,
        }))
    }

    fn halved(&self, rewriter: &mut Rewriter<'_>, what: &str, side: &Side, from: [usize; 2]) -> Side {
        let name = format!("{}.{what}", self.kernel.node.name);
        Side { value: rewriter.halve(&name, side.value, from), channels: side.channels.clone() }
    }

    /// The side as convolutions with a step of 1 read it.
    fn stepped(&self, rewriter: &mut Rewriter<'_>, what: &str, side: &Side, from: [usize; 2]) -> Side {
        if self.stride == 2 { self.halved(rewriter, what, side, from) } else { side.clone() }
    }
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

/// The convolution's numbers and its stride.
fn kernel<'a>(rewriter: &Rewriter<'_>, node: &'a Node, conv: &Conv) -> Result<(Kernel<'a>, usize), Refusal> {
    let graph = rewriter.old;
    let constant = |i: usize, what: &str| match node.input(i) {
        None => Ok(None),
        Some(v) => match graph.constant(v).filter(|t| t.dtype() == DType::F32) {
            Some(t) => Ok(Some((t, graph.value(v).name.clone()))),
            None => kept(format!("its {what} is no constant of f32")),
        },
    };
    let Some((weight, weight_name)) = constant(1, "weight")? else { return kept("it has no weight") };
    let bias = constant(2, "bias")?;
    let &[oc, ic, kh, kw] = weight.shape().dims() else { return kept("it is not two-dimensional") };
    let stride = match conv.window.strides[..] {
        [] | [1, 1] => 1,
        [2, 2] => 2,
        _ => return kept(format!("its strides are {:?}; an OctConv has 1 or 2", conv.window.strides)),
    };
    let op = path_op(&conv.window, [kh, kw])?;
    let bias_name = bias.as_ref().map_or_else(String::new, |(_, name)| name.clone());
    let kernel = Kernel {
        node,
        shape: [oc, ic, kh, kw],
        weight: weight.to_vec()?,
        bias: bias.map(|(t, _)| t.to_vec()).transpose()?,
        groups: conv.group,
        op,
        names: [weight_name, bias_name],
    };
    Ok((kernel, stride))
}

/// The convolution with a step of 1, which must keep the extent of a map.
fn path_op(window: &Window, [kh, kw]: [usize; 2]) -> Result<Conv, Refusal> {
    let dilations = if window.dilations.is_empty() { vec![1; 2] } else { window.dilations.clone() };
    let reach = |k: usize, d: usize| k.saturating_sub(1) * d;
    let (h, w) = (reach(kh, dilations[0]), reach(kw, dilations[1]));
    let same = vec![h / 2, w / 2, h / 2, w / 2];
    let is_same = match window.auto_pad {
        AutoPad::NotSet => window.pads == same || (window.pads.is_empty() && h + w == 0),
        AutoPad::SameUpper | AutoPad::SameLower => true,
        AutoPad::Valid => h + w == 0,
    };
    if !is_same || h % 2 == 1 || w % 2 == 1 {
        let pads = &window.pads;
        return kept(format!("its padding does not keep the extent of a map ({kh}x{kw}, pads {pads:?})"));
    }
    let (kernel, strides) = (vec![kh, kw], vec![1; 2]);
    Ok(Conv { window: Window { kernel, strides, dilations, pads: same, ..Window::default() }, group: 1 })
}

/// The channels of the output by frequency, high first.
fn outputs(kernel: &Kernel<'_>, input: &Repr, alpha: f64) -> Result<[Vec<usize>; 2], Refusal> {
    let oc = kernel.shape[0];
    match input {
        Repr::Full(_) if kernel.is_depthwise() => kept("it is depthwise, and its input has one frequency"),
        Repr::Split(split) if kernel.is_depthwise() => {
            let multiple = oc / kernel.groups;
            let of =
                |side: &Side| side.channels.iter().flat_map(|c| c * multiple..(c + 1) * multiple).collect();
            Ok([of(&split.high), of(&split.low)])
        }
        _ => {
            let low = (alpha * oc as f64) as usize;
            if low == 0 && matches!(input, Repr::Full(_)) {
                return kept("its input and its output have one frequency");
            }
            Ok([(0..oc - low).collect(), (oc - low..oc).collect()])
        }
    }
}

fn check_groups(kernel: &Kernel<'_>, input: &Repr, out: &[Vec<usize>; 2]) -> Result<(), Refusal> {
    if kernel.groups == 1 || kernel.is_depthwise() {
        return Ok(());
    }
    let inputs = match input {
        Repr::Full(_) => vec![kernel.ic()],
        Repr::Split(split) => vec![split.high.channels.len(), split.low.channels.len()],
    };
    let counts: Vec<usize> = inputs.into_iter().chain(out.iter().map(Vec::len)).collect();
    match counts.iter().find(|c| !c.is_multiple_of(kernel.groups)) {
        Some(c) => {
            kept(format!("its {} groups do not divide the {c} channels of a frequency", kernel.groups))
        }
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
