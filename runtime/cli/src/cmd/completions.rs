//! `octrt completions`: a script that teaches a shell the command line.

use clap::CommandFactory;

use crate::args::{Cli, CompletionsArgs};
use crate::output;

/// Runs the command.
///
/// # Errors
/// When stdout cannot be written.
pub fn run(args: &CompletionsArgs) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "octrt", &mut script);
    Ok(output::print(&String::from_utf8_lossy(&script))?)
}
