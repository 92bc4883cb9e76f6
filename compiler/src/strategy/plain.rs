//! Element by element on plain tensors.
//!
//! ```text
//! for rows parallel  cut columns in vectors -> tensorize
//! ```

use octrt_ops::expr::{BufId, Expr, VarId};
use octrt_ops::{DType, TensorType};

use crate::leaf::{Width, registers};
use crate::nest::{Buffer, BufferRole, Define, Form, Loop, Nest, Role, Stmt, around};
use crate::schedule::script::Schedule;
use crate::schedule::tensorize::elementwise::ElementwiseTile;
use crate::target::Target;

use super::refusal::Refusal;

/// `dst = value`, an expression of elements `b0[]`, `b1[]`, .. of tensors that are broadcast to the result. Buffers, in
/// order: those of the tensors; dst.
#[derive(Clone, Debug, PartialEq)]
pub struct PlainProblem {
    /// What is computed.
    pub value: Expr,
    /// Extents of the result.
    pub dims: Vec<usize>,
    /// For each tensor, the axes of the result that it has, in their order.
    pub reads: Vec<Vec<bool>>,
}

/// Elements of the innermost axis from which on it is long enough to be alone in a call.
const ROW: usize = 4096;

/// Most vectors of a trip.
const VECTORS: usize = 4;

impl PlainProblem {
    /// The problem with as few axes as there can be: those of one element are gone, and neighbours that the same tensors have
    /// are one; but the last axis takes no more than it needs, or is cut where it divides, so that threads can share the others.
    pub fn new(value: Expr, dims: &[usize], reads: &[Vec<bool>]) -> PlainProblem {
        let mut all: Vec<(usize, Vec<bool>)> = Vec::new();
        for axis in (0..dims.len()).rev().filter(|i| dims[*i] > 1) {
            let pattern: Vec<bool> = reads.iter().map(|r| r[axis]).collect();
            let inner = all.len() == 1;
            match all.last_mut() {
                Some((n, known)) if *known == pattern && !(inner && *n >= ROW) => *n *= dims[axis],
                _ => all.push((dims[axis], pattern)),
            }
        }
        if all.is_empty() {
            all.push((1, vec![false; reads.len()]));
        }
        if let [(n, pattern)] = &all[..]
            && let Some(row) = (ROW..=2 * ROW).find(|row| n.is_multiple_of(*row) && n / row > 1)
        {
            all = vec![(row, pattern.clone()), (n / row, pattern.clone())];
        }
        all.reverse();
        PlainProblem {
            value,
            dims: all.iter().map(|(n, _)| *n).collect(),
            reads: (0..reads.len()).map(|k| all.iter().map(|(_, of)| of[k]).collect()).collect(),
        }
    }

    /// The type of a tensor, with the axes that it has.
    pub fn ty(&self, k: usize) -> TensorType {
        let dims = self.dims.iter().zip(&self.reads[k]).filter(|(_, has)| **has).map(|(n, _)| *n);
        TensorType::new(DType::F32, dims.collect::<Vec<_>>())
    }

    /// The naive nest: a loop for each axis.
    pub fn naive(&self) -> Nest {
        let loops = self.dims.iter().enumerate().map(|(i, n)| Loop::serial(VarId(i as u32), *n, Role::Data));
        let mut buffers: Vec<Buffer> =
            (0..self.reads.len()).map(|k| Buffer::new(self.ty(k), BufferRole::Src)).collect();
        buffers.push(Buffer::new(TensorType::new(DType::F32, self.dims.clone()), BufferRole::Dst));
        let index = |k: usize| -> Vec<Expr> {
            let has = self.reads.get(k).into_iter().flatten().enumerate();
            has.filter(|(_, has)| **has).map(|(i, _)| Expr::var(i)).collect()
        };
        let value = self.value.map(&mut |e| match e {
            Expr::Load(b, _) => Some(Expr::load(*b, index(b.index()))),
            _ => None,
        });
        let define = Define {
            dst: BufId(buffers.len() as u32 - 1),
            index: (0..self.dims.len()).map(Expr::var).collect(),
            when: None,
            value,
            reduce: None,
            update: false,
        };
        let body = around(loops, vec![Stmt::Define(define)]);
        Nest { name: "elementwise".into(), buffers, leaves: Vec::new(), body }
    }
}

