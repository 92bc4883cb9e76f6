//! Convolutions that are computed as several, each of which computes a part of the result with a part of the kernel.
//!
//! * Transposed convolutions: one for each phase, whose pixels lie strides apart, see
//!   [`octrt_ops::def::conv_transpose::phases`].
//! * Dilated convolutions: one for each box of the result whose windows have the same taps in the padding. Those are left
//!   out, and no window needs a border.

use octrt_ops::def::conv_transpose::ConvTranspose;
use octrt_ops::def::conv_transpose::phases::{Phase, Taps};
use octrt_ops::graph::infer::with_args;
use octrt_ops::window::WindowAxis;
use octrt_ops::{Node, Shape, ValueId};

use super::matcher::{ABSENT, Match, Matcher};
use super::{Kind, Reason, Windows};
use crate::layout::{AXES, Halo, Layout, Map};
use crate::pack::{KernelOrder, KernelPart};
use crate::strategy::conv::Sharing;

/// Most parts of one convolution: each becomes code of its own.
const PARTS: usize = 64;

/// Part of the multiplications of a dilated convolution above which leaving out taps is not worth the calls.
const WORTH_IT: f64 = 0.85;

/// Of how many times its weights the parts of a dilated convolution may have copies, or how many bytes.
const COPIES: f64 = 3.0;
/// See [`COPIES`].
const BYTES: f64 = 16e6;

/// Most windows of an axis that are looked at one by one.
const OUTPUTS: usize = 1 << 16;

/// A convolution as several.
#[derive(Clone, Debug, PartialEq)]
pub struct Parts {
    /// These.
    pub parts: Vec<Part>,
    /// Whether each channel is a group of its own.
    pub depthwise: bool,
}

/// A convolution that computes some pixels of the result of another one.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// Its windows, on the pixels of the input that are its own.
    pub windows: Windows,
    /// Plane, row and column of the input that its map begins with.
    pub src_first: [usize; AXES],
    /// Plane, row and column of the first pixel that it computes.
    pub first: [usize; AXES],
    /// Planes, rows and columns from each of these pixels to the next.
    pub steps: [usize; AXES],
    /// Which of the weights it sees.
    pub kernel: KernelPart,
}

/// What a part has along one axis.
#[derive(Clone, Copy)]
struct Along {
    window: WindowAxis,
    src_first: usize,
    first: usize,
    step: usize,
    taps: Option<Taps>,
}

const NOWHERE: Along = Along { window: ABSENT, src_first: 0, first: 0, step: 1, taps: None };

impl Along {
    fn of_phase(p: &Phase) -> Along {
        Along { window: p.window, src_first: 0, first: p.first, step: p.step, taps: Some(p.taps) }
    }

    /// All windows, with all taps.
    fn whole(w: &WindowAxis) -> Vec<Along> {
        let taps = Taps { last: w.kernel - 1, step: 1, count: w.kernel };
        vec![Along { window: *w, src_first: 0, first: 0, step: 1, taps: Some(taps) }]
    }

    /// The runs of windows that have the same taps in the input.
    fn boxes(w: &WindowAxis) -> Vec<Along> {
        let mut runs: Vec<Along> = Vec::new();
        for o in 0..w.output {
            let inside = w.inside(o);
            let taps = Taps { last: inside.end.saturating_sub(1), step: 1, count: inside.len() };
            if let Some(run) = runs.last_mut().filter(|run| run.taps == Some(taps)) {
                run.window.output += 1;
                run.window.input += w.stride;
                continue;
            }
            let src_first = (o * w.stride + inside.start * w.dilation).saturating_sub(w.pad_begin);
            let (pad_begin, pad_end, output) = (0, 0, 1);
            let mut window = WindowAxis { kernel: taps.count, pad_begin, pad_end, output, ..*w };
            window.input = (taps.count.max(1) - 1) * w.dilation + 1;
            runs.push(Along { window, src_first, first: o, step: 1, taps: Some(taps) });
        }
        runs
    }
}

fn part(along: &[Along], order: KernelOrder, (groups, sharing): (usize, Sharing)) -> Part {
    let missing = AXES.saturating_sub(along.len());
    let of = |i: usize| i.checked_sub(missing).and_then(|i| along.get(i)).unwrap_or(&NOWHERE);
    Part {
        windows: Windows { axes: std::array::from_fn(|i| of(i).window), groups, sharing },
        src_first: std::array::from_fn(|i| of(i).src_first),
        first: std::array::from_fn(|i| of(i).first),
        steps: std::array::from_fn(|i| of(i).step),
        kernel: KernelPart { order, taps: along.iter().filter_map(|a| a.taps).collect() },
    }
}

/// Each choice of one of each axis, the last axis innermost.
fn choices(axes: &[Vec<Along>]) -> Vec<Vec<Along>> {
    let mut chosen: Vec<Vec<Along>> = vec![Vec::new()];
    for of_axis in axes {
        let with = |before: &Vec<Along>| {
            let before = before.clone();
            of_axis.iter().map(move |a| [&before[..], &[*a]].concat()).collect::<Vec<_>>()
        };
        chosen = chosen.iter().flat_map(with).collect();
    }
    chosen
}

