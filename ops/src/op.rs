//! The closed set of operators.

use crate::attr::{Attr, AttrMap, Attributes};
use crate::def;
use crate::error::OpError;
use crate::operator::Operator;

macro_rules! operators {
    ($($(#[$doc:meta])* $variant:ident($t:ty)),* $(,)?) => {
        /// An operator with its attributes. The variant's name is the one in the graph's text form.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Op { $($(#[$doc])* $variant($t)),* }

        impl Op {
            /// Names of all variants, as in the text form.
            pub const TAGS: &'static [&'static str] = &[$(stringify!($variant)),*];

            /// The operator's behaviour.
            pub fn as_operator(&self) -> &dyn Operator {
                match self { $(Op::$variant(op) => op),* }
            }

            /// The variant's name.
            pub fn tag(&self) -> &'static str {
                match self { $(Op::$variant(_) => stringify!($variant)),* }
            }

            /// The attributes in declaration order.
            pub fn attrs(&self) -> Vec<(&'static str, Attr)> {
                match self { $(Op::$variant(op) => op.to_attrs()),* }
            }

            /// The operator with this name and these attributes.
            ///
            /// # Errors
            /// [`OpError::Invalid`] for an unknown name, or a missing, unknown or ill-typed attribute.
            pub fn from_parts(tag: &str, mut attrs: AttrMap) -> Result<Op, OpError> {
                let op = match tag {
                    $(stringify!($variant) => Op::$variant(<$t>::from_attrs(&mut attrs)?),)*
                    _ => return Err(OpError::Invalid(format!("unknown operator '{tag}'"))),
                };
                match attrs.keys().next() {
                    None => Ok(op),
                    Some(extra) => Err(OpError::Invalid(format!("{tag} has no attribute '{extra}'"))),
                }
            }
        }
        $(impl From<$t> for Op {
            fn from(op: $t) -> Op { Op::$variant(op) }
        })*
    };
}

