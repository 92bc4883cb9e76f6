//! Perfect nests that tests start from.

use octrt_ops::compute::ReduceFn;
use octrt_ops::expr::{BufId, Expr, VarId};
use octrt_ops::{DType, TensorType};

use crate::nest::{Buffer, BufferRole, Define, Loop, Nest, Reduction, Role, Stmt, around};

/// A perfect nest in parts that tests change.
#[derive(Clone, Debug)]
pub struct Sample {
    pub name: String,
    pub buffers: Vec<Buffer>,
    pub dst: BufId,
    pub loops: Vec<Loop>,
    pub index: Vec<Expr>,
    pub reduce: Option<Reduction>,
    pub body: Expr,
    pub update: bool,
}

impl Sample {
    /// The nest.
    pub fn nest(&self) -> Nest {
        let mut buffers = self.buffers.clone();
        if let Some(b) = buffers.get_mut(self.dst.index()) {
            b.role = BufferRole::Dst;
        }
        let define = Define {
            dst: self.dst,
            index: self.index.clone(),
            when: None,
            value: self.body.clone(),
            reduce: self.reduce.clone(),
            update: self.update,
        };
        let body = around(self.loops.iter().cloned(), vec![Stmt::Define(define)]);
        Nest { name: self.name.clone(), buffers, leaves: Vec::new(), body }
    }
}

/// A serial loop.
pub fn loop_(id: u32, extent: usize, role: Role) -> Loop {
    Loop::serial(VarId(id), extent, role)
}

/// A buffer of f32.
pub fn f32s(shape: impl Into<Vec<usize>>) -> Buffer {
    Buffer::new(TensorType::new(DType::F32, shape.into()), BufferRole::Src)
}

/// `b2[oc, oh, ow] = max(b3[oc] + sum over ic, kh, kw of b0[ic, oh + kh, ow + kw] * b1[oc, ic, kh, kw], 0)` with
/// 8 output and 3 input channels, 3x3 taps and a result of 5 x 6.
pub fn conv() -> Sample {
    let v = Expr::var;
    let (oc, oh, ow, ic, kh, kw) = (v(0), v(1), v(2), v(3), v(4), v(5));
    let data = [(0, 8), (1, 5), (2, 6)].map(|(id, n)| loop_(id, n, Role::Data));
    let reduce = [(3, 3), (4, 3), (5, 3)].map(|(id, n)| loop_(id, n, Role::Reduce));
    let src = Expr::load(BufId(0), [ic.clone(), oh.clone() + kh.clone(), ow.clone() + kw.clone()]);
    let wei = Expr::load(BufId(1), [oc.clone(), ic, kh, kw]);
    Sample {
        name: "conv".into(),
        buffers: vec![f32s([3, 7, 8]), f32s([8, 3, 3, 3]), f32s([8, 5, 6]), f32s([8])],
        dst: BufId(2),
        loops: data.into_iter().chain(reduce).collect(),
        index: vec![oc.clone(), oh, ow],
        reduce: Some(Reduction {
            combine: ReduceFn::Sum,
            init: Expr::load(BufId(3), [oc]),
            finish: Expr::Acc.max(Expr::f32(0.0)),
        }),
        body: src * wei,
        update: false,
    }
}

/// `b1[h, w] = b0[h - 1, w - 2]` inside `b0`, else -1, for `b0` of 6 x 5 and `b1` of 8 x 10.
pub fn pad() -> Sample {
    let at = |v: usize, before: i64| Expr::var(v) - Expr::int(before);
    let inside = at(0, 1).within(6).and(at(1, 2).within(5));
    let src = Expr::load(BufId(0), [at(0, 1).clamp(0, 5), at(1, 2).clamp(0, 4)]);
    Sample {
        name: "pad".into(),
        buffers: vec![f32s([6, 5]), f32s([8, 10])],
        dst: BufId(1),
        loops: vec![loop_(0, 8, Role::Data), loop_(1, 10, Role::Data)],
        index: vec![Expr::var(0), Expr::var(1)],
        reduce: None,
        body: inside.select(src, Expr::f32(-1.0)),
        update: false,
    }
}

/// A copy of a buffer with the given extent through this index over these loops.
pub fn copy(extent: usize, loops: &[usize], index: Expr) -> Sample {
    Sample {
        name: "copy".into(),
        buffers: vec![f32s([extent]), f32s([extent])],
        dst: BufId(1),
        loops: loops.iter().enumerate().map(|(i, &n)| loop_(i as u32, n, Role::Data)).collect(),
        index: vec![index.clone()],
        reduce: None,
        body: Expr::load(BufId(0), [index]),
        update: false,
    }
}
