//! The calls of each kind of group.

use octrt_ops::arg::Arg;
use octrt_ops::compute::BufferKind;
use octrt_ops::def::global_pool::GlobalPoolKind;
use octrt_ops::graph::infer::with_args;
use octrt_ops::{Args, Tensor, ValueId};

use super::calls::{Constant, Virtual};
use super::ending::Unused;
use super::{Lowering, Owner, Planned};
use crate::decide::fuse::Group;
use crate::decide::matrix::{self, Right};
use crate::decide::{Kind, Tiled, Windows, concat};
use crate::layout::{AXES, Layout, Map, MapWindow};
use crate::leaf::Width;
use crate::pack::{MatrixOrder, Packing};
use crate::strategy::conv::{Algorithm, ConvProblem, Plan};
use crate::strategy::conv_plan::{self, ConvPlan};
use crate::strategy::decision::Decision;
use crate::strategy::problem::{Bias, GemmProblem, WindowKind, WindowProblem};
use crate::strategy::refusal::Refusal;
use crate::strategy::row_stages::{self, RowStages};
use crate::strategy::rows::{self, RowsProblem};
use crate::strategy::share::Share;
use crate::strategy::tail::Tail;
use crate::strategy::{gemm, gemm_tiling, global_pool, nearest, relayout, shift, window};

