//! Table 1: what an OctConv costs, by formula and counted.

use octrt::{Error, LoadOptions, Model, Specialization};
use octrt_compiler::{Options as CompilerOptions, Records, pipeline};
use octrt_ops::graph::infer::{Limits, specialize};
use octrt_ops::{DType, Graph, TensorType};
use serde::Serialize;

use super::TablesError;
use crate::zoo::{self, Batch, Network, Options, Weights};

/// The alphas of the paper's table 1.
pub const ALPHAS: [f64; 7] = [0.0, 0.125, 0.25, 0.5, 0.75, 0.875, 1.0];

/// The counted OctConv: channels that all alphas divide, 3 x 3, at an extent of ResNet-50.
const CHANNELS: usize = 64;
const KERNEL: usize = 3;
const EXTENT: usize = 56;

/// Multiply-accumulates of an OctConv relative to alpha 0, alpha the same for input and output; the kernel's size cancels.
/// Paths from high to high, between the frequencies, from low to low:
/// `(1 - alpha)^2 + 2 * alpha * (1 - alpha) / 4 + alpha^2 / 4`.
pub fn macs(alpha: f64) -> f64 {
    1.0 - 0.75 * alpha * (2.0 - alpha)
}

/// Bytes of a feature map in two frequencies relative to alpha 0: `(1 - alpha) + alpha / 4`.
pub fn bytes(alpha: f64) -> f64 {
    1.0 - 0.75 * alpha
}

/// A row of table 1. Shares are relative to alpha 0.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Part of the channels at low frequency.
    pub alpha: f64,
    /// Multiply-accumulates by formula.
    pub macs_theory: f64,
    /// Multiply-accumulates counted on a graph of one OctConv.
    pub macs: f64,
    /// Bytes of feature maps by formula.
    pub bytes_theory: f64,
    /// Bytes of the feature maps that the graph gives.
    pub bytes: f64,
    /// Bytes of the arena of a compiled Oct-ResNet-50, the vanilla network at alpha 0: all its feature maps, of which those
    /// that are not needed at the same time share room.
    pub arena_bytes: usize,
    /// This relative to alpha 0.
    pub arena: f64,
}

/// The rows for pictures of `size` x `size` pixels and this machine's instruction set.
///
/// # Errors
/// Those of building and compiling the networks.
pub fn rows(size: usize) -> Result<Vec<Row>, TablesError> {
    let (base_macs, base_bytes) = counted(0.0)?;
    let base_arena = arena(0.0, size)?;
    let row = |alpha| {
        let (m, b) = counted(alpha)?;
        let arena_bytes = arena(alpha, size)?;
        Ok(Row {
            alpha,
            macs_theory: macs(alpha),
            macs: m as f64 / base_macs as f64,
            bytes_theory: bytes(alpha),
            bytes: b as f64 / base_bytes as f64,
            arena_bytes,
            arena: arena_bytes as f64 / base_arena as f64,
        })
    };
    ALPHAS.into_iter().map(row).collect()
}

/// Multiply-accumulates of an OctConv, and bytes of what it gives.
fn counted(alpha: f64) -> Result<(u64, usize), TablesError> {
    let graph = typed(&zoo::octconv(CHANNELS, alpha, KERNEL, EXTENT)?)?;
    let given = graph.outputs.iter().filter_map(|o| graph.value(o.value).ty.as_ref());
    Ok((graph.macs(), given.map(TensorType::bytes).sum()))
}

fn typed(graph: &Graph) -> Result<Graph, TablesError> {
    let inputs: Vec<TensorType> = graph.inputs.iter().filter_map(|i| i.declared_type()).collect();
    Ok(specialize(graph, &inputs, Limits::default())?)
}

fn arena(alpha: f64, size: usize) -> Result<usize, TablesError> {
    let network: Network = if alpha == 0.0 { "resnet50" } else { "oct-resnet50" }.parse()?;
    let (alpha, weights) = ((alpha > 0.0).then_some(alpha), Weights::Seeded(0));
    let graph = network.graph(&Options { alpha, style: None, size, batch: Batch::One, weights })?;
    let failed = |e| TablesError::Octrt { case: network.to_string(), source: Box::new(e) };
    let model = Model::from_graph(graph, &LoadOptions::default()).map_err(failed)?;
    let picture = TensorType::new(DType::F32, [1, 3, size, size]);
    let typed = model.specialized(&Specialization::new([picture])).map_err(failed)?;
    let options = CompilerOptions { target: model.target().map_err(failed)?, precision: model.precision() };
    let stages = pipeline::stages(&typed, options, &Records::NONE)
        .map_err(|source| failed(Error::Compile { model: network.to_string(), source }))?;
    Ok(stages.program.arena_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zoo::ZooError;

    #[test]
    fn formulas_give_the_paper_s_table() {
        let shares = |f: fn(f64) -> f64| ALPHAS.map(|alpha| (100.0 * f(alpha)).round());
        assert_eq!(shares(macs), [100.0, 82.0, 67.0, 44.0, 30.0, 26.0, 25.0]);
        // The paper prints 35 % for 34.4 %.
        assert_eq!(shares(bytes), [100.0, 91.0, 81.0, 63.0, 44.0, 34.0, 25.0]);
    }

    #[test]
    fn counts_are_those_of_the_formulas() {
        let (base_macs, base_bytes) = counted(0.0).unwrap();
        assert_eq!(base_macs, (CHANNELS * CHANNELS * KERNEL * KERNEL * EXTENT * EXTENT) as u64);
        assert_eq!(base_bytes, 4 * CHANNELS * EXTENT * EXTENT);
        for alpha in ALPHAS {
            let (m, b) = counted(alpha).unwrap();
            assert_eq!(
                (m as f64, b as f64),
                (macs(alpha) * base_macs as f64, bytes(alpha) * base_bytes as f64)
            );
        }
    }

    #[test]
    fn an_octconv_needs_a_fraction() {
        assert_eq!(zoo::octconv(8, 1.5, 3, 8).unwrap_err(), ZooError::Alpha(1.5));
    }
}
