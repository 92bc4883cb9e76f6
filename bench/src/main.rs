//! The program `octrt-bench`: measures what the library's benches describe, and prints it as tables.

mod cmd;

use clap::{Parser, Subcommand};

use cmd::{conv, predict, tables, zoo};

/// Measures octrt
#[derive(Debug, Parser)]
#[command(name = "octrt-bench", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure convolutions one by one
    ///
    /// They run in turn, so that each finds its weights and its input as cold as in a network; a single one finds them
    /// where it left them.
    Conv(conv::ConvArgs),
    /// Write a network of the OctConv paper, with random weights, as an ONNX file
    Zoo(zoo::ZooArgs),
    /// The OctConv paper's table 1: cost of an OctConv by formula, as counted, and in memory
    Table1(tables::Table1Args),
    /// The paper's table 2: ResNet-50 by alpha
    Table2(tables::Table2Args),
    /// The paper's table 3: Oct-ResNet-50 without parts of its OctConvs
    Table3(tables::Table3Args),
    /// The paper's table 4: ResNet-50 by size of the picture
    Table4(tables::Table4Args),
    /// The paper's table 5: MobileNets
    Table5(tables::Table5Args),
    /// What ResNet-50 by alpha would take on a processor that is not here, by llvm-mca and bandwidths
    ///
    /// A prediction, no measurement. The same way of predicting is tried on this machine first, and its error printed. Needs the
    /// program llvm-mca, of the package llvm.
    Predict(predict::PredictArgs),
    /// All of the paper's tables, measured in turn, as one page with plots
    Tables(tables::TablesArgs),
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Conv(args) => conv::run(&args),
        Command::Zoo(args) => zoo::run(&args),
        Command::Table1(args) => tables::table1(&args),
        Command::Table2(args) => tables::table2(&args),
        Command::Table3(args) => tables::table3(&args),
        Command::Table4(args) => tables::table4(&args),
        Command::Table5(args) => tables::table5(&args),
        Command::Predict(args) => predict::run(&args),
        Command::Tables(args) => tables::tables(&args),
    }
}
