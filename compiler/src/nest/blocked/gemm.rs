//! Products of matrices.

use octrt_ops::compute::Compute;
use octrt_ops::def::matmul::MatMul;
use octrt_ops::expr::{BufId, CompareFn, Expr, VarId};
use octrt_ops::{Arg, Args, DType, Shape, TensorType};

use super::rename;
use crate::nest::index::resolve;
use crate::nest::{Buffer, BufferRole};
use crate::nest::{Define, Nest, Stmt, around};
use crate::nest::{Loop, Reduction, Role};
use crate::strategy::problem::{Bias, GemmProblem, Lhs, Rhs};
use crate::strategy::refusal::Refusal;
use crate::strategy::tail::Operand;

/// Rows of the result.
pub const ROW: VarId = VarId(0);
/// Blocks of columns.
pub const BLOCK: VarId = VarId(1);
/// Columns of a block.
pub const LANE: VarId = VarId(2);
/// The axis that is summed.
pub const SUM: VarId = VarId(3);
/// Products, where there are several.
pub const PRODUCT: VarId = VarId(4);

/// The matrices on the right.
pub const RHS: BufId = BufId(1);
/// What is added, if anything is.
pub const BIAS: BufId = BufId(2);

impl GemmProblem {
    /// The naive nest, with columns in blocks of `lanes`, of which there are `blocks`; lanes past the last column define
    /// nothing.
    ///
    /// # Errors
    /// [`Refusal::Defect`] where the definition is not what is expected.
    pub fn naive(&self, lanes: usize, blocks: usize) -> Result<Nest, Refusal> {
        let GemmProblem { batch, m, n, k, .. } = *self;
        let several = batch > 1;
        if several && self.rhs == Rhs::Packed {
            return Err(Refusal::Defect("several products with packed weights"));
        }
        let each = |many: bool, dims: [usize; 2]| [vec![batch; usize::from(many)], dims.to_vec()].concat();
        let lhs = each(several && self.lhs == Lhs::Each, [m, k]);
        let (rhs, dst) = (each(several, [k, n]), each(several, [m, n]));
        let shapes = [&lhs, &rhs].map(|dims| Shape::from(dims.clone()));
        let args = shapes.each_ref().map(|shape| Some(Arg { dtype: DType::F32, shape, value: None }));
        let compute = MatMul {}.define(Args(&args), Compute::of_whole_sums());
        let compute = compute.map_err(|_| Refusal::Defect("a product without a definition"))?;
        let stage = compute.stages.last().ok_or(Refusal::Defect("a definition without stages"))?;
        let sum = stage.reduce.as_ref().ok_or(Refusal::Defect("a product that sums nothing"))?;
        // The definition's axes are products where there are several, rows, columns and the one that is summed.
        let column = Expr::Var(BLOCK) * Expr::int(lanes) + Expr::Var(LANE);
        let axes = [Expr::Var(PRODUCT), Expr::Var(ROW), column.clone(), Expr::Var(SUM)];
        let axes = &axes[usize::from(!several)..];
        let loops = [(ROW, m), (BLOCK, blocks), (LANE, lanes), (SUM, k)];
        let loops: Vec<(VarId, usize)> =
            several.then_some((PRODUCT, batch)).into_iter().chain(loops).collect();
        let extents = |l: VarId| loops.iter().find(|(id, _)| *id == l).map(|(_, n)| *n);
        let rebuild = |e: &Expr| {
            let e = rename(e, &|b| b).map(&mut |e| match e {
                // Weights lie in blocks of columns.
                Expr::Load(b, _) if *b == RHS && self.rhs == Rhs::Packed => {
                    Some(Expr::load(*b, [BLOCK, SUM, LANE].map(Expr::Var)))
                }
                Expr::Var(l) => axes.get(l.0 as usize).cloned(),
                _ => None,
            });
            resolve(&e, &extents)
        };
        let exists = Expr::compare(CompareFn::Lt, column.clone(), Expr::int(n));
        let result = rebuild(&sum.finish);
        let result = match self.bias {
            Bias::Absent => result,
            Bias::Columns => result + Expr::load(BIAS, [column.clone()]),
            Bias::Rows => result + Expr::load(BIAS, [Expr::Var(ROW)]),
        };
        let floats = |dims: &[usize]| TensorType::new(DType::F32, dims.to_vec());
        let rhs = if self.rhs == Rhs::Packed { vec![blocks, k, lanes] } else { rhs };
        let bias = match self.bias {
            Bias::Absent => None,
            Bias::Columns => Some(vec![blocks * lanes]),
            Bias::Rows => Some(vec![m]),
        };
        let first_operand = 2 + u32::from(bias.is_some());
        let operands = self.tail.operands.iter().map(|o| o.ty().shape.dims().to_vec());
        let sources = [lhs, rhs].into_iter().chain(bias).chain(operands).map(|dims| (dims, BufferRole::Src));
        let all = sources.chain([(dst, BufferRole::Dst)]);
        let buffers: Vec<Buffer> = all.map(|(dims, role)| Buffer::new(floats(&dims), role)).collect();
        let operand = |k: usize, o: &Operand| {
            let at = [Expr::Var(PRODUCT), Expr::Var(ROW), column.clone()];
            Expr::Load(BufId(first_operand + k as u32), o.of_product(at))
        };
        let define = Define {
            update: false,
            dst: BufId(buffers.len() as u32 - 1),
            index: several
                .then_some(Expr::Var(PRODUCT))
                .into_iter()
                .chain([Expr::Var(ROW), column.clone()])
                .collect(),
            when: (n < blocks * lanes).then_some(exists),
            value: rebuild(&stage.body),
            reduce: Some(Reduction {
                combine: sum.combine,
                init: rebuild(&sum.init),
                finish: resolve(&self.tail.finished(&result, &operand), &extents),
            }),
        };
        let of = |(id, extent): (VarId, usize)| {
            let role = if id == SUM { Role::Reduce } else { Role::Data };
            Loop::serial(id, extent, role)
        };
        let body = around(loops.into_iter().map(of), vec![Stmt::Define(define)]);
        Ok(Nest { name: "gemm".into(), buffers, leaves: Vec::new(), body })
    }
}
