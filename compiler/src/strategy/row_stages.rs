//! Definitions that reduce rows of elements which lie side by side, and compute functions of the elements and of what their
//! row was reduced to: softmax, normalisations, reductions of the last axes. Where the definition has several stages, each
//! of which reads a tensor anew, this is one pass: a row stays in the level-1 cache.
//!
//! ```text
//! for row parallel  call row (operands, dst, result)
//! ```

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use octrt_ops::DType;
use octrt_ops::compute::{Buffer, BufferKind, Compute, ReduceFn, Stage};
use octrt_ops::expr::{BinaryFn, BufId, Expr, Scalar, UnaryFn, VarId};
use octrt_ops::{Tensor, TensorType};

use crate::leaf::programs::{Combine, Formula, OPERAND, OPERANDS, Reads, Row, Stage as Walk};
use crate::leaf::registers;
use crate::nest::affine::Affine;
use crate::nest::build::{Builder, Value};
use crate::nest::{BufferRole, Nest};
use crate::target::Target;

use super::refusal::Refusal;

/// Most vectors that an accumulator sums one after the other: a float that is added to a long sum loses digits.
const CHAIN: usize = 256;

/// Iterations of the parallel loop that are enough for any number of threads.
const PARTS: usize = 8;

/// A definition as one nest, and the buffers of the definition that are its sources and its results, in order.
#[derive(Debug)]
pub struct RowStages {
    /// The nest.
    pub nest: Nest,
    /// What it reads.
    pub sources: Vec<BufId>,
    /// What it writes.
    pub results: Vec<BufId>,
}

