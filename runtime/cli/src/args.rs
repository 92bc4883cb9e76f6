//! The command line. Doc comments here are the program's help.

mod measure;
mod pictures;

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use octrt::Threads;
use octrt_compiler::Precision;

use crate::failure::EXIT_CODES;
pub use measure::{BenchArgs, BenchFormat, By, ProfileArgs, RepeatArgs, TuneArgs};
pub use pictures::{Exif, ImageArgs, LabelArgs};

use crate::sizes::{ByteCount, DimArg, TargetArg};

/// Runs convolutional networks (ONNX) on the CPU: picture in, label out.
#[derive(Debug, Parser)]
#[command(name = "octrt", version, after_help = EXIT_CODES, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Debug, Args)]
pub struct Global {
    /// Log to stderr: error, warn, info, debug, trace, or a filter as in RUST_LOG, whose place it takes
    #[arg(long, global = true, value_name = "LEVEL")]
    pub log: Option<String>,
    /// Colours in messages on stderr
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: Color,
}

/// When messages are coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a model on pictures or tensors
    Run(RunArgs),
    /// Turn a picture into a model's input and save it
    Preprocess(PreprocessArgs),
    /// Show what a model is made of and whether it can be run
    Inspect(InspectArgs),
    /// Measure a classifier's accuracy on a folder or tar of pictures
    Eval(EvalArgs),
    /// Measure how fast models run, alone or side by side
    ///
    /// Inputs that are not given are random, as the word `random` of `octrt run`. GFLOP/s count two operations for every
    /// multiply-accumulate of the model's graph over the median, and over the fastest run. The peak is that of one core
    /// times the threads: the fastest of 50 windows of 5 ms, spread over the runs, in which a loop of fused
    /// multiply-adds runs. A machine is noisy, which is said on stderr, where the 90 % quantile lies more than 15 %
    /// above the fastest run.
    Bench(BenchArgs),
    /// Show where a model spends its time, by node or by operator
    ///
    /// Inputs that are not given are random, as the word `random` of `octrt run`. Runs that are timed step by step alternate with runs
    /// that are timed as a whole; at the end the sum of the nodes is held against the whole. Nodes that the compiler
    /// fuses are one, with the name of one of them. What brings the input of a node into the layout in which the node reads
    /// it is a row of its own, as `conv1 (layout)`.
    ///
    /// `bound by` says why a row is not faster: which of its multiply-adds (at the peak), its bytes (as fast as a copy of as many
    /// moves) and its steps takes longest at least, and how much of the median that is; `code` where none of them takes
    /// half of it: the rest is other instructions. Bytes are those of whole
    /// buffers, of which a step may touch a part. `layout` is what only brings a tensor into another layout.
    Profile(ProfileArgs),
    /// Measure how the convolutions of a model are carried out fastest on this machine, and keep it in a file
    ///
    /// For each distinct convolution the ways that the compiler knows run in turns, with weights as cold as in a run of
    /// the model: algorithms, and how loops are cut. What was found is appended to the file of --records, a line for each
    /// algorithm, before the next convolution begins: a run that was killed, or whose budget was used up, goes on where it
    /// ended. Convolutions that another model has measured are not measured again. At the end the whole model runs with
    /// the records and without, and, with --target native, for each width of vectors that the machine has.
    ///
    /// Other commands take the file as --records; for the same CPU and the same version of octrt only.
    Tune(TuneArgs),
    /// Compile a model to a file that starts faster, or show what a stage of the compiler makes of it
    ///
    /// Without --emit, OUT holds the graph after all passes and the packed weights, for the shapes of the inputs and the
    /// target; other commands take it in place of the ONNX file, and map its weights, so that processes share them. It
    /// holds no machine code, which is made and verified again when the file is loaded. It is of use to the same version
    /// of octrt only: another one refuses it. Inputs that decide shapes, which `octrt inspect` shows, are given as --input:
    /// the file is for these values, and refuses others.
    Compile(CompileArgs),
    /// Compare machine code with the reference interpreter, node by node
    ///
    /// Three times: every node by itself, which keeps the compiler from running nodes together; what is stored where nodes
    /// run together; and the outputs of the model as it is compiled for a run, with nothing else watched, against the
    /// interpreter on the model before the compiler's passes.
    Compare(CompareArgs),
    /// Put OctConvs in place of a model's convolutions
    ///
    /// Weights are cut by channels into the kernels of the four paths, from high and low to high and low; their names
    /// get h2h, h2l, l2h and l2l before the last part: layer1.0.conv1.h2l.weight. Strides become average pooling. The
    /// stem stays, and the last stage has one frequency. What is not replaced is said on stderr, with the reason. The
    /// result computes something else: its accuracy comes back only by training it further, for instance in PyTorch:
    /// onnx2torch.convert(onnx.load("OUT.onnx")), or weights by name from onnx.load("OUT.onnx").graph.initializer.
    Octavize(OctavizeArgs),
    /// List the ONNX operators that are supported
    ListOps(ListOpsArgs),
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
}

