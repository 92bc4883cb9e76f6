//! Convolutions.

use octrt_ops::compute::{BufferKind, Compute};
use octrt_ops::def::conv::Conv;
use octrt_ops::expr::{BufId, CompareFn, Expr, VarId};
use octrt_ops::window::Window;
use octrt_ops::{Arg, Args, DType, Shape, Tensor, TensorType};

use super::{index, of_axes, rename};
use crate::layout::Map;
use crate::nest::affine::Affine;
use crate::nest::index::{expr, resolve};
use crate::nest::{Buffer, BufferRole, Define, Loop, Nest, Reduction, Role, Stmt, around};
use crate::strategy::conv::{ConvProblem, Sharing};
use crate::strategy::refusal::Refusal;
use crate::strategy::tail::Operand;

/// The loops of a naive convolution, outermost first. Where groups share blocks of channels ([`Sharing::Mixed`]), there is one
/// group of all output channels, and the input channels that a block sees are numbered by `ic`.
#[derive(Clone, Debug)]
pub struct ConvLoops {
    /// Pictures.
    pub image: VarId,
    /// Groups.
    pub group: VarId,
    /// Blocks of output channels of a group.
    pub block: VarId,
    /// The spatial axes of the output.
    pub pixel: Vec<VarId>,
    /// Output channels of a block.
    pub lane: VarId,
    /// Blocks of input channels of a group.
    pub ic: VarId,
    /// The axes of the window.
    pub taps: Vec<VarId>,
    /// Input channels of a block that an output channel sees.
    pub channel: VarId,
}

/// Extents of these loops, and output channels of a group.
struct Extents {
    groups: usize,
    oc: usize,
    blocks: usize,
    ic: usize,
    channels: usize,
}

/// The buffers of a naive convolution.
pub mod buffers {
    use octrt_ops::expr::BufId;

    /// The input.
    pub const SRC: BufId = BufId(0);
    /// The weights, `[blocks of output channels, blocks of input channels, window.., input lane, output lane]`; where groups
    /// share blocks `[blocks of output channels, input channels that one sees, window.., output lane]`, with zeros for those of
    /// other groups.
    pub const WEI: BufId = BufId(1);
    /// The bias, with zeros for lanes that are no channels.
    pub const BIAS: BufId = BufId(2);
    /// The first operand of the tail, where it has one.
    pub const OPERANDS: BufId = BufId(3);
}

impl ConvProblem {
    fn loops(&self) -> Extents {
        let merged = self.merged();
        match self.sharing {
            Sharing::Merged(_) => Extents {
                groups: self.groups,
                oc: self.oc,
                blocks: self.dst_blocks(),
                ic: self.src_blocks(),
                channels: if merged > 1 { self.ic / merged } else { self.src.layout.lanes },
            },
            Sharing::Mixed => Extents {
                groups: 1,
                oc: self.dst.c,
                blocks: self.dst.blocks(),
                ic: self.grouped_packing().channels(self.dst.c, self.ic),
                channels: 1,
            },
        }
    }

