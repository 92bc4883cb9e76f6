//! What a definition that computes nothing moves: boxes of the result, and where their elements come from.
//!
//! ```text
//! dst[L0, L1] = select(L1 < 5, a[L0, L1], b[L1 - 5, L0])
//! -> dst[L0, 0..5] from a by steps (row, 1)       dst[L0, 5..9] from b by steps (1, row)
//! ```
//!
//! Places must be sums of what each loop adds by itself. What a loop adds is looked at as numbers: runs of equal steps, and
//! steps that come again and again, as those of `L1 / 2`, which are two loops.

use std::ops::Range;

use octrt_ops::compute::{BufferKind, Compute, Stage};

use octrt_ops::expr::{BinaryFn, BufId, Env, Expr, Scalar, VarId, eval};
use octrt_ops::{DType, OpError};

use crate::nest::affine::Affine;
use crate::strategy::refusal::Refusal;

/// Most boxes of a result.
const PIECES: usize = 40;

/// Most iterations of a loop that is looked at as numbers.
const NUMBERS: usize = 1 << 16;

/// A loop over elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Axis {
    /// Iterations.
    pub extent: usize,
    /// Elements from one to the next in the source.
    pub src: i64,
    /// Elements from one to the next in the result.
    pub dst: i64,
    /// The axis of the result that it is all of, or a part.
    pub of: usize,
}

/// Where elements come from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Source {
    /// From a tensor, from this element on.
    Tensor(BufId, i64),
    /// A number.
    Number(f32),
}

/// A box of the result.
#[derive(Clone, Debug, PartialEq)]
pub struct Piece {
    /// Loops of more than one iteration, outermost first.
    pub axes: Vec<Axis>,
    /// Where its elements come from.
    pub source: Source,
    /// Its first element in the result.
    pub first: i64,
}

fn unfit(expected: &'static str) -> Refusal {
    Refusal::Unfit(expected)
}

/// The boxes of the result of a stage.
///
/// # Errors
/// [`Refusal::Unfit`] for stages that compute, and for those that move too many boxes, or too irregular ones.
pub fn pieces(c: &Compute, stage: &Stage) -> Result<Vec<Piece>, Refusal> {
    let ty = c.ty(stage.dst);
    if stage.reduce.is_some() || stage.update.is_some() || ty.dtype != DType::F32 {
        return Err(unfit("a definition of f32 that computes nothing"));
    }
    let strides = ty.shape.strides().into_iter().map(|n| n as i64).collect();
    let mut moves = Moves { c, strides, pieces: Vec::new() };
    let whole: Vec<Range<usize>> = ty.shape.iter().map(|n| 0..*n).collect();
    moves.region(&stage.body, &whole)?;
    Ok(moves.pieces)
}

struct Moves<'a> {
    c: &'a Compute,
    /// Of the result.
    strides: Vec<i64>,
    pieces: Vec<Piece>,
}

/// A loop at one iteration; elements of tables are known.
struct At<'a> {
    c: &'a Compute,
    var: VarId,
    value: i64,
}

impl Env for At<'_> {
    fn var(&self, v: VarId) -> i64 {
        if v == self.var { self.value } else { 0 }
    }

    fn load(&self, b: BufId, index: &[i64]) -> Result<Scalar, OpError> {
        let unknown = || OpError::Invalid("not a table".into());
        let BufferKind::Table(t) = &self.c.buffers[b.index()].kind else { return Err(unknown()) };
        let at = octrt_ops::compute::flat_index(t.shape(), index)?;
        // One element of many: what is asked for again and again is not converted as a whole.
        let bytes = t.bytes();
        let value = match t.dtype() {
            DType::I64 => bytes.as_chunks::<8>().0.get(at).map(|b| i64::from_le_bytes(*b)),
            DType::I32 => bytes.as_chunks::<4>().0.get(at).map(|b| i32::from_le_bytes(*b).into()),
            _ => None,
        };
        value.map(Scalar::I64).ok_or_else(unknown)
    }
}

/// The only loop that an expression depends on; `Err` where there are several, or other tensors than tables.
fn only_loop(c: &Compute, e: &Expr) -> Result<Option<VarId>, Refusal> {
    let (mut found, mut fits) = (None, true);
    e.visit(&mut |e| match e {
        Expr::Var(v) => {
            fits &= found.is_none_or(|known| known == *v);
            found = Some(*v);
        }
        Expr::Load(b, _) => fits &= matches!(c.buffers[b.index()].kind, BufferKind::Table(_)),
        _ => {}
    });
    if fits { Ok(found) } else { Err(unfit("places that loops add to one by one")) }
}

