//! Transposed convolutions in blocks: a convolution for each phase, see [`octrt_ops::def::conv_transpose::phases`].

use octrt_ops::Node;
use octrt_ops::def::conv_transpose::ConvTranspose;
use octrt_ops::def::conv_transpose::phases::Phase as AxisPhase;
use octrt_ops::graph::infer::with_args;
use octrt_ops::window::WindowAxis;

use super::matcher::{Match, Matcher};
use super::{Kind, Reason, Windows};
use crate::layout::{AXES, Halo, Layout};
use crate::pack::KernelPhase;
use crate::strategy::conv::Sharing;

/// Most phases of one transposed convolution: each becomes code of its own.
const PHASES: usize = 64;

/// A transposed convolution in blocks.
#[derive(Clone, Debug, PartialEq)]
pub struct Transposed {
    /// The convolutions that it is.
    pub phases: Vec<Phase>,
    /// Whether each channel is a group of its own.
    pub depthwise: bool,
}

/// A convolution that computes some pixels of the result of a transposed one.
#[derive(Clone, Debug, PartialEq)]
pub struct Phase {
    /// Its windows.
    pub windows: Windows,
    /// Plane, row and column of the first pixel that it computes.
    pub first: [usize; AXES],
    /// Planes, rows and columns from each of these pixels to the next.
    pub steps: [usize; AXES],
    /// Which of the weights it sees.
    pub kernel: KernelPhase,
}

/// The phases of one choice of a phase for each axis.
fn phase(of_axes: &[&AxisPhase], groups: (usize, usize, Sharing)) -> Phase {
    let absent =
        WindowAxis { input: 1, kernel: 1, stride: 1, dilation: 1, pad_begin: 0, pad_end: 0, output: 1 };
    let missing = AXES.saturating_sub(of_axes.len());
    let of = |i: usize| i.checked_sub(missing).and_then(|i| of_axes.get(i));
    let (of_model, groups, sharing) = groups;
    Phase {
        windows: Windows {
            axes: std::array::from_fn(|i| of(i).map_or(absent, |p| p.window)),
            groups,
            sharing,
        },
        first: std::array::from_fn(|i| of(i).map_or(0, |p| p.first)),
        steps: std::array::from_fn(|i| of(i).map_or(1, |p| p.step)),
        kernel: KernelPhase { groups: of_model, taps: of_axes.iter().map(|p| p.taps).collect() },
    }
}

impl Matcher<'_> {
    pub(super) fn conv_transpose(&self, node: &Node, op: &ConvTranspose) -> Match {
        let (x, src) = self.input(node, 0)?;
        (1..3).try_for_each(|i| self.constant(node, i))?;
        let wei = self.graph().constant_input(node, 1).ok_or(Reason::NotConstant(1))?.shape().dims().to_vec();
        let &[_, group_oc, ..] = &wei[..] else { return Err(Reason::NotMaps(1)) };
        let axes = with_args(self.graph(), node, |args| op.phases(args));
        let axes = axes.ok().and_then(Result::ok).flatten().ok_or(Reason::Phases(PHASES))?;
        let count = axes.iter().fold(1usize, |n, phases| n.saturating_mul(phases.len()));
        if group_oc == 0 || count == 0 || count > PHASES {
            return Err(Reason::Phases(PHASES));
        }
        let group_ic = src.c / op.group.max(1);
        let found = self.groups(op.group, group_ic, group_oc)?;
        let (groups, sharing) = found.unwrap_or((op.group, Sharing::Merged(1)));
        let mut chosen: Vec<Vec<&AxisPhase>> = vec![Vec::new()];
        for phases in &axes {
            let with = |p| chosen.iter().map(move |before| [&before[..], &[p]].concat());
            // The last axis is the innermost.
            let all: Vec<Vec<_>> = phases.iter().map(|p| with(p).collect()).collect();
            chosen = (0..chosen.len()).flat_map(|i| all.iter().map(move |of| of[i].clone())).collect();
        }
        let phases: Vec<Phase> = chosen.iter().map(|p| phase(p, (op.group, groups, sharing))).collect();
        let halo = phases.iter().fold(Halo::default(), |halo, p| halo.union(p.windows.halo()));
        let planar = op.group == 1 && !self.blocked[x.index()] && group_ic < self.lanes;
        let layout = Layout { halo, ..Layout::blocked(if planar { 1 } else { self.lanes }) };
        let kind = Kind::Transposed(Transposed { phases, depthwise: found.is_none() });
        Ok((kind, vec![(x, layout)]))
    }
}
