//! The meaning of nests of definitions: what schedules are tested against. Calls have theirs in
//! [`tile::interp`](crate::tile::interp).

use std::collections::BTreeMap;

use octrt_ops::expr::{BufId, Env, Scalar, VarId, binary, eval};
use octrt_ops::{DType, OpError, Tensor};

use super::{Define, Nest, Stmt};
use crate::loop_ir::{Loop, Role};
use crate::tile::{BufferRole, TileBuffer};

/// Runs a nest of f32 on its inputs, in the order of its buffers (`None` for tables and for the result), which starts as zeros.
///
/// # Errors
/// [`OpError::Invalid`] when an input is missing, a table is none of i64, an index leaves its buffer, a statement is a call or a reduction is no
/// perfect nest.
pub fn run(nest: &Nest, inputs: &[Option<Tensor>]) -> Result<Tensor, OpError> {
    let (mut memory, mut tables) = (Vec::new(), Vec::new());
    for (i, b) in nest.buffers.iter().enumerate() {
        memory.push(match (&b.role, inputs.get(i).and_then(Option::as_ref)) {
            (BufferRole::Src, Some(t)) if *t.ty() == b.ty => t.to_vec::<f32>()?,
            (BufferRole::Src, _) => return Err(OpError::Invalid(format!("b{i}: expected {}", b.ty))),
            (BufferRole::Table(_), _) => Vec::new(),
            _ => vec![0.0; b.ty.shape.numel()],
        });
        tables.push(match &b.role {
            BufferRole::Table(t) => t.to_i64s()?,
            _ => Vec::new(),
        });
    }
    let mut machine = Machine { nest, memory, tables, vars: BTreeMap::new(), acc: None };
    machine.block(&nest.body)?;
    let dst = nest.dst().ok_or_else(|| OpError::Invalid("no result".into()))?.0 as usize;
    Tensor::new(nest.buffers[dst].ty.shape.clone(), &machine.memory[dst])
}

struct Machine<'a> {
    nest: &'a Nest,
    memory: Vec<Vec<f32>>,
    /// The numbers of tables.
    tables: Vec<Vec<i64>>,
    vars: BTreeMap<VarId, i64>,
    acc: Option<Scalar>,
}

impl Env for Machine<'_> {
    fn var(&self, v: VarId) -> i64 {
        self.vars.get(&v).copied().unwrap_or(0)
    }

    fn load(&self, b: BufId, index: &[i64]) -> Result<Scalar, OpError> {
        let at = self.flat(b, index)?;
        let b = b.0 as usize;
        match self.nest.buffers[b].ty.dtype {
            DType::F32 => Ok(Scalar::F32(self.memory[b][at])),
            _ => Ok(Scalar::I64(self.tables[b][at])),
        }
    }

    fn acc(&self) -> Option<Scalar> {
        self.acc
    }
}

impl Machine<'_> {
    /// Position of an element; one index is that of a buffer as a vector.
    fn flat(&self, b: BufId, index: &[i64]) -> Result<usize, OpError> {
        let outside = || OpError::Invalid(format!("{b}{index:?} is outside"));
        let TileBuffer { ty, role } = self.nest.buffers.get(b.0 as usize).ok_or_else(outside)?;
        let dims = ty.shape.dims();
        let packed = [ty.shape.numel()];
        let dims = if index.len() == 1 { &packed[..] } else { dims };
        let inside =
            index.len() == dims.len() && index.iter().zip(dims).all(|(i, n)| (0..*n as i64).contains(i));
        let of_elements = match role {
            BufferRole::Table(_) => DType::I64,
            _ => DType::F32,
        };
        if !inside || ty.dtype != of_elements {
            return Err(outside());
        }
        Ok(index.iter().zip(dims).fold(0, |at, (i, n)| at * n + *i as usize))
    }

    fn block(&mut self, stmts: &[Stmt]) -> Result<(), OpError> {
        stmts.iter().try_for_each(|s| self.stmt(s))
    }

    fn stmt(&mut self, s: &Stmt) -> Result<(), OpError> {
        match s {
            Stmt::Loop(l, _) if l.role == Role::Reduce => match s.chain() {
                (loops, Some(define)) => self.reduction(&loops, define),
                _ => Err(OpError::Invalid(format!("{}: no perfect nest", l.id))),
            },
            Stmt::Loop(l, body) => {
                for i in 0..l.extent {
                    self.vars.insert(l.id, i as i64);
                    self.block(body)?;
                }
                Ok(())
            }
            Stmt::Define(d) if d.reduce.is_none() => {
                if !self.defines(d)? {
                    return Ok(());
                }
                let value = eval(&d.value, self)?;
                self.store(d, value)
            }
            Stmt::Define(d) => self.reduction(&[], d),
            Stmt::Call { leaf, .. } => Err(OpError::Invalid(format!("call {leaf}"))),
        }
    }

    /// Every data loop holds accumulators of its own.
    fn reduction(&mut self, loops: &[&Loop], define: &Define) -> Result<(), OpError> {
        let of = |role| loops.iter().filter(move |l| l.role == role).map(|l| (l.id, l.extent)).collect();
        let (data, reduce): (Vec<_>, Vec<_>) = (of(Role::Data), of(Role::Reduce));
        let Some(r) = &define.reduce else { return Err(OpError::Invalid("no reduction".into())) };
        let mut each = Some(first(&data));
        while let Some(at) = each {
            self.vars.extend(at.iter().copied());
            if !self.defines(define)? {
                each = next(&at, &data);
                continue;
            }
            let mut acc = eval(&r.init, self)?;
            let mut terms = Some(first(&reduce));
            while let Some(term) = terms {
                self.vars.extend(term.iter().copied());
                let value = eval(&define.value, self)?;
                let ill_typed = || OpError::Invalid("an ill-typed reduction".into());
                acc = binary(r.combine.binary(), acc, value).ok_or_else(ill_typed)?;
                terms = next(&term, &reduce);
            }
            self.acc = Some(acc);
            let value = eval(&r.finish, self)?;
            self.acc = None;
            self.store(define, value)?;
            each = next(&at, &data);
        }
        Ok(())
    }

    /// Whether this iteration defines an element.
    fn defines(&self, d: &Define) -> Result<bool, OpError> {
        match &d.when {
            None => Ok(true),
            Some(when) => Ok(eval(when, self)? == Scalar::Bool(true)),
        }
    }

    fn store(&mut self, d: &Define, value: Scalar) -> Result<(), OpError> {
        let mut index = Vec::new();
        for e in &d.index {
            match eval(e, self)? {
                Scalar::I64(i) => index.push(i),
                _ => return Err(OpError::Invalid(format!("index `{e}`"))),
            }
        }
        let at = self.flat(d.dst, &index)?;
        match (value, self.memory[d.dst.0 as usize].get_mut(at)) {
            (Scalar::F32(v), Some(place)) => *place = v,
            _ => return Err(OpError::Invalid("a value that is no f32, or stored in a table".into())),
        }
        Ok(())
    }
}

fn first(loops: &[(VarId, usize)]) -> Vec<(VarId, i64)> {
    loops.iter().map(|(l, _)| (*l, 0)).collect()
}

/// The next iteration, the last loop fastest.
fn next(at: &[(VarId, i64)], loops: &[(VarId, usize)]) -> Option<Vec<(VarId, i64)>> {
    let mut at = at.to_vec();
    for (place, (_, extent)) in at.iter_mut().zip(loops).rev() {
        place.1 += 1;
        if place.1 < *extent as i64 {
            return Some(at);
        }
        place.1 = 0;
    }
    None
}
