//! The rules of definitions, each with the loops around it.
//!
//! Loops
//! * at most one loop is `vector`: the innermost, a data loop, of extent [`Target::LANES`], along which `dst` is side by
//!   side, of a type that lanes hold ([`lanes::stores`]): one store writes all its lanes;
//! * only the outermost loop may be `parallel`: a data loop whose iterations write different elements; or a `turn`;
//! * data loops inside the first reduce loop are `unrolled` or `vector`, and hold at most [`MAX_ACCUMULATORS`] values;
//! * reduce loops are serial or `unrolled`; there are reduce loops exactly where there is a reduction.
//!
//! Buffers
//! * `dst` is the written buffer, and is read in updates and turns only;
//! * an update has serial data loops only and no reduction;
//! * a declared range is of an integer type, not empty, and for `dst` contains what is stored.
//!
//! Expressions
//! * are well typed; `init` has the type of `body`, the stored value has the type of `dst`;
//! * name only loops around the definition and buffers of the nest; `index`, `init` and `finish` name no reduce loop; `acc`
//!   occurs only in `finish`;
//! * every index of every load and of the store has one expression per dimension and is proven in bounds by
//!   [`interval`](crate::nest::interval) analysis: this makes machine code safe;
//!
//! Definition
//! * every element of `dst`, but for updates, is proven to be defined, and iterations that define the same element to define
//!   it alike: see [`coverage`]. There is no condition, which would leave elements out.

use octrt_ops::expr::{BufId, Expr, Scalar, VarId};
use octrt_ops::{DType, OpError};

use super::{Violation, coverage};
use crate::nest::affine::Affine;
use crate::nest::interval::{Interval, range};
use crate::nest::{BufferRole, Definition, Form, Role, lanes};
use crate::target::Target;

/// Most accumulators that a definition may hold: the product of the extents of the data loops inside the first reduce loop.
pub const MAX_ACCUMULATORS: usize = 64;

/// Checks every rule in the header of this file, of a perfect nest that keeps those of loops and buffers.
pub(super) fn check(k: &Definition<'_>) -> Result<(), Violation> {
    if k.buffer(k.define.dst).is_none_or(|b| b.role != BufferRole::Dst) {
        return buffer_rule(k.define.dst, "the buffer that is written", "another one");
    }
    check_loads(k, |b, _| b != k.define.dst || k.may_load_dst())?;
    each(k)?;
    if k.define.update { check_update(k) } else { coverage::prove(k) }
}

/// As [`check`], of a definition beside other statements: it may write scratch, what it loads of what it writes is the same
/// element, and it need not define every element. Whether what it loads has been written, and whether threads write
/// different elements, is looked at together with the other statements.
pub(super) fn check_part(k: &Definition<'_>) -> Result<(), Violation> {
    let written = |role: &BufferRole| matches!(role, BufferRole::Dst | BufferRole::Scratch);
    if k.buffer(k.define.dst).is_none_or(|b| !written(&b.role)) {
        return buffer_rule(k.define.dst, "a buffer that is written", "another one");
    }
    if k.define.update {
        return Err(Violation::Statements("an update".into()));
    }
    check_loads(k, |b, index| b != k.define.dst || *index == k.define.index)?;
    each(k)
}

/// The rules that hold in every place.
fn each(k: &Definition<'_>) -> Result<(), Violation> {
    check_loops(k)?;
    check_vector_and_parallel(k)?;
    check_accumulators(k)?;
    check_buffers(k)?;
    check_names(k)?;
    check_types(k)?;
    check_bounds(k)?;
    check_vector_store(k)?;
    check_dst_range(k)
}

fn buffer_rule(buf: BufId, expected: &str, found: &str) -> Result<(), Violation> {
    Err(Violation::Buffer { buf, expected: expected.into(), found: found.into() })
}

/// That every load is allowed.
fn check_loads(k: &Definition<'_>, allowed: impl Fn(BufId, &[Expr]) -> bool) -> Result<(), Violation> {
    for (place, e) in places(k) {
        let mut broken = None;
        e.visit(&mut |e| {
            if let Expr::Load(b, index) = e
                && !allowed(*b, index)
            {
                broken.get_or_insert(*b);
            }
        });
        if let Some(b) = broken {
            let expected = "only loads from buffers that are read".into();
            return Err(Violation::Expr { place, expected, found: b.to_string() });
        }
    }
    Ok(())
}

fn loop_rule(id: VarId, expected: impl Into<String>, found: impl Into<String>) -> Result<(), Violation> {
    Err(Violation::Loop { id, expected: expected.into(), found: found.into() })
}

