//! Convolutions.

use octrt_ops::compute::{BufferKind, Compute};
use octrt_ops::def::conv::Conv;
use octrt_ops::expr::{BufId, CompareFn, Expr, VarId};
use octrt_ops::window::AutoPad;
use octrt_ops::{Arg, Args, DType, Shape, TensorType};

use super::tail::finished;
use super::{index, of_axes, rename};
use crate::layout::Map;
use crate::loop_ir::{Form, Loop, Reduction, Role};
use crate::nest::index::resolve;
use crate::nest::{Buffer, BufferRole};
use crate::nest::{Define, Nest, Stmt, around};
use crate::strategy::conv::{Addend, ConvProblem};
use crate::strategy::refusal::Refusal;

/// The loops of a naive convolution, outermost first.
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

/// The buffers of a naive convolution.
pub mod buffers {
    use octrt_ops::expr::BufId;

    /// The input.
    pub const SRC: BufId = BufId(0);
    /// The weights, `[blocks of output channels, blocks of input channels, window.., input lane, output lane]`.
    pub const WEI: BufId = BufId(1);
    /// The bias, with zeros for lanes that are no channels.
    pub const BIAS: BufId = BufId(2);
    /// What is added first, where something is.
    pub const BASE: BufId = BufId(3);
}

impl ConvProblem {
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

    /// The naive nest on blocks, and its loops. Buffers, in order: src, wei, bias, what is added, dst.
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
        let (lanes, merged) = (self.dst.layout.lanes, self.merged());
        let channels = if merged > 1 { self.ic / merged } else { self.src.layout.lanes };
        let serial = |id: VarId, extent: usize, role| Loop { id, extent, role, form: Form::Serial };
        let mut all = vec![
            serial(loops.image, self.dst.mb, Role::Data),
            serial(loops.group, self.groups, Role::Data),
            serial(loops.block, self.dst_blocks(), Role::Data),
        ];
        let pixels = loops.pixel.iter().zip(of_axes(&self.dst, self.dst.extents()));
        all.extend(pixels.map(|(l, n)| serial(*l, n, Role::Data)));
        all.push(serial(loops.lane, lanes, Role::Data));
        all.push(serial(loops.ic, self.src_blocks(), Role::Reduce));
        let kernel = of_axes(&self.src, self.kernel);
        all.extend(loops.taps.iter().zip(kernel).map(|(l, n)| serial(*l, n, Role::Reduce)));
        all.push(serial(loops.channel, channels, Role::Reduce));
        let (buffers, dst) = self.buffers();
        let define = self.on_blocks(&definition, &loops, dst, &all);
        let body = around(all.into_iter(), vec![Stmt::Define(define)]);
        Ok((Nest { name: "conv".into(), buffers, leaves: Vec::new(), body }, loops))
    }

    fn buffers(&self) -> (Vec<Buffer>, BufId) {
        let lanes = self.dst.layout.lanes;
        let floats = |dims: Vec<usize>| TensorType::new(DType::F32, dims);
        let mut wei = vec![self.groups * self.dst_blocks(), self.src_blocks()];
        wei.extend(of_axes(&self.src, self.kernel));
        wei.extend([self.src.layout.lanes, lanes]);
        let mut types = vec![self.src.ty(), floats(wei), floats(vec![self.bias_elements()])];
        types.extend(self.tail.addends().map(|a| a.map.ty()));
        let mut all: Vec<Buffer> = types.into_iter().map(|ty| Buffer { ty, role: BufferRole::Src }).collect();
        all.push(Buffer { ty: self.dst.ty(), role: BufferRole::Dst });
        let dst = BufId(all.len() as u32 - 1);
        (all, dst)
    }

    /// The definition with the indices of blocked tensors.
    fn on_blocks(&self, definition: &Define, loops: &ConvLoops, dst: BufId, all: &[Loop]) -> Define {
        // Pictures, groups and pixels that there is one of are no part of an index.
        let extent = |l: VarId| all.iter().find(|x| x.id == l).map_or(1, |x| x.extent);
        let several = |l: VarId| loops.pixel.contains(&l) || l == loops.image || l == loops.group;
        let v = |l: VarId| if several(l) && extent(l) == 1 { Expr::int(0) } else { Expr::Var(l) };
        let axes = loops.pixel.len();
        let (lanes, merged) = (self.dst.layout.lanes, self.merged());
        let block = v(loops.group) * Expr::int(self.dst_blocks()) + v(loops.block);
        let within = v(loops.block) * Expr::int(lanes) + v(loops.lane);
        let oc = v(loops.group) * Expr::int(self.oc) + within.clone();
        let ic = v(loops.ic) * Expr::int(self.src.layout.lanes) + v(loops.channel);
        // Where the groups of the model share a block, an output lane sees the input lanes of its own.
        let own = self.ic / merged;
        let src_lane = match merged {
            1 => v(loops.channel),
            _ => v(loops.lane) / Expr::int(own) * Expr::int(own) + v(loops.channel),
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
                    Expr::load(b, index(&self.src, &v(loops.image), channel, position.collect()))
                }
                buffers::WEI => {
                    let mut at = vec![block.clone(), v(loops.ic)];
                    at.extend(loops.taps.iter().map(|l| v(*l)));
                    at.extend([src_lane.clone(), v(loops.lane)]);
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
            let exists = Expr::compare(CompareFn::Lt, within.clone(), Expr::int(self.oc));
            let finish = exists.select(finish, Expr::f32(0.0));
            Reduction { combine: r.combine, init: rebuild(&r.init), finish: resolve(&finish, &extents) }
        });
        let at = index(&self.dst, &v(loops.image), oc.clone(), pixel.clone());
        let stored = resolve(&Expr::Load(dst, at), &extents);
        let index = match stored {
            Expr::Load(_, index) => index,
            _ => Vec::new(),
        };
        Define { dst, index, when: None, value: rebuild(&definition.value), reduce }
    }
}
