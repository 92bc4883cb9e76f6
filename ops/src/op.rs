//! The closed set of operators and the contract that each of them fulfils.

use crate::attr::{Attr, AttrMap, Attributes};
use crate::compute::Compute;
use crate::def;
use crate::dtype::DType;
use crate::error::OpError;
use crate::shape::{Shape, TensorType};
use crate::tensor::Tensor;

/// One input of an operator, as known before anything runs.
#[derive(Clone, Copy, Debug)]
pub struct Arg<'a> {
    /// Element type.
    pub dtype: DType,
    /// Extents.
    pub shape: &'a Shape,
    /// The elements, when they are known before anything runs.
    pub value: Option<&'a Tensor>,
}

impl<'a> From<&'a Tensor> for Arg<'a> {
    fn from(t: &'a Tensor) -> Self {
        Arg { dtype: t.dtype(), shape: t.shape(), value: Some(t) }
    }
}

impl<'a> Arg<'a> {
    /// The argument as a type.
    pub fn ty(&self) -> TensorType {
        TensorType { dtype: self.dtype, shape: self.shape.clone() }
    }
}

/// The inputs of an operator by position; an omitted optional input is `None` or beyond the end.
#[derive(Clone, Copy, Debug)]
pub struct Args<'a>(pub &'a [Option<Arg<'a>>]);

impl<'a> Args<'a> {
    /// Number of positions.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no inputs.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Input `i`, which the operator cannot do without; `name` is the ONNX name, for the message.
    ///
    /// # Errors
    /// [`OpError::Invalid`] when it is omitted.
    pub fn required(&self, i: usize, name: &str) -> Result<Arg<'a>, OpError> {
        self.optional(i).ok_or_else(|| OpError::Invalid(format!("input {i} ({name}) is missing")))
    }

    /// Input `i`, if given.
    pub fn optional(&self, i: usize) -> Option<Arg<'a>> {
        self.0.get(i).copied().flatten()
    }

    /// Input `i`, which must be of one of these element types.
    ///
    /// # Errors
    /// [`OpError::Invalid`] when it is omitted or of another type.
    pub fn typed(&self, i: usize, name: &str, dtypes: &[DType]) -> Result<Arg<'a>, OpError> {
        let arg = self.required(i, name)?;
        if dtypes.contains(&arg.dtype) {
            return Ok(arg);
        }
        let names: Vec<&str> = dtypes.iter().map(|d| d.name()).collect();
        Err(OpError::Invalid(format!(
            "input {i} ({name}): expected {}, found {}",
            names.join(" or "),
            arg.ty()
        )))
    }

    /// The elements of input `i`, which a shape depends on.
    ///
    /// # Errors
    /// [`OpError::Invalid`] when it is omitted, [`OpError::DataDependent`] when it is not known before the run.
    pub fn known(&self, i: usize, name: &str) -> Result<&'a Tensor, OpError> {
        self.required(i, name)?.value.ok_or_else(|| {
            OpError::DataDependent(format!("input {i} ({name}) must be known before the model runs"))
        })
    }

    /// The integers of input `i`, which a shape depends on; `None` when it is omitted.
    ///
    /// # Errors
    /// [`OpError::DataDependent`] when it is not known before the run, [`OpError::Invalid`] when not integers.
    pub fn known_ints(&self, i: usize, name: &str) -> Result<Option<Vec<i64>>, OpError> {
        match self.optional(i) {
            None => Ok(None),
            Some(_) => self
                .known(i, name)?
                .to_i64s()
                .map(Some)
                .map_err(|e| OpError::Invalid(format!("input {i} ({name}): {}", e.message()))),
        }
    }
}

/// What every operator says of itself. An operator is a plain struct of its attributes.
///
/// `infer`, `compute` and `reference` must not panic whatever the attributes and arguments are.
pub trait Operator {
    /// The ONNX name of the operator, for messages: `Conv`, `HardSwish`.
    fn name(&self) -> &'static str;

