//! Products of matrices with packed weights.

use octrt_ops::compute::Compute;
use octrt_ops::def::matmul::MatMul;
use octrt_ops::expr::{BufId, CompareFn, Expr, VarId};
use octrt_ops::{Arg, Args, DType, Shape, TensorType};

use super::rename;
use crate::nest::index::resolve;
use crate::nest::{Buffer, BufferRole};
use crate::nest::{Define, Nest, Stmt, around};
use crate::nest::{Loop, Reduction, Role};
use crate::strategy::problem::GemmProblem;
use crate::strategy::refusal::Refusal;

/// Rows of the result.
pub const ROW: VarId = VarId(0);
/// Blocks of columns.
pub const BLOCK: VarId = VarId(1);
/// Columns of a block.
pub const LANE: VarId = VarId(2);
/// The axis that is summed.
pub const SUM: VarId = VarId(3);

/// The matrix on the left.
pub const SRC: BufId = BufId(0);
/// The weights, `[block, k, lane]`, zeros where there is no column.
pub const WEI: BufId = BufId(1);
/// What is added to each column, zeros where there is none.
pub const BIAS: BufId = BufId(2);
const DST: BufId = BufId(3);

impl GemmProblem {
    /// The naive nest, with columns in blocks of `lanes`, of which there are `blocks`; lanes past the last column define
    /// nothing. Buffers, in order: src, wei, bias, dst.
    ///
    /// # Errors
    /// [`Refusal::Defect`] where the definition is not what is expected.
    pub fn naive(&self, lanes: usize, blocks: usize) -> Result<Nest, Refusal> {
        let shapes = [[self.m, self.k], [self.k, self.n]].map(Shape::from);
        let args = shapes.each_ref().map(|shape| Some(Arg { dtype: DType::F32, shape, value: None }));
        let compute = MatMul {}.define(Args(&args), Compute::of_whole_sums());
        let compute = compute.map_err(|_| Refusal::Defect("a product without a definition"))?;
        let stage = compute.stages.last().ok_or(Refusal::Defect("a definition without stages"))?;
        let sum = stage.reduce.as_ref().ok_or(Refusal::Defect("a product that sums nothing"))?;
        // The definition's axes are rows, columns and the one that is summed.
        let column = Expr::Var(BLOCK) * Expr::int(lanes) + Expr::Var(LANE);
        let axis = |l: VarId| match l.0 {
            0 => Expr::Var(ROW),
            1 => column.clone(),
            _ => Expr::Var(SUM),
        };
        let loops = [(ROW, self.m), (BLOCK, blocks), (LANE, lanes), (SUM, self.k)];
        let extents = |l: VarId| loops.iter().find(|(id, _)| *id == l).map(|(_, n)| *n);
        let rebuild = |e: &Expr| {
            let e = rename(e, &|b| b).map(&mut |e| match e {
                // Weights lie in blocks of columns.
                Expr::Load(b, _) if *b == WEI => Some(Expr::load(*b, [BLOCK, SUM, LANE].map(Expr::Var))),
                Expr::Var(l) => Some(axis(*l)),
                _ => None,
            });
            resolve(&e, &extents)
        };
        let exists = Expr::compare(CompareFn::Lt, column.clone(), Expr::int(self.n));
        let bias = Expr::load(BIAS, [column.clone()]);
        let define = Define {
            update: false,
            dst: DST,
            index: vec![Expr::Var(ROW), column.clone()],
            when: (self.n < blocks * lanes).then_some(exists),
            value: rebuild(&stage.body),
            reduce: Some(Reduction {
                combine: sum.combine,
                init: rebuild(&sum.init),
                finish: self.activation.expr(rebuild(&sum.finish) + bias),
            }),
        };
        let of = |(id, extent)| {
            let role = if id == SUM { Role::Reduce } else { Role::Data };
            Loop::serial(id, extent, role)
        };
        let body = around(loops.into_iter().map(of), vec![Stmt::Define(define)]);
        let floats = |dims: &[usize]| TensorType::new(DType::F32, dims.to_vec());
        let types = [
            (floats(&[self.m, self.k]), BufferRole::Src),
            (floats(&[blocks, self.k, lanes]), BufferRole::Src),
            (floats(&[blocks * lanes]), BufferRole::Src),
            (floats(&[self.m, self.n]), BufferRole::Dst),
        ];
        let buffers = types.map(|(ty, role)| Buffer::new(ty, role)).to_vec();
        Ok(Nest { name: "gemm".into(), buffers, leaves: Vec::new(), body })
    }
}
