//! `octrt inspect --plan`: how each node is computed, why those that run on plain tensors do, and why what follows a group
//! does not run with it, or what pools its result not in its step.

use std::fmt::Write;

use octrt::{Error, Model};
use octrt_compiler::decide::pools::Pooled;
use octrt_compiler::{Options, Precision, pipeline};
use octrt_ops::{Graph, NodeId};
use serde::Serialize;

#[derive(Serialize)]
pub struct PlanReport {
    target: String,
    nodes: Vec<NodeReport>,
}

/// A node that the passes have left.
#[derive(Serialize)]
struct NodeReport {
    node: String,
    op: &'static str,
    /// What its group is computed as, of the group's first node.
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<&'static str>,
    /// The other nodes of the group, and the poolings in its step, of its first node.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    with: Vec<String>,
    /// The function that follows and does not run with the group, and why, of its first node.
    #[serde(skip_serializing_if = "Option::is_none")]
    without: Option<String>,
    /// The convolution in whose step a pooling does not run though it pools its result, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    apart: Option<String>,
    /// The first node of its group, of the others; of a pooling the convolution in whose step it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    within: Option<String>,
    /// Why it runs on plain tensors.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Why a group that reads blocks does not run on them, of its first node.
    #[serde(skip_serializing_if = "Option::is_none")]
    aside: Option<String>,
}

/// The report on a model whose graph is this one for some inputs.
///
/// # Errors
/// Those of compiling the model.
pub fn report(model: &Model, graph: &Graph) -> Result<PlanReport, Error> {
    let fail = |source| Error::Compile { model: model.name().to_string(), source };
    let target = model.target()?;
    let decided = pipeline::decide(graph, Options { target, precision: Precision::Default }, model.records());
    let pipeline::Decided { optimized: graph, choice, .. } = decided.map_err(fail)?;
    let mut group_of = vec![None; graph.nodes.len()];
    for tiled in choice.tiled.iter().flatten() {
        for node in &tiled.group.nodes {
            group_of[node.index()] = Some(tiled);
        }
    }
    let title = |id: NodeId| format!("{} '{}'", graph.node(id).op.as_operator().name(), graph.node(id).name);
    let node = |id: NodeId| {
        let mut report = NodeReport {
            node: graph.node(id).name.clone(),
            op: graph.node(id).op.as_operator().name(),
            group: None,
            with: Vec::new(),
            without: None,
            apart: None,
            within: None,
            reason: None,
            aside: None,
        };
        match group_of[id.index()] {
            None => report.reason = choice.plain[id.index()].as_ref().map(ToString::to_string),
            Some(tiled) if tiled.group.root == id && !matches!(tiled.pooled, Some(Pooled::In(_))) => {
                report.aside = choice.plain[id.index()].as_ref().map(ToString::to_string);
                let others = tiled.group.nodes.iter().filter(|n| **n != id).copied();
                let last = tiled.group.nodes.iter().max().map(|last| Pooled::In(*last));
                let pooled = choice.tiled.iter().flatten().filter(|t| last.is_some() && t.pooled == last);
                let pooled = pooled.flat_map(|t| t.group.nodes.iter().copied());
                report.with = others.chain(pooled).map(title).collect();
                report.group = Some(tiled.kind.name());
                if let Some(Pooled::Behind(conv, why)) = &tiled.pooled {
                    report.apart = Some(format!("{}: {why}", title(*conv)));
                }
                report.without = tiled.group.open.map(|(next, why)| format!("{}: {why}", title(next)));
            }
            Some(tiled) => {
                let step = match tiled.pooled {
                    Some(Pooled::In(last)) => choice.tiled[last.index()].as_ref(),
                    _ => None,
                };
                report.within = Some(title(step.unwrap_or(tiled).group.root));
            }
        }
        report
    };
    Ok(PlanReport { target: target.to_string(), nodes: graph.node_ids().map(node).collect() })
}

/// Writing into a text does not fail.
pub fn describe(out: &mut String, report: &PlanReport) {
    let blocks = report.nodes.iter().filter(|n| n.reason.is_none()).count();
    let _ = writeln!(
        out,
        "plan        {} nodes for {}, {blocks} in groups, {} on plain tensors",
        report.nodes.len(),
        report.target,
        report.nodes.len() - blocks
    );
    let width = report.nodes.iter().map(|n| n.node.chars().count()).max().unwrap_or(0).min(48);
    let op = report.nodes.iter().map(|n| n.op.len()).max().unwrap_or(0);
    for n in &report.nodes {
        let how = match (n.group, &n.within, &n.reason) {
            (Some(group), ..) => {
                let with =
                    if n.with.is_empty() { String::new() } else { format!(", with {}", n.with.join(", ")) };
                let without = n.without.as_ref().map_or(String::new(), |w| format!(", without {w}"));
                let aside = n.aside.as_ref().map_or(String::new(), |why| format!(" ({why})"));
                let apart = n.apart.as_ref().map_or(String::new(), |why| format!(", apart from {why}"));
                format!("{group}{aside}{with}{without}{apart}")
            }
            (None, Some(root), _) => format!("within {root}"),
            (None, None, reason) => format!("plain: {}", reason.as_deref().unwrap_or("not decided")),
        };
        let _ = writeln!(out, "  {:width$}  {:op$}  {how}", n.node, n.op);
    }
}