/// How a result is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Text,
    /// For programs
    Json,
}

/// How the table of operators is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TableFormat {
    /// For people
    Text,
    /// A table in Markdown
    Markdown,
    /// For programs
    Json,
}

/// `octrt run`
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The model: an ONNX file, or one that `octrt compile` has written
    pub model: PathBuf,
    #[command(flatten)]
    pub inputs: InputArgs,
    #[command(flatten)]
    pub image: ImageArgs,
    #[command(flatten)]
    pub labels: LabelArgs,
    /// Number of classes shown, best first [default: 5]
    #[arg(long, value_name = "N")]
    pub top_k: Option<usize>,
    /// Save the outputs as output_0.npy, output_1.npy, ... in this folder
    #[arg(long, value_name = "DIR")]
    pub save_outputs: Option<PathBuf>,
    /// Compare the outputs with these tensors (.npy, .npz, .pb), in the model's order or as name=FILE; stands after
    /// the inputs
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub expect: Vec<String>,
    /// Largest absolute difference that --expect allows, added to that of --rtol
    #[arg(long, value_name = "X", default_value_t = 1e-4, requires = "expect")]
    pub atol: f64,
    /// Largest difference that --expect allows, relative to the expected element
    #[arg(long, value_name = "X", default_value_t = 1e-3, requires = "expect")]
    pub rtol: f64,
    #[command(flatten)]
    pub format: FormatArgs,
    #[command(flatten)]
    pub machine: MachineArgs,
}

/// `octrt preprocess`
#[derive(Debug, Args)]
pub struct PreprocessArgs {
    /// The picture: JPEG, PNG, BMP or WebP
    pub picture: PathBuf,
    /// Take size and preprocessing from this model
    #[arg(long, value_name = "FILE")]
    pub model: Option<PathBuf>,
    /// Where to save the input: an .npy file of floats, NCHW
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    #[command(flatten)]
    pub image: ImageArgs,
    #[command(flatten)]
    pub format: FormatArgs,
}

/// `octrt inspect`
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// The model: an ONNX file, or one that `octrt compile` has written
    pub model: PathBuf,
    #[command(flatten)]
    pub dims: DimArgs,
    #[command(flatten)]
    pub values: ValueArgs,
    /// Also run the compiler's passes, and show what they did and what kept them from doing more
    #[arg(long, action = ArgAction::SetTrue)]
    pub passes: bool,
    /// Also show how each node that the passes leave is computed: in which group, or why it runs on plain tensors
    #[arg(long, action = ArgAction::SetTrue)]
    pub plan: bool,
    /// Also load the model, and show what it takes in memory: weights, code, and the arena of each session
    #[arg(long, action = ArgAction::SetTrue)]
    pub memory: bool,
    /// Also show the Octave Convolutions of the model, and why those that are not fused are not
    #[arg(long, action = ArgAction::SetTrue)]
    pub octave: bool,
    /// What `octrt tune` has measured on this machine, by which the compiler decides
    #[arg(long, value_name = "FILE")]
    pub records: Option<PathBuf>,
    #[command(flatten)]
    pub format: FormatArgs,
}