impl Parts {
    /// The halo that they want together.
    fn halo(&self) -> Halo {
        self.parts.iter().fold(Halo::default(), |halo, p| halo.union(p.windows.halo()))
    }
}

impl Part {
    /// The pixels of the input that it sees, without padding.
    pub fn src(&self, src: Map) -> Map {
        src.part([1; AXES], self.src_first, self.windows.axes.each_ref().map(|a| a.input))
    }

    /// Its pixels of a map that has the result's extents.
    pub fn dst(&self, dst: Map) -> Map {
        dst.part(self.steps, self.first, self.windows.axes.each_ref().map(|a| a.output))
    }
}

impl Matcher<'_> {
    pub(super) fn conv_transpose(&self, node: &Node, op: &ConvTranspose) -> Match {
        let (x, src) = self.input(node, 0)?;
        (1..3).try_for_each(|i| self.constant(node, i))?;
        let wei = self.graph().constant_input(node, 1).ok_or(Reason::NotConstant(1))?.shape().dims().to_vec();
        let &[_, group_oc, ..] = &wei[..] else { return Err(Reason::NotMaps(1)) };
        let axes = with_args(self.graph(), node, |args| op.phases(args));
        let axes = axes.ok().and_then(Result::ok).flatten().ok_or(Reason::Phases(PARTS))?;
        let count = axes.iter().fold(1usize, |n, phases| n.saturating_mul(phases.len()));
        if group_oc == 0 || count == 0 || count > PARTS {
            return Err(Reason::Phases(PARTS));
        }
        let group_ic = src.c / op.group.max(1);
        let found = self.groups(op.group, group_ic, group_oc)?;
        let of_groups = found.unwrap_or((op.group, Sharing::Merged(1)));
        let along: Vec<Vec<Along>> =
            axes.iter().map(|phases| phases.iter().map(Along::of_phase).collect()).collect();
        let order = KernelOrder::Transposed(op.group);
        let parts = choices(&along).iter().map(|p| part(p, order, of_groups)).collect();
        let parts = Parts { parts, depthwise: found.is_none() };
        let planar = op.group == 1 && !self.blocked[x.index()] && group_ic < self.lanes;
        let layout = Layout { halo: parts.halo(), ..Layout::blocked(if planar { 1 } else { self.lanes }) };
        Ok((Kind::Parts(parts), vec![(x, layout)]))
    }

    /// A dilated convolution with these windows as convolutions without the taps that lie in the padding, where there are
    /// enough of those, and it is less work than the `other` part of it that Winograd's algorithm takes.
    pub(super) fn dilated(
        &self,
        (x, src, wei): (ValueId, &Map, &Shape),
        (w, other): (&Windows, f64),
        (lanes, depthwise): (usize, bool),
    ) -> Option<Match> {
        let axes = &w.axes[AXES - src.axes..];
        // Parts of single pixels in steps would each have to put theirs side by side.
        if axes.iter().all(|a| a.dilation == 1 || a.kernel == 1) || axes.iter().any(|a| a.stride > 1) {
            return None;
        }
        let sum = |of: &dyn Fn(&WindowAxis) -> usize, along: &[Vec<Along>]| -> f64 {
            along.iter().map(|all| all.iter().map(|a| of(&a.window)).sum::<usize>() as f64).product()
        };
        let (terms, taps) = (|a: &WindowAxis| a.kernel * a.output, |a: &WindowAxis| a.kernel);
        let whole: Vec<Vec<Along>> = axes.iter().map(Along::whole).collect();
        // Every box has the weights of its taps for its own.
        let bytes = 4.0 * (wei.numel() / axes.iter().map(taps).product::<usize>().max(1)) as f64;
        let serves = |along: &Vec<Vec<Along>>| {
            let count = along.iter().fold(1usize, |n, boxes| n.saturating_mul(boxes.len()));
            let copies = sum(&taps, along);
            count <= PARTS
                && along.iter().flatten().all(|a| a.window.kernel > 0)
                && (copies <= COPIES * sum(&taps, &whole) || copies * bytes <= BYTES)
                && sum(&terms, along) <= WORTH_IT.min(other) * sum(&terms, &whole)
        };
        // Boxes along some of the axes.
        let chosen = (1..1usize << axes.len()).map(|set| {
            let of = |(i, w): (usize, &WindowAxis)| {
                let cut = set >> i & 1 == 1 && w.dilation > 1 && w.output <= OUTPUTS;
                if cut { Along::boxes(w) } else { Along::whole(w) }
            };
            axes.iter().enumerate().map(of).collect::<Vec<_>>()
        });
        let along = chosen.filter(serves).min_by(|a, b| sum(&terms, a).total_cmp(&sum(&terms, b)))?;
        let of_groups = (w.groups, w.sharing);
        let parts = choices(&along).iter().map(|p| part(p, KernelOrder::Plain, of_groups)).collect();
        let parts = Parts { parts, depthwise };
        let layout = Layout { halo: parts.halo(), ..Layout::blocked(lanes) };
        Some(Ok((Kind::Parts(parts), vec![(x, layout)])))
    }
}