    /// The operator's definition on the tensors of the model: its last stage as `[mb, oc, spatial..]`.
    fn definition(&self) -> Result<Define, Refusal> {
        let groups = self.groups * self.merged();
        let channels = self.ic / self.merged();
        let extents = |map: &Map| of_axes(map, map.extents());
        let (src, dst) = (extents(&self.src), extents(&self.dst));
        let of = |all| of_axes(&self.src, all);
        let (kernel, strides, dilations, pads) = (
            of(self.window.kernel),
            of(self.window.strides),
            of(self.window.dilations),
            of(self.window.pads),
        );
        let reach = |i: usize| dst[i].saturating_sub(1) * strides[i] + (kernel[i] - 1) * dilations[i] + 1;
        let ends = (0..kernel.len()).map(|i| reach(i).saturating_sub(src[i] + pads[i]));
        // What no window reaches is no part of the definition's input.
        let src: Vec<usize> =
            (0..kernel.len()).map(|i| src[i].min(reach(i).saturating_sub(pads[i]))).collect();
        let pads = pads.iter().copied().chain(ends).collect();
        let conv = Conv { window: Window { strides, dilations, pads, ..Window::default() }, group: groups };
        let tensor = |lead: [usize; 2], rest: &[usize]| Shape::new([&lead[..], rest].concat());
        let oc = self.oc * self.groups;
        let src = tensor([self.src.mb, groups * channels], &src);
        let shapes = [src, tensor([oc, channels], &kernel), Shape::new(vec![oc])];
        let args = shapes.each_ref().map(|shape| Some(Arg { dtype: DType::F32, shape, value: None }));
        let compute = conv
            .define(Args(&args), Compute::of_whole_sums())
            .map_err(|_| Refusal::Defect("a convolution without a definition"))?;
        let stage = compute.stages.last().ok_or(Refusal::Defect("a definition without stages"))?;
        let reduce = stage.reduce.as_ref().ok_or(Refusal::Defect("a convolution that sums nothing"))?;
        let expected = [&[self.dst.mb, oc][..], &dst].concat();
        if compute.ty(stage.dst).shape.dims() != expected {
            return Err(Refusal::Defect("a convolution whose windows are others"));
        }
        // Inputs in their order; what is padded first stands for the first of them.
        let stands_for = |b: BufId| match compute.buffers[b.0 as usize].kind {
            BufferKind::Input(i) => BufId(i as u32),
            _ => buffers::SRC,
        };
        let named = |e: &Expr| rename(e, &stands_for);
        Ok(Define {
            update: false,
            dst: stage.dst,
            index: (0..2 + kernel.len()).map(Expr::var).collect(),
            when: None,
            value: named(&stage.body),
            reduce: Some(Reduction {
                combine: reduce.combine,
                init: named(&reduce.init),
                finish: named(&reduce.finish),
            }),
        })
    }

    /// The naive nest on blocks, and its loops. Buffers, in order: src, wei, bias, those of the tail, dst; where groups share
    /// blocks a table `[blocks of output channels, ic]` of the input channels that each sees.
    ///
    /// # Errors
    /// [`Refusal::Unfit`] where maps of other than two axes are upsampled; [`Refusal::Defect`] where the definition is not
    /// what is expected.
    pub fn naive(&self) -> Result<(Nest, ConvLoops), Refusal> {
        let upsampled =
            |o: &Operand| matches!(o, Operand::Map { map, repeat } if *repeat != 1 && map.axes != 2);
        if self.tail.operands.iter().any(upsampled) {
            return Err(Refusal::Unfit("an upsampled operand of other than rows and columns"));
        }
        let definition = self.definition()?;
        let axes = self.src.axes as u32;
        let var = |first: u32| (0..axes).map(move |i| VarId(first + i)).collect::<Vec<_>>();
        let loops = ConvLoops {
            image: VarId(0),
            group: VarId(1),
            block: VarId(2),
            pixel: var(3),
            lane: VarId(3 + axes),
            ic: VarId(4 + axes),
            taps: var(5 + axes),
            channel: VarId(5 + 2 * axes),
        };
        let extents = self.loops();
        let serial = Loop::serial;
        let mut all = vec![
            serial(loops.image, self.dst.mb, Role::Data),
            serial(loops.group, extents.groups, Role::Data),
            serial(loops.block, extents.blocks, Role::Data),
        ];
        let pixels = loops.pixel.iter().zip(of_axes(&self.dst, self.dst.extents()));
        all.extend(pixels.map(|(l, n)| serial(*l, n, Role::Data)));
        all.push(serial(loops.lane, self.dst.layout.lanes, Role::Data));
        all.push(serial(loops.ic, extents.ic, Role::Reduce));
        let kernel = of_axes(&self.src, self.window.kernel);
        all.extend(loops.taps.iter().zip(kernel).map(|(l, n)| serial(*l, n, Role::Reduce)));
        all.push(serial(loops.channel, extents.channels, Role::Reduce));
        let (buffers, dst) = self.buffers()?;
        let define = self.on_blocks(&definition, &loops, dst, &all);
        let body = around(all.into_iter(), vec![Stmt::Define(define)]);
        let name = match self.sharing {
            Sharing::Merged(_) => "conv",
            Sharing::Mixed => "conv_grouped",
        };
        Ok((Nest { name: name.into(), buffers, leaves: Vec::new(), body }, loops))
    }

