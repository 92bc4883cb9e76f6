//! The driver: applies what the rules propose until none proposes anything.

use std::collections::BTreeMap;

use octrt_ops::graph::rewrite::{Editor, Patch, compact};
use octrt_ops::graph::verify;
use octrt_ops::{Graph, GraphError, NodeId, OpError};

use super::{Pass, Rule, Skip};
use crate::options::Options;

/// A node to which a rule could not be applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocked {
    /// Name of the node.
    pub node: String,
    /// Why not.
    pub reason: String,
}

/// What one pass did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassReport {
    /// Name of the pass.
    pub name: &'static str,
    /// How often a node was offered to the rule.
    pub offered: usize,
    /// Number of patches applied.
    pub applied: usize,
    /// Nodes of the final graph that the pass would have changed but for a reason.
    pub blocked: Vec<Blocked>,
}

/// How the passes came to their end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// No pass has anything left to do.
    Fixpoint,
    /// So many patches were applied that rules must be undoing each other's work. The graph is valid.
    Bound,
}

/// What the passes did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// One entry for each pass, in order.
    pub passes: Vec<PassReport>,
    /// Number of nodes that were dead in the graph given.
    pub dead: usize,
    /// How it ended.
    pub end: End,
}

/// As [`super::optimize`], with these passes only.
///
/// # Errors
/// As [`super::optimize`].
pub fn run(graph: &Graph, passes: &[Pass], options: Options) -> Result<(Graph, Report), GraphError> {
    verify::verify(graph)?;
    let compacted = compact(graph.clone());
    let dead = compacted.nodes.iter().filter(|n| n.is_none()).count();
    let mut state = State { graph: compacted.graph, budget: 64 + 16 * graph.nodes.len() };
    let report = |pass: &Pass| PassReport { name: pass.name, offered: 0, applied: 0, blocked: Vec::new() };
    let mut reports: Vec<PassReport> = passes.iter().map(report).collect();
    loop {
        let before = state.budget;
        for (pass, report) in passes.iter().zip(&mut reports) {
            state = sweep(state, pass, report, options)?;
        }
        if state.budget == before || state.budget == 0 {
            let end = if state.budget == before { End::Fixpoint } else { End::Bound };
            return Ok((state.graph, Report { passes: reports, dead, end }));
        }
    }
}

struct State {
    graph: Graph,
    /// Number of patches that may still be applied.
    budget: usize,
}

/// Offers every node to the rule once; where a patch is applied, goes on behind the nodes seen.
fn sweep(state: State, pass: &Pass, report: &mut PassReport, options: Options) -> Result<State, GraphError> {
    report.blocked.clear();
    let State { graph, mut budget } = state;
    let before = budget;
    let mut editor = Editor::new(graph);
    let mut seen = Seen { rule: pass.rule, options, last: None, alike: BTreeMap::new() };
    while let Some(id) = editor.after(seen.last).filter(|_| budget > 0) {
        report.offered += 1;
        match seen.propose(&editor, id) {
            Err(skip) => {
                if let Skip::Blocked(reason) = skip {
                    report.blocked.push(Blocked { node: editor.node(id).name.clone(), reason });
                }
                seen.last = Some(id);
            }
            Ok(patch) => {
                editor.apply(patch)?;
                budget -= 1;
                report.applied += 1;
            }
        }
    }
    let graph = editor.finish()?;
    if budget < before {
        verify_after(pass, &graph)?;
    }
    Ok(State { graph, budget })
}

/// The nodes that a rule has seen.
struct Seen {
    rule: Rule,
    options: Options,
    last: Option<NodeId>,
    /// By their keys, where the rule asks for nodes alike.
    alike: BTreeMap<u64, Vec<NodeId>>,
}

impl Seen {
    /// What the rule proposes for the node behind those seen.
    fn propose(&mut self, editor: &Editor, id: NodeId) -> Result<Patch, Skip> {
        match self.rule {
            Rule::Local(rule) => rule(editor, id),
            Rule::OnTarget(rule) => rule(editor, id, self.options),
            Rule::Alike(key, rule) => {
                let alike = self.alike.entry(key(editor, editor.node(id))).or_default();
                alike.retain(|n| editor.is_live(*n));
                let proposed = rule(editor, id, alike);
                if proposed.is_err() {
                    alike.push(id);
                }
                proposed
            }
        }
    }
}

/// In debug builds, checks what the pass left behind.
fn verify_after(pass: &Pass, graph: &Graph) -> Result<(), GraphError> {
    if !cfg!(debug_assertions) {
        return Ok(());
    }
    verify::verify(graph).map_err(|e| {
        let message = format!("after pass {}: {}", pass.name, e.source.message());
        GraphError::new(e.node, e.op, OpError::Invalid(message))
    })
}

#[cfg(test)]
mod tests {
    use octrt_ops::graph::text;

