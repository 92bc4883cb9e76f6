//! `octrt-bench zoo`: the OctConv paper's networks as ONNX files.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use octrt_bench::table::{Align, Table};
use octrt_bench::zoo::{self, Kind, Weights};
use octrt_ops::graph::infer::{self, Limits};
use octrt_ops::{DType, Graph, TensorType};

use super::{Style, print, write_file};

/// `octrt-bench zoo`
#[derive(Debug, Args)]
pub struct ZooArgs {
    /// The network, as resnet50, or oct-resnet50 for the one with OctConvs
    #[arg(value_name = "NAME", required_unless_present = "list")]
    network: Option<zoo::Network>,
    /// Print the networks, with their multiply-accumulates and parameters, and end
    #[arg(long, exclusive = true)]
    list: bool,
    /// Part of the channels at low frequency, from 0 to 1; for networks with OctConvs
    #[arg(long, value_name = "ALPHA")]
    alpha: Option<f64>,
    /// Where normalisation and activation stand in a residual block [default: v2 where there is a choice]
    #[arg(long, value_name = "STYLE")]
    style: Option<Style>,
    /// Height and width of the input in pixels, a multiple of 32
    #[arg(long, value_name = "PIXELS", default_value_t = 224)]
    size: usize,
    /// Leave the number of pictures open instead of 1
    #[arg(long)]
    dynamic_batch: bool,
    /// Seed of the weights
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// The file, which is complete or does not change
    #[arg(short, long, value_name = "FILE", required_unless_present = "list")]
    output: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// Those of building the network and of writing the file.
pub fn run(args: &ZooArgs) -> anyhow::Result<()> {
    let text = match (&args.network, &args.output) {
        (Some(network), Some(output)) => write(args, network, output)?,
        _ => list()?,
    };
    print(&text)
}

fn write(args: &ZooArgs, network: &zoo::Network, output: &Path) -> anyhow::Result<String> {
    let style = args.style.map(zoo::Style::from);
    let batch = if args.dynamic_batch { zoo::Batch::Dynamic } else { zoo::Batch::One };
    let weights = Weights::Seeded(args.seed);
    let options = zoo::Options { alpha: args.alpha, style, size: args.size, batch, weights };
    let graph = network.graph(&options)?;
    let bytes = octrt_onnx::export(&graph, &Default::default())?;
    write_file(output, &bytes).with_context(|| output.display().to_string())?;
    let (macs, parameters) = counts(&graph, args.size)?;
    let name = output.display();
    Ok(format!("{name}: {network}, {macs} multiply-accumulates, {parameters} parameters\n"))
}

fn list() -> anyhow::Result<String> {
    let mut table = Table::new(&[("GMACs", Align::Right), ("M params", Align::Right), ("name", Align::Left)]);
    for network in zoo::Network::all() {
        let alpha = (network.kind() == Kind::Octave).then_some(0.5);
        let size = 224;
        let options =
            zoo::Options { alpha, style: None, size, batch: zoo::Batch::One, weights: Weights::Blank };
        let (macs, parameters) = counts(&network.graph(&options)?, size)?;
        let note = if alpha.is_some() { " --alpha 0.5" } else { "" };
        table.row(vec![
            format!("{:.3}", macs as f64 / 1e9),
            format!("{:.3}", parameters as f64 / 1e6),
            format!("{network}{note}"),
        ]);
    }
    Ok(table.text())
}

/// Multiply-accumulates for one picture, and parameters.
fn counts(graph: &Graph, size: usize) -> anyhow::Result<(u64, usize)> {
    let picture = TensorType::new(DType::F32, [1, 3, size, size]);
    let typed = infer::specialize(graph, &[picture], Limits::default())?;
    Ok((typed.macs(), zoo::parameters(graph)))
}
