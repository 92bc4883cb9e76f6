//! Windows over every channel by itself: depthwise convolution and poolings.

use octrt_ops::compute::ReduceFn;
use octrt_ops::expr::{BufId, Expr, Scalar, VarId};
use octrt_ops::{DType, TensorType};

use super::{index, of_axes};
use crate::layout::Map;
use crate::nest::index::resolve;
use crate::nest::{Buffer, BufferRole};
use crate::nest::{Define, Nest, Stmt, around};
use crate::nest::{Loop, Reduction, Role};
use crate::strategy::problem::{WindowKind, WindowProblem};
use crate::strategy::refusal::Refusal;
use crate::strategy::tail::Operand;

/// The loops of naive windows, outermost first.
#[derive(Clone, Debug)]
pub struct WindowLoops {
    /// Pictures.
    pub image: VarId,
    /// Blocks of channels.
    pub block: VarId,
    /// The spatial axes of the output.
    pub pixel: Vec<VarId>,
    /// Channels of a block.
    pub lane: VarId,
    /// The axes of the window.
    pub taps: Vec<VarId>,
}

/// The weights of a depthwise convolution.
pub const WEI: BufId = BufId(1);
/// The bias of a depthwise convolution, with zeros for lanes that are no channels.
pub const BIAS: BufId = BufId(2);

impl WindowProblem {
    /// The naive nest on blocks, and its loops. Buffers, in order: src; wei `[block, window.., lane]` and bias for
    /// [`WindowKind::Weights`]; those of the tail; dst.
    ///
    /// # Errors
    /// [`Refusal::Unfit`] where the addend is upsampled.
    pub fn naive(&self) -> Result<(Nest, WindowLoops), Refusal> {
        let upsampled = |o: &Operand| matches!(o, Operand::Map { repeat: 2.., .. });
        if self.tail.operands.iter().any(upsampled) {
            return Err(Refusal::Unfit("windows over each channel with an operand that is upsampled"));
        }
        let axes = self.src.axes as u32;
        let var = |first: u32| (0..axes).map(move |i| VarId(first + i)).collect::<Vec<_>>();
        let loops = WindowLoops {
            image: VarId(0),
            block: VarId(1),
            pixel: var(2),
            lane: VarId(2 + axes),
            taps: var(3 + axes),
        };
        let kernel = of_axes(&self.src, self.window.kernel);
        let serial = Loop::serial;
        let mut all = vec![
            serial(loops.image, self.dst.mb, Role::Data),
            serial(loops.block, self.dst.blocks(), Role::Data),
        ];
        let pixels = loops.pixel.iter().zip(of_axes(&self.dst, self.dst.extents()));
        all.extend(pixels.map(|(l, n)| serial(*l, n, Role::Data)));
        all.push(serial(loops.lane, self.dst.layout.lanes, Role::Data));
        all.extend(loops.taps.iter().zip(&kernel).map(|(l, n)| serial(*l, *n, Role::Reduce)));
        let floats = |dims: Vec<usize>| TensorType::new(DType::F32, dims);
        let (blocks, lanes) = (self.src.blocks(), self.src.layout.lanes);
        let mut types = vec![self.src.ty()];
        if self.kind == WindowKind::Weights {
            types.push(floats([&[blocks][..], &kernel, &[lanes]].concat()));
            types.push(floats(vec![blocks * lanes]));
        }
        let first_operand = types.len() as u32;
        types.extend(self.tail.operands.iter().map(Operand::ty));
        let mut buffers: Vec<Buffer> = types.into_iter().map(|ty| Buffer::new(ty, BufferRole::Src)).collect();
        buffers.push(Buffer::new(self.dst.ty(), BufferRole::Dst));
        let dst = BufId(buffers.len() as u32 - 1);
        let define = self.define(&loops, (first_operand, dst), &all);
        let name = match self.kind {
            WindowKind::Weights => "conv_depthwise",
            WindowKind::Max => "max_pool",
            WindowKind::Sum(_) => "average_pool",
        };
        let body = around(all.into_iter(), vec![Stmt::Define(define)]);
        Ok((Nest { name: name.into(), buffers, leaves: Vec::new(), body }, loops))
    }

    fn define(&self, loops: &WindowLoops, (first_operand, dst): (u32, BufId), all: &[Loop]) -> Define {
        let v = Expr::Var;
        let extents = |l: VarId| all.iter().find(|x| x.id == l).map(|x| x.extent);
        let channel = v(loops.block) * Expr::int(self.src.layout.lanes) + v(loops.lane);
        let pixel: Vec<Expr> = loops.pixel.iter().map(|l| v(*l)).collect();
        let element = |b: BufId, map: &Map, at: Vec<Expr>| {
            resolve(&Expr::Load(b, index(map, &v(loops.image), channel.clone(), at)), &extents)
        };
        let of = |all| of_axes(&self.src, all);
        let (strides, dilations, pads) =
            (of(self.window.strides), of(self.window.dilations), of(self.window.pads));
        let times = |e: Expr, n: usize| if n == 1 { e } else { e * Expr::int(n) };
        let under = pixel.iter().zip(&loops.taps).enumerate().map(|(i, (o, k))| {
            let at = times(o.clone(), strides[i]) + times(v(*k), dilations[i]);
            if pads[i] == 0 { at } else { at - Expr::int(pads[i]) }
        });
        let src = element(BufId(0), &self.src, under.collect());
        let (combine, init, value, result) = match self.kind {
            WindowKind::Weights => {
                let taps = loops.taps.iter().map(|l| v(*l));
                let at: Vec<Expr> = [v(loops.block)].into_iter().chain(taps).chain([v(loops.lane)]).collect();
                let bias = Expr::load(BIAS, [channel.clone()]);
                (ReduceFn::Sum, 0.0, src * Expr::load(WEI, at), Expr::Acc + bias)
            }
            WindowKind::Max => (ReduceFn::Max, f32::NEG_INFINITY, src, Expr::Acc),
            WindowKind::Sum(factor) => (ReduceFn::Sum, 0.0, src, Expr::Acc * Expr::f32(factor)),
        };
        let operand = |k: usize, o: &Operand| {
            Expr::Load(BufId(first_operand + k as u32), o.index(&v(loops.image), &channel, &pixel))
        };
        let finish = resolve(&self.tail.finished(&result, &operand), &extents);
        let at = match element(dst, &self.dst, pixel.clone()) {
            Expr::Load(_, at) => at,
            _ => Vec::new(),
        };
        let init = Expr::Const(Scalar::F32(init));
        Define {
            dst,
            index: at,
            when: None,
            value,
            reduce: Some(Reduction { combine, init, finish }),
            update: false,
        }
    }
}
