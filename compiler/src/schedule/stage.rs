//! Holding what is written, or what is read, in memory of the thread.

use octrt_ops::TensorType;
use octrt_ops::expr::{BufId, Expr, VarId};

use super::{Rule, ScheduleError, loop_of, outside_sums, refused};
use crate::nest::affine::Affine;
use crate::nest::index::{bounds, expr};
use crate::nest::{Buffer, BufferRole, Define, Loop, Nest, Role, Stmt, around, defines, has_call};

/// Writes what an iteration of a loop defines into scratch first, and copies it then. Gives the scratch.
///
/// ```text
/// for L1 in 9 { for L2 in 6 { for L3 in 8 { b2[L1, L2, L3] = f } } }
/// -> stage_write L1
/// scratch b3: f32[6,8]
/// for L1 in 9 {
///   for L2 in 6 { for L3 in 8 { b3[L2, L3] = f } }
///   for L4 in 6 { for L5 in 8 { b2[L1, L4, L5] = b3[L4, L5] } }
/// }
/// ```
///
/// # Errors
/// [`ScheduleError`] inside a sum, for a loop around other statements than one definition, and for a definition with a
/// condition, an update, or one that loads what it writes.
pub fn stage_write(nest: &mut Nest, l: VarId) -> Result<BufId, ScheduleError> {
    const NAME: &str = "stage_write";
    let (_, body) = loop_of(NAME, nest, l)?;
    outside_sums(NAME, nest, l)?;
    let inside = |expected| Err(refused(NAME, nest, Rule::Inside { id: l, expected }));
    let [one] = body else { return inside("one definition") };
    let (loops, Some(define)) = one.chain() else { return inside("one definition") };
    if define.when.is_some() || define.update {
        return inside("a definition without a condition, which is no update");
    }
    if define.loads_of(define.dst) {
        return inside("a definition that does not load what it writes");
    }
    let data: Vec<Loop> = loops.into_iter().filter(|l| l.role == Role::Data).cloned().collect();
    let dtype = nest.buffers[define.dst.index()].ty.dtype;
    let first = nest.fresh().0;
    let copies: Vec<Loop> =
        (first..).zip(&data).map(|(id, l)| Loop::serial(VarId(id), l.extent, Role::Data)).collect();
    let vars = |loops: &[Loop]| -> Vec<Expr> { loops.iter().map(|l| Expr::Var(l.id)).collect() };
    let copied = |v: VarId| match data.iter().position(|l| l.id == v) {
        Some(i) => Expr::Var(copies[i].id),
        None => Expr::Var(v),
    };
    let scratch = BufId(nest.buffers.len() as u32);
    let copy = Define {
        dst: define.dst,
        index: define.index.iter().map(|e| e.substitute(&copied)).collect(),
        when: None,
        value: Expr::load(scratch, vars(&copies)),
        reduce: None,
        update: false,
    };
    let index = vars(&data);
    let dims: Vec<usize> = data.iter().map(|l| l.extent).collect();
    nest.buffer(Buffer::new(TensorType::new(dtype, dims), BufferRole::Scratch));
    nest.edit(l, |of, mut body| {
        body.iter_mut().for_each(|s| {
            s.each_define(&mut |d| (d.dst, d.index) = (scratch, index.clone()));
        });
        body.extend(around(copies.into_iter(), vec![Stmt::Define(copy)]));
        vec![Stmt::Loop(of, body)]
    });
    Ok(scratch)
}