    fn buffers(&self) -> Result<(Vec<Buffer>, BufId), Refusal> {
        let (lanes, extents) = (self.dst.layout.lanes, self.loops());
        let floats = |dims: Vec<usize>| TensorType::new(DType::F32, dims);
        let mut wei = vec![extents.groups * extents.blocks, extents.ic];
        wei.extend(of_axes(&self.src, self.window.kernel));
        if self.sharing != Sharing::Mixed {
            wei.push(self.src.layout.lanes);
        }
        wei.push(lanes);
        let mut types = vec![self.src.ty(), floats(wei), floats(vec![self.bias_elements()])];
        types.extend(self.tail.operands.iter().map(Operand::ty));
        let mut all: Vec<Buffer> = types.into_iter().map(|ty| Buffer::new(ty, BufferRole::Src)).collect();
        all.push(Buffer::new(self.dst.ty(), BufferRole::Dst));
        let dst = BufId(all.len() as u32 - 1);
        if self.sharing == Sharing::Mixed {
            let packing = self.grouped_packing();
            let seen = packing.blocks(self.dst.c, self.ic).flatten();
            let seen: Vec<i64> = seen.map(|channel| channel as i64).collect();
            let table = Tensor::new([extents.blocks, extents.ic], &seen);
            let table = table.map_err(|_| Refusal::Defect("a table of another extent"))?;
            all.push(Buffer::new(table.ty().clone(), BufferRole::Table(table)));
        }
        Ok((all, dst))
    }

    /// The definition with the indices of blocked tensors.
    fn on_blocks(&self, definition: &Define, loops: &ConvLoops, dst: BufId, all: &[Loop]) -> Define {
        let on = OnBlocks { p: self, loops, all, of: self.loops(), table: BufId(dst.0 + 1) };
        let reduce = definition.reduce.as_ref().map(|r| Reduction {
            combine: r.combine,
            init: on.rebuilt(&r.init),
            finish: on.finish(&r.finish),
        });
        let index = match on.element(dst, &self.dst, on.oc(), on.pixel()) {
            Expr::Load(_, index) => index,
            _ => Vec::new(),
        };
        let value = on.rebuilt(&definition.value);
        Define { dst, index, when: None, value, reduce, update: false }
    }
}

/// The axes of a definition and the elements that it loads, by the loops of the naive nest on blocks.
struct OnBlocks<'a> {
    p: &'a ConvProblem,
    loops: &'a ConvLoops,
    all: &'a [Loop],
    of: Extents,
    /// The channels that blocks see, where groups share them.
    table: BufId,
}