/// The nest of a definition whose first outputs, so many, are wanted.
///
/// # Errors
/// [`Refusal::NoLeafPrograms`], [`Refusal::Unfit`] for other definitions, [`Refusal::Registers`].
pub fn nest(c: &Compute, outputs: usize, target: Target) -> Result<RowStages, Refusal> {
    let width = target.width().ok_or(Refusal::NoLeafPrograms(target))?;
    let lanes = width.lanes() as usize;
    let mut d = Definition::new(c, c.outputs.get(..outputs).unwrap_or(&c.outputs))?;
    if d.elements < lanes || d.elements > CHAIN * Row::ACCUMULATORS * lanes {
        return Err(unfit("rows of one vector at least, that are not too long to be summed in one go"));
    }
    d.read()?;
    let mut row = Row { width, elements: d.elements, stages: Vec::new(), operands: Vec::new() };
    row.stages = std::mem::take(&mut d.walks);
    row.operands = d.operands.iter().map(|o| o.reads).collect();
    // What has been kept is read again by a call of its own.
    let second = d.again.take().map(|value| Row {
        stages: vec![Walk::Map(value)],
        operands: vec![Reads::Along, Reads::Single],
        ..row.clone()
    });
    let programs = [Some(&row), second.as_ref()].map(|row| row.map(Row::program));
    if !programs.iter().flatten().all(registers::fits) {
        return Err(Refusal::Registers);
    }
    // Threads share the first loop of which there are enough iterations.
    let shared = d.loops.iter().position(|n| *n >= PARTS);
    let shared = shared.or((0..d.loops.len()).max_by_key(|i| d.loops[*i])).unwrap_or(0);
    let mut b = Builder::new("row", d.loops.get(shared).copied().unwrap_or(1));
    let mut sources = Vec::new();
    let mut places: BTreeMap<BufId, BufId> = BTreeMap::new();
    let table = |b: &mut Builder, t: &Tensor| b.buffer(t.ty().clone(), BufferRole::Table(t.clone()));
    for o in &d.operands {
        if let Entry::Vacant(unknown) = places.entry(o.buffer) {
            let Buffer { kind, ty } = &c.buffers[o.buffer.index()];
            let place = match kind {
                BufferKind::Table(t) => table(&mut b, t),
                _ => {
                    sources.push(o.buffer);
                    b.buffer(ty.clone(), BufferRole::Src)
                }
            };
            unknown.insert(place);
        }
    }
    for result in &d.results {
        places.insert(*result, b.buffer(c.ty(*result).clone(), BufferRole::Dst));
    }
    let exists = match row.is_uneven() {
        true => {
            let rest = d.elements % lanes;
            // Tables hold multiples of 4.
            let marks: Vec<i32> = (0..lanes).map(|i| if i < rest { -4 } else { 0 }).collect();
            let marks = Tensor::new([lanes], &marks).map_err(|_| Refusal::Defect("a mask of other lanes"))?;
            Some(table(&mut b, &marks))
        }
        false => None,
    };
    let number = second.is_some().then(|| b.buffer(TensorType::new(DType::F32, [1]), BufferRole::Scratch));
    let (outer, mut inner) = (b.parallel(), d.loops.clone());
    // The shared loop has one iteration in its old place.
    inner.iter_mut().skip(shared).take(1).for_each(|n| *n = 1);
    inside(&mut b, &inner, &mut Vec::new(), &mut |b, around| {
        let mut around = around.to_vec();
        around.iter_mut().skip(shared).take(1).for_each(|at| *at = outer.clone());
        let at = |buffer: BufId, place: &[Expr]| {
            let of_loop = |v: VarId| around.get(v.0 as usize).cloned().unwrap_or(Expr::int(0));
            Some(Value::At(*places.get(&buffer)?, place.iter().map(|e| e.substitute(&of_loop)).collect()))
        };
        let dst = || d.dst.as_ref().and_then(|(buffer, place)| at(*buffer, place));
        let number = || number.map(|scratch| Value::At(scratch, vec![Expr::int(0)]));
        for (program, first) in programs.iter().flatten().zip([true, false]) {
            b.call(program.clone(), &|name| match name {
                "dst" => dst(),
                "result" => {
                    number().or_else(|| d.stored.as_ref().and_then(|(buffer, place)| at(*buffer, place)))
                }
                "exists" => exists.map(|table| Value::At(table, vec![Expr::int(0)])),
                name if Row::TRIPS.contains(&name) => Some(Value::Number(row.trips() as i64)),
                name => match (OPERAND.iter().position(|o| *o == name)?, first) {
                    (0, false) => dst(),
                    (_, false) => number(),
                    (k, true) => d.operands.get(k).and_then(|o| at(o.buffer, &o.place)),
                },
            })?;
        }
        Ok(())
    })?;
    Ok(RowStages { nest: b.finish()?, sources, results: d.results })
}

/// Writes what is inside loops, whose iterations it is given.
type Body<'a> = &'a mut dyn FnMut(&mut Builder, &[Expr]) -> Result<(), Refusal>;

/// Writes loops of these extents around what `body` writes, with the iterations of all.
fn inside(b: &mut Builder, extents: &[usize], around: &mut Vec<Expr>, body: Body<'_>) -> Result<(), Refusal> {
    let Some((first, rest)) = extents.split_first() else { return body(b, around) };
    b.each(*first, |b, at| {
        around.push(at.clone());
        inside(b, rest, around, body)?;
        around.pop();
        Ok(())
    })
}

fn unfit(expected: &'static str) -> Refusal {
    Refusal::Unfit(expected)
}

/// A tensor that a row reads.
#[derive(Clone, Debug, PartialEq)]
struct Operand {
    buffer: BufId,
    /// The element of a row's first, by the loops over rows.
    place: Vec<Expr>,
    reads: Reads,
}

