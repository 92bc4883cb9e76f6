//! The operators, one per file: contract, struct, inference, definition, reference, tests.

/// Placeholder until an operator's file is written.
macro_rules! unfinished {
    ($t:ident) => {
        impl $crate::Operator for $t {
            fn name(&self) -> &'static str {
                stringify!($t)
            }
            fn infer(&self, _: $crate::Args<'_>) -> Result<Vec<$crate::TensorType>, $crate::OpError> {
                $crate::unsupported!("unfinished")
            }
            fn compute(&self, _: $crate::Args<'_>) -> Result<$crate::compute::Compute, $crate::OpError> {
                $crate::unsupported!("unfinished")
            }
            fn reference(
                &self,
                _: &[Option<&$crate::Tensor>],
            ) -> Result<Vec<$crate::Tensor>, $crate::OpError> {
                $crate::unsupported!("unfinished")
            }
        }
    };
}
pub(crate) use unfinished;

pub mod average_pool;
pub mod batch_normalization;
pub mod binary;
pub mod cast;
pub mod cast_like;
pub mod clip;
pub mod compare;
pub mod concat;
pub mod constant_of_shape;
pub mod conv;
pub mod conv_transpose;
pub mod depth_to_space;
pub mod elu;
pub mod expand;
pub mod flatten;
pub mod gather;
pub mod gemm;
pub mod global_pool;
pub mod hard_sigmoid;
pub mod identity;
pub mod leaky_relu;
pub mod matmul;
pub mod max_pool;
pub mod pad;
pub mod prelu;
pub mod range;
pub mod reduce;
pub mod reshape;
pub mod resize;
pub mod shape;
pub mod slice;
pub mod softmax;
pub mod space_to_depth;
pub mod split;
pub mod squeeze;
pub mod tile;
pub mod transpose;
pub mod unary;
pub mod unsqueeze;
pub mod where_;
