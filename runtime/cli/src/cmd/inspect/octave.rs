//! `octrt inspect --octave`: the Octave Convolutions of a model, and why those that are not fused are not.

use std::collections::BTreeMap;
use std::fmt::Write;

use octrt::{Error, Model, Specialization};
use octrt_compiler::pipeline;
use octrt_octave::{Groups, Layer, Order, StrideKind, UpKind};
use octrt_ops::Graph;
use serde::Serialize;

/// The octave structure of a model.
#[derive(Serialize)]
pub struct OctaveReport {
    octconv_layers: usize,
    /// Number of steps of the compiled model.
    kernels: usize,
    layers: Vec<LayerReport>,
    near_misses: Vec<NearMissReport>,
}

#[derive(Serialize)]
struct LayerReport {
    name: String,
    /// The paths that exist: `hl` is high to low.
    convs: Vec<&'static str>,
    stride: usize,
    stride_kind: Option<&'static str>,
    alpha_in: f64,
    alpha_out: f64,
    /// High, low.
    in_ch: [usize; 2],
    /// High, low.
    out_ch: [usize; 2],
    kernel: Kernel,
    groups: GroupsReport,
    down: &'static str,
    up: &'static str,
    order: Option<&'static str>,
    /// Whether nothing runs beside its convolutions and poolings: normalisations, upsampling and sums happen in these. The
    /// low half is one convolution then; the high half two, of which the second adds the first, or one at stride 2.
    fused: bool,
    /// Why not.
    reason: Option<String>,
}

#[derive(Serialize)]
struct NearMissReport {
    node: String,
    reason: String,
}

/// One number where all extents are equal.
#[derive(Serialize)]
#[serde(untagged)]
enum Kernel {
    Square(usize),
    Extents(Vec<usize>),
}

#[derive(Serialize)]
#[serde(untagged)]
enum GroupsReport {
    Name(&'static str),
    /// Of hh, hl, lh, ll.
    Of([usize; 4]),
}

/// The report on a model for such inputs; `graph` is its graph for them.
///
/// # Errors
/// Those of compiling the model.
pub fn report(model: &Model, graph: &Graph, on: &Specialization) -> Result<OctaveReport, Error> {
    let octave = octrt_octave::find(graph).map_err(|e| super::compile_error(model, e))?;
    let fail = |source| Error::Compile { model: model.name().to_string(), source };
    let options = crate::model::compiler_options(model)?;
    let steps =
        pipeline::stages(&model.specialized(on)?, options, model.records()).map_err(fail)?.program.steps;
    let own: BTreeMap<&str, &str> = steps.iter().map(|s| (s.node.as_str(), s.op)).collect();
    let near = |m: octrt_octave::NearMiss| NearMissReport { node: m.node, reason: m.reason };
    Ok(OctaveReport {
        octconv_layers: octave.layers.len(),
        kernels: steps.len(),
        layers: octave.layers.into_iter().map(|l| layer(l, &own)).collect(),
        near_misses: octave.near_misses.into_iter().map(near).collect(),
    })
}

/// The report on a layer of a model that has steps for the nodes `own`, with their operators.
fn layer(layer: Layer, own: &BTreeMap<&str, &str>) -> LayerReport {
    // What could be fused need not have been: the last word has the compiled model.
    let left = || layer.inner.iter().find_map(|n| Some((n, own.get(n.as_str())?)));
    let separate = || left().map(|(n, op)| format!("{op} '{n}' runs as a step of its own"));
    let reason = layer.unfused.clone().or_else(separate);
    LayerReport {
        convs: layer.convs.iter().map(|(route, _)| route.name()).collect(),
        stride: layer.stride,
        stride_kind: layer.stride_kind.map(StrideKind::name),
        alpha_in: layer.alpha_in(),
        alpha_out: layer.alpha_out(),
        in_ch: layer.in_ch,
        out_ch: layer.out_ch,
        kernel: match &layer.kernel[..] {
            [first, rest @ ..] if rest.iter().all(|k| k == first) => Kernel::Square(*first),
            extents => Kernel::Extents(extents.to_vec()),
        },
        groups: match layer.groups {
            Groups::Depthwise => GroupsReport::Name("depthwise"),
            Groups::Of(groups) => GroupsReport::Of(groups),
        },
        down: layer.down.name(),
        up: layer.up.map_or("none", UpKind::name),
        order: layer.order.map(Order::name),
        fused: reason.is_none(),
        reason,
        name: layer.name,
    }
}

/// A row for each layer, then what looks like a layer and is none. Writing into a text does not fail.
pub fn describe(out: &mut String, report: &OctaveReport) {
    let fused = match report.layers.iter().filter(|l| l.fused).count() {
        _ if report.layers.is_empty() => String::new(),
        n => format!(", {n} of them fused"),
    };
    let count = match report.octconv_layers {
        1 => "1 OctConv".to_string(),
        n => format!("{n} OctConvs"),
    };
    let _ = writeln!(out, "octave      {count}{fused}; the model runs in {} kernels", report.kernels);
    if !report.layers.is_empty() {
        let header =
            ["", "first convolution", "paths", "high", "low", "alpha", "stride", "kernel", "down, up", ""];
        let mut rows = vec![header.map(str::to_string)];
        rows.extend(report.layers.iter().enumerate().map(|(i, l)| row(i + 1, l)));
        table(out, &rows);
    }
    for miss in &report.near_misses {
        let _ = writeln!(out, "  no OctConv: '{}': {}", miss.node, miss.reason);
    }
}

fn row(number: usize, l: &LayerReport) -> [String; 10] {
    // A path that does not exist leaves its place empty, so that the paths of a network stand in columns.
    let path = |p: &str| if l.convs.contains(&p) { p.to_string() } else { " ".repeat(p.len()) };
    let arrow = |from: String, to: String| format!("{from} -> {to}");
    let channels = |k: usize| match (l.in_ch[k], l.out_ch[k]) {
        (0, 0) => "-".to_string(),
        (from, to) => arrow(from.to_string(), to.to_string()),
    };
    let kernel = match &l.kernel {
        Kernel::Square(k) => k.to_string(),
        Kernel::Extents(extents) => extents.iter().map(ToString::to_string).collect::<Vec<_>>().join("x"),
    };
    let kernel = match &l.groups {
        GroupsReport::Name(name) => format!("{kernel} {name}"),
        GroupsReport::Of(groups) if groups.iter().all(|g| *g == 1) => kernel,
        GroupsReport::Of(groups) => format!("{kernel} g{}", groups.iter().max().unwrap_or(&1)),
    };
    let samplers: Vec<&str> = [l.down, l.up].into_iter().filter(|s| *s != "none").collect();
    [
        number.to_string(),
        l.name.clone(),
        ["hh", "hl", "lh", "ll"].map(path).join(" "),
        channels(0),
        channels(1),
        arrow(l.alpha_in.to_string(), l.alpha_out.to_string()),
        l.stride_kind.map_or_else(|| l.stride.to_string(), |kind| format!("{} {kind}", l.stride)),
        kernel,
        if samplers.is_empty() { "-".to_string() } else { samplers.join(", ") },
        l.reason.as_ref().map_or_else(|| "fused".to_string(), |reason| format!("not fused: {reason}")),
    ]
}

/// Columns as wide as their longest cell.
fn table<const N: usize>(out: &mut String, rows: &[[String; N]]) {
    let width = |k: usize| rows.iter().map(|r| r[k].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    for row in rows {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, w)| format!("{cell:w$}")).collect();
        let _ = writeln!(out, "  {}", cells.join("  ").trim_end());
    }
}