/// `octrt eval`
#[derive(Debug, Args)]
pub struct EvalArgs {
    /// The model: an ONNX file, or one that `octrt compile` has written
    pub model: PathBuf,
    /// A folder, or a tar file, that has a folder of pictures for each class, named by its label
    pub pictures: PathBuf,
    /// Pictures per run; needs a model whose batch is dynamic
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = positive)]
    pub batch: usize,
    /// Use only N of the pictures, evenly spread over the list sorted by path
    #[arg(long, value_name = "N", value_parser = positive)]
    pub limit: Option<usize>,
    /// Leave out pictures that cannot be read, and count them; otherwise the first one is an error
    #[arg(long, action = ArgAction::SetTrue)]
    pub skip_unreadable: bool,
    #[command(flatten)]
    pub dims: DimArgs,
    #[command(flatten)]
    pub image: ImageArgs,
    #[command(flatten)]
    pub labels: LabelArgs,
    /// Save the best class of every picture as CSV: path,index,label,probability
    #[arg(long, value_name = "FILE")]
    pub predictions: Option<PathBuf>,
    #[command(flatten)]
    pub format: FormatArgs,
    #[command(flatten)]
    pub machine: MachineArgs,
}

/// A stage of compilation whose value can be printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Stage {
    /// The graph with all types known
    Graph,
    /// The graph after all passes
    Passes,
    /// The loop nests of operators before they are scheduled
    Nest,
    /// The primitives that made each nest, from which naive nest, where a schedule did
    Schedule,
    /// The scheduled loop nests
    Loop,
    /// The leaf programs that scheduled nests call
    Leaf,
    /// Memory and the calls in order
    Plan,
    /// Cranelift's intermediate form
    Clif,
    /// Assembly
    Asm,
}

/// `octrt compile`
#[derive(Debug, Args)]
pub struct CompileArgs {
    /// The model, an ONNX file
    pub model: PathBuf,
    /// Show this stage instead
    #[arg(long, value_name = "STAGE", required_unless_present = "output")]
    pub emit: Option<Stage>,
    /// With --emit nest and later stages: of this node only
    #[arg(long, value_name = "NAME", requires = "emit")]
    pub node: Option<String>,
    /// The compiled model (by custom with the ending .octrt), or with --emit where the text goes instead of to stdout
    #[arg(short, long, value_name = "OUT")]
    pub output: Option<PathBuf>,
    #[command(flatten)]
    pub dims: DimArgs,
    #[command(flatten)]
    pub values: ValueArgs,
    #[command(flatten)]
    pub machine: CompilerArgs,
}

/// `octrt compare`
#[derive(Debug, Args)]
pub struct CompareArgs {
    /// The model, an ONNX file
    pub model: PathBuf,
    #[command(flatten)]
    pub inputs: InputArgs,
    /// Largest absolute difference allowed, added to that of --rtol
    #[arg(long, value_name = "X", default_value_t = 1e-5)]
    pub atol: f64,
    /// Largest difference allowed, relative to the largest element of the node's result
    #[arg(long, value_name = "X", default_value_t = 1e-4)]
    pub rtol: f64,
    #[command(flatten)]
    pub image: ImageArgs,
    #[command(flatten)]
    pub format: FormatArgs,
    #[command(flatten)]
    pub machine: MachineArgs,
}

/// `octrt octavize`
#[derive(Debug, Args)]
pub struct OctavizeArgs {
    /// The model, an ONNX file
    pub model: PathBuf,
    /// Part of the channels at low frequency, between 0 and 1
    #[arg(long, value_name = "ALPHA", value_parser = alpha)]
    pub alpha: f64,
    /// The new model, an ONNX file, which is complete or does not change
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    #[command(flatten)]
    pub dims: DimArgs,
}

/// `octrt list-ops`
#[derive(Debug, Args)]
pub struct ListOpsArgs {
    /// How the table is printed
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: TableFormat,
}

