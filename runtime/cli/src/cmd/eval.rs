//! stub
use crate::args::*;
pub fn run(_args: &EvalArgs) -> anyhow::Result<()> { anyhow::bail!("stub") }