/// What a definition says of each row. In the expressions of its stages the loops over rows are the first variables, those over
/// the elements of a row the next ones; there is none for an axis of one element.
struct Definition<'a> {
    c: &'a Compute,
    stages: Vec<Stage>,
    /// Extents of the loops over rows.
    loops: Vec<usize>,
    /// For each loop over elements, from one to the next.
    distances: Vec<usize>,
    /// Elements of a row.
    elements: usize,
    operands: Vec<Operand>,
    walks: Vec<Walk>,
    /// What reductions give, in order.
    reduced: Vec<BufId>,
    /// What is wanted of the definition.
    results: Vec<BufId>,
    /// The reduction that keeps what it combines, in the place of the result.
    kept: Option<BufId>,
    /// What then becomes of it: of operand 0, and of operand 1, the result of that reduction.
    again: Option<Formula>,
    /// The tensor of all elements that is written, and the place of a row's first.
    dst: Option<(BufId, Vec<Expr>)>,
    /// The tensor of one element for each row that is written, and its place.
    stored: Option<(BufId, Vec<Expr>)>,
}

/// Extents of more than one iteration.
fn several(extents: &[usize]) -> Vec<usize> {
    extents.iter().copied().filter(|n| *n > 1).collect()
}

/// Whether an expression takes so long that it is not to be computed twice.
fn is_dear(e: &Expr) -> bool {
    let mut dear = false;
    e.visit(&mut |e| dear |= matches!(e, Expr::Unary(UnaryFn::Exp, _)));
    dear
}