impl OnBlocks<'_> {
    fn extent(&self, l: VarId) -> Option<usize> {
        self.all.iter().find(|x| x.id == l).map(|x| x.extent)
    }

    fn resolved(&self, e: &Expr) -> Expr {
        resolve(e, &|l| self.extent(l))
    }

    /// The iteration of a loop; pictures, groups and pixels that there is one of are no part of an index.
    fn v(&self, l: VarId) -> Expr {
        let several = self.loops.pixel.contains(&l) || l == self.loops.image || l == self.loops.group;
        if several && self.extent(l) == Some(1) { Expr::int(0) } else { Expr::Var(l) }
    }

    fn pixel(&self) -> Vec<Expr> {
        self.loops.pixel.iter().map(|l| self.v(*l)).collect()
    }

    fn block(&self) -> Expr {
        self.v(self.loops.group) * Expr::int(self.of.blocks) + self.v(self.loops.block)
    }

    /// Output channels of a group.
    fn within(&self) -> Expr {
        self.v(self.loops.block) * Expr::int(self.p.dst.layout.lanes) + self.v(self.loops.lane)
    }

    fn oc(&self) -> Expr {
        self.v(self.loops.group) * Expr::int(self.of.oc) + self.within()
    }

    fn ic(&self) -> Expr {
        let ic = self.v(self.loops.ic);
        match self.p.sharing {
            Sharing::Merged(_) => ic * Expr::int(self.p.src.layout.lanes) + self.v(self.loops.channel),
            // A channel that the block sees, counted from the first of the output channel's group.
            Sharing::Mixed => {
                let first = self.oc() / Expr::int(self.p.oc) * Expr::int(self.p.ic);
                Expr::load(self.table, [self.block(), ic]) - first
            }
        }
    }

    /// The last axes of the weights. Where the groups of the model fill a block together, an output lane sees the input lanes
    /// of its own.
    fn wei_lanes(&self) -> Vec<Expr> {
        let (lane, channel) = (self.v(self.loops.lane), self.v(self.loops.channel));
        let own = self.p.ic / self.p.merged();
        match (self.p.sharing, self.p.merged()) {
            (Sharing::Mixed, _) => vec![lane],
            (_, 1) => vec![channel, lane],
            _ => vec![lane.clone() / Expr::int(own) * Expr::int(own) + channel, lane],
        }
    }

    /// An axis of the definition: `[mb, oc, spatial.., ic, window..]`.
    fn axis(&self, l: VarId) -> Expr {
        let (at, axes) = (l.0 as usize, self.loops.pixel.len());
        match at {
            0 => self.v(self.loops.image),
            1 => self.oc(),
            _ if at < 2 + axes => self.v(self.loops.pixel[at - 2]),
            _ if at == 2 + axes => self.ic(),
            _ => self.v(self.loops.taps[at - 3 - axes]),
        }
    }

    fn element(&self, b: BufId, map: &Map, channel: Expr, at: Vec<Expr>) -> Expr {
        self.resolved(&Expr::Load(b, index(map, &self.v(self.loops.image), channel, at)))
    }

    /// An element that the definition loads.
    fn load(&self, b: BufId, at: &[Expr]) -> Expr {
        match b {
            buffers::SRC => {
                let mut at: Vec<Expr> = at.iter().map(|e| e.substitute(&|l| self.axis(l))).collect();
                let position = at.split_off(2).into_iter().zip(of_axes(&self.p.src, self.p.window.pads));
                let position = position.map(|(e, pad)| if pad == 0 { e } else { e - Expr::int(pad) });
                let channel = at.pop().unwrap_or_else(|| Expr::int(0));
                let channel = expr(Affine::of(&self.resolved(&channel)));
                self.element(b, &self.p.src, channel, position.collect())
            }
            buffers::WEI => {
                let taps = self.loops.taps.iter().map(|l| self.v(*l));
                let at = [self.block(), self.v(self.loops.ic)].into_iter().chain(taps);
                Expr::load(b, at.chain(self.wei_lanes()).collect::<Vec<_>>())
            }
            _ => {
                let lanes = Expr::int(self.p.dst.layout.lanes);
                Expr::load(b, [self.block() * lanes + self.v(self.loops.lane)])
            }
        }
    }

    fn rebuilt(&self, e: &Expr) -> Expr {
        self.resolved(&e.map(&mut |e| match e {
            Expr::Load(b, at) => Some(self.load(*b, at)),
            Expr::Var(l) => Some(self.axis(*l)),
            _ => None,
        }))
    }

    /// What becomes of a sum, with what follows the convolution; 0 in lanes that are no channels.
    fn finish(&self, e: &Expr) -> Expr {
        let element = |k: usize, o: &Operand| {
            let b = BufId(buffers::OPERANDS.0 + k as u32);
            self.resolved(&Expr::Load(b, o.index(&self.v(self.loops.image), &self.oc(), &self.pixel())))
        };
        let finish = self.p.tail.finished(&self.rebuilt(e), &element);
        let exists = Expr::compare(CompareFn::Lt, self.within(), Expr::int(self.of.oc));
        self.resolved(&exists.select(finish, Expr::f32(0.0)))
    }
}
