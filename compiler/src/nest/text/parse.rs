//! Reading of nests.

use octrt_ops::expr::BufId;
use octrt_ops::{DType, Tensor, TensorType};

use crate::loop_ir::text::{ParseError, Parser, numbered};
use crate::nest::{Define, Nest, Stmt};
use crate::tile::{BufferRole, TileBuffer};

/// Deepest nesting of loops that is read.
const MAX_DEPTH: usize = 64;

/// Names of loops that are read: primitives go on from there.
const LOOPS: u32 = 1 << 24;

/// The nest that a text prints; what it says may make no sense.
///
/// # Errors
/// [`ParseError`] where the text is not of the form in the header of [`text`](super).
pub fn parse(text: &str) -> Result<Nest, ParseError> {
    let mut p = Parser::new(text)?;
    p.keyword("nest")?;
    let name = p.string("the nest's name as a string")?;
    p.sign("{")?;
    let mut buffers = Vec::new();
    while p.is_name(&["in", "out", "scratch", "table"]) {
        buffers.push(buffer(&mut p, buffers.len())?);
    }
    let body = block(&mut p, 0)?;
    p.end()?;
    Ok(Nest { name, buffers, leaves: Vec::new(), body })
}

fn buffer(p: &mut Parser, position: usize) -> Result<TileBuffer, ParseError> {
    // The entries of a table follow its type.
    let role = p.word("a buffer", |s| match s {
        "in" => Some(Some(BufferRole::Src)),
        "out" => Some(Some(BufferRole::Dst)),
        "scratch" => Some(Some(BufferRole::Scratch)),
        "table" => Some(None),
        _ => None,
    })?;
    let id = format!("b{position}");
    p.word(&format!("`{id}`"), |s| (s == id).then_some(()))?;
    p.sign(":")?;
    let start = p.token().clone();
    let dtype: DType = p.word("an element type", |s| s.parse().ok())?;
    p.sign("[")?;
    let dims = p.list("]", |p| p.number::<usize>("an extent"))?;
    let ty = TensorType::new(dtype, dims);
    ty.shape.checked_bytes(dtype).map_err(|_| start.error("a type that can be addressed"))?;
    let role = match role {
        Some(role) => role,
        None => BufferRole::Table(table(p, &ty)?),
    };
    Ok(TileBuffer { ty, role })
}

/// The entries of a table.
fn table(p: &mut Parser, ty: &TensorType) -> Result<Tensor, ParseError> {
    p.sign("=")?;
    p.sign("[")?;
    let start = p.token().clone();
    let mut entries: Vec<i64> = Vec::new();
    while !p.takes_sign("]") {
        entries.push(p.number("an entry")?);
        if !p.takes_sign(",") {
            p.sign("]")?;
            break;
        }
    }
    let dims = || ty.shape.dims().to_vec();
    let table = match ty.dtype {
        DType::I64 => Tensor::new(dims(), &entries).ok(),
        DType::I32 => {
            let entries: Option<Vec<i32>> = entries.iter().map(|e| i32::try_from(*e).ok()).collect();
            entries.and_then(|entries| Tensor::new(dims(), &entries).ok())
        }
        _ => None,
    };
    table.ok_or_else(|| start.error(format!("the entries of a table {ty} of i32 or i64")))
}

/// Statements up to the closing brace.
fn block(p: &mut Parser, depth: usize) -> Result<Vec<Stmt>, ParseError> {
    let mut stmts = Vec::new();
    while !p.takes_sign("}") {
        if p.is_name(&["for", "reduce"]) && depth < MAX_DEPTH {
            let start = p.token().clone();
            let of = p.loop_()?;
            if of.id.0 >= LOOPS {
                return Err(start.error(format!("a loop below L{LOOPS}")));
            }
            p.sign("{")?;
            stmts.push(Stmt::Loop(of, block(p, depth + 1)?));
            continue;
        }
        let dst = p.word("`for`, `reduce`, an element or `}`", |s| numbered(s, 'b').map(BufId))?;
        p.sign("[")?;
        let index = p.list("]", |p| p.expr(0))?;
        let when = if p.keyword("when").is_ok() { Some(p.expr(0)?) } else { None };
        let (value, reduce) = p.definition()?;
        stmts.push(Stmt::Define(Define { dst, index, when, value, reduce }));
    }
    Ok(stmts)
}
