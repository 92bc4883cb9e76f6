//! By what each node is computed by itself: in blocks, as a product of matrices, or by its definition on plain tensors.

use octrt_ops::def::global_pool::GlobalPool;
use octrt_ops::graph::Users;
use octrt_ops::graph::infer::with_args;
use octrt_ops::window::{Rounding, Window, WindowAxis};
use octrt_ops::{DType, Graph, Node, NodeId, Op, Shape, ValueId};

use super::elementwise::{Elementwise, Read};
use super::{Kind, Reason, Windows, algorithm, elementwise, fuse, matrix};
use crate::layout::{AXES, Border, Layout, Map};
use crate::leaf::Width;
use crate::leaf::programs::{self, Formula, OPERANDS};
use crate::options::Options;
use crate::precision::Precision;
use crate::strategy::conv::Sharing;
use crate::strategy::decision::Decision;
use crate::strategy::problem::WindowKind;
use crate::strategy::row_stages;

/// What windows have along an axis that maps do not have.
pub(super) const ABSENT: WindowAxis =
    WindowAxis { input: 1, kernel: 1, stride: 1, dilation: 1, pad_begin: 0, pad_end: 0, output: 1 };

/// Planes, rows and columns of the windows of these extents on a map.
fn axes(
    src: &Map,
    kernel: &[usize],
    window: &Window,
    rounding: Rounding,
) -> Result<[WindowAxis; AXES], Reason> {
    let extents = src.extents();
    let axes = window.axes_with(kernel, &extents[AXES - src.axes..], rounding);
    let axes = axes.map_err(|_| Reason::Windows)?;
    let absent = std::iter::repeat_n(ABSENT, AXES - src.axes);
    let axes: Vec<WindowAxis> = absent.chain(axes).collect();
    axes.try_into().map_err(|_| Reason::Windows)
}

pub(super) struct Matcher<'a> {
    pub(super) users: &'a Users<'a>,
    pub(super) width: Width,
    /// Of these vectors.
    pub(super) lanes: usize,
    pub(super) options: Options,
    /// Values that lie in blocks.
    pub(super) blocked: &'a [bool],
}

/// Bytes after which lines of memory share a set of the level-1 cache.
const SET_BYTES: usize = 4096;

/// Input channels of a pixel from which on making blocks was measured to gain where all share a set.
const SHARING: usize = 128;

/// Output channels from which on it was: fewer read the pixel so seldom that making blocks costs more.
const READING: usize = 64;

/// Whether the same pixels of many channels of a plain map take each other's place in the caches, and so many output channels
/// read them that it matters.
fn shares_lines(plain: &Map, oc: usize) -> bool {
    plain.c >= SHARING && oc >= READING && (4 * plain.pixels()).is_multiple_of(SET_BYTES)
}

/// How a node is computed, and its activations; or why it runs on plain tensors.
pub(super) type Match = Result<(Kind, Vec<(ValueId, Layout)>), Reason>;