/// `octrt completions`
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    pub shell: clap_complete::Shell,
}

/// How the result is printed.
#[derive(Debug, Args)]
#[command(next_help_heading = "Results")]
pub struct FormatArgs {
    /// How the result is printed on stdout
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: Format,
}

/// What a model is run on.
#[derive(Debug, Args)]
pub struct InputArgs {
    /// The inputs in the model's order, or each as name=INPUT: a picture, an .npy, .npz or .pb (ONNX TensorProto) file,
    /// numbers as [1,3,224], or the word `random`: floats in [-1, 1), integers 0 to 9, the same every time
    #[arg(value_name = "INPUT")]
    pub inputs: Vec<String>,
    #[command(flatten)]
    pub dims: DimArgs,
    #[command(flatten)]
    pub values: ValueArgs,
}

impl InputArgs {
    /// All words for inputs.
    pub fn words(&self) -> Vec<String> {
        self.values.values.iter().chain(&self.inputs).cloned().collect()
    }
}

/// What inputs hold.
#[derive(Debug, Args)]
pub struct ValueArgs {
    /// What an input holds: an .npy, .npz or .pb file, or numbers as [1,3,224]. Inputs that decide shapes, as the second
    /// one of Reshape, must be given: `octrt inspect` shows which do
    #[arg(long = "input", value_name = "NAME=VALUE")]
    pub values: Vec<String>,
}

/// Dynamic dimensions.
#[derive(Debug, Args)]
pub struct DimArgs {
    /// The extent of a dynamic dimension, by its name or as INPUT:AXIS; the first one of an input is 1 when not given
    #[arg(long = "dim", value_name = "NAME=N")]
    pub dims: Vec<DimArg>,
}

/// The machine that a model runs on.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Machine")]
pub struct MachineArgs {
    /// Threads that share the work of a run; 0 for as many as there are
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = thread_count)]
    pub threads: usize,
    /// Keep compiled models in this folder, and take them from there when they are loaded again
    #[arg(long, value_name = "DIR")]
    pub cache_dir: Option<PathBuf>,
    /// Read the model's files instead of mapping them: nobody can then change them under a running program
    #[arg(long, action = ArgAction::SetTrue)]
    pub no_mmap: bool,
    #[command(flatten)]
    pub compiler: CompilerArgs,
}

/// The machine that a model is compiled for.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Machine")]
pub struct CompilerArgs {
    /// Instruction set: x86-64-v2, x86-64-v3, x86-64-v4, or native, the best for this machine
    #[arg(long, value_name = "TARGET", default_value = "native")]
    pub target: TargetArg,
    /// How exact the algorithms are: default, by which a result of a convolution is off by up to 1e-5 of the root mean
    /// square of all, or strict, which excludes Winograd's, by which a NaN, an infinity or a number like 1e20 reaches all of
    /// the up to 4x4 pixels that are computed together
    #[arg(long, value_name = "PRECISION", default_value_t)]
    pub precision: Precision,
    /// What `octrt tune` has measured on this machine, by which the compiler decides. A model compiled before keeps what
    /// it was compiled with
    #[arg(long, value_name = "FILE")]
    pub records: Option<PathBuf>,
    /// Bytes that tensors and weights may take, as 500M or 2GiB [default: half of the memory]
    #[arg(long, value_name = "BYTES")]
    pub max_memory: Option<ByteCount>,
}

fn thread_count(text: &str) -> Result<usize, String> {
    let count = text.parse().ok().filter(|&n| n <= Threads::MAX);
    count.ok_or_else(|| format!("'{text}': expected a number from 0 to {}", Threads::MAX))
}

fn alpha(text: &str) -> Result<f64, String> {
    let alpha = text.parse().ok().filter(|a| (0.0..1.0).contains(a) && *a > 0.0);
    alpha.ok_or_else(|| format!("'{text}': expected a number between 0 and 1"))
}

fn positive(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|&n| n > 0).ok_or_else(|| format!("'{text}': expected a number from 1 on"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