/// The schedule.
///
/// # Errors
/// [`Refusal`] where there are no leaf programs, or none computes the value.
pub fn schedule(p: &PlainProblem, target: Target) -> Result<Schedule, Refusal> {
    let width = target.width().ok_or(Refusal::NoLeafPrograms(target))?;
    let mut s = Schedule::new(p.naive());
    let last = p.dims.len() - 1;
    let column = VarId(last as u32);
    if last > 0 {
        s.parallel(VarId(0))?;
    }
    for run in s.cut(column, &runs(p.dims[last], width))? {
        s.tensorize_elementwise(&ElementwiseTile { run: run.outer, inner: run.inner }, width)?;
    }
    Ok(s)
}

/// The schedule of a definition that runs in turns, element by element.
///
/// # Errors
/// [`Refusal`] where there are no leaf programs, or none computes the definition.
pub fn in_turns(naive: Nest, target: Target) -> Result<Schedule, Refusal> {
    let width = target.width().ok_or(Refusal::NoLeafPrograms(target))?;
    let floats = naive.buffers.iter().all(|b| b.ty.dtype == DType::F32);
    let loops = naive.perfect().filter(|d| floats && d.define.reduce.is_none()).map(|d| d.loops);
    let Some([.., Loop { id, extent, form: Form::Serial, .. }]) = loops.as_deref() else {
        return Err(Refusal::Unfit("elements of f32 side by side"));
    };
    let (column, extent) = (*id, *extent);
    let mut s = Schedule::new(naive);
    for run in s.cut(column, &runs(extent, width))? {
        s.tensorize_elementwise(&ElementwiseTile { run: run.outer, inner: run.inner }, width)?;
    }
    match s.nest().leaves.iter().all(|leaf| registers::fits(leaf)) {
        true => Ok(s),
        false => Err(Refusal::Registers),
    }
}

/// Elements of a trip and how many trips: of whole vectors, as many to a trip as divide them, then of what is left over.
fn runs(elements: usize, width: Width) -> Vec<(usize, usize)> {
    let lanes = width.lanes() as usize;
    let full = elements / lanes;
    let vectors = (1..=VECTORS).rev().find(|v| full.is_multiple_of(*v)).unwrap_or(1);
    let rest = elements % lanes;
    let all = [(vectors * lanes, full / vectors), (rest, 1)];
    all.into_iter().filter(|(size, n)| *size > 0 && *n > 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dims(dims: &[usize], reads: &[&[bool]]) -> (Vec<usize>, Vec<Vec<bool>>) {
        let reads: Vec<Vec<bool>> = reads.iter().map(|r| r.to_vec()).collect();
        let p = PlainProblem::new(Expr::f32(0.0), dims, &reads);
        (p.dims, p.reads)
    }

    #[test]
    fn axes_are_as_few_as_there_can_be() {
        let (yes, no) = (true, false);
        assert_eq!(dims(&[2, 1, 5, 7], &[&[yes, no, yes, yes]]), (vec![70], vec![vec![yes]]));
        let per_channel = dims(&[2, 3, 5, 7], &[&[yes; 4], &[no, yes, no, no]]);
        assert_eq!(per_channel, (vec![2, 3, 35], vec![vec![yes; 3], vec![no, yes, no]]));
        assert_eq!(dims(&[1, 1], &[&[no, no]]), (vec![1], vec![vec![no]]));
        // A long last axis leaves the others to threads.
        assert_eq!(dims(&[4, 8, 64, 64], &[&[yes; 4]]), (vec![32, 4096], vec![vec![yes; 2]]));
        assert_eq!(dims(&[1_000_000], &[&[yes]]), (vec![200, 5000], vec![vec![yes; 2]]));
        assert_eq!(dims(&[1_000_003], &[&[yes]]), (vec![1_000_003], vec![vec![yes]]));
    }
}
