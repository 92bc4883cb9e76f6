//! Loops, accumulators and stores.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{BlockArg, InstBuilder, MemFlagsData, Value};
use octrt_ops::DType;
use octrt_ops::compute::ReduceFn;
use octrt_ops::expr::{BinaryFn, Expr, VarId};

use super::emitter::{Binding, Emit, Emitter, Operand};
use crate::nest::{Define, Form, Loop, Role, Stmt};

impl<'a> Emitter<'a, '_> {
    /// Emits the whole function.
    pub(super) fn function(&mut self) -> Emit<()> {
        let entry = self.b.create_block();
        self.b.append_block_params_for_function_params(entry);
        self.b.switch_to_block(entry);
        let params = self.b.block_params(entry).to_vec();
        let [buffers, begin, end] = params[..] else { return Err("signature".into()) };
        let flags = MemFlagsData::trusted().with_readonly().with_can_move();
        self.bases = (0..self.nest.buffers.len())
            .map(|i| self.b.ins().load(I64, flags, buffers, 8 * i as i32))
            .collect();
        self.range = Some((begin, end));
        self.declare_leaves();
        self.frames(&self.nest.body);
        self.block(&self.nest.body)?;
        self.b.ins().return_(&[]);
        Ok(())
    }

    fn block(&mut self, stmts: &'a [Stmt]) -> Emit<()> {
        stmts.iter().try_for_each(|s| self.stmt(s))
    }

    fn stmt(&mut self, s: &'a Stmt) -> Emit<()> {
        match s {
            Stmt::Loop(l, _) if l.role == Role::Reduce => self.reduction(s),
            Stmt::Loop(l, body) => {
                self.loops.push(l);
                match l.form {
                    Form::Serial | Form::Parallel | Form::Turn => {
                        self.counted(l, Vec::new(), |e, _| e.block(body).map(|()| Vec::new()))?;
                    }
                    Form::Unrolled => {
                        for k in 0..l.extent {
                            self.bindings.insert(l.id, Binding::Constant(k as i64));
                            self.block(body)?;
                        }
                    }
                    Form::Vector => {
                        self.bindings.insert(l.id, Binding::Lanes);
                        self.block(body)?;
                    }
                }
                self.bindings.remove(&l.id);
                self.loops.pop();
                Ok(())
            }
            Stmt::Define(Define { when: Some(when), .. }) => Err(format!("the condition `{when}`")),
            Stmt::Define(define) => {
                let value = self.operand(&define.value)?;
                self.store(define, value)
            }
            Stmt::Call { leaf, slots } => self.call(*leaf, slots),
        }
    }

    /// Emits a counted loop that carries values: `body` gets them at the start of an iteration and returns them at its
    /// end. Extents are positive, so the test is at the bottom; only a parallel part may be empty.
    fn counted(
        &mut self,
        l: &Loop,
        carried: Vec<Value>,
        body: impl FnOnce(&mut Self, &[Value]) -> Emit<Vec<Value>>,
    ) -> Emit<Vec<Value>> {
        let (head, exit) = (self.b.create_block(), self.b.create_block());
        self.b.append_block_param(head, I64);
        for v in &carried {
            let ty = self.b.func.dfg.value_type(*v);
            self.b.append_block_param(head, ty);
            self.b.append_block_param(exit, ty);
        }
        let args = |first: Option<Value>, rest: &[Value]| -> Vec<BlockArg> {
            first.into_iter().chain(rest.iter().copied()).map(BlockArg::Value).collect()
        };
        let end = match (l.form, self.range) {
            (Form::Parallel | Form::Turn, Some((begin, end))) => {
                let some = self.b.ins().icmp(IntCC::SignedLessThan, begin, end);
                self.b.ins().brif(some, head, &args(Some(begin), &carried), exit, &args(None, &carried));
                end
            }
            _ => {
                let zero = self.b.ins().iconst(I64, 0);
                let end = self.b.ins().iconst(I64, l.extent as i64);
                self.b.ins().jump(head, &args(Some(zero), &carried));
                end
            }
        };
        self.b.switch_to_block(head);
        let params = self.b.block_params(head).to_vec();
        self.bindings.insert(l.id, Binding::Counter(params[0]));
        let next = body(self, &params[1..])?;
        self.bindings.remove(&l.id);
        let counter = self.b.ins().iadd_imm_s(params[0], 1);
        let more = self.b.ins().icmp(IntCC::SignedLessThan, counter, end);
        self.b.ins().brif(more, head, &args(Some(counter), &next), exit, &args(None, &next));
        self.b.switch_to_block(exit);
        Ok(self.b.block_params(exit).to_vec())
    }

    /// Emits accumulators, the reduce loops and what becomes of their result.
    fn reduction(&mut self, s: &'a Stmt) -> Emit<()> {
        let (loops, Some(define)) = s.chain() else { return Err("no perfect nest in a reduce loop".into()) };
        let reduction = define.reduce.as_ref().ok_or("reduce loops without reduction")?;
        let outside = self.loops.len();
        self.loops.extend(&loops);
        let (reduce, data): (Vec<&Loop>, Vec<&Loop>) = loops.iter().partition(|l| l.role == Role::Reduce);
        let points = points(&data);
        let mut accumulators = Vec::new();
        for point in &points {
            self.bind(point);
            let init = self.operand(&reduction.init)?;
            let init = if data.iter().any(|l| l.form == Form::Vector) { self.widen(init) } else { init };
            accumulators.push(init);
        }
        let wide = accumulators.first().is_some_and(|a| matches!(a, Operand::Vector(..)));
        let values = accumulators.iter().map(Operand::value).collect();
        let results = self.reduce_loops(define, &reduce, &points, (values, wide))?;
        for (point, result) in points.iter().zip(results) {
            self.bind(point);
            let dtype = accumulators[0].dtype();
            self.acc =
                Some(if wide { Operand::Vector(result, dtype) } else { Operand::Scalar(result, dtype) });
            let value = self.operand(&reduction.finish)?;
            self.store(define, value)?;
        }
        self.acc = None;
        self.loops.truncate(outside);
        data.iter().for_each(|l| {
            self.bindings.remove(&l.id);
        });
        Ok(())
    }

    fn bind(&mut self, point: &[(VarId, Binding)]) {
        self.bindings.extend(point.iter().copied());
    }

    fn reduce_loops(
        &mut self,
        define: &Define,
        loops: &[&Loop],
        points: &[Vec<(VarId, Binding)>],
        (accumulators, wide): (Vec<Value>, bool),
    ) -> Emit<Vec<Value>> {
        let Some((l, rest)) = loops.split_first() else {
            let mut results = Vec::with_capacity(accumulators.len());
            for (point, acc) in points.iter().zip(accumulators) {
                self.bind(point);
                results.push(self.combine(define, acc, wide)?);
            }
            return Ok(results);
        };
        if l.form == Form::Unrolled {
            let mut values = accumulators;
            for k in 0..l.extent {
                self.bindings.insert(l.id, Binding::Constant(k as i64));
                values = self.reduce_loops(define, rest, points, (values, wide))?;
            }
            self.bindings.remove(&l.id);
            return Ok(values);
        }
        self.counted(l, accumulators, |e, acc| e.reduce_loops(define, rest, points, (acc.to_vec(), wide)))
    }

    /// One accumulation; a sum of products of floats is fused where the target can.
    fn combine(&mut self, define: &Define, acc: Value, wide: bool) -> Emit<Value> {
        let reduction = define.reduce.as_ref().ok_or("no reduction")?;
        let float = self.b.func.dfg.value_type(acc).lane_type().is_float();
        if let (ReduceFn::Sum, Expr::Binary(BinaryFn::Mul, x, y), true, true) =
            (reduction.combine, &define.value, float, self.target.has_fma())
        {
            let (x, y) = (self.operand(x)?, self.operand(y)?);
            let (x, y) = if wide { (self.widen(x), self.widen(y)) } else { (x, y) };
            return Ok(self.b.ins().fma(x.value(), y.value(), acc));
        }
        let value = self.operand(&define.value)?;
        let acc = if wide { Operand::Vector(acc, DType::F32) } else { Operand::Scalar(acc, value.dtype()) };
        Ok(self.binary(reduction.combine.binary(), acc, value)?.value())
    }

    fn store(&mut self, define: &Define, value: Operand) -> Emit<()> {
        let wide = self.loops.last().is_some_and(|l| l.form == Form::Vector);
        let value = if wide { self.widen(value) } else { value };
        let value = self.narrowed(value);
        let (address, offset) = self.address(define.dst, &define.index)?;
        self.b.ins().store(MemFlagsData::new().with_notrap(), value, address, offset);
        Ok(())
    }
}

/// All combinations of iterations of unrolled and vector loops.
fn points(data: &[&Loop]) -> Vec<Vec<(VarId, Binding)>> {
    let mut points = vec![Vec::new()];
    for l in data {
        let steps: Vec<Binding> = match l.form {
            Form::Vector => vec![Binding::Lanes],
            _ => (0..l.extent).map(|k| Binding::Constant(k as i64)).collect(),
        };
        points = points
            .iter()
            .flat_map(|p| steps.iter().map(move |&s| p.iter().copied().chain([(l.id, s)]).collect()))
            .collect();
    }
    points
}
