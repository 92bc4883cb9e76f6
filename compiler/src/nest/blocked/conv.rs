//! Convolutions.

use octrt_ops::compute::{BufferKind, Compute};
use octrt_ops::def::conv::Conv;
use octrt_ops::expr::{BufId, CompareFn, Expr, VarId};
use octrt_ops::window::AutoPad;
use octrt_ops::{Arg, Args, DType, Shape, Tensor, TensorType};

use super::tail::finished;
use super::{index, of_axes, rename};
use crate::layout::Map;
use crate::nest::affine::Affine;
use crate::nest::index::{expr, resolve};
use crate::nest::{Buffer, BufferRole, Define, Form, Loop, Nest, Reduction, Role, Stmt, around};
use crate::strategy::conv::{Addend, ConvProblem, Sharing};
use crate::strategy::refusal::Refusal;

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
    /// What is added first, where something is.
    pub const BASE: BufId = BufId(3);
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
        let (kernel, strides, dilations, pads) =
            (of(self.kernel), of(self.strides), of(self.dilations), of(self.pads));
        let ends = (0..kernel.len()).map(|i| {
            let last = dst[i].saturating_sub(1) * strides[i] + (kernel[i] - 1) * dilations[i];
            (last + 1).saturating_sub(src[i] + pads[i])
        });
        let conv = Conv {
            kernel: Vec::new(),
            pads: pads.iter().copied().chain(ends).collect(),
            strides,
            dilations,
            auto_pad: AutoPad::NotSet,
            group: groups,
        };
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

    /// The naive nest on blocks, and its loops. Buffers, in order: src, wei, bias, what is added, dst; where groups share
    /// blocks a table `[blocks of output channels, ic]` of the input channels that each sees.
    ///
    /// # Errors
    /// [`Refusal::Unfit`] where maps of other than two axes are upsampled; [`Refusal::Defect`] where the definition is not
    /// what is expected.
    pub fn naive(&self) -> Result<(Nest, ConvLoops), Refusal> {
        if self.tail.addends().any(|a| a.repeat != 1 && a.map.axes != 2) {
            return Err(Refusal::Unfit("an upsampled addend of other than rows and columns"));
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
        let serial = |id: VarId, extent: usize, role| Loop { id, extent, role, form: Form::Serial };
        let mut all = vec![
            serial(loops.image, self.dst.mb, Role::Data),
            serial(loops.group, extents.groups, Role::Data),
            serial(loops.block, extents.blocks, Role::Data),
        ];
        let pixels = loops.pixel.iter().zip(of_axes(&self.dst, self.dst.extents()));
        all.extend(pixels.map(|(l, n)| serial(*l, n, Role::Data)));
        all.push(serial(loops.lane, self.dst.layout.lanes, Role::Data));
        all.push(serial(loops.ic, extents.ic, Role::Reduce));
        let kernel = of_axes(&self.src, self.kernel);
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
        wei.extend(of_axes(&self.src, self.kernel));
        if self.sharing != Sharing::Mixed {
            wei.push(self.src.layout.lanes);
        }
        wei.push(lanes);
        let mut types = vec![self.src.ty(), floats(wei), floats(vec![self.bias_elements()])];
        types.extend(self.tail.addends().map(|a| a.map.ty()));
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
        // Pictures, groups and pixels that there is one of are no part of an index.
        let extent = |l: VarId| all.iter().find(|x| x.id == l).map_or(1, |x| x.extent);
        let several = |l: VarId| loops.pixel.contains(&l) || l == loops.image || l == loops.group;
        let v = |l: VarId| if several(l) && extent(l) == 1 { Expr::int(0) } else { Expr::Var(l) };
        let axes = loops.pixel.len();
        let (lanes, merged, of) = (self.dst.layout.lanes, self.merged(), self.loops());
        let block = v(loops.group) * Expr::int(of.blocks) + v(loops.block);
        let within = v(loops.block) * Expr::int(lanes) + v(loops.lane);
        let oc = v(loops.group) * Expr::int(of.oc) + within.clone();
        let ic = match self.sharing {
            Sharing::Merged(_) => v(loops.ic) * Expr::int(self.src.layout.lanes) + v(loops.channel),
            // A channel that the block sees, counted from the first of the output channel's group.
            Sharing::Mixed => {
                let seen = Expr::load(BufId(dst.0 + 1), [block.clone(), v(loops.ic)]);
                seen - oc.clone() / Expr::int(self.oc) * Expr::int(self.ic)
            }
        };
        // Where the groups of the model fill a block together, an output lane sees the input lanes of its own.
        let own = self.ic / merged;
        let wei_lanes = match (self.sharing, merged) {
            (Sharing::Mixed, _) => vec![v(loops.lane)],
            (_, 1) => vec![v(loops.channel), v(loops.lane)],
            _ => {
                let first = v(loops.lane) / Expr::int(own) * Expr::int(own);
                vec![first + v(loops.channel), v(loops.lane)]
            }
        };
        let axis_of = |l: VarId| {
            let at = l.0 as usize;
            match at {
                0 => v(loops.image),
                1 => oc.clone(),
                _ if at < 2 + axes => v(loops.pixel[at - 2]),
                _ if at == 2 + axes => ic.clone(),
                _ => v(loops.taps[at - 3 - axes]),
            }
        };
        let extents = |l: VarId| all.iter().find(|x| x.id == l).map(|x| x.extent);
        let load = |b: BufId, at: &[Expr]| {
            let mut at: Vec<Expr> = at.iter().map(|e| e.substitute(&axis_of)).collect();
            match b {
                buffers::SRC => {
                    let position = at.split_off(2);
                    let position = position.into_iter().zip(of_axes(&self.src, self.pads));
                    let position = position.map(|(e, pad)| if pad == 0 { e } else { e - Expr::int(pad) });
                    let channel = at.pop().unwrap_or_else(|| Expr::int(0));
                    let channel = expr(&Affine::of(&resolve(&channel, &extents)));
                    Expr::load(b, index(&self.src, &v(loops.image), channel, position.collect()))
                }
                buffers::WEI => {
                    let mut at = vec![block.clone(), v(loops.ic)];
                    at.extend(loops.taps.iter().map(|l| v(*l)));
                    at.extend(wei_lanes.iter().cloned());
                    Expr::load(b, at)
                }
                _ => Expr::load(b, [block.clone() * Expr::int(lanes) + v(loops.lane)]),
            }
        };
        let rebuild = |e: &Expr| {
            let e = e.map(&mut |e| match e {
                Expr::Load(b, at) => Some(load(*b, at)),
                Expr::Var(l) => Some(axis_of(*l)),
                _ => None,
            });
            resolve(&e, &extents)
        };
        let pixel: Vec<Expr> = loops.pixel.iter().map(|l| v(*l)).collect();
        let addend = |a: &Addend, b: u32| {
            let at = pixel.iter().map(|e| match a.repeat {
                1 => e.clone(),
                n => e.clone() / Expr::int(n),
            });
            resolve(&Expr::load(BufId(b), index(&a.map, &v(loops.image), oc.clone(), at.collect())), &extents)
        };
        let reduce = definition.reduce.as_ref().map(|r| {
            let finish = finished(&self.tail, rebuild(&r.finish), &addend);
            let exists = Expr::compare(CompareFn::Lt, within.clone(), Expr::int(of.oc));
            let finish = exists.select(finish, Expr::f32(0.0));
            Reduction { combine: r.combine, init: rebuild(&r.init), finish: resolve(&finish, &extents) }
        });
        let at = index(&self.dst, &v(loops.image), oc.clone(), pixel.clone());
        let stored = resolve(&Expr::Load(dst, at), &extents);
        let index = match stored {
            Expr::Load(_, index) => index,
            _ => Vec::new(),
        };
        Define { dst, index, when: None, value: rebuild(&definition.value), reduce, update: false }
    }
}
