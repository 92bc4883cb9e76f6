//! stub
use crate::args::*;
pub fn run(_args: &CompareArgs) -> anyhow::Result<()> { anyhow::bail!("stub") }