operators! {
    /// Grids of affine maps.
    AffineGrid(def::affine_grid::AffineGrid),
    /// Positions of largest and smallest elements.
    ArgExtreme(def::arg_extreme::ArgExtreme),
    /// Scaled dot product attention.
    Attention(def::attention::Attention),
    /// Average over windows.
    AveragePool(def::average_pool::AveragePool),
    /// Normalisation with stored statistics.
    BatchNormalization(def::batch_normalization::BatchNormalization),
    /// Functions of two tensors, element by element.
    Binary(def::binary::Binary),
    /// Shifts of bits.
    BitShift(def::bit_shift::BitShift),
    /// Conversion of the element type.
    Cast(def::cast::Cast),
    /// Conversion to the element type of another tensor.
    CastLike(def::cast_like::CastLike),
    /// Continuously differentiable exponential linear unit.
    Celu(def::celu::Celu),
    /// Cuts or extends axes around their centres.
    CenterCropPad(def::center_crop_pad::CenterCropPad),
    /// Limits to a range.
    Clip(def::clip::Clip),
    /// Sums overlapping blocks to an image.
    Col2Im(def::col2im::Col2Im),
    /// Comparisons of two tensors, element by element.
    Compare(def::compare::Compare),
    /// Picks slices by a condition.
    Compress(def::compress::Compress),
    /// Joins tensors along an axis.
    Concat(def::concat::Concat),
    /// A tensor of one repeated value.
    ConstantOfShape(def::constant_of_shape::ConstantOfShape),
    /// Convolution.
    Conv(def::conv::Conv),
    /// Convolution of bytes in integers.
    ConvInteger(def::conv_integer::ConvInteger),
    /// Transposed convolution.
    ConvTranspose(def::conv_transpose::ConvTranspose),
    /// Running sums and products.
    Cumulative(def::cumulative::Cumulative),
    /// Convolution whose taps are moved.
    DeformConv(def::deform_conv::DeformConv),
    /// Moves channels into space.
    DepthToSpace(def::depth_to_space::DepthToSpace),
    /// Integers to the numbers that they stand for.
    DequantizeLinear(def::dequantize_linear::DequantizeLinear),
    /// Numbers to bytes by their own range.
    DynamicQuantizeLinear(def::dynamic_quantize_linear::DynamicQuantizeLinear),
    /// Sums of products over named axes.
    Einsum(def::einsum::Einsum),
    /// Exponential linear unit.
    Elu(def::elu::Elu),
    /// Broadcasts to a shape.
    Expand(def::expand::Expand),
    /// A matrix with ones on a diagonal.
    EyeLike(def::eye_like::EyeLike),
    /// Reshapes to a matrix.
    Flatten(def::flatten::Flatten),
    /// Picks slices by index.
    Gather(def::gather::Gather),
    /// Picks elements by index along an axis.
    GatherElements(def::gather_elements::GatherElements),
    /// Picks slices by several indices.
    GatherNd(def::gather_nd::GatherNd),
    /// Gaussian error linear unit.
    Gelu(def::gelu::Gelu),
    /// General matrix product with bias.
    Gemm(def::gemm::Gemm),
    /// Lp norms over all spatial positions.
    GlobalLpPool(def::global_lp_pool::GlobalLpPool),
    /// Pooling over all spatial positions.
    GlobalPool(def::global_pool::GlobalPool),
    /// Samples at positions of a grid.
    GridSample(def::grid_sample::GridSample),
    /// Normalisation of groups of channels.
    GroupNormalization(def::group_normalization::GroupNormalization),
    /// Gated recurrent units.
    Gru(def::gru::Gru),
    /// Piecewise linear sigmoid.
    HardSigmoid(def::hard_sigmoid::HardSigmoid),
    /// One at the largest element.
    Hardmax(def::hardmax::Hardmax),
    /// The input itself.
    Identity(def::identity::Identity),
    /// One of two values.
    If(def::if_::If),
    /// Normalisation of each channel of each image.
    InstanceNormalization(def::instance_normalization::InstanceNormalization),
    /// Which elements are infinite.
    IsInf(def::is_inf::IsInf),
    /// Which elements are NaN.
    IsNan(def::is_inf::IsNan),
    /// Normalisation over trailing axes.
    LayerNormalization(def::layer_normalization::LayerNormalization),
    /// ReLU with a slope below zero.
    LeakyRelu(def::leaky_relu::LeakyRelu),
    /// Division by the norm along an axis.
    LpNormalization(def::lp_normalization::LpNormalization),
    /// Lp norms over windows.
    LpPool(def::lp_pool::LpPool),
    /// Local response normalisation across channels.
    Lrn(def::lrn::Lrn),
    /// Long short-term memory.
    Lstm(def::lstm::Lstm),
    /// Matrix product with broadcasting.
    MatMul(def::matmul::MatMul),
    /// Matrix product of bytes in integers.
    MatMulInteger(def::matmul_integer::MatMulInteger),
    /// Maximum over windows.
    MaxPool(def::max_pool::MaxPool),
    /// Where the maxima over windows are.
    MaxPoolIndices(def::max_pool_indices::MaxPoolIndices),
    /// Maxima in regions of interest.
    MaxRoiPool(def::max_roi_pool::MaxRoiPool),
    /// Puts maxima back where they came from.
    MaxUnpool(def::max_unpool::MaxUnpool),
    /// Normalisation over any axes.
    MeanVarianceNormalization(def::mean_variance_normalization::MeanVarianceNormalization),
    /// Remainders of divisions.
    Mod(def::modulo::Mod),
    /// Classes as vectors.
    OneHot(def::one_hot::OneHot),
    /// ReLU with a learned slope below zero.
    PRelu(def::prelu::PRelu),
    /// Adds borders (or removes them).
    Pad(def::pad::Pad),
    /// Convolution of quantised numbers.
    QLinearConv(def::qlinear_conv::QLinearConv),
    /// Matrix product of quantised numbers.
    QLinearMatMul(def::qlinear_matmul::QLinearMatMul),
    /// Numbers to integers.
    QuantizeLinear(def::quantize_linear::QuantizeLinear),
    /// Evenly spaced numbers.
    Range(def::range::Range),
    /// Reductions over axes.
    Reduce(def::reduce::Reduce),
    /// The same elements under another shape.
    Reshape(def::reshape::Reshape),
    /// Resampling of spatial axes.
    Resize(def::resize::Resize),
    /// Reverses the beginning of sequences.
    ReverseSequence(def::reverse_sequence::ReverseSequence),
    /// Scaling by the root mean square over trailing axes.
    RmsNormalization(def::rms_normalization::RmsNormalization),
    /// Simple recurrences.
    Rnn(def::rnn::Rnn),
    /// Samples in regions of interest.
    RoiAlign(def::roi_align::RoiAlign),
    /// Rotary position embedding.
    RotaryEmbedding(def::rotary_embedding::RotaryEmbedding),
    /// Rounding to a narrower float.
    RoundFloat(def::round_float::RoundFloat),
    /// Writes elements by index along an axis.
    ScatterElements(def::scatter_elements::ScatterElements),
    /// Writes slices by several indices.
    ScatterNd(def::scatter_nd::ScatterNd),
    /// Scaled exponential linear unit.
    Selu(def::selu::Selu),
    /// The shape of a tensor as a tensor.
    Shape(def::shape::ShapeOf),
    /// Shrinks towards zero.
    Shrink(def::shrink::Shrink),
    /// The number of elements of a tensor.
    Size(def::size::Size),
    /// Takes a strided part.
    Slice(def::slice::Slice),
    /// Softmax and its logarithm.
    Softmax(def::softmax::Softmax),
    /// Moves space into channels.
    SpaceToDepth(def::space_to_depth::SpaceToDepth),
    /// Cuts a tensor along an axis.
    Split(def::split::Split),
    /// Removes axes of extent 1.
    Squeeze(def::squeeze::Squeeze),
    /// A value times its sigmoid.
    Swish(def::swish::Swish),
    /// Writes runs of slices into a cache.
    TensorScatter(def::tensor_scatter::TensorScatter),
    /// ReLU from a threshold on.
    ThresholdedRelu(def::thresholded_relu::ThresholdedRelu),
    /// Repeats a tensor.
    Tile(def::tile::Tile),
    /// The largest or smallest elements along an axis.
    TopK(def::top_k::TopK),
    /// Permutes axes.
    Transpose(def::transpose::Transpose),
    /// A triangle of matrices.
    Trilu(def::trilu::Trilu),
    /// Functions of one tensor, element by element.
    Unary(def::unary::Unary),
    /// Inserts axes of extent 1.
    Unsqueeze(def::unsqueeze::Unsqueeze),
    /// Chooses element by element.
    Where(def::where_::Where),
}
