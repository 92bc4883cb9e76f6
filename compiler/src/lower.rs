//! From a graph to calls: every node through its nest of calls or its definition, with reorders where layouts differ.

use std::collections::BTreeMap;

use octrt_ops::Node;
use octrt_ops::compute::{BufferKind, Compute, Repeat, Update};
use octrt_ops::expr::BufId;
use octrt_ops::graph::infer::with_args;
use octrt_ops::{Graph, GraphError, OpError, TensorType, ValueId};

use crate::decide::Choice;
use crate::decide::pools::Pooled;
use crate::error::CompileError;
use crate::layout::{Layout, Map, relayout};
use crate::nest::BufferRole;
use crate::options::Options;
use crate::pack::Packing;
use crate::schedule::script::Scheduled;
use crate::strategy::conv::ConvProblem;
use crate::strategy::conv_plan::ConvPlan;
use crate::strategy::decision::Decision;
use crate::strategy::moves;
use crate::strategy::plain;
use crate::strategy::refusal::Refusal;
use crate::strategy::reorder;
use crate::strategy::rows::{self, RowsProblem};

pub mod calls;
mod emit;
mod ending;
mod parts;
mod pools;
mod products;
pub mod stage;
mod weights;

use calls::{Call, Constant, LAYOUT, Lowered, Virtual, Work};
use stage::{Order, lower};

/// A value as it lies somewhere.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    pub(super) layout: Layout,
    pub(super) place: Virtual,
}

/// Lowers every node of a graph whose types are known, as was chosen. Where a schedule refuses, the result says so in
/// [`Lowered::refused`].
///
/// # Errors
/// [`CompileError::Graph`] when an operator refuses its arguments.
pub fn lower_graph(graph: &Graph, choice: &Choice, options: Options) -> Result<Lowered, CompileError> {
    let mut l = Lowering {
        graph,
        options,
        choice,
        forms: vec![Vec::new(); graph.values.len()],
        reserved: vec![None; graph.values.len()],
        roots: BTreeMap::new(),
        copied: BTreeMap::new(),
        packed_rows: BTreeMap::new(),
        planned: Vec::new(),
        failed: None,
        out: Lowered::default(),
    };
    for (i, input) in graph.inputs.iter().enumerate() {
        l.forms[input.value.index()].push(Form { layout: Layout::PLAIN, place: Virtual::Input(i) });
    }
    for (i, output) in graph.outputs.iter().enumerate() {
        let slot = &mut l.reserved[output.value.index()];
        if slot.is_none() && graph.producer(output.value).is_some() {
            *slot = Some(i);
        }
    }
    for id in graph.node_ids() {
        let node = graph.node(id);
        l.node(id.index(), node).map_err(|e| GraphError::new(&node.name, node.op.as_operator().name(), e))?;
    }
    for (i, output) in graph.outputs.iter().enumerate() {
        let name = graph.value(output.value).name.clone();
        let from = l.plain(output.value, &name);
        if from != Virtual::Output(i) {
            l.out.copies.push((from, i));
        }
    }
    match l.failed {
        Some(defect) => Err(CompileError::internal("lower", &graph.name, defect)),
        None => {
            let of = |Planned { problem, decision, .. }: Planned| {
                let decision = decision.on(&problem, options.target);
                (problem, decision)
            };
            l.out.convolutions = l.planned.into_iter().map(of).collect();
            l.out.drop_unread();
            Ok(l.out)
        }
    }
}

/// The node that calls belong to.
#[derive(Clone, Copy)]
pub(super) struct Owner<'a> {
    pub(super) node: &'a str,
    pub(super) op: &'static str,
}

/// The nests of a convolution.
pub(super) struct Planned {
    problem: ConvProblem,
    decision: Decision,
    plan: ConvPlan,
}

