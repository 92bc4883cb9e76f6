//! Why a node runs on plain tensors.

use crate::strategy::refusal::Refusal;
use crate::target::Target;

/// Why a node runs on plain tensors, by its definition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// The target has no leaf programs.
    #[error("{0} has no leaf programs")]
    NoLeafPrograms(Target),
    /// No strategy is made for the operator, or not for what its attributes say.
    #[error("no strategy is made for it")]
    NoStrategy,
    /// An input is missing, a constant, empty, or not f32 of three to five dimensions.
    #[error("input {0} is not computed maps of channels, f32 [n,c,w], [n,c,h,w] or [n,c,d,h,w]")]
    NotMaps(usize),
    /// An input that the node would have to be given in blocks.
    #[error("input {0} lies plain, and the node is not worth a reorder")]
    LiesPlain(usize),
    /// Weights, biases, statistics.
    #[error("input {0} is no constant")]
    NotConstant(usize),
    /// Lanes that are no channels would have to stay zero.
    #[error("{channels} channels do not fill blocks of {lanes}")]
    Channels {
        /// Of the input.
        channels: usize,
        /// Of a block.
        lanes: usize,
    },
    /// Groups that do not fill blocks, where results must be exact.
    #[error("groups that share blocks of channels would carry what is not finite to each other")]
    SharedBlocks,
    /// Windows that cover no element of the input, or as many as their number says in the middle only.
    #[error("windows that cover no element, or averages of different numbers of elements")]
    Windows,
    /// Transposed convolutions with positions that see no element of the kernel, or with too many phases.
    #[error("transposed windows of which a phase covers no element, or of more than {0} phases")]
    Phases(usize),
    /// Operands that broadcast to each other otherwise than along pictures, channels or whole maps.
    #[error("an operand has another shape, which is not that of channels")]
    Shapes,
    /// Not a product of matrices that lie row by row.
    #[error("not a product of f32 matrices that lie row by row, one of them computed")]
    NotMatrices,
    /// A schedule refused it after all.
    #[error("refused: {0}")]
    Refused(#[from] Refusal),
}
