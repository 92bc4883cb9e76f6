//! stub
use crate::args::*;
pub fn run(_args: &InspectArgs) -> anyhow::Result<()> { anyhow::bail!("stub") }
