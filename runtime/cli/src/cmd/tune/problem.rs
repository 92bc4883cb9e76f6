//! A convolution of a model as a graph of its own.

use octrt::DataType;
use octrt_bench::measure::Buffer;
use octrt_compiler::layout::AXES;
use octrt_compiler::records::Convolution;
use octrt_ops::def::conv::Conv;
use octrt_ops::def::max_pool::MaxPool;
use octrt_ops::graph::text;
use octrt_ops::window::Window;
use octrt_ops::{DType, Dim, Graph, OpError, Shape};

/// The name of the node of the convolution.
pub const NODE: &str = "conv";

/// A distinct convolution of a model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Problem {
    /// As records know it.
    pub convolution: Convolution,
    /// Channels in each block of its input as it is read, 1 where that lies plain.
    pub src_lanes: usize,
}

impl Problem {
    /// Multiply-accumulates.
    pub fn macs(&self) -> u64 {
        let Convolution { mb, groups, ic, oc, dst, window, .. } = self.convolution;
        let numbers = [mb, oc, ic / groups.max(1), window.taps()].into_iter().chain(dst);
        numbers.fold(1, |macs, n| macs.saturating_mul(n as u64))
    }

    /// The axes that it has: rows and columns, and planes where there are any.
    fn axes(&self) -> std::ops::Range<usize> {
        let Convolution { src, dst, window, .. } = self.convolution;
        let flat = src[0] == 1 && dst[0] == 1 && window.kernel[0] == 1 && window.pads[0] == 0;
        usize::from(flat)..AXES
    }

    /// The input's extents.
    fn shape(&self) -> Vec<usize> {
        let Convolution { mb, ic, src, .. } = self.convolution;
        [mb, ic].into_iter().chain(src[self.axes()].iter().copied()).collect()
    }

    /// A graph with the convolution and a bias. Where the model has the input in blocks, a maximum over two columns that
    /// makes it is there before, so that it lies in blocks, and is as warm as in the model.
    ///
    /// # Errors
    /// [`OpError::TooLarge`] when the weights do not fit the address space.
    pub fn graph(&self) -> Result<Graph, OpError> {
        let Convolution { groups, ic, oc, window, .. } = self.convolution;
        let axes = self.axes();
        let mut graph = Graph::new(self.convolution.to_string());
        let dims: Vec<Dim> = self.shape().into_iter().map(Dim::Fixed).collect();
        let mut src = graph.add_input("src", DType::F32, dims);
        if self.src_lanes > 1 {
            let pool = MaxPool { window: pairs(axes.len()), ceil_mode: false };
            src = graph.add_node("pool", pool, vec![Some(src)], &["pooled"])[0];
        }
        let kernel = window.kernel[axes.clone()].to_vec();
        let wei_shape: Vec<usize> = [oc, ic / groups.max(1)].into_iter().chain(kernel.clone()).collect();
        let wei = graph.add_const("wei", text::random(&Shape::new(wei_shape), 1)?);
        let bias = graph.add_const("bias", text::random(&Shape::new(vec![oc]), 2)?);
        let begin = window.pads[axes.clone()].to_vec();
        let pads = begin.into_iter().chain(axes.clone().map(|a| self.end(a))).collect();
        let conv = Conv {
            window: Window {
                kernel,
                strides: window.strides[axes.clone()].to_vec(),
                dilations: window.dilations[axes].to_vec(),
                pads,
                ..Window::default()
            },
            group: groups,
        };
        let dst = graph.add_node(NODE, conv, vec![Some(src), Some(wei), Some(bias)], &["dst"]);
        graph.add_output("dst", dst[0]);
        Ok(graph)
    }

    /// Padding at the end of an axis: what the last window needs.
    fn end(&self, axis: usize) -> usize {
        let Convolution { src, dst, window, .. } = self.convolution;
        let reach = (window.kernel[axis].max(1) - 1) * window.dilations[axis] + 1;
        let needed = (dst[axis].max(1) - 1) * window.strides[axis] + reach;
        needed.saturating_sub(src[axis] + window.pads[axis])
    }

    /// The input: floats in [-1, 1), the same every time.
    ///
    /// # Errors
    /// As [`Problem::graph`].
    pub fn inputs(&self) -> Result<Vec<Buffer>, OpError> {
        let shape = self.shape();
        let bytes = text::random(&Shape::new(shape.clone()), 3)?.bytes().to_vec();
        Ok(vec![Buffer { name: "src".to_string(), dtype: DataType::F32, shape, bytes }])
    }
}

/// Windows of two columns, as many as there are columns.
fn pairs(axes: usize) -> Window {
    let ones = || vec![1; axes];
    let last =
        |n: usize, of: usize| (0..axes).map(|a| if a + 1 == axes { n } else { of }).collect::<Vec<_>>();
    let pads = vec![0; axes].into_iter().chain(last(1, 0)).collect();
    Window { kernel: last(2, 1), strides: ones(), dilations: ones(), pads, ..Window::default() }
}