    /// Types of the outputs.
    ///
    /// # Errors
    /// [`OpError`] when arguments break the operator's rules; the message says what was expected and found.
    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError>;

    /// The definition that the compiler lowers, for arguments that `infer` accepts.
    ///
    /// # Errors
    /// As `infer`.
    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError>;

    /// Plain evaluation, written independently of `compute`. Every argument has its value.
    ///
    /// # Errors
    /// As `infer`.
    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError>;

    /// Multiply-accumulates of one evaluation, as the field counts them: convolutions and matrix products only.
    fn macs(&self, _args: Args<'_>) -> u64 {
        0
    }

    /// Whether the single output has the bytes of input 0 unchanged, under another shape.
    fn is_view(&self) -> bool {
        false
    }
}

/// `inputs` as arguments whose values are all known.
pub fn known_args<'a>(inputs: &[Option<&'a Tensor>]) -> Vec<Option<Arg<'a>>> {
    inputs.iter().map(|t| t.map(Arg::from)).collect()
}

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
    /// Average over windows.
    AveragePool(def::average_pool::AveragePool),
    /// Normalisation with stored statistics.
    BatchNormalization(def::batch_normalization::BatchNormalization),
    /// Functions of two tensors, element by element.
    Binary(def::binary::Binary),
    /// Conversion of the element type.
    Cast(def::cast::Cast),
    /// Conversion to the element type of another tensor.
    CastLike(def::cast_like::CastLike),
    /// Limits to a range.
    Clip(def::clip::Clip),
    /// Comparisons of two tensors, element by element.
    Compare(def::compare::Compare),
    /// Joins tensors along an axis.
    Concat(def::concat::Concat),
    /// A tensor of one repeated value.
    ConstantOfShape(def::constant_of_shape::ConstantOfShape),
    /// Convolution.
    Conv(def::conv::Conv),
    /// Transposed convolution.
    ConvTranspose(def::conv_transpose::ConvTranspose),
    /// Moves channels into space.
    DepthToSpace(def::depth_to_space::DepthToSpace),
    /// Exponential linear unit.
    Elu(def::elu::Elu),
    /// Broadcasts to a shape.
    Expand(def::expand::Expand),
    /// Reshapes to a matrix.
    Flatten(def::flatten::Flatten),
    /// Picks slices by index.
    Gather(def::gather::Gather),
    /// General matrix product with bias.
    Gemm(def::gemm::Gemm),
    /// Pooling over all spatial positions.
    GlobalPool(def::global_pool::GlobalPool),
    /// Piecewise linear sigmoid.
    HardSigmoid(def::hard_sigmoid::HardSigmoid),
    /// The input itself.
    Identity(def::identity::Identity),
    /// One of two values.
    If(def::if_::If),
    /// ReLU with a slope below zero.
    LeakyRelu(def::leaky_relu::LeakyRelu),
    /// Matrix product with broadcasting.
    MatMul(def::matmul::MatMul),
    /// Maximum over windows.
    MaxPool(def::max_pool::MaxPool),
    /// Adds borders (or removes them).
    Pad(def::pad::Pad),
    /// ReLU with a learned slope below zero.
    PRelu(def::prelu::PRelu),
    /// Evenly spaced numbers.
    Range(def::range::Range),
    /// Reductions over axes.
    Reduce(def::reduce::Reduce),
    /// The same elements under another shape.
    Reshape(def::reshape::Reshape),
    /// Resampling of spatial axes.
    Resize(def::resize::Resize),
    /// The shape of a tensor as a tensor.
    Shape(def::shape::ShapeOf),
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
    /// Repeats a tensor.
    Tile(def::tile::Tile),
    /// Permutes axes.
    Transpose(def::transpose::Transpose),
    /// Functions of one tensor, element by element.
    Unary(def::unary::Unary),
    /// Inserts axes of extent 1.
    Unsqueeze(def::unsqueeze::Unsqueeze),
    /// Chooses element by element.
    Where(def::where_::Where),
}
