//! The weights of one phase of a transposed convolution, as a plain convolution has them.

use std::fmt;

use octrt_ops::def::conv_transpose::phases::Taps;
use octrt_ops::{DType, Tensor, TensorType};

use crate::layout::AXES;

/// Which of the weights of a transposed convolution, `[ic, oc / group, taps..]`, are those of a phase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelPhase {
    /// Groups of the transposed convolution.
    pub groups: usize,
    /// The elements along each axis of the kernel.
    pub taps: Vec<Taps>,
}

impl fmt::Display for KernelPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "groups={} taps=", self.groups)?;
        for (i, Taps { last, step, count }) in self.taps.iter().enumerate() {
            write!(f, "{}{count}x{step}from{last}", if i > 0 { "," } else { "" })?;
        }
        Ok(())
    }
}

impl KernelPhase {
    /// The type of the plain convolution's weights `[oc, ic / group, taps..]`; `None` for weights that it was not made for.
    pub fn ty(&self, source: &TensorType) -> Option<TensorType> {
        let &[ic, group_oc, ref kernel @ ..] = source.shape.dims() else { return None };
        let kernels = source.dtype == DType::F32 && (1..=AXES).contains(&kernel.len());
        let fits = kernels && kernel.len() == self.taps.len() && self.groups > 0;
        let fits = fits && ic.is_multiple_of(self.groups);
        if !fits || !self.taps.iter().zip(kernel).all(|(taps, n)| taps.are_of(*n)) {
            return None;
        }
        let mut dims = vec![group_oc.checked_mul(self.groups)?, ic / self.groups];
        dims.extend(self.taps.iter().map(|t| t.count));
        Some(TensorType::new(DType::F32, dims))
    }

    /// The plain convolution's weights; `None` as for [`KernelPhase::ty`].
    pub fn weights(&self, source: &Tensor) -> Option<Tensor> {
        let ty = self.ty(source.ty())?;
        let (from, kernel) = (source.bytes().as_chunks::<4>().0, &source.shape().dims()[2..]);
        let &[oc, ic, ..] = ty.shape.dims() else { return None };
        let group_oc = oc / self.groups;
        // The places of the elements in a kernel, in their new order.
        let mut places = vec![0];
        for (taps, n) in self.taps.iter().zip(kernel) {
            places = places.iter().flat_map(|at| taps.positions().map(move |k| at * n + k)).collect();
        }
        let size: usize = kernel.iter().product();
        let mut bytes = Vec::with_capacity(ty.bytes());
        for (o, i) in (0..oc).flat_map(|o| (0..ic).map(move |i| (o, i))) {
            let channel = o / group_oc.max(1) * ic + i;
            let first = (channel * group_oc + o % group_oc.max(1)) * size;
            bytes.extend(places.iter().filter_map(|at| from.get(first + at)).flatten());
        }
        Tensor::from_bytes(ty, bytes).ok()
    }
}
