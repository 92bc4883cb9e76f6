//! Elements by expressions.

use octrt_ops::DType;
use octrt_ops::compute::ReduceFn;
use octrt_ops::expr::Scalar;

use super::program::{At, Program, View, combine};
use crate::leaf::memory::Memory;
use crate::nest::{Definition, Role};

/// A loop as its position among those around the definition, and its extent.
type Counter = (usize, i64);

/// A definition with its expressions resolved against loops and buffers.
#[derive(Debug)]
pub struct Elements {
    /// Number of loops that run here.
    loops: usize,
    data: Vec<Counter>,
    reduce: Vec<Counter>,
    when: Option<Program>,
    value: Program,
    reduction: Option<(ReduceFn, Program, Program)>,
    dst: usize,
    store: At,
    dtypes: Vec<DType>,
}

impl Elements {
    /// A definition whose first loops run outside.
    pub fn new(d: &Definition<'_>, outside: usize) -> Result<Elements, String> {
        let counters = |role| {
            let all = d.loops.iter().enumerate().skip(outside).filter(move |(_, l)| l.role == role);
            all.map(|(i, l)| (i, l.extent as i64)).collect()
        };
        if let Some(l) = d.loops[outside..].iter().find(|l| l.extent == 0) {
            return Err(format!("loop {}: expected an extent of 1 or more", l.id));
        }
        let resolve = |e| Program::new(e, d);
        let Some(dst) = d.buffer(d.define.dst) else { return Err(format!("there is no {}", d.define.dst)) };
        Ok(Elements {
            loops: d.loops.len() - outside,
            data: counters(Role::Data),
            reduce: counters(Role::Reduce),
            when: d.define.when.as_ref().map(resolve),
            value: resolve(&d.define.value),
            reduction: d.define.reduce.as_ref().map(|r| (r.combine, resolve(&r.init), resolve(&r.finish))),
            dst: d.define.dst.index(),
            store: At::new(&d.define.index, &dst.ty.shape, d),
            dtypes: d.buffers.iter().map(|b| b.ty.dtype).collect(),
        })
    }

    /// Defines the elements of one iteration of the loops outside.
    pub fn run(&self, vars: &mut Vec<i64>, memory: &mut Memory) -> Result<(), String> {
        let outside = vars.len();
        vars.resize(outside + self.loops, 0);
        let done = self.elements(vars, memory);
        vars.truncate(outside);
        done.ok_or_else(|| {
            format!("an element of b{} cannot be evaluated, or lies outside a buffer", self.dst)
        })
    }

    /// `None` where an expression is ill-typed or an index leaves its buffer.
    fn elements(&self, vars: &mut [i64], memory: &mut Memory) -> Option<()> {
        let dtype = *self.dtypes.get(self.dst)?;
        let size = dtype.size();
        let mut element = Vec::with_capacity(size);
        loop {
            let view = View { regions: &memory.regions, dtypes: &self.dtypes };
            let skips = match &self.when {
                Some(when) => when.eval(vars, view, None)? != Scalar::Bool(true),
                None => false,
            };
            if !skips {
                let value = self.element(vars, view)?;
                let at = self.store.eval(vars, view, None)?.checked_mul(size)?;
                if value.dtype() != dtype {
                    return None;
                }
                element.clear();
                value.write(&mut element);
                let bytes = &mut memory.regions.get_mut(self.dst)?.bytes;
                bytes.get_mut(at..at.checked_add(size)?)?.copy_from_slice(&element);
            }
            if !advance(vars, &self.data) {
                return Some(());
            }
        }
    }

    /// What this iteration of the data loops stores.
    fn element(&self, vars: &mut [i64], view: View<'_>) -> Option<Scalar> {
        let Some((f, init, finish)) = &self.reduction else { return self.value.eval(vars, view, None) };
        let mut acc = init.eval(vars, view, None)?;
        loop {
            let v = self.value.eval(vars, view, None)?;
            acc = combine(f.binary(), acc, v)?;
            if !advance(vars, &self.reduce) {
                return finish.eval(vars, view, Some(acc));
            }
        }
    }
}

/// Moves to the next iteration, the last loop fastest; after the last one back to the first, and `false`.
fn advance(vars: &mut [i64], loops: &[Counter]) -> bool {
    for &(at, extent) in loops.iter().rev() {
        vars[at] += 1;
        if vars[at] < extent {
            return true;
        }
        vars[at] = 0;
    }
    false
}