impl<'a> Definition<'a> {
    fn new(c: &'a Compute, outputs: &[BufId]) -> Result<Definition<'a>, Refusal> {
        let stages = c.whole_stages();
        let simple = c.repeats.is_empty() && c.checks.is_empty() && stages.iter().all(|s| s.update.is_none());
        let first = stages.iter().find_map(|s| Some((s.dst, s.reduce.as_ref()?)));
        let Some((dst, reduce)) = first.filter(|_| simple && stages.len() <= Row::TRIPS.len()) else {
            return Err(unfit("a few stages, one of which reduces"));
        };
        let (loops, inner) = (several(c.ty(dst).shape.dims()), several(&reduce.extents));
        let elements = inner.iter().product();
        let mut behind = elements;
        let distances = inner.iter().map(|n| {
            behind /= n;
            behind
        });
        let mut d = Definition {
            c,
            stages: Vec::new(),
            distances: distances.collect(),
            elements,
            operands: Vec::new(),
            walks: Vec::new(),
            reduced: Vec::new(),
            results: outputs.to_vec(),
            kept: None,
            again: None,
            dst: None,
            stored: None,
            loops,
        };
        for stage in stages {
            let dims = c.ty(stage.dst).shape.dims();
            let of_sum = stage.reduce.as_ref().map_or(&[][..], |r| &r.extents);
            let all: Vec<usize> = dims.iter().chain(of_sum).copied().collect();
            let of_rows = stage.reduce.is_none() || several(dims) == d.loops;
            if several(&all) != [&d.loops[..], &inner].concat()
                || !of_rows
                || c.ty(stage.dst).dtype != DType::F32
            {
                return Err(unfit("stages of f32 that walk through the same rows"));
            }
            let mut next = 0;
            let names = all.iter().map(|n| {
                next += usize::from(*n > 1);
                if *n > 1 { Expr::var(next - 1) } else { Expr::int(0) }
            });
            let names: Vec<Expr> = names.collect();
            let named =
                |e: &Expr| e.substitute(&|v| names.get(v.0 as usize).cloned().unwrap_or(Expr::Var(v)));
            let reduce = stage.reduce.as_ref().map(|r| octrt_ops::compute::Reduce {
                init: named(&r.init),
                finish: named(&r.finish),
                ..r.clone()
            });
            d.stages.push(Stage { body: named(&stage.body), reduce, ..stage.clone() });
        }
        d.products();
        d.keep();
        Ok(d)
    }

    /// Where a sum of exponentials only divides, its reciprocal is what its row multiplies by.
    fn products(&mut self) {
        for i in 0..self.stages.len() {
            let dst = self.stages[i].dst;
            let of = |e: &Expr| matches!(e, Expr::Load(b, _) if *b == dst);
            let (mut all, mut divisors) = (0, 0);
            for stage in &self.stages[i + 1..] {
                stage.body.visit(&mut |e| {
                    all += usize::from(of(e));
                    divisors += usize::from(matches!(e, Expr::Binary(BinaryFn::Div, _, y) if of(y)));
                });
            }
            let wanted = all == 0 || all != divisors || self.results.contains(&dst);
            let dear = is_dear(&self.stages[i].body);
            match &mut self.stages[i].reduce {
                Some(r) if r.combine == ReduceFn::Sum && r.finish == Expr::Acc && dear && !wanted => {
                    r.finish = Expr::f32(1.0) / Expr::Acc;
                }
                _ => continue,
            }
            for stage in &mut self.stages[i + 1..] {
                stage.body = stage.body.map(&mut |e| match e {
                    Expr::Binary(BinaryFn::Div, x, y) if of(y) => Some((**x).clone() * (**y).clone()),
                    _ => None,
                });
            }
        }
    }

    /// Where the last stage computes again what the sum before it was made of, dear as it is, and needs nothing else, the sum
    /// keeps it in the place of the result.
    fn keep(&mut self) {
        let [.., sum, last] = &self.stages[..] else { return };
        if sum.reduce.is_none() || last.reduce.is_some() || !is_dear(&sum.body) || self.results != [last.dst]
        {
            return;
        }
        let index = self.place_of(last.dst, true);
        let value = last.body.map(&mut |e| (*e == sum.body).then(|| Expr::load(last.dst, index.clone())));
        let operands = &mut |b: BufId, index: &[Expr]| match b {
            b if b == last.dst => 0,
            b if b == sum.dst && index == self.place_of(b, false) => 1,
            _ => usize::MAX,
        };
        if let Some(formula) = Formula::of(&value, operands) {
            self.kept = Some(sum.dst);
            self.again = Some(formula);
        }
    }

    /// The place, by the loops, of an element that a stage defines: one of all, or one for each row.
    fn place_of(&self, b: BufId, of_all: bool) -> Vec<Expr> {
        let most = self.loops.len() + if of_all { self.distances.len() } else { 0 };
        let mut next = 0;
        let index = self.c.ty(b).shape.iter().map(|n| {
            next += usize::from(*n > 1 && next < most);
            if *n > 1 && next > 0 { Expr::var(next - 1) } else { Expr::int(0) }
        });
        index.collect()
    }

    /// Where a tensor is read or written for a row's first element, and how it goes on along the row.
    fn place(&self, b: BufId, index: &[Expr]) -> Result<(Vec<Expr>, Reads), Refusal> {
        let apart = || unfit("elements of a row that lie side by side");
        let mut along = vec![0; self.distances.len()];
        for (factor, e) in Affine::flat(&self.c.ty(b).shape, index).terms {
            let Expr::Var(v) = e else { return Err(unfit("places that are sums of loops")) };
            if let Some(i) = (v.0 as usize).checked_sub(self.loops.len()) {
                *along.get_mut(i).ok_or(apart())? = factor;
            }
        }
        let reads = match &along {
            all if all.iter().all(|n| *n == 0) => Reads::Single,
            all if all.iter().zip(&self.distances).all(|(n, d)| *n == *d as i64) => Reads::Along,
            _ => return Err(apart()),
        };
        let rows = self.loops.len();
        let first = |v: VarId| if (v.0 as usize) < rows { Expr::Var(v) } else { Expr::int(0) };
        Ok((index.iter().map(|e| e.substitute(&first)).collect(), reads))
    }

    /// Reads all stages: first the tensors, then, as their number is known, the formulas.
    fn read(&mut self) -> Result<(), Refusal> {
        let stages = std::mem::take(&mut self.stages);
        for stage in &stages {
            let mut loads = Vec::new();
            let again = self.again.is_some() && stage.reduce.is_none();
            stage.body.visit(&mut |e| {
                if let Expr::Load(b, index) = e {
                    loads.push((*b, index.clone()));
                }
            });
            for (buffer, index) in loads.into_iter().filter(|_| !again) {
                let (place, reads) = self.place(buffer, &index)?;
                let operand = Operand { buffer, place, reads };
                let own = operand.reads == Reads::Single && operand.place == self.place_of(buffer, false);
                match self.reduced.contains(&buffer) {
                    true if own => {}
                    true => return Err(unfit("what the row itself was reduced to")),
                    false if self.c.ty(buffer).dtype != DType::F32 => return Err(unfit("tensors of f32")),
                    false if self.operands.contains(&operand) => {}
                    false => self.operands.push(operand),
                }
            }
            match stage.reduce {
                Some(_) => self.reduced.push(stage.dst),
                None if self.dst.is_some() => return Err(unfit("one result of all elements")),
                None => self.dst = Some((stage.dst, self.row_of(stage.dst)?)),
            }
        }
        let stages = &stages[..stages.len() - usize::from(self.again.is_some())];
        if self.operands.len() + self.reduced.len() > OPERANDS {
            return Err(unfit("fewer operands"));
        }
        let mut known = 0;
        for stage in stages {
            let walk = self.walk(stage, known)?;
            self.walks.push(walk);
            known += usize::from(stage.reduce.is_some());
        }
        let written = [&self.dst, &self.stored].map(|d| d.as_ref().map(|(b, _)| *b));
        let mut results: Vec<BufId> = written.into_iter().flatten().collect();
        results.sort();
        let mut wanted = self.results.clone();
        wanted.sort();
        if results == wanted { Ok(()) } else { Err(unfit("results that are all wanted, one of each kind")) }
    }

    /// The place of a row's first element in a tensor of all.
    fn row_of(&self, b: BufId) -> Result<Vec<Expr>, Refusal> {
        Ok(self.place(b, &self.place_of(b, true))?.0)
    }

    /// A walk through the row, behind so many reductions.
    fn walk(&mut self, stage: &Stage, known: usize) -> Result<Walk, Refusal> {
        let body = self.formula(&stage.body, known)?;
        let Some(reduce) = &stage.reduce else { return Ok(Walk::Map(body)) };
        let (wanted, kept) = (self.results.contains(&stage.dst), self.kept == Some(stage.dst));
        if wanted {
            if self.stored.is_some() {
                return Err(unfit("one result of an element for each row"));
            }
            self.stored = Some((stage.dst, self.place_of(stage.dst, false)));
        }
        let combine = match (reduce.combine, wanted) {
            (ReduceFn::Sum, _) => Combine::Sum,
            (ReduceFn::Max, false) => Combine::Max,
            (ReduceFn::Max, true) => Combine::MaxOrNan,
            (ReduceFn::Min, false) => Combine::Min,
            (ReduceFn::Min, true) => Combine::MinOrNan,
            (ReduceFn::Prod, _) => return Err(unfit("sums, largest and smallest elements")),
        };
        let from = match combine {
            Combine::Sum => 0.0,
            Combine::Max | Combine::MaxOrNan => f32::NEG_INFINITY,
            Combine::Min | Combine::MinOrNan => f32::INFINITY,
        };
        if reduce.init != Expr::Const(Scalar::F32(from)) {
            return Err(unfit("reductions that begin with nothing"));
        }
        let finish = self.formula(&reduce.finish, known)?;
        Ok(Walk::Reduce { body, combine, finish, kept, stored: wanted || kept })
    }

    fn formula(&self, e: &Expr, known: usize) -> Result<Formula, Refusal> {
        let operand = &mut |b: BufId, index: &[Expr]| {
            let reduced = self.reduced[..known].iter().position(|r| *r == b);
            let operands = self.operands.len();
            let found = reduced.map(|i| operands + i).or_else(|| {
                let (place, reads) = self.place(b, index).ok()?;
                self.operands.iter().position(|o| *o == Operand { buffer: b, place: place.clone(), reads })
            });
            found.unwrap_or(usize::MAX)
        };
        Formula::of(e, operand).ok_or(unfit("functions that leaf programs compute"))
    }
}