pub(super) struct Lowering<'a> {
    pub(super) graph: &'a Graph,
    pub(super) options: Options,
    pub(super) choice: &'a Choice,
    /// Where each value lies, the form that its node made first.
    forms: Vec<Vec<Form>>,
    /// The output that a value's plain form is written to.
    reserved: Vec<Option<usize>>,
    /// The buffers of values that others are written into.
    roots: BTreeMap<ValueId, Virtual>,
    /// What has been copied into the buffer of a concatenation, by its first channel there.
    pub(super) copied: BTreeMap<(ValueId, usize), ValueId>,
    /// Rows of weights that products have, by the constant that they are of and how they are packed.
    pub(super) packed_rows: BTreeMap<(usize, String), Virtual>,
    /// Convolutions met before.
    pub(super) planned: Vec<Planned>,
    /// What must not fail, and has.
    failed: Option<Refusal>,
    pub(super) out: Lowered,
}

impl Lowering<'_> {
    fn node(&mut self, index: usize, node: &Node) -> Result<(), OpError> {
        if let Some(tiled) = self.choice.tiled[index].clone() {
            if let Some(Pooled::In(_)) = tiled.pooled {
                return Ok(());
            }
            match self.tiled(&tiled) {
                Ok(()) => return Ok(()),
                Err(defect) if defect.is_defect() => return Err(OpError::Invalid(defect.to_string())),
                // What a schedule refuses after all, as distances beyond 32 bits are, is decided anew. The rest of the graph
                // may have more of it.
                Err(refusal) => {
                    self.out.refused.insert((tiled.group.root, tiled.kind.algorithm().into()), refusal)
                }
            };
            let mut nodes = tiled.group.nodes;
            nodes.sort_unstable();
            return nodes.iter().try_for_each(|id| self.general(self.graph.node(*id)));
        }
        if self.choice.taken[index] { Ok(()) } else { self.general(node) }
    }

    /// The type of a value of the graph.
    pub(super) fn ty(&self, v: ValueId) -> Result<&TensorType, Refusal> {
        self.graph.value(v).ty.as_ref().ok_or(Refusal::Defect("a value has no type"))
    }

    /// How a value lies in a layout.
    pub(super) fn map(&self, v: ValueId, layout: Layout) -> Result<Map, Refusal> {
        Map::new(self.ty(v)?, layout).ok_or(Refusal::Defect("a value is no map of channels"))
    }

    /// The buffer in which a value lies plain; it is made now where there is none yet.
    pub(super) fn plain(&mut self, v: ValueId, reader: &str) -> Virtual {
        if let Some(form) = self.forms[v.index()].iter().find(|f| f.layout == Layout::PLAIN) {
            return form.place;
        }
        let place = match (self.forms[v.index()].first().copied(), self.graph.constant(v)) {
            (Some(main), _) => match self.map(v, main.layout) {
                Ok(from) => self.convert(v, main, &from, Layout::PLAIN, reader),
                Err(_) => main.place,
            },
            (None, Some(t)) => self.out.constant(Constant::Plain(t.clone())),
            (None, None) => self.fresh_plain(v),
        };
        self.forms[v.index()].push(Form { layout: Layout::PLAIN, place });
        place
    }

    /// A buffer for the plain form of a value.
    fn fresh_plain(&mut self, v: ValueId) -> Virtual {
        match self.reserved[v.index()].take() {
            Some(output) => Virtual::Output(output),
            None => self.out.temporary(self.graph.value(v).ty.clone()),
        }
    }

    /// A value as a map in a layout with these lanes and at least this halo.
    pub(super) fn blocked(
        &mut self,
        v: ValueId,
        want: Layout,
        reader: &str,
    ) -> Result<(Virtual, Map), Refusal> {
        if self.forms[v.index()].is_empty() {
            self.plain(v, reader);
        }
        let fits = |f: &&Form| {
            let (have, need) = (f.layout.halo, want.halo);
            f.layout.lanes == want.lanes
                && have.union(need) == have
                && (need.is_none() || f.layout.border == want.border)
        };
        if let Some(form) = self.forms[v.index()].iter().find(fits) {
            return Ok((form.place, self.map(v, form.layout)?));
        }
        // A conversion reads the plain form for a single lane, else the form that its node made.
        let main = self.main(v)?;
        let from = self.map(v, main.layout)?;
        let place = self.convert(v, main, &from, want, reader);
        self.forms[v.index()].push(Form { layout: want, place });
        Ok((place, self.map(v, want)?))
    }

    /// The form that a value's node made.
    fn main(&self, v: ValueId) -> Result<Form, Refusal> {
        self.forms[v.index()].first().copied().ok_or(Refusal::Defect("a value lies nowhere yet"))
    }

    /// A value in exactly this layout, which has no halo.
    pub(super) fn without_halo(
        &mut self,
        v: ValueId,
        layout: Layout,
        reader: &str,
    ) -> Result<(Virtual, Map), Refusal> {
        let map = self.map(v, layout)?;
        if let Some(form) = self.forms[v.index()].iter().find(|f| f.layout == layout) {
            return Ok((form.place, map));
        }
        let main = self.main(v)?;
        let from = Map { layout: main.layout, ..map };
        let place = self.convert(v, main, &from, layout, reader);
        self.forms[v.index()].push(Form { layout, place });
        Ok((place, map))
    }

    /// The same value in another layout.
    fn convert(&mut self, v: ValueId, main: Form, from: &Map, layout: Layout, reader: &str) -> Virtual {
        let to = Map { layout, ..*from };
        if from.same_bytes(&to) {
            return main.place;
        }
        let dst = match layout == Layout::PLAIN {
            true => self.fresh_plain(v),
            false => self.out.temporary(Some(to.ty())),
        };
        let owner = Owner { node: reader, op: LAYOUT };
        let nest = if from.layout.lanes == layout.lanes {
            rows::nest(&RowsProblem::copy(*from, to, 0), self.options.target)
        } else {
            reorder::nest(from, &to, self.options.target)
        };
        if let Ok(nest) = nest {
            self.border(&to, dst, owner);
            let called = self.call(nest, &[main.place], dst, owner, "layout");
            self.note(called);
            return dst;
        }
        let compute = relayout(from, &to);
        self.stages(&compute, &[main.place, dst], owner);
        dst
    }

    /// A buffer for the result of a group in the layout that the pass chose; its border is filled by a call before.
    pub(super) fn result(&mut self, v: ValueId, owner: Owner<'_>) -> Result<(Virtual, Map), Refusal> {
        let (place, map) = self.bare_result(v)?;
        self.border(&map, place, owner);
        Ok((place, map))
    }

    /// As [`Lowering::result`], but nothing fills the border.
    pub(super) fn bare_result(&mut self, v: ValueId) -> Result<(Virtual, Map), Refusal> {
        let layout = self.choice.layouts[v.index()];
        let map = self.map(v, layout)?;
        let plain = Map { layout: Layout::PLAIN, ..map };
        let part = self.choice.placed[v.index()];
        let place = match (part, self.roots.get(&v), self.reserved[v.index()]) {
            (Some((root, bytes)), ..) => {
                let within = self.root(root)?.within(bytes);
                let (buffer, first) = within.ok_or(Refusal::Defect("a part of what is no temporary"))?;
                Virtual::Within(buffer, first)
            }
            (None, Some(place), _) => *place,
            (None, None, Some(_)) if map.same_bytes(&plain) => self.fresh_plain(v),
            (None, None, _) => self.out.temporary(Some(map.ty())),
        };
        self.forms[v.index()].push(Form { layout, place });
        Ok((place, map))
    }

    /// The buffer of a value that others are written into.
    fn root(&mut self, v: ValueId) -> Result<Virtual, Refusal> {
        if let Some(place) = self.roots.get(&v) {
            return Ok(*place);
        }
        let map = self.map(v, self.choice.layouts[v.index()])?;
        let place = self.out.temporary(Some(map.ty()));
        self.roots.insert(v, place);
        Ok(place)
    }

    /// A buffer for a plain result.
    pub(super) fn plain_result(&mut self, v: ValueId) -> Virtual {
        let place = self.fresh_plain(v);
        self.forms[v.index()].push(Form { layout: Layout::PLAIN, place });
        place
    }

    pub(super) fn border(&mut self, map: &Map, place: Virtual, owner: Owner<'_>) {
        if map.layout.halo.is_none() {
            return;
        }
        let filled = rows::border(map, self.options.target);
        let called = filled.and_then(|nest| self.call(nest, &[], place, owner, "border"));
        self.note(called);
    }

    /// Keeps what must not fail, and has: no program comes of it.
    fn note(&mut self, result: Result<(), Refusal>) {
        self.failed = self.failed.take().or(result.err());
    }

    /// Adds a call of a nest with one result: `sources` are its [`BufferRole::Src`] buffers in order.
    ///
    /// # Errors
    /// [`Refusal::Defect`] when there are more or fewer of them.
    pub(super) fn call(
        &mut self,
        nest: impl Into<Scheduled>,
        sources: &[Virtual],
        dst: Virtual,
        owner: Owner<'_>,
        stage: &'static str,
    ) -> Result<(), Refusal> {
        self.call_for_all(nest.into(), sources, &[dst], owner, stage)
    }

    /// As [`Lowering::call`] of a nest with several results: its [`BufferRole::Dst`] buffers in order.
    ///
    /// # Errors
    /// As there.
    pub(super) fn call_for_all(
        &mut self,
        Scheduled { nest, schedule, parts }: Scheduled,
        sources: &[Virtual],
        results: &[Virtual],
        owner: Owner<'_>,
        stage: &'static str,
    ) -> Result<(), Refusal> {
        let (mut sources, mut results) = (sources.iter().copied(), results.iter().copied());
        let mut buffers = Vec::with_capacity(nest.buffers.len());
        for b in &nest.buffers {
            let place = match &b.role {
                BufferRole::Src => {
                    sources.next().ok_or(Refusal::Defect("a nest reads more tensors than there are"))?
                }
                BufferRole::Table(t) => self.out.constant(Constant::Plain(t.clone())),
                BufferRole::Dst => {
                    results.next().ok_or(Refusal::Defect("a nest writes more tensors than there are"))?
                }
                BufferRole::Scratch => Virtual::Scratch,
            };
            buffers.push((place, b.ty.clone()));
        }
        if sources.next().is_some() || results.next().is_some() {
            return Err(Refusal::Defect("a nest reads or writes fewer tensors than there are"));
        }
        let results = nest.dsts().map(BufId::index).collect();
        self.out.calls.push(Call {
            work: Work::Scheduled(nest),
            schedule,
            parts,
            node: owner.node.to_string(),
            op: owner.op,
            stage,
            buffers,
            results,
            check: None,
        });
        Ok(())
    }

    /// A weight of the model as a schedule reads it.
    pub(super) fn packed(&mut self, packing: Packing, source: &octrt_ops::Tensor) -> Virtual {
        self.out.constant(Constant::Packed(packing, source.clone()))
    }

    /// Lowers a node through its definition, on plain tensors.
    fn general(&mut self, node: &Node) -> Result<(), OpError> {
        let op = node.op.as_operator();
        let untouched = |v: &ValueId| self.forms[v.index()].is_empty() && self.reserved[v.index()].is_none();
        if op.is_view()
            && let (Some(Some(src)), [dst]) = (node.inputs.first(), &node.outputs[..])
            && untouched(dst)
        {
            // The same bytes under another shape: no code.
            let place = self.plain(*src, &node.name);
            self.forms[dst.index()].push(Form { layout: Layout::PLAIN, place });
            return Ok(());
        }
        let compute = with_args(self.graph, node, |args| op.compute(args))??;
        let mut places = Vec::with_capacity(compute.buffers.len());
        for (i, buffer) in compute.buffers.iter().enumerate() {
            let output =
                compute.outputs.iter().position(|b| b.0 as usize == i).and_then(|k| node.outputs.get(k));
            places.push(match (&buffer.kind, output) {
                (BufferKind::Input(k), _) => match node.inputs.get(*k) {
                    Some(Some(v)) => self.plain(*v, &node.name),
                    _ => return Err(OpError::Invalid(format!("input {k} is missing"))),
                },
                (BufferKind::Table(t), _) => self.out.constant(Constant::Plain(t.clone())),
                (BufferKind::Stage, Some(v)) => self.plain(*v, &node.name),
                (BufferKind::Stage, None) => self.out.temporary(Some(buffer.ty.clone())),
            });
        }
        self.stages(&compute, &places, Owner { node: &node.name, op: op.name() });
        Ok(())
    }

    /// Adds the calls of a definition whose buffers have these places.
    pub(super) fn stages(&mut self, compute: &Compute, places: &[Virtual], owner: Owner<'_>) {
        let mut repeat: Option<(usize, &Repeat)> = None;
        let (products, turned) = products::products(self, compute, places);
        for (at, stage) in compute.stages.iter().enumerate() {
            if let Some((first, r)) = repeat.take_if(|(_, r)| !r.stages.contains(&at)) {
                self.out.repeat(first, r.turns);
            }
            if let Some(next) = compute.repeats.iter().find(|r| r.stages.start == at && !r.stages.is_empty())
            {
                repeat = Some((self.out.calls.len(), next));
            }
            let nothing = |u: &Update| u.extents.contains(&0);
            if compute.ty(stage.dst).shape.numel() == 0 || stage.update.as_ref().is_some_and(nothing) {
                continue;
            }
            let order = if repeat.is_some() { Order::Turns } else { Order::Any };
            if turned.contains(&at) {
                continue;
            }
            if let Some(found) = products.iter().find(|(first, p, _)| (*first..p.end).contains(&at)) {
                if at == found.0 {
                    let called = self.weighted(compute, found, (places, order), owner);
                    self.note(called);
                }
                continue;
            }
            if order == Order::Any
                && compute.checks.iter().all(|c| c.ok != stage.dst)
                && let Ok(nests) = moves::nests(compute, stage, self.options.target)
            {
                for (nest, sources) in nests {
                    let sources: Vec<Virtual> = sources.iter().map(|b| places[b.index()]).collect();
                    let called = self.call(nest, &sources, places[stage.dst.index()], owner, stage.name);
                    self.note(called);
                }
                continue;
            }
            let (naive, used) = lower(compute, stage, stage.name, order);
            let buffers: Vec<_> =
                used.iter().map(|b| (places[b.0 as usize], compute.ty(*b).clone())).collect();
            if order == Order::Turns
                && let Ok(nest) = plain::in_turns(naive.clone(), self.options.target).and_then(|s| s.finish())
            {
                let (sources, dst) = buffers.split_at(buffers.len() - 1);
                let sources: Vec<Virtual> = sources.iter().map(|(place, _)| *place).collect();
                let called = self.call(nest, &sources, dst[0].0, owner, stage.name);
                self.note(called);
                continue;
            }
            // What a stage defines and others update is checked when it is complete.
            let last = compute.stages[at + 1..].iter().all(|later| later.dst != stage.dst);
            let check = compute.checks.iter().find(|c| last && c.ok == stage.dst).map(|c| c.message.clone());
            self.out.calls.push(Call {
                work: Work::Naive(naive),
                schedule: None,
                parts: Vec::new(),
                node: owner.node.to_string(),
                op: owner.op,
                stage: stage.name,
                results: vec![buffers.len() - 1],
                buffers,
                check,
            });
        }
        if let Some((first, r)) = repeat {
            self.out.repeat(first, r.turns);
        }
    }
}
