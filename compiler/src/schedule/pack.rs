//! The layout of packed weights.

use octrt_ops::expr::{BufId, Expr, VarId};
use octrt_ops::{Shape, TensorType};

use super::{Rule, ScheduleError, refused};
use crate::nest::affine::Affine;
use crate::nest::index::expr;
use crate::nest::{Buffer, BufferRole, Define, Nest, Stmt, defines};

/// Lays out the weights `[vector, i.., lane]` that the loop `at` reads tile by tile, in the order in which tiles of vectors
/// read them: `[tile, i.., vector, lane]`, for tiles whose vectors are those of the loop `vectors`.
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
pub fn pack(nest: &mut Nest, buffer: BufId, (at, vectors): (VarId, VarId)) -> Result<(), ScheduleError> {
    const NAME: &str = "pack";
    let ty = input(NAME, nest, buffer)?;
    let count = nest.extent(vectors).ok_or_else(|| refused(NAME, nest, Rule::Unknown(vectors)))? as i64;
    let inside = |expected| refused(NAME, nest, Rule::Inside { id: at, expected });
    let whole = nest.find(at).ok_or_else(|| refused(NAME, nest, Rule::Unknown(at)))?;
    let shape = ty.shape.clone();
    let place = |e: &Expr| match e {
        Expr::Load(b, index) if *b == buffer && index.len() == shape.rank() && shape.rank() > 1 => {
            Some(packed(index, &shape, (vectors, count)))
        }
        _ => None,
    };
    let mut places = Vec::new();
    whole.visit(&mut |s| {
        if let Stmt::Define(d) = s {
            d.value.visit(&mut |e| places.extend(place(e)));
        }
    });
    if places.is_empty() {
        return Err(inside("a load of the buffer"));
    }
    if places.contains(&None) {
        return Err(inside("a first index that grows by one with the vectors"));
    }
    let mut packed = |e: &Expr| place(e).flatten().map(|flat| Expr::Load(buffer, vec![flat]));
    nest.edit(at, |l, mut body| {
        body.iter_mut().for_each(|s| s.each_define(&mut |d| d.value.rewrite(&mut packed)));
        vec![Stmt::Loop(l, body)]
    });
    Ok(())
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
    for (i, (e, stride)) in index.iter().zip(shape.strides()).enumerate() {
        let stride = stride as i64;
        match i {
            0 => place.add_sum(&tile, stride),
            i if i + 1 == index.len() => place.add_sum(&Affine::of(e), 1),
            _ => place.add_sum(&Affine::of(e), stride * count),
        }
    }
    place.add_sum(&vector, lanes);
    Some(expr(place))
}

/// The type of a buffer that the nest only reads.
fn input<'a>(
    primitive: &'static str,
    nest: &'a Nest,
    buffer: BufId,
) -> Result<&'a TensorType, ScheduleError> {
    let of = nest.buffers.get(buffer.0 as usize);
    match of {
        Some(Buffer { ty, role: BufferRole::Src, .. }) => Ok(ty),
        _ => {
            let found = of.map_or("none".into(), |b| format!("`{}`", b.role.word()));
            Err(refused(primitive, nest, Rule::Buffer { id: buffer, expected: "an input", found }))
        }
    }
}

/// Declares a buffer whose loads are all packed as the vector that it is.
///
/// # Errors
/// [`ScheduleError`] where a load of it is not packed yet, or it is no input.
pub fn flatten(nest: &mut Nest, buffer: BufId) -> Result<(), ScheduleError> {
    let ty = input("flatten", nest, buffer)?;
    let vector = TensorType::new(ty.dtype, [ty.shape.numel()]);
    let is_left = |d: &&Define| d.loads().iter().any(|(b, index)| *b == buffer && index.len() != 1);
    if defines(&nest.body).iter().any(is_left) {
        let id = nest.loops().first().map_or(VarId(0), |l| l.id);
        return Err(refused("flatten", nest, Rule::Inside { id, expected: "loads that are all packed" }));
    }
    if let Some(b) = nest.buffers.get_mut(buffer.0 as usize) {
        b.ty = vector;
    }
    Ok(())
}
