//! Pass `shuffle_conv_transpose`.

use octrt_ops::def::conv::Conv;
use octrt_ops::def::conv_transpose::phases::Phase;
use octrt_ops::def::depth_to_space::{DepthOrder, DepthToSpace};
use octrt_ops::def::slice::Slice;
use octrt_ops::graph::infer::with_args;
use octrt_ops::graph::rewrite::{Editor, Patch};
use octrt_ops::window::Window;
use octrt_ops::{DType, NodeId, Op, Tensor};

use super::Skip;
use crate::options::Options;
use crate::precision::Precision;

/// `ConvTranspose(x, w, b) -> Slice(DepthToSpace(Conv(x, w', b')))` where there are so few output channels that the phases of
/// the transposed convolution fill vectors together and not by themselves: they are channels of one convolution, whose
/// window is what all of them see.
///
/// Requires: rows and columns in equal steps, not dilated, one group, constants for weights and bias, results that may have
/// what is not finite where another phase sees it ([`Precision::Default`]), fewer multiplications. Never blocked.
///
/// Results may be shuffled from some rows and columns before the first on, which are cut off: where phases begin otherwise they
/// see fewer elements together. Phases of a window of 9 in steps of 3, padded by 4, see 4 elements, and from the padding on 3.
pub fn shuffle_conv_transpose(graph: &Editor, id: NodeId, options: Options) -> Result<Patch, Skip> {
    let lanes = options.target.width().ok_or(Skip::NoMatch)?.lanes() as usize;
    let node = graph.node(id);
    let Op::ConvTranspose(op) = &node.op else { return Err(Skip::NoMatch) };
    let wei = graph.constant_input(node, 1).filter(|t| t.dtype() == DType::F32).ok_or(Skip::NoMatch)?;
    let bias = graph.constant_input(node, 2);
    let axes = with_args(graph, node, |args| op.phases(args)).ok().and_then(Result::ok).flatten();
    let Some([rows, columns]) = axes.as_deref() else { return Err(Skip::NoMatch) };
    let &[ic, oc, kh, kw] = wei.shape().dims() else { return Err(Skip::NoMatch) };
    let step = rows.len();
    let known = bias.is_some() == node.input(2).is_some();
    let square = step > 1 && columns.len() == step && [rows, columns].iter().all(|p| p[0].step == step);
    let dilated = op.window.dilations.iter().any(|d| *d > 1);
    if options.precision != Precision::Default || op.group != 1 || !known || !square || dilated {
        return Err(Skip::NoMatch);
    }
    let united = [United::best(rows), United::best(columns)];
    let vectors = |channels: usize| channels.div_ceil(lanes);
    let phases = || rows.iter().flat_map(|r| columns.iter().map(move |c| [r, c]));
    let taps: usize = phases().map(|[r, c]| r.taps.count * c.taps.count).sum();
    let together = united[0].kernel() * united[1].kernel() * vectors(oc * step * step);
    if oc == 0 || 4 * together > 3 * taps * vectors(oc) {
        return Err(Skip::NoMatch);
    }
    // The weights [phase of the row, phase of the column, oc; ic; window].
    let window = united.each_ref().map(United::kernel);
    let from = wei.to_vec::<f32>().map_err(|e| Skip::Blocked(e.to_string()))?;
    let mut weights = vec![0f32; oc * step * step * ic * window[0] * window[1]];
    for phase in phases() {
        let places = |i: usize| {
            let before = united[i].before - united[i].pad_begin(phase[i]);
            phase[i].taps.positions().enumerate().map(move |(at, k)| (before + at, k))
        };
        let number = united[0].place(phase[0]) * step + united[1].place(phase[1]);
        for (o, i) in (0..oc).flat_map(|o| (0..ic).map(move |i| (o, i))) {
            let to = ((number * oc + o) * ic + i) * window[0];
            for (row, kr) in places(0) {
                for (column, kc) in places(1) {
                    weights[(to + row) * window[1] + column] = from[((i * oc + o) * kh + kr) * kw + kc];
                }
            }
        }
    }
    let blocked = |e: octrt_ops::OpError| Skip::Blocked(e.to_string());
    let tensor = Tensor::new([oc * step * step, ic, window[0], window[1]], &weights).map_err(blocked)?;
    let mut patch = Patch::new(graph);
    let mut inputs = vec![node.input(0), Some(patch.add_const(format!("{} phases", node.name), tensor))];
    if let Some(bias) = bias {
        let bias = bias.to_vec::<f32>().map_err(blocked)?.repeat(step * step);
        let bias = Tensor::new([bias.len()], &bias).map_err(blocked)?;
        inputs.push(Some(patch.add_const(format!("{} phases' bias", node.name), bias)));
    }
    let pads = [united[0].before, united[1].before, united[0].after, united[1].after].to_vec();
    let conv = Conv { window: Window { pads, ..Window::default() }, group: 1 };
    let made = patch.add_node(format!("{} phases", node.name), conv, inputs, &[""]);
    let shuffle = DepthToSpace { blocksize: step, mode: DepthOrder::Dcr };
    let result = node.outputs[0];
    let name = graph.value(result).name.clone();
    let wanted = graph.ty(result).map_err(|_| Skip::NoMatch)?.shape.dims().to_vec();
    let whole = united.each_ref().map(|u| u.output() * step);
    let first = united.each_ref().map(|u| u.moved as i64);
    let mut last = made[0];
    if wanted[2..] == whole && first == [0, 0] {
        last = patch.add_node(&node.name, shuffle, vec![Some(last)], &[&name])[0];
    } else {
        last = patch.add_node(format!("{} shuffle", node.name), shuffle, vec![Some(last)], &[""])[0];
        let ends = wanted[2..].iter().zip(first).map(|(n, first)| *n as i64 + first);
        let bounds = [first.to_vec(), ends.collect(), vec![2, 3]];
        let mut inputs = vec![Some(last)];
        for (of, values) in ["starts", "ends", "axes"].iter().zip(bounds) {
            let values = Tensor::new([values.len()], &values).map_err(blocked)?;
            inputs.push(Some(patch.add_const(format!("{} {of}", node.name), values)));
        }
        last = patch.add_node(&node.name, Slice {}, inputs, &[&name])[0];
    }
    patch.replace(result, last);
    Ok(patch)
}

