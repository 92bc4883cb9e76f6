//! Some of the weights of a convolution, as a convolution with fewer taps has them.

use std::fmt;

use octrt_ops::def::conv_transpose::phases::Taps;
use octrt_ops::{DType, Tensor, TensorType};

use crate::layout::AXES;

/// Which of the weights of a convolution are those of a part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelPart {
    /// How the weights lie.
    pub order: KernelOrder,
    /// The elements along each axis of the kernel.
    pub taps: Vec<Taps>,
}

/// How the weights of a convolution lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KernelOrder {
    /// `[oc, ic / group, taps..]`; windows see their taps in order.
    Plain,
    /// Those of a transposed convolution of so many groups, `[ic, oc / group, taps..]`; windows see the last tap first.
    Transposed(usize),
}

impl fmt::Display for KernelPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.order {
            KernelOrder::Plain => f.write_str("taps=")?,
            KernelOrder::Transposed(groups) => write!(f, "transposed groups={groups} taps=")?,
        }
        for (i, Taps { last, step, count }) in self.taps.iter().enumerate() {
            write!(f, "{}{count}x{step}from{last}", if i > 0 { "," } else { "" })?;
        }
        Ok(())
    }
}

impl KernelPart {
    /// The type of the plain convolution's weights `[oc, ic / group, taps..]`; `None` for weights that it was not made for.
    pub fn ty(&self, source: &TensorType) -> Option<TensorType> {
        let &[first, second, ref kernel @ ..] = source.shape.dims() else { return None };
        let kernels = source.dtype == DType::F32 && (1..=AXES).contains(&kernel.len());
        let fits = kernels && kernel.len() == self.taps.len();
        if !fits || !self.taps.iter().zip(kernel).all(|(taps, n)| taps.are_of(*n)) {
            return None;
        }
        let mut dims = match self.order {
            KernelOrder::Plain => vec![first, second],
            KernelOrder::Transposed(groups) if groups > 0 && first.is_multiple_of(groups) => {
                vec![second.checked_mul(groups)?, first / groups]
            }
            KernelOrder::Transposed(_) => return None,
        };
        dims.extend(self.taps.iter().map(|t| t.count));
        Some(TensorType::new(DType::F32, dims))
    }

    /// The plain convolution's weights; `None` as for [`KernelPart::ty`].
    pub fn weights(&self, source: &Tensor) -> Option<Tensor> {
        let ty = self.ty(source.ty())?;
        let (from, kernel) = (source.bytes().as_chunks::<4>().0, &source.shape().dims()[2..]);
        let &[oc, ic, ..] = ty.shape.dims() else { return None };
        // The places of the elements in a kernel, in their new order.
        let mut places = vec![0];
        for (taps, n) in self.taps.iter().zip(kernel) {
            let mut positions: Vec<usize> = taps.positions().collect();
            if self.order == KernelOrder::Plain {
                positions.reverse();
            }
            places = places.iter().flat_map(|at| positions.iter().map(move |k| at * n + k)).collect();
        }
        let size: usize = kernel.iter().product();
        let mut bytes = Vec::with_capacity(ty.bytes());
        for (o, i) in (0..oc).flat_map(|o| (0..ic).map(move |i| (o, i))) {
            let kernel = match self.order {
                KernelOrder::Plain => o * ic + i,
                KernelOrder::Transposed(groups) => {
                    let group_oc = (oc / groups.max(1)).max(1);
                    (o / group_oc * ic + i) * group_oc + o % group_oc
                }
            };
            let first = kernel * size;
            bytes.extend(places.iter().filter_map(|at| from.get(first + at)).flatten());
        }
        Tensor::from_bytes(ty, bytes).ok()
    }
}