fn check_loops(k: &Definition<'_>) -> Result<(), Violation> {
    for l in &k.loops {
        if l.role == Role::Reduce && !matches!(l.form, Form::Serial | Form::Unrolled) {
            return loop_rule(l.id, "a serial or unrolled loop, as it reduces", l.form.to_string());
        }
    }
    match (&k.define.reduce, k.first_reduce() < k.loops.len()) {
        (Some(_), false) => Err(Violation::Reduction("a reduction and no reduce loop")),
        (None, true) => Err(Violation::Reduction("a reduce loop and no reduction")),
        _ => Ok(()),
    }
}

fn check_vector_and_parallel(k: &Definition<'_>) -> Result<(), Violation> {
    for (i, l) in k.loops.iter().enumerate() {
        if l.form == Form::Vector && i + 1 != k.loops.len() {
            return loop_rule(l.id, "a vector loop to be the innermost", format!("loop {i} from outside"));
        }
        if l.form == Form::Vector && l.extent != Target::LANES {
            let expected = format!("a vector loop to have extent {}", Target::LANES);
            return loop_rule(l.id, expected, l.extent.to_string());
        }
        if matches!(l.form, Form::Parallel | Form::Turn) && i != 0 {
            let expected = format!("a {} loop to be the outermost", l.form);
            return loop_rule(l.id, expected, format!("loop {i} from outside"));
        }
    }
    Ok(())
}

/// An update writes in the order of its loops, and only what it writes changes.
fn check_update(k: &Definition<'_>) -> Result<(), Violation> {
    if k.define.reduce.is_some() {
        return Err(Violation::Reduction("a reduction in an update"));
    }
    match k.loops.iter().find(|l| l.form != Form::Serial) {
        None => Ok(()),
        Some(l) => loop_rule(l.id, "a serial loop, as it updates", l.form.to_string()),
    }
}

fn check_accumulators(k: &Definition<'_>) -> Result<(), Violation> {
    let mut held = 1usize;
    for l in k.loops[k.first_reduce()..].iter().filter(|l| l.role == Role::Data) {
        if !matches!(l.form, Form::Unrolled | Form::Vector) {
            let expected = "an unrolled or vector loop, as it is inside a reduce loop";
            return loop_rule(l.id, expected, l.form.to_string());
        }
        held = held.saturating_mul(l.extent);
        if held > MAX_ACCUMULATORS {
            let expected = format!("{MAX_ACCUMULATORS} accumulators or fewer inside the reduce loops");
            return loop_rule(l.id, expected, held.to_string());
        }
    }
    Ok(())
}

fn check_buffers(k: &Definition<'_>) -> Result<(), Violation> {
    let rule = |buf, expected: &str, found| Err(Violation::Buffer { buf, expected: expected.into(), found });
    if let Some(when) = &k.define.when {
        let reason = format!("only those for which `{when}`");
        return Err(Violation::Coverage { dst: k.define.dst, reason });
    }
    for (i, b) in k.buffers.iter().enumerate() {
        let id = BufId(i as u32);
        let Some((lo, hi)) = b.range else { continue };
        let dtype = b.ty.dtype;
        if !dtype.is_int() {
            return rule(id, "a range only on integers", format!("a range on {dtype}"));
        }
        let is_of_type = |v: i64| Scalar::I64(v).cast(dtype).int() == Some(v.into());
        if lo > hi || !is_of_type(lo) || !is_of_type(hi) {
            return rule(id, "a range of numbers of its type", format!("{lo}..{hi}"));
        }
    }
    Ok(())
}

/// Every expression of the definition with its place.
fn places<'a>(k: &'a Definition<'_>) -> impl Iterator<Item = (String, &'a Expr)> {
    let index = k.define.index.iter().enumerate().map(|(i, e)| (format!("index {i}"), e));
    let reduction =
        k.define.reduce.iter().flat_map(|r| [("init".into(), &r.init), ("finish".into(), &r.finish)]);
    index.chain([("body".into(), &k.define.value)]).chain(reduction)
}

fn check_names(k: &Definition<'_>) -> Result<(), Violation> {
    for (place, e) in places(k) {
        let mut broken = None;
        let reduced = place == "body";
        e.visit(&mut |e| {
            let found = match e {
                Expr::Var(v) => match k.loops.iter().find(|l| l.id == *v) {
                    None => ("a loop around the definition", v.to_string()),
                    Some(l) if l.role == Role::Reduce && !reduced => ("no reduce loop", v.to_string()),
                    Some(_) => return,
                },
                Expr::Load(b, _) if b.0 as usize >= k.buffers.len() => {
                    ("a buffer of the nest", b.to_string())
                }
                Expr::Acc if place != "finish" => ("`acc` only in `finish`", "it".into()),
                _ => return,
            };
            broken.get_or_insert(found);
        });
        if let Some((expected, found)) = broken {
            return Err(Violation::Expr { place, expected: expected.into(), found });
        }
    }
    Ok(())
}

