//! The layout of packed weights.

use octrt_ops::expr::{BufId, Expr, VarId};
use octrt_ops::{Shape, TensorType};

use super::{Rule, ScheduleError, refused};
use crate::loop_ir::affine::Affine;
use crate::nest::index::expr;
use crate::nest::{Define, Nest, Stmt};
use crate::tile::{BufferRole, TileBuffer};

/// What the loop `at` becomes when weights `[vector, i.., lane]` are laid out tile by tile, in the order in which tiles of vectors read them:
/// `[tile, i.., vector, lane]`, for tiles whose vectors are those of the loop `vectors`.
///
/// ```text
/// for L0 in 4 { for L1 in 2 { .. b1[add(mul(L0, 2), L1), L3, L4] } }        b1: f32[8, 9, 8]
/// -> pack b1 by L1
/// for L0 in 4 { for L1 in 2 { .. b1[add(add(mul(L0, 144), mul(L3, 16)), add(mul(L1, 8), L4))] } }
/// ```
///
/// The buffer stays as it is declared until [`flatten`], after the loads of every run of tiles are rewritten.
///
/// # Errors
/// [`ScheduleError`] where what is inside `at` loads nothing of the buffer, vectors are not its first dimension, or it is no
/// input.
pub fn pack(nest: &Nest, buffer: BufId, (at, vectors): (VarId, VarId)) -> Result<Stmt, ScheduleError> {
    const NAME: &str = "pack";
    let ty = input(NAME, nest, buffer)?;
    let count = nest.extent(vectors).ok_or_else(|| refused(NAME, nest, Rule::Unknown(vectors)))? as i64;
    let inside = |expected| refused(NAME, nest, Rule::Inside { id: at, expected });
    let whole = nest.find(at).ok_or_else(|| refused(NAME, nest, Rule::Unknown(at)))?;
    let shape = ty.shape.clone();
    let found = std::cell::Cell::new(None);
    let each = |e: &Expr| {
        e.map(&mut |e| match e {
            Expr::Load(b, index) if *b == buffer && index.len() == shape.rank() && shape.rank() > 1 => {
                let flat = packed(index, &shape, (vectors, count));
                found.set(Some(flat.is_some()));
                flat.map(|flat| Expr::Load(*b, vec![flat]))
            }
            _ => None,
        })
    };
    let stmt = rebuilt(whole, &each);
    match found.get() {
        Some(true) => Ok(stmt),
        Some(false) => Err(inside("a first index that grows by one with the vectors")),
        None => Err(inside("a load of the buffer")),
    }
}

fn rebuilt(s: &Stmt, f: &dyn Fn(&Expr) -> Expr) -> Stmt {
    match s {
        Stmt::Define(d) => Stmt::Define(Define { value: f(&d.value), ..d.clone() }),
        Stmt::Loop(l, body) => Stmt::Loop(l.clone(), body.iter().map(|s| rebuilt(s, f)).collect()),
        other => other.clone(),
    }
}

/// The place of an element of weights that are packed by tiles of `count` vectors.
fn packed(index: &[Expr], shape: &Shape, (vectors, count): (VarId, i64)) -> Option<Expr> {
    let lanes = *shape.dims().last()? as i64;
    let first = Affine::of(&index[0]);
    if first.stride(vectors) != Some(1) {
        return None;
    }
    let vector = Affine::of(&Expr::Var(vectors));
    let tile = first.plus(&vector, -1);
    let mut place = Affine::default();
    let strides = shape.strides();
    for (i, (e, stride)) in index.iter().zip(strides).enumerate() {
        let stride = stride as i64;
        place = match i {
            0 => place.plus(&tile, stride),
            i if i + 1 == index.len() => place.plus(&Affine::of(e), 1),
            _ => place.plus(&Affine::of(e), stride * count),
        };
    }
    Some(expr(&place.plus(&vector, lanes)))
}

/// The type of a buffer that the nest only reads.
fn input<'a>(
    primitive: &'static str,
    nest: &'a Nest,
    buffer: BufId,
) -> Result<&'a TensorType, ScheduleError> {
    let of = nest.buffers.get(buffer.0 as usize);
    match of {
        Some(TileBuffer { ty, role: BufferRole::Src }) => Ok(ty),
        _ => {
            let found = of.map_or("none".into(), |b| format!("`{}`", b.role.word()));
            Err(refused(primitive, nest, Rule::Buffer { id: buffer, expected: "an input", found }))
        }
    }
}

/// The type of a buffer whose loads are all packed: the vector that it is.
///
/// # Errors
/// [`ScheduleError`] where a load of it is not packed yet, or it is no input.
pub fn flatten(nest: &Nest, buffer: BufId) -> Result<TensorType, ScheduleError> {
    let ty = input("flatten", nest, buffer)?;
    let mut left = false;
    let mut look = |s: &Stmt| {
        if let Stmt::Define(d) = s {
            d.expressions().for_each(|e| {
                e.visit(&mut |e| left |= matches!(e, Expr::Load(b, i) if *b == buffer && i.len() != 1));
            });
        }
    };
    nest.body.iter().for_each(|s| s.visit(&mut look));
    if left {
        let id = nest.loops().first().map_or(VarId(0), |l| l.id);
        return Err(refused("flatten", nest, Rule::Inside { id, expected: "loads that are all packed" }));
    }
    Ok(TensorType::new(ty.dtype, [ty.shape.numel()]))
}