impl Lowering<'_> {
    /// Adds the calls of a group.
    ///
    /// # Errors
    /// [`Refusal`] where its schedule refuses it; then nothing was added that matters.
    pub(super) fn tiled(&mut self, t: &Tiled) -> Result<(), Refusal> {
        let root = self.graph.node(t.group.root);
        let owner = Owner { node: &root.name, op: root.op.as_operator().name() };
        match &t.kind {
            Kind::Conv(w, decision) => self.conv(t, (w, *decision), owner),
            Kind::Parts(parts) => self.parts(t, parts, owner),
            Kind::Window(kind, w) => self.window(t, *kind, w, owner),
            Kind::Global(kind) => self.global(t, *kind, owner),
            Kind::Map => self.elements(t, owner),
            Kind::Plain => self.plain_elements(t, owner),
            Kind::Concat => self.concat(t, owner),
            Kind::Nearest(repeats) => self.nearest(t, *repeats, owner),
            Kind::Physical => self.physical(t, owner),
            Kind::Matrix => self.matrix(t, owner),
            Kind::Rows => self.rows(t, owner),
        }
    }

    pub(super) fn input(&mut self, t: &Tiled, i: usize, owner: Owner<'_>) -> Result<(Virtual, Map), Refusal> {
        let (v, layout) = *t.inputs.get(i).ok_or(Refusal::Defect("a group has fewer inputs"))?;
        self.blocked(v, layout, owner.node)
    }

    /// How a group's result lies.
    pub(super) fn result_map(&self, group: &Group) -> Result<Map, Refusal> {
        self.map(group.result, self.choice.layouts[group.result.index()])
    }

    pub(super) fn width(&self) -> Result<Width, Refusal> {
        self.options.target.width().ok_or(Refusal::NoLeafPrograms(self.options.target))
    }

    /// A constant input of a group's root.
    fn operand(&self, group: &Group, i: usize) -> Option<&Tensor> {
        self.graph.constant_input(self.graph.node(group.root), i)
    }

    /// The weight of a group's root.
    pub(super) fn weight(&self, group: &Group) -> Result<Tensor, Refusal> {
        self.operand(group, 1).cloned().ok_or(Refusal::Defect("a weight is no constant"))
    }

    /// The bias, with zeros up to `len`.
    pub(super) fn bias(&mut self, group: &Group, i: usize, len: usize) -> Virtual {
        match self.operand(group, i).cloned() {
            Some(t) => self.packed(Packing::Vector { len }, &t),
            None => self.vector(&vec![0.0; len]),
        }
    }

    pub(super) fn vector(&mut self, values: &[f32]) -> Virtual {
        let t = Tensor::new([values.len()], values).unwrap_or_else(|_| Tensor::scalar(0.0f32));
        self.out.constant(Constant::Plain(t))
    }

    fn conv(
        &mut self,
        t: &Tiled,
        (w, decision): (&Windows, Decision),
        owner: Owner<'_>,
    ) -> Result<(), Refusal> {
        let (mut src, src_map) = self.input(t, 0, owner)?;
        let dst_map = self.result_map(&t.group)?;
        let unused = match decision.algorithm {
            Algorithm::Direct => Unused::Cleared,
            Algorithm::Winograd(_) => Unused::Computed,
        };
        let (tail, operands) = self.tail(&t.group, (&dst_map, unused), owner)?;
        let window = w.window();
        if let Some(compact) = ConvProblem::subsampled(&window, &src_map, &dst_map) {
            src = self.subsample(src, &src_map, &compact, window.strides, owner)?;
        }
        let problem = ConvProblem::new((w.groups, w.sharing), window, (src_map, dst_map), tail);
        let bias_elements = problem.bias_elements();
        let ConvPlan { nests, packing, share } = self.plan(problem, decision)?;
        let bias = self.bias(&t.group, 2, bias_elements);
        let wei = match (self.operand(&t.group, 1).cloned(), self.graph.node(t.group.root).input(1)) {
            (Some(wei), _) => self.packed(packing, &wei),
            (None, Some(wei)) => self.packed_now(&packing, wei, owner)?,
            (None, None) => return Err(Refusal::Defect("a convolution without weights")),
        };
        let share = share.ok_or(Refusal::Unfit("runs of pixels that are no rows"));
        match nests {
            Plan::Whole(nest) => {
                let sources: Vec<Virtual> = [src, wei, bias].into_iter().chain(operands).collect();
                self.with_pools(t, (nest, share), sources, owner, "conv")?;
            }
            Plan::Parts(nests, types) => {
                let [input, products, output] = *nests;
                let [v, m] = types.map(|ty| self.out.temporary(Some(ty)));
                self.call(input, &[src], v, owner, "winograd_input")?;
                self.call(products, &[v, wei], m, owner, "winograd_products")?;
                let sources: Vec<Virtual> = [m, bias].into_iter().chain(operands).collect();
                self.with_pools(t, (output, share), sources, owner, "winograd_output")?;
            }
        }
        Ok(())
    }

    /// The nests of a convolution; networks repeat their blocks.
    fn plan(&mut self, problem: ConvProblem, decision: Decision) -> Result<ConvPlan, Refusal> {
        let same = |known: &&Planned| known.decision == decision && known.problem == problem;
        if let Some(Planned { plan, .. }) = self.planned.iter().find(same) {
            return Ok(plan.clone());
        }
        let plan = conv_plan::plan(&problem, decision, self.options.target)?;
        self.planned.push(Planned { problem, decision, plan: plan.clone() });
        Ok(plan)
    }

    /// Puts the pixels at steps of a map side by side: maxima of one element each.
    fn subsample(
        &mut self,
        src: Virtual,
        from: &Map,
        to: &Map,
        strides: [usize; AXES],
        owner: Owner<'_>,
    ) -> Result<Virtual, Refusal> {
        let problem = WindowProblem {
            kind: WindowKind::Max,
            src: *from,
            dst: *to,
            window: MapWindow::pixels(strides),
            tail: Tail::NONE,
        };
        let nest = window::schedule(&problem, self.options.target)?.finish()?;
        let place = self.out.temporary(Some(to.ty()));
        self.call(nest, &[src], place, owner, "subsample")?;
        Ok(place)
    }

    /// Where a value lies that one node reads, in these blocks, and that lies plain only.
    fn lies_plain_for(&self, v: ValueId, want: Layout) -> Option<(Virtual, Map)> {
        let [only] = self.forms[v.index()][..] else { return None };
        let reads = self.graph.nodes.iter().flat_map(|n| n.inputs.iter().flatten());
        let is_alone = reads.filter(|read| **read == v).count() == 1;
        let map = self.map(v, Layout::PLAIN).ok()?;
        (is_alone && only.layout == Layout::PLAIN && want.lanes > 1).then_some((only.place, map))
    }

    fn window(&mut self, t: &Tiled, kind: WindowKind, w: &Windows, owner: Owner<'_>) -> Result<(), Refusal> {
        let (v, layout) = *t.inputs.first().ok_or(Refusal::Defect("a group has fewer inputs"))?;
        let plain = self.lies_plain_for(v, layout);
        let (mut src, src_map) = match plain {
            Some((place, _)) => (place, self.map(v, layout)?),
            None => self.blocked(v, layout, owner.node)?,
        };
        let dst_map = self.result_map(&t.group)?;
        let (tail, operands) = self.tail(&t.group, (&dst_map, Unused::Computed), owner)?;
        let problem = WindowProblem { kind, src: src_map, dst: dst_map, window: w.window(), tail };
        let mut nest = window::schedule(&problem, self.options.target)?.finish()?;
        if let Some((_, from)) = plain {
            match relayout::join(&from, &problem, &nest, self.options.target) {
                Ok(joined) => nest = joined,
                Err(defect) if defect.is_defect() => return Err(defect),
                Err(_) => src = self.blocked(v, layout, owner.node)?.0,
            }
        }
        let mut sources = vec![src];
        let mut stage = "pool";
        if kind == WindowKind::Weights {
            let wei = self.weight(&t.group)?;
            let lanes = src_map.layout.lanes;
            sources.push(self.packed(Packing::Depthwise { lanes }, &wei));
            sources.push(self.bias(&t.group, 2, src_map.blocks() * lanes));
            stage = "conv";
        }
        sources.extend(operands);
        self.with_pools(t, (nest, Ok(Share::usual(&dst_map))), sources, owner, stage)
    }

    fn global(&mut self, t: &Tiled, kind: GlobalPoolKind, owner: Owner<'_>) -> Result<(), Refusal> {
        let (src, src_map) = self.input(t, 0, owner)?;
        let kind = WindowKind::of_maps(kind, &src_map);
        let dst_map = self.global_map(t, &src_map)?;
        let nest = global_pool::nest(kind, &src_map, &dst_map, self.options.target)?;
        let dst = match self.has_maps(t)? {
            true => self.result(t.group.result, owner)?.0,
            false => self.plain_result(t.group.result),
        };
        self.call(nest, &[src], dst, owner, "pool")?;
        Ok(())
    }

    /// Whether the result of a pooling of whole maps has the axes of maps.
    pub(super) fn has_maps(&self, t: &Tiled) -> Result<bool, Refusal> {
        let (v, _) = *t.inputs.first().ok_or(Refusal::Defect("a group has fewer inputs"))?;
        Ok(self.ty(t.group.result)?.shape.rank() == self.ty(v)?.shape.rank())
    }

    /// How the result of a pooling of whole maps lies.
    pub(super) fn global_map(&self, t: &Tiled, src: &Map) -> Result<Map, Refusal> {
        let layout = match self.has_maps(t)? {
            true => self.choice.layouts[t.group.result.index()],
            // Without the axes of extent 1 the result is plain.
            false if src.c.is_multiple_of(src.layout.lanes) => Layout::blocked(src.layout.lanes),
            false => {
                return Err(Refusal::Defect("channels that do not fill blocks, of a result without maps"));
            }
        };
        Ok(Map { layout, ..src.with_extents([1; AXES]) })
    }

    fn concat(&mut self, t: &Tiled, owner: Owner<'_>) -> Result<(), Refusal> {
        let sources = (0..t.inputs.len()).map(|i| self.input(t, i, owner));
        let sources: Vec<(Virtual, Map)> = sources.collect::<Result<_, _>>()?;
        let result = t.group.result;
        let (dst, dst_map) = self.bare_result(result)?;
        let (root, bytes) = self.choice.placed[result.index()].unwrap_or((result, 0));
        let lanes = dst_map.layout.lanes;
        let mut first: usize = 0;
        let mut copies = Vec::new();
        for ((place, src), (v, _)) in sources.into_iter().zip(&t.inputs) {
            let aligned = first.is_multiple_of(lanes);
            // What its node has written in its place already needs no copy, and has its border; nor does what an earlier
            // concatenation has copied there.
            let here = dst.within(first / lanes * dst_map.block_bytes() as usize);
            let in_place = aligned && place.within(0) == here && src.layout == dst_map.layout;
            let at = (root, concat::first_channel(bytes, &dst_map) + first);
            if !in_place && self.copied.insert(at, *v) != Some(*v) {
                copies.push((place, src, first));
            }
            first += src.c;
        }
        if !copies.is_empty() {
            self.border(&dst_map, dst, owner);
        }
        for (place, src, first) in copies {
            let nest = match first.is_multiple_of(lanes) {
                true => rows::nest(&RowsProblem::copy(src, dst_map, first / lanes), self.options.target),
                false => shift::nest(&src, &dst_map, first, self.options.target),
            };
            self.call(nest?, &[place], dst, owner, "concat")?;
        }
        Ok(())
    }

    fn nearest(&mut self, t: &Tiled, repeats: [usize; AXES], owner: Owner<'_>) -> Result<(), Refusal> {
        let (src, src_map) = self.input(t, 0, owner)?;
        let (dst, dst_map) = self.result(t.group.result, owner)?;
        let nest = nearest::nest(&src_map, &dst_map, repeats, self.options.target)?;
        self.call(nest, &[src], dst, owner, "nearest")
    }

    /// The operator's definition on blocks: channels of a block are an axis of their own.
    fn physical(&mut self, t: &Tiled, owner: Owner<'_>) -> Result<(), Refusal> {
        let root = self.graph.node(t.group.root);
        let mut types = Vec::new();
        let mut places = Vec::new();
        for v in root.inputs.iter().flatten() {
            let (place, ty, value) = match t.inputs.iter().find(|(x, _)| x == v) {
                Some((_, layout)) => {
                    let (place, map) = self.exactly(*v, *layout, owner)?;
                    (place, map.ty(), None)
                }
                None => (self.plain(*v, owner.node), self.ty(*v)?.clone(), self.graph.constant(*v)),
            };
            places.push(place);
            types.push((ty, value));
        }
        let args: Vec<Option<Arg<'_>>> = types
            .iter()
            .map(|(ty, value)| Some(Arg { dtype: ty.dtype, shape: &ty.shape, value: *value }))
            .collect();
        let compute = root.op.as_operator().compute(Args(&args));
        let compute =
            compute.map_err(|_| Refusal::Unfit("an operator that does not take its arguments in blocks"))?;
        let Some(&out) = compute.outputs.first() else { return Err(Refusal::Defect("no output is defined")) };
        let expected = self.result_map(&t.group)?;
        if *compute.ty(out) != expected.ty() {
            return Err(Refusal::Unfit("an operator whose result in blocks is another one"));
        }
        let (dst, _) = self.result(t.group.result, owner)?;
        let all: Vec<Virtual> = compute
            .buffers
            .iter()
            .enumerate()
            .map(|(i, b)| match &b.kind {
                BufferKind::Input(k) => places[*k],
                BufferKind::Table(t) => self.out.constant(Constant::Plain(t.clone())),
                BufferKind::Stage if i == out.0 as usize => dst,
                BufferKind::Stage => self.out.temporary(Some(b.ty.clone())),
            })
            .collect();
        self.stages(&compute, &all, owner);
        Ok(())
    }

    /// A value in a layout without a halo.
    fn exactly(&mut self, v: ValueId, layout: Layout, owner: Owner<'_>) -> Result<(Virtual, Map), Refusal> {
        let (place, map) = self.blocked(v, layout, owner.node)?;
        match map.layout.halo.is_none() {
            true => Ok((place, map)),
            false => self.without_halo(v, layout, owner.node),
        }
    }

    /// Reductions of the rows of a plain tensor.
    fn rows(&mut self, t: &Tiled, owner: Owner<'_>) -> Result<(), Refusal> {
        let root = self.graph.node(t.group.root);
        let compute = with_args(self.graph, root, |args| root.op.as_operator().compute(args));
        let compute = compute.ok().and_then(Result::ok).ok_or(Refusal::Defect("no definition"))?;
        let RowStages { nest, sources, .. } =
            row_stages::nest(&compute, root.outputs.len(), self.options.target)?;
        let mut places = Vec::with_capacity(sources.len());
        for source in sources {
            let BufferKind::Input(k) = compute.buffers[source.index()].kind else {
                return Err(Refusal::Defect("a row that reads what is no input"));
            };
            let v = root.input(k).ok_or(Refusal::Defect("a row without its input"))?;
            places.push(self.plain(v, owner.node));
        }
        let dst = self.plain_result(t.group.result);
        self.call(nest, &places, dst, owner, "rows")
    }

    fn matrix(&mut self, t: &Tiled, owner: Owner<'_>) -> Result<(), Refusal> {
        let graph = self.graph;
        let product = matrix::problem(graph, graph.node(t.group.root));
        let product = product.ok_or(Refusal::Defect("a product of matrices that is none"))?;
        let width = self.width()?;
        let (tail, operands) = self.product_tail(&t.group, &product.problem, owner)?;
        let problem = GemmProblem { tail, ..product.problem };
        let tiles = gemm_tiling::tiles(&problem, width);
        let lanes = width.lanes() as usize;
        let len = tiles.iter().sum::<usize>() * lanes;
        let nest = gemm::schedule(&problem, self.options.target)?.finish()?;
        let lhs = self.plain(product.lhs, owner.node);
        let rhs = match product.rhs {
            Right::Value(v) => self.plain(v, owner.node),
            Right::Weights { wei, transposed, scale } => {
                let order = if transposed { MatrixOrder::NByK } else { MatrixOrder::KByN };
                self.packed(Packing::Matrix { order, lanes, tiles, scale }, wei)
            }
        };
        let bias = match (problem.bias, product.bias) {
            (Bias::Absent, _) => None,
            (Bias::Columns, None) => Some(self.vector(&vec![0.0; len])),
            (Bias::Columns, Some(bias)) => Some(self.packed(Packing::Vector { len }, bias)),
            (Bias::Rows, Some(bias)) => Some(self.out.constant(Constant::Plain(bias.clone()))),
            (Bias::Rows, None) => return Err(Refusal::Defect("a product without its bias")),
        };
        let sources: Vec<Virtual> = [lhs, rhs].into_iter().chain(bias).chain(operands).collect();
        let dst = self.plain_result(t.group.result);
        self.call(nest, &sources, dst, owner, "gemm")?;
        Ok(())
    }
}