fn check_types(k: &Definition<'_>) -> Result<(), Violation> {
    let buffer = |b: BufId| k.buffers.get(b.0 as usize).map(|b| b.ty.dtype);
    let typed = |place: &str, e: &Expr, acc, expected: DType| {
        let wrong = |found: String| {
            Err(Violation::Expr { place: place.into(), expected: expected.to_string(), found })
        };
        match e.dtype(&buffer, acc) {
            Ok(d) if d == expected => Ok(()),
            Ok(d) => wrong(d.to_string()),
            Err(e) => wrong(e.to_string()),
        }
    };
    for (i, e) in k.define.index.iter().enumerate() {
        typed(&format!("index {i}"), e, None, DType::I64)?;
    }
    let dst = k.dst_ty().dtype;
    let Some(r) = &k.define.reduce else { return typed("body", &k.define.value, None, dst) };
    let ill_typed = |e: OpError| Violation::Expr {
        place: "body".into(),
        expected: "a typed value".into(),
        found: e.to_string(),
    };
    let reduced = k.define.value.dtype(&buffer, None).map_err(ill_typed)?;
    Expr::binary(r.combine.binary(), Expr::Acc, Expr::Acc)
        .dtype(&buffer, Some(reduced))
        .map_err(ill_typed)?;
    typed("init", &r.init, None, reduced)?;
    typed("finish", &r.finish, Some(reduced), dst)
}

fn check_bounds(k: &Definition<'_>) -> Result<(), Violation> {
    check_index(k, "store", k.define.dst, &k.define.index)?;
    for (place, e) in places(k) {
        let mut result = Ok(());
        e.visit(&mut |e| {
            if let (Expr::Load(b, index), Ok(())) = (e, &result) {
                result = check_index(k, &place, *b, index);
            }
        });
        result?;
    }
    Ok(())
}

fn check_index(k: &Definition<'_>, place: &str, buf: BufId, index: &[Expr]) -> Result<(), Violation> {
    let shape = &k.buffers[buf.0 as usize].ty.shape;
    if index.len() != shape.rank() {
        let expected = format!("an index of {buf} with {} dimensions", shape.rank());
        return Err(Violation::Expr { place: place.into(), expected, found: index.len().to_string() });
    }
    for (dim, (e, &extent)) in index.iter().zip(shape.iter()).enumerate() {
        let found = range(e, k);
        if !found.is_some_and(|i| i.indexes(extent)) {
            let found = match found {
                None | Some(Interval { lo: i64::MIN, hi: i64::MAX }) => "unknown bounds".into(),
                Some(Interval { lo, hi }) => format!("{lo}..={hi}"),
            };
            let index = e.to_string();
            return Err(Violation::Bounds { place: place.into(), buf, dim, index, found, extent });
        }
    }
    Ok(())
}

/// That the elements which the lanes of a vector loop define lie one after the other.
fn check_vector_store(k: &Definition<'_>) -> Result<(), Violation> {
    let Some(l) = k.loops.iter().find(|l| l.form == Form::Vector) else { return Ok(()) };
    if !lanes::stores(k.dst_ty().dtype) {
        let expected = "a vector loop to store f32 or what an i32 holds";
        return loop_rule(l.id, expected, k.dst_ty().dtype.to_string());
    }
    match Affine::flat(&k.dst_ty().shape, &k.define.index).stride(l.id) {
        Some(1) => Ok(()),
        stride => {
            let found = stride.map_or("a stride that varies".into(), |s| format!("a stride of {s}"));
            loop_rule(l.id, "a vector loop to store its lanes side by side", found)
        }
    }
}

fn check_dst_range(k: &Definition<'_>) -> Result<(), Violation> {
    let Some((lo, hi)) = k.buffers[k.define.dst.0 as usize].range else { return Ok(()) };
    let stored = k.define.reduce.as_ref().map_or(&k.define.value, |r| &r.finish);
    match range(stored, k) {
        Some(i) if lo <= i.lo && i.hi <= hi => Ok(()),
        found => Err(Violation::Buffer {
            buf: k.define.dst,
            expected: "stored values proven to be in its range".into(),
            found: found.map_or("unknown".into(), |i| format!("{}..{}", i.lo, i.hi)),
        }),
    }
}