/// The windows of all phases of an axis in one.
struct United {
    input: usize,
    /// Results that are shuffled before the first: fewer than there are phases.
    moved: usize,
    /// Phases.
    step: usize,
    /// Padding that the first window has.
    before: usize,
    /// Padding that the last window has.
    after: usize,
    /// Elements from the first of a window on, the padding's not among them.
    behind: usize,
}

impl United {
    /// With the shortest window.
    fn best(phases: &[Phase]) -> United {
        let all = (1..phases.len()).map(|moved| United::of(phases, moved));
        all.fold(United::of(phases, 0), |best, u| if u.kernel() < best.kernel() { u } else { best })
    }

    fn of(phases: &[Phase], moved: usize) -> United {
        let (input, step) = (phases.first().map_or(0, |p| p.window.input), phases.len());
        let mut u = United { input, moved, step, before: 0, after: 0, behind: 0 };
        let most = |of: &dyn Fn(&Phase) -> usize| phases.iter().map(of).max().unwrap_or(0);
        u.before = most(&|p| u.pad_begin(p));
        u.behind = most(&|p| p.window.kernel.saturating_sub(u.pad_begin(p)));
        let output = most(&|p| p.window.output + u.later(p));
        u.after = (output + u.behind).saturating_sub(1 + input);
        u
    }

    /// Windows that a phase has before its own first one: 1 where it is moved behind the last one, 0 elsewhere.
    fn later(&self, p: &Phase) -> usize {
        (p.first + self.moved) / self.step
    }

    /// Its place among the phases.
    fn place(&self, p: &Phase) -> usize {
        (p.first + self.moved) % self.step
    }

    /// The padding before its first window, with those before.
    fn pad_begin(&self, p: &Phase) -> usize {
        p.window.pad_begin + self.later(p)
    }

    fn kernel(&self) -> usize {
        self.before + self.behind
    }

    fn output(&self) -> usize {
        (self.before + self.input + self.after + 1).saturating_sub(self.kernel())
    }
}