/// Copies what an iteration of a loop reads of a buffer into scratch first. Gives the scratch, and the loops of the copy.
///
/// ```text
/// for L1 in 9 { for L2 in 6 { reduce L3 in 3 { b2[L1, L2] sum b0[add(L1, 1), add(L2, L3)] .. } } }
/// -> stage_read b0 in L1
/// scratch b3: f32[1,8]
/// for L1 in 9 {
///   for L4 in 1 { for L5 in 8 { b3[L4, L5] = b0[add(L4, add(L1, 1)), L5] } }
///   for L2 in 6 { reduce L3 in 3 { b2[L1, L2] sum b3[0, add(L2, L3)] .. } }
/// }
/// ```
///
/// # Errors
/// [`ScheduleError`] inside a sum, around calls, for a buffer that is not only read or that nothing inside loads, and for
/// loads whose indices are no sums of loops, or do not move alike with the loops outside.
pub fn stage_read(nest: &mut Nest, buffer: BufId, l: VarId) -> Result<(BufId, Vec<VarId>), ScheduleError> {
    const NAME: &str = "stage_read";
    let (_, body) = loop_of(NAME, nest, l)?;
    outside_sums(NAME, nest, l)?;
    let inside = |expected| Err(refused(NAME, nest, Rule::Inside { id: l, expected }));
    if has_call(body) {
        return inside("definitions, which no call has replaced");
    }
    let ty = match nest.buffers.get(buffer.index()) {
        Some(Buffer { ty, role: BufferRole::Src, .. }) => ty.clone(),
        other => {
            let found = other.map_or("none".into(), |b| format!("`{}`", b.role.word()));
            return Err(refused(NAME, nest, Rule::Buffer { id: buffer, expected: "an input", found }));
        }
    };
    let all = defines(body).into_iter().flat_map(Define::loads);
    let loads: Vec<&[Expr]> = all.filter(|(b, _)| *b == buffer).map(|(_, index)| index).collect();
    if loads.is_empty() {
        return inside("a load of the buffer");
    }
    let outside: Vec<VarId> = nest.outside(l).iter().map(|l| l.id).chain([l]).collect();
    let extents = |v: VarId| nest.extent(v);
    let mut regions: Vec<Region> = Vec::new();
    for index in &loads {
        for (dim, e) in index.iter().enumerate() {
            let Some(new) = Region::of(e, &outside, &extents) else {
                return inside("loads at sums of loops");
            };
            match regions.get_mut(dim) {
                None => regions.push(new),
                Some(known) if known.start == new.start => {
                    (known.lo, known.hi) = (known.lo.min(new.lo), known.hi.max(new.hi));
                }
                Some(_) => return inside("loads that move alike with the loops outside"),
            }
        }
    }
    let first = nest.fresh().0;
    let copies: Vec<Loop> = (first..)
        .zip(&regions)
        .map(|(id, r)| Loop::serial(VarId(id), (r.hi - r.lo + 1) as usize, Role::Data))
        .collect();
    let loops = copies.iter().map(|l| l.id).collect();
    let scratch = BufId(nest.buffers.len() as u32);
    let from = copies.iter().zip(&regions).map(|(l, r)| {
        let mut at = r.start.clone();
        at.constant += r.lo;
        at.plus(&Affine::of(&Expr::Var(l.id)), 1)
    });
    let copy = Define {
        dst: scratch,
        index: copies.iter().map(|l| Expr::Var(l.id)).collect(),
        when: None,
        value: Expr::load(buffer, from.map(expr).collect::<Vec<_>>()),
        reduce: None,
        update: false,
    };
    let dims: Vec<usize> = copies.iter().map(|l| l.extent).collect();
    nest.buffer(Buffer::new(TensorType::new(ty.dtype, dims), BufferRole::Scratch));
    let mut staged = |e: &Expr| match e {
        Expr::Load(b, index) if *b == buffer => {
            let at = |(e, r): (&Expr, &Region)| {
                let mut within = Affine::of(e).plus(&r.start, -1);
                within.constant -= r.lo;
                expr(within)
            };
            Some(Expr::load(scratch, index.iter().zip(&regions).map(at).collect::<Vec<_>>()))
        }
        _ => None,
    };
    nest.edit(l, |of, mut body| {
        body.iter_mut().for_each(|s| s.each_define(&mut |d| d.rewrite(&mut staged)));
        let copy = around(copies.into_iter(), vec![Stmt::Define(copy)]);
        vec![Stmt::Loop(of, copy.into_iter().chain(body).collect())]
    });
    Ok((scratch, loops))
}

/// Indices of one dimension that an iteration loads: from `start + lo` to `start + hi`.
struct Region {
    /// What moves with the loops outside.
    start: Affine,
    lo: i64,
    hi: i64,
}

impl Region {
    fn of(e: &Expr, outside: &[VarId], extents: &dyn Fn(VarId) -> Option<usize>) -> Option<Region> {
        let sum = Affine::of(e);
        if sum.terms.iter().any(|(_, atom)| !matches!(atom, Expr::Var(_))) {
            return None;
        }
        let is_outside = |atom: &Expr| matches!(atom, Expr::Var(v) if outside.contains(v));
        let (out, within): (Vec<_>, Vec<_>) = sum.terms.into_iter().partition(|(_, atom)| is_outside(atom));
        let within = Affine { constant: sum.constant, terms: within };
        let (lo, hi) = bounds(&expr(within), extents)?;
        Some(Region { start: Affine { constant: 0, terms: out }, lo, hi })
    }
}