impl Matcher<'_> {
    pub(super) fn graph(&self) -> &Graph {
        self.users.graph()
    }

    pub(super) fn kind(&self, node: &Node) -> Match {
        let [_result] = node.outputs[..] else { return Err(Reason::NoStrategy) };
        match &node.op {
            Op::Conv(_) if self.stays_plain(node) => Ok((Kind::Matrix, Vec::new())),
            Op::Conv(_) => self.conv(node),
            Op::ConvTranspose(op) => self.conv_transpose(node, op),
            Op::MaxPool(_) | Op::AveragePool(_) => self.pool(node),
            Op::Resize(_) => {
                let (x, _) = self.blocked_input(node, 0)?;
                let repeats = fuse::repeats(self.graph(), node).ok_or(Reason::NoStrategy)?;
                let result = node.outputs[0];
                let id = self.graph().producer(result).ok_or(Reason::NoStrategy)?;
                match fuse::awaits_conv(self.users, id) {
                    true => Err(Reason::NoStrategy),
                    false => Ok((Kind::Nearest(repeats), vec![(x, self.free())])),
                }
            }
            Op::GlobalPool(GlobalPool { kind }) => {
                let (x, map) = self.blocked_input(node, 0)?;
                if map.pixels() == 0 {
                    return Err(Reason::Windows);
                }
                Ok((Kind::Global(*kind), vec![(x, self.free())]))
            }
            Op::Reduce(_) => {
                let kind = matrix::mean_over_maps(self.graph(), node);
                let of_maps = kind.and_then(|kind| Some((kind, self.blocked_input(node, 0).ok()?)));
                let Some((kind, (x, map))) = of_maps else { return self.rows(node) };
                // Without the axes of extent 1 the result is plain.
                let rank = node.outputs.first().and_then(|v| Some(self.graph().ty(*v).ok()?.shape.rank()));
                if rank != Some(2 + map.axes) {
                    self.fills_blocks(&map)?;
                }
                Ok((Kind::Global(kind), vec![(x, self.free())]))
            }
            Op::Concat(c) if self.joins_channels(node, c.axis) => self.concat(node),
            Op::Gemm(_) | Op::MatMul(_) => {
                matrix::problem(self.graph(), node).ok_or(Reason::NotMatrices)?;
                Ok((Kind::Matrix, Vec::new()))
            }
            Op::Softmax(_)
            | Op::LayerNormalization(_)
            | Op::RmsNormalization(_)
            | Op::InstanceNormalization(_)
            | Op::GroupNormalization(_)
            | Op::LpNormalization(_)
            | Op::MeanVarianceNormalization(_) => self.rows(node),
            _ => self.elementwise(node),
        }
    }

    /// Reductions of rows.
    fn rows(&self, node: &Node) -> Match {
        let compute = with_args(self.graph(), node, |args| node.op.as_operator().compute(args));
        let compute = compute.ok().and_then(Result::ok).ok_or(Reason::NoStrategy)?;
        row_stages::nest(&compute, node.outputs.len(), self.options.target).map_err(Reason::Refused)?;
        Ok((Kind::Rows, Vec::new()))
    }

    fn free(&self) -> Layout {
        Layout::blocked(self.lanes)
    }

    /// An input that is a non-empty activation of one to three axes behind the channels.
    pub(super) fn input(&self, node: &Node, i: usize) -> Result<(ValueId, Map), Reason> {
        let map = node.input(i).and_then(|v| Some((v, Map::new(self.graph().ty(v).ok()?, self.free())?)));
        let computed = |(v, map): &(ValueId, Map)| {
            map.mb * map.c * map.pixels() > 0 && self.graph().constant(*v).is_none()
        };
        map.filter(computed).ok_or(Reason::NotMaps(i))
    }

    fn blocked_input(&self, node: &Node, i: usize) -> Result<(ValueId, Map), Reason> {
        let (v, map) = self.input(node, i)?;
        if self.blocked[v.index()] { Ok((v, map)) } else { Err(Reason::LiesPlain(i)) }
    }

    /// That an input is a constant, if given.
    pub(super) fn constant(&self, node: &Node, i: usize) -> Result<(), Reason> {
        match node.input(i).is_none_or(|v| self.graph().constant(v).is_some()) {
            true => Ok(()),
            false => Err(Reason::NotConstant(i)),
        }
    }

    /// That channels fill blocks, so that what is computed for maps holds for blocks too.
    fn fills_blocks(&self, map: &Map) -> Result<(), Reason> {
        match map.c % self.lanes {
            0 => Ok(()),
            _ => Err(Reason::Channels { channels: map.c, lanes: self.lanes }),
        }
    }

    /// Whether a convolution is a product of matrices as they lie, and blocks would be made and unmade for it: its input
    /// lies plain, and so does what its users read.
    fn stays_plain(&self, node: &Node) -> bool {
        let x = node.input(0).filter(|x| !self.blocked[x.index()]);
        let product = x.and_then(|_| matrix::problem(self.graph(), node));
        let (Some(product), [result]) = (product, &node.outputs[..]) else { return false };
        let mut result = *result;
        while let Some(next) = self.users.only(result).map(|id| self.graph().node(id))
            && elementwise::of(self.graph(), next).is_some_and(|of| of.reads.len() == 1)
        {
            result = next.outputs[0];
        }
        let reads_plain = |id: &NodeId| {
            let op = &self.graph().node(*id).op;
            op.as_operator().is_view() || matches!(op, Op::Transpose(_) | Op::MatMul(_) | Op::Gemm(_))
        };
        product.problem.n >= 2 * self.lanes && self.users.of(result).iter().all(reads_plain)
    }

    fn conv(&self, node: &Node) -> Match {
        let Op::Conv(op) = &node.op else { return Err(Reason::NoStrategy) };
        let (x, src) = self.input(node, 0)?;
        self.constant(node, 2)?;
        let computed = self.constant(node, 1).is_err();
        let ty = node.input(1).and_then(|v| self.graph().ty(v).ok()).ok_or(Reason::NotConstant(1))?;
        let wei = ty.shape.dims().to_vec();
        let &[oc, ic, ref kernel @ ..] = &wei[..] else { return Err(Reason::NotMaps(1)) };
        let axes = axes(&src, kernel, &op.window, Rounding::Floor)?;
        if axes.iter().any(|a| a.output == 0) || oc == 0 {
            return Err(Reason::Windows);
        }
        let group_oc = oc / op.group.max(1);
        let windows = |groups, sharing| Windows { axes, groups, sharing };
        let conv = |windows| Kind::Conv(windows, Decision::DIRECT);
        let (kind, lanes) = match self.groups(op.group, ic, group_oc)? {
            Some((1, Sharing::Merged(1))) => {
                let windows = windows(1, Sharing::Merged(1));
                // Few channels, and single pixels, are read as well where they lie plain.
                let pixels = windows.of_pixels() && !shares_lines(&src, oc);
                let planar = !self.blocked[x.index()] && (ic < self.lanes || pixels);
                (conv(windows), if planar { 1 } else { self.lanes })
            }
            Some((groups, sharing)) => (conv(windows(groups, sharing)), self.lanes),
            None => (Kind::Window(WindowKind::Weights, windows(op.group, Sharing::Merged(1))), self.lanes),
        };
        let (Kind::Conv(w, _) | Kind::Window(_, w)) = &kind else { return Err(Reason::NoStrategy) };
        if computed {
            // These are packed at each run, by a movement of whole blocks.
            let blocks = oc.is_multiple_of(self.lanes) && ic.is_multiple_of(lanes) && ty.dtype == DType::F32;
            let fits = op.group == 1 && blocks && lanes <= self.lanes;
            let layout = Layout { halo: w.halo(), ..Layout::blocked(lanes) };
            return if fits { Ok((kind, vec![(x, layout)])) } else { Err(Reason::NotConstant(1)) };
        }
        let depthwise = matches!(kind, Kind::Window(..));
        let dst = Map { c: oc, ..src.with_extents(axes.each_ref().map(|a| a.output)) };
        let other = match depthwise || lanes == 1 {
            true => 1.0,
            false => algorithm::part_of_direct((self.graph(), node), w, (&src, &dst), self.options),
        };
        if let Some(parts) = self.dilated((x, &src, &Shape::new(wei)), (w, other), (lanes, depthwise)) {
            return parts;
        }
        let layout = Layout { halo: w.halo(), ..Layout::blocked(lanes) };
        Ok((kind, vec![(x, layout)]))
    }

    /// How groups of so many channels lie in blocks: their number, those that fill a block together being one, and how they
    /// share blocks; `None` where every channel is a group of its own.
    pub(super) fn groups(
        &self,
        groups: usize,
        ic: usize,
        oc: usize,
    ) -> Result<Option<(usize, Sharing)>, Reason> {
        let merged = self.lanes / ic.max(1);
        Ok(if groups == 1 {
            Some((1, Sharing::Merged(1)))
        } else if ic == 1 && oc == 1 {
            None
        } else if ic.is_multiple_of(self.lanes) && oc.is_multiple_of(self.lanes) {
            Some((groups, Sharing::Merged(1)))
        } else if ic == oc
            && [4, 2].contains(&merged)
            && self.lanes.is_multiple_of(ic)
            && groups.is_multiple_of(merged)
        {
            Some((groups / merged, Sharing::Merged(merged)))
        } else if self.options.precision == Precision::Strict {
            return Err(Reason::SharedBlocks);
        } else {
            Some((groups, Sharing::Mixed))
        })
    }

    fn pool(&self, node: &Node) -> Match {
        let (x, src) = self.input(node, 0)?;
        // Of few channels most lanes of a block would be idle.
        if !self.blocked[x.index()] && 2 * src.c < self.lanes {
            return Err(Reason::LiesPlain(0));
        }
        let (window, ceil_mode) = match &node.op {
            Op::MaxPool(p) => (&p.window, p.ceil_mode),
            Op::AveragePool(p) => (&p.window, p.ceil_mode),
            _ => return Err(Reason::NoStrategy),
        };
        let axes = axes(&src, &window.kernel, window, Rounding::of(ceil_mode))?;
        let whole = |a: &WindowAxis| a.output > 0 && (0..a.output).all(|o| !a.inside(o).is_empty());
        if !axes.iter().all(whole) {
            return Err(Reason::Windows);
        }
        let (kind, border) = match &node.op {
            Op::AveragePool(p) => {
                let count = |a: &WindowAxis| {
                    let of = |o| if p.count_include_pad { a.count_padded(o) } else { a.inside(o).len() };
                    (1..a.output).all(|o| of(o) == of(0)).then(|| of(0))
                };
                let counts: Option<Vec<usize>> = axes.iter().map(count).collect();
                let count: usize = counts.ok_or(Reason::Windows)?.iter().product();
                (WindowKind::Sum(1.0 / count as f32), Border::Zero)
            }
            _ => (WindowKind::Max, Border::Lowest),
        };
        let windows = Windows { axes, groups: src.c, sharing: Sharing::Merged(1) };
        let halo = windows.halo();
        let border = if halo.is_none() { Border::Zero } else { border };
        Ok((Kind::Window(kind, windows), vec![(x, Layout { halo, border, ..self.free() })]))
    }

    /// Whether an axis of the first input is that of the channels.
    fn joins_channels(&self, node: &Node, axis: i64) -> bool {
        let rank = node.input(0).and_then(|v| self.graph().ty(v).ok()).map_or(0, |ty| ty.shape.rank() as i64);
        axis == 1 || axis + rank == 1
    }

    fn concat(&self, node: &Node) -> Match {
        let inputs = (0..node.inputs.len()).map(|i| self.input(node, i));
        let inputs: Vec<(ValueId, Map)> = inputs.collect::<Result<_, _>>()?;
        if !inputs.iter().any(|(v, _)| self.blocked[v.index()]) {
            return Err(Reason::LiesPlain(0));
        }
        Ok((Kind::Concat, inputs.iter().map(|(v, _)| (*v, self.free())).collect()))
    }

    /// Functions of a few tensors: in blocks where one of them lies in blocks, else as they are.
    fn elementwise(&self, node: &Node) -> Match {
        let graph = self.graph();
        let of = elementwise::of(graph, node).ok_or(Reason::NoStrategy)?;
        let shape = &graph.ty(node.outputs[0]).map_err(|_| Reason::NoStrategy)?.shape;
        let lies_blocked = |read: &Read| read.value().is_some_and(|v| self.blocked[v.index()]);
        let maps = |read: &Read| read.is_whole(shape) && self.is_map(read);
        let first = of.reads.iter().any(|read| maps(read) && lies_blocked(read));
        let fits = |f: Formula| programs::Elementwise::fits(f, self.width);
        let is_formula = Formula::of_buffers(&of.value).is_some_and(fits) && of.reads.len() < OPERANDS;
        let in_blocks = first && of.reads.iter().all(|read| fuse::reads_in_blocks(graph, read, shape));
        match (is_formula, in_blocks) {
            (true, true) => {
                let inputs = of.reads.iter().filter(|read| self.is_map(read));
                Ok((Kind::Map, inputs.filter_map(|read| Some((read.value()?, self.free()))).collect()))
            }
            (true, false) => Ok((Kind::Plain, Vec::new())),
            (false, _) if first => self.physical(&of, shape),
            (false, _) => Err(Reason::NoStrategy),
        }
    }

    /// Whether it is computed, and maps of channels.
    fn is_map(&self, read: &Read) -> bool {
        let map = read.value().filter(|v| self.graph().constant(*v).is_none());
        map.and_then(|v| Map::new(self.graph().ty(v).ok()?, self.free())).is_some()
    }

    /// The definition holds for blocks as for maps when every lane is a channel, and all tensors have the result's shape.
    fn physical(&self, of: &Elementwise, shape: &Shape) -> Match {
        if !of.reads.iter().all(|read| read.is_whole(shape) && self.is_map(read)) {
            return Err(Reason::Shapes);
        }
        let inputs: Vec<(ValueId, Layout)> =
            of.reads.iter().filter_map(|read| Some((read.value()?, self.free()))).collect();
        let &(first, _) = inputs.first().ok_or(Reason::NoStrategy)?;
        let map = self.graph().ty(first).ok().and_then(|ty| Map::new(ty, self.free()));
        self.fills_blocks(&map.ok_or(Reason::NotMaps(0))?)?;
        Ok((Kind::Physical, inputs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_that_lie_pages_apart_share_lines() {
        let plain = |c, h, w| Map { mb: 1, c, d: 1, h, w, axes: 2, layout: Layout::PLAIN };
        assert!(shares_lines(&plain(1280, 64, 64), 256));
        assert!(shares_lines(&plain(128, 96, 32), 64));
        // Few channels, and other distances.
        assert!(!shares_lines(&plain(127, 64, 64), 256));
        assert!(!shares_lines(&plain(1280, 64, 64), 63));
        assert!(!shares_lines(&plain(1280, 56, 56), 256));
    }
}