impl Moves<'_> {
    fn value(&self, e: &Expr, var: VarId, value: usize) -> Result<Scalar, Refusal> {
        let at = At { c: self.c, var, value: value as i64 };
        eval(e, &at).map_err(|_| unfit("places that are known"))
    }

    /// The boxes of a region of the result.
    fn region(&mut self, body: &Expr, region: &[Range<usize>]) -> Result<(), Refusal> {
        if region.iter().any(Range::is_empty) {
            return Ok(());
        }
        match body {
            Expr::Select(condition, x, y) => self.choice(condition, (x, y), region),
            Expr::Const(Scalar::F32(x)) if !x.is_nan() => self.number(*x, region),
            Expr::Load(b, index) if self.c.ty(*b).dtype == DType::F32 => self.tensor(*b, index, region),
            _ => Err(unfit("elements as they are")),
        }
    }

    /// The part of a region where a condition holds, and the rest of it.
    fn choice(
        &mut self,
        condition: &Expr,
        (x, y): (&Expr, &Expr),
        region: &[Range<usize>],
    ) -> Result<(), Refusal> {
        let mut terms = Vec::new();
        conjunction(condition, &mut terms);
        // For each axis the runs where all that is said of it holds, or does not.
        let mut runs: Vec<Vec<(Range<usize>, bool)>> =
            region.iter().map(|r| vec![(r.clone(), true)]).collect();
        for term in terms {
            let Some(var) = only_loop(self.c, term)? else {
                return Err(unfit("conditions that follow a loop"));
            };
            let axis = var.0 as usize;
            let range = region.get(axis).ok_or(Refusal::Defect("a loop that is no axis"))?.clone();
            if range.len() > NUMBERS {
                return Err(unfit("shorter loops"));
            }
            let mut split: Vec<(Range<usize>, bool)> = Vec::new();
            for i in range {
                let before = runs[axis].iter().any(|(r, holds)| *holds && r.contains(&i));
                let holds = before && self.value(term, var, i)? == Scalar::Bool(true);
                match split.last_mut() {
                    Some((r, of)) if *of == holds => r.end = i + 1,
                    _ => split.push((i..i + 1, holds)),
                }
            }
            runs[axis] = split;
        }
        // Along the first axes all holds; along one it does not; of those behind it does not matter.
        let mut open: Vec<Vec<Range<usize>>> = vec![Vec::new()];
        for (axis, of_axis) in runs.iter().enumerate() {
            let mut next = Vec::new();
            for before in &open {
                for (run, holds) in of_axis {
                    let mut part = before.clone();
                    part.push(run.clone());
                    if *holds {
                        next.push(part);
                    } else {
                        part.extend_from_slice(&region[axis + 1..]);
                        self.region(y, &part)?;
                    }
                }
            }
            if next.len() > PIECES {
                return Err(unfit("fewer boxes"));
            }
            open = next;
        }
        open.iter().try_for_each(|part| self.region(x, part))
    }

    fn first(&self, region: &[Range<usize>]) -> i64 {
        region.iter().zip(&self.strides).map(|(r, s)| r.start as i64 * s).sum()
    }

    fn add(&mut self, piece: Piece) -> Result<(), Refusal> {
        self.pieces.push(piece);
        if self.pieces.len() > PIECES { Err(unfit("fewer boxes")) } else { Ok(()) }
    }

    fn number(&mut self, x: f32, region: &[Range<usize>]) -> Result<(), Refusal> {
        let axes = region.iter().zip(&self.strides).enumerate();
        let axes = axes.map(|(of, (r, dst))| Axis { extent: r.len(), src: 0, dst: *dst, of });
        let axes = axes.filter(|a| a.extent > 1).collect();
        self.add(Piece { axes, source: Source::Number(x), first: self.first(region) })
    }

    fn tensor(&mut self, b: BufId, index: &[Expr], region: &[Range<usize>]) -> Result<(), Refusal> {
        let at = Affine::flat(&self.c.ty(b).shape, index);
        let mut constant = at.constant;
        let mut adds: Vec<(i64, Vec<(i64, Expr)>)> = vec![(0, Vec::new()); region.len()];
        for (factor, e) in at.terms {
            match (only_loop(self.c, &e)?, &e) {
                (None, e) => match self.value(e, VarId(0), 0)? {
                    Scalar::I64(v) => constant += factor * v,
                    _ => return Err(unfit("places that are numbers")),
                },
                (Some(v), Expr::Var(_)) => adds[v.0 as usize].0 += factor,
                (Some(v), e) => adds[v.0 as usize].1.push((factor, e.clone())),
            }
        }
        // What each axis adds: runs of loops, from an iteration and an element on.
        let mut all = vec![(self.first(region), constant, Vec::new())];
        for (axis, (range, (step, others))) in region.iter().zip(&adds).enumerate() {
            let dst = self.strides[axis];
            let mut runs: Vec<(i64, i64, Vec<Axis>)> = Vec::new();
            if others.is_empty() {
                let whole = Axis { extent: range.len(), src: *step, dst, of: axis };
                runs.push((0, step * range.start as i64, vec![whole]));
            } else {
                for (first, places) in self.runs(axis, range, *step, others)? {
                    let axes = loops(&places, dst, axis).ok_or(unfit("places by regular steps"))?;
                    runs.push((first as i64 * dst, places[0], axes));
                }
            }
            let mut next = Vec::new();
            for (to, from, axes) in &all {
                for (dst, src, inner) in &runs {
                    next.push((to + dst, from + src, [&axes[..], inner].concat()));
                }
            }
            if next.len() > PIECES {
                return Err(unfit("fewer boxes"));
            }
            all = next;
        }
        for (first, from, axes) in all {
            let axes = axes.into_iter().filter(|a| a.extent > 1).collect();
            self.add(Piece { axes, source: Source::Tensor(b, from), first })?;
        }
        Ok(())
    }

    /// What an axis adds to the place of the source, cut where it takes no regular steps: the first iteration of each run,
    /// counted from that of the range.
    fn runs(
        &self,
        axis: usize,
        range: &Range<usize>,
        step: i64,
        others: &[(i64, Expr)],
    ) -> Result<Vec<(usize, Vec<i64>)>, Refusal> {
        if range.len() > NUMBERS {
            return Err(unfit("shorter loops"));
        }
        let mut places = Vec::with_capacity(range.len());
        for i in range.clone() {
            let mut at = step * i as i64;
            for (factor, e) in others {
                match self.value(e, VarId(axis as u32), i)? {
                    Scalar::I64(v) => at += factor * v,
                    _ => return Err(unfit("places that are numbers")),
                }
            }
            places.push(at);
        }
        if loops(&places, 1, axis).is_some() {
            return Ok(vec![(0, places)]);
        }
        let mut runs: Vec<(usize, Vec<i64>)> = Vec::new();
        for (i, at) in places.into_iter().enumerate() {
            match runs.last_mut() {
                Some((_, run)) if run.len() == 1 || at - run[run.len() - 1] == run[1] - run[0] => {
                    run.push(at)
                }
                _ => runs.push((i, vec![at])),
            }
            if runs.len() > PIECES {
                return Err(unfit("places by regular steps"));
            }
        }
        Ok(runs)
    }
}

fn conjunction<'e>(e: &'e Expr, terms: &mut Vec<&'e Expr>) {
    match e {
        Expr::Binary(BinaryFn::And, a, b) => {
            conjunction(a, terms);
            conjunction(b, terms);
        }
        e => terms.push(e),
    }
}

/// Places as nested loops by equal steps, where they are that.
fn loops(places: &[i64], dst: i64, of: usize) -> Option<Vec<Axis>> {
    let n = places.len();
    let Some(next) = places.get(1) else { return Some(Vec::new()) };
    let step = next - places[0];
    if places.windows(2).all(|p| p[1] - p[0] == step) {
        return Some(vec![Axis { extent: n, src: step, dst, of }]);
    }
    let comes_again = |inner: &usize| {
        let step = places[*inner] - places[0];
        n.is_multiple_of(*inner) && (*inner..n).all(|i| places[i] - places[i - inner] == step)
    };
    let inner = (2..=n / 2).find(comes_again)?;
    let outer = Axis { extent: n / inner, src: places[inner] - places[0], dst: dst * inner as i64, of };
    Some([&[outer][..], &loops(&places[..inner], dst, of)?].concat())
}
