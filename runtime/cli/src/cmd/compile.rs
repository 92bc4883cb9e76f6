//! stub
use crate::args::*;
pub fn run(_args: &CompileArgs) -> anyhow::Result<()> { anyhow::bail!("stub") }
