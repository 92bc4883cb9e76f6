//! `octrt list-ops`: which ONNX operators of which opsets are read.

use std::fmt::Write;

use octrt_onnx::support::{MAX_OPSET, MIN_OPSET, Support, operators};
use serde::Serialize;

use crate::args::{ListOpsArgs, TableFormat};
use crate::output;

#[derive(Serialize)]
struct Report {
    schema: String,
    first_opset: i64,
    last_opset: i64,
    operators: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    #[serde(skip_serializing_if = "str::is_empty")]
    domain: &'static str,
    op: &'static str,
    since: i64,
    versions: &'static [i64],
    #[serde(skip_serializing_if = "str::is_empty")]
    note: &'static str,
}

/// Runs the command.
///
/// # Errors
/// When stdout cannot be written.
pub fn run(args: &ListOpsArgs) -> anyhow::Result<()> {
    match args.format {
        TableFormat::Text => Ok(output::print(&text(operators()))?),
        TableFormat::Markdown => Ok(output::print(&markdown(operators()))?),
        TableFormat::Json => output::print_json(&report(operators())),
    }
}

fn versions(row: &Support) -> String {
    let versions: Vec<String> = row.versions.iter().map(ToString::to_string).collect();
    versions.join(", ")
}

fn heading() -> String {
    format!("ONNX operators of opsets {MIN_OPSET} to {MAX_OPSET}, and the opsets that define or change each")
}

fn text(rows: &[Support]) -> String {
    let width = rows.iter().map(|r| r.qualified_name().len()).max().unwrap_or(0);
    let mut out = format!("{}:\n\n", heading());
    for row in rows {
        let note = if row.note.is_empty() { String::new() } else { format!(" ({})", row.note) };
        let _ = writeln!(out, "{:width$}  {}{note}", row.qualified_name(), versions(row));
    }
    out
}

fn markdown(rows: &[Support]) -> String {
    let mut out = format!("{}.\n\n| operator | opsets | note |\n|---|---|---|\n", heading());
    for row in rows {
        let _ = writeln!(out, "| {} | {} | {} |", row.qualified_name(), versions(row), row.note);
    }
    out
}

fn report(rows: &[Support]) -> Report {
    let row = |r: &Support| Row {
        domain: r.domain,
        op: r.op,
        since: r.since(),
        versions: r.versions,
        note: r.note,
    };
    Report {
        schema: output::schema("list-ops"),
        first_opset: MIN_OPSET,
        last_opset: MAX_OPSET,
        operators: rows.iter().map(row).collect(),
    }
}