    use super::*;
    use crate::precision::Precision;
    use crate::target::{Isa, Target};

    const OPTIONS: Options = Options { target: Target::new(Isa::V3), precision: Precision::Default };

    /// Clips of an unknown type: no operator is asked anything.
    fn chain(length: usize) -> Graph {
        let mut lines = vec!["graph \"g\" { input %0: f32[N]".to_string()];
        lines.extend((1..=length).map(|i| format!("%{i} = \"clip{i}\" Clip (%{})", i - 1)));
        lines.push(format!("output \"y\" = %{length} }}"));
        text::parse(&lines.join("\n"), &[]).unwrap()
    }

    /// `Clip(Clip(x)) -> Clip(x)`, but the second node of the chain is blocked from seeing the first.
    fn halve(graph: &Editor, id: NodeId) -> Result<Patch, Skip> {
        let node = graph.node(id);
        let inner = node.inputs[0].and_then(|v| graph.producer(v)).ok_or(Skip::NoMatch)?;
        if graph.node(inner).name == "clip1" {
            return Err(Skip::Blocked("the first clip stays".into()));
        }
        let mut patch = Patch::new(graph);
        let new = patch.add_node(&node.name, node.op.clone(), graph.node(inner).inputs.clone(), &["new"]);
        patch.replace(node.outputs[0], new[0]);
        Ok(patch)
    }

    fn replace_by_itself(graph: &Editor, id: NodeId) -> Result<Patch, Skip> {
        let node = graph.node(id);
        let mut patch = Patch::new(graph);
        let new = patch.add_node("again", node.op.clone(), node.inputs.clone(), &["new"]);
        patch.replace(node.outputs[0], new[0]);
        Ok(patch)
    }

    #[test]
    fn rules_run_until_nothing_is_left() {
        let (graph, report) =
            run(&chain(6), &[Pass { name: "halve", rule: Rule::Local(halve) }], OPTIONS).unwrap();
        let names: Vec<&str> = graph.nodes.iter().map(|n| n.name.as_str()).collect();
        assert_eq!(names, ["clip1", "clip6"]);
        assert_eq!(report.end, End::Fixpoint);
        assert_eq!(report.passes[0].applied, 4);
        let blocked = Blocked { node: "clip6".into(), reason: "the first clip stays".into() };
        assert_eq!(report.passes[0].blocked, [blocked]);
    }

    /// As many patches as nodes: where each took time that grows with the graph, this would take minutes.
    #[test]
    fn long_chains_take_no_longer_for_each_node() {
        let length = 20_000;
        let (graph, report) =
            run(&chain(length), &[Pass { name: "halve", rule: Rule::Local(halve) }], OPTIONS).unwrap();
        assert_eq!(graph.nodes.len(), 2);
        assert_eq!(report.passes[0].applied, length - 2);
        assert!(report.passes[0].offered <= 2 * length, "{}", report.passes[0].offered);
    }

    /// Equal nodes are found by their keys.
    #[test]
    fn nodes_alike_are_offered_once_each() {
        let lines: Vec<String> = (0..2000)
            .map(|i| format!("%{} = \"n{i}\" Elu {{ alpha = {}.0f }} (%0)", i + 1, i % 1000))
            .collect();
        let outputs: Vec<String> = (1..=2000).map(|i| format!("output \"y{i}\" = %{i}")).collect();
        let text =
            format!("graph \"g\" {{ input %0: f32[N]\n{}\n{} }}", lines.join("\n"), outputs.join("\n"));
        let (graph, report) =
            run(&text::parse(&text, &[]).unwrap(), &[crate::passes::DEDUPLICATE], OPTIONS).unwrap();
        assert_eq!((graph.nodes.len(), report.passes[0].applied), (1000, 1000));
        assert_eq!(report.passes[0].offered, 2000 + 1000);
        assert_eq!(graph.outputs[0].value, graph.outputs[1000].value);
    }

    #[test]
    fn endless_rules_are_stopped() {
        let (graph, report) =
            run(&chain(2), &[Pass { name: "endless", rule: Rule::Local(replace_by_itself) }], OPTIONS)
                .unwrap();
        assert_eq!(report.end, End::Bound);
        assert_eq!(graph.nodes.len(), 2);
        verify::verify(&graph).unwrap();
    }

    #[test]
    fn dead_nodes_are_dropped_and_counted() {
        let mut graph = chain(3);
        graph.outputs[0].value = graph.nodes[0].outputs[0];
        let (graph, report) = run(&graph, &[], OPTIONS).unwrap();
        assert_eq!((graph.nodes.len(), report.dead), (1, 2));
    }

    #[test]
    fn broken_graphs_are_refused() {
        let mut graph = chain(1);
        graph.outputs.clear();
        assert_eq!(run(&graph, &[], OPTIONS).unwrap_err().to_string(), "'g': the graph has no outputs");
    }
}
