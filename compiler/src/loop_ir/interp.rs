//! The meaning of a kernel: what compiled code is tested against.
//!
//! Values are those of [`octrt_ops::expr`]; an accumulator has the type of the body and combines the reduce loops'
//! iterations in the order in which the kernel writes them. The form of a loop changes nothing.

use octrt_ops::compute::{self, ReduceFn};
use octrt_ops::expr::Scalar;
use octrt_ops::{OpError, Tensor};

use super::verify::verify;
use super::{Kernel, KernelBuffer, Role};

mod program;

use program::{Memory, Program};

/// Which iterations of a kernel are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All of them, in the order of the loops.
    All,
    /// Those of one turn of the outermost loop.
    Turn(usize),
}

/// Runs a kernel: the tensor that it defines. `buffers` are the kernel's, in order; `dst` is looked at only by updates
/// and in turns, which start from it.
///
/// # Errors
/// [`OpError::Invalid`] when the kernel does not [`verify`], a buffer is missing or is not of the declared type, or
/// an element is outside its buffer's declared range.
pub fn run(kernel: &Kernel, buffers: &[Option<&Tensor>]) -> Result<Tensor, OpError> {
    run_part(kernel, buffers, Part::All)
}

/// As [`run`], of a part.
///
/// # Errors
/// As [`run`].
pub fn run_part(kernel: &Kernel, buffers: &[Option<&Tensor>], part: Part) -> Result<Tensor, OpError> {
    verify(kernel).map_err(|e| OpError::Invalid(e.to_string()))?;
    let mut memory = Vec::with_capacity(kernel.buffers.len());
    for (i, declared) in kernel.buffers.iter().enumerate() {
        let read = i != kernel.dst.0 as usize || kernel.may_load_dst();
        memory.push(match buffers.get(i).copied().flatten().filter(|_| read) {
            Some(t) => {
                check_input(kernel, i, declared, t)?;
                Memory { dtype: t.dtype(), bytes: t.bytes() }
            }
            None if read => {
                return Err(OpError::Invalid(format!(
                    "kernel '{}': b{i} is missing: expected {}",
                    kernel.name, declared.ty
                )));
            }
            None => Memory { dtype: declared.ty.dtype, bytes: &[] },
        });
    }
    let bytes = Nest::new(kernel).run(kernel, memory, part).ok_or_else(|| {
        OpError::Invalid(format!("kernel '{}': an expression cannot be evaluated", kernel.name))
    })?;
    Tensor::from_bytes(kernel.dst_ty().clone(), bytes)
}

fn check_input(kernel: &Kernel, i: usize, declared: &KernelBuffer, t: &Tensor) -> Result<(), OpError> {
    let wrong = |what: String| Err(OpError::Invalid(format!("kernel '{}': b{i}: {what}", kernel.name)));
    if *t.ty() != declared.ty {
        return wrong(format!("expected a tensor {}, found {}", declared.ty, t.ty()));
    }
    let Some((lo, hi)) = declared.range else { return Ok(()) };
    let elements: Vec<i128> = compute::scalars(t)?.into_iter().filter_map(Scalar::int).collect();
    match elements.iter().find(|&&v| v < lo.into() || v > hi.into()) {
        Some(v) => wrong(format!("expected elements in {lo}..{hi}, found {v}")),
        None => Ok(()),
    }
}

/// A loop as its position in the nest, where its variable is kept, and its extent.
type Counter = (usize, i64);

/// A kernel with its expressions resolved against its loops and buffers.
struct Nest {
    data: Vec<Counter>,
    reduce: Vec<Counter>,
    combine: ReduceFn,
    init: Option<Program>,
    body: Program,
    finish: Option<Program>,
    store: program::Linear,
}

impl Nest {
    fn new(k: &Kernel) -> Nest {
        let counters = |role| {
            let all = k.loops.iter().enumerate().filter(move |(_, l)| l.role == role);
            all.map(|(i, l)| (i, l.extent as i64)).collect()
        };
        let resolve = |e| Program::new(e, k);
        Nest {
            data: counters(Role::Data),
            reduce: counters(Role::Reduce),
            combine: k.reduce.as_ref().map_or(ReduceFn::Sum, |r| r.combine),
            init: k.reduce.as_ref().map(|r| resolve(&r.init)),
            body: resolve(&k.body),
            finish: k.reduce.as_ref().map(|r| resolve(&r.finish)),
            store: program::flat(&k.index, &k.dst_ty().shape, k),
        }
    }

    /// The bytes of the result; `None` only for a kernel that does not verify.
    fn run(&self, kernel: &Kernel, mut memory: Vec<Memory<'_>>, part: Part) -> Option<Vec<u8>> {
        let (ty, dst) = (kernel.dst_ty(), kernel.dst.0 as usize);
        let size = ty.dtype.size();
        let mut out = vec![0; ty.bytes()];
        let known = memory[dst].bytes;
        out.get_mut(..known.len())?.copy_from_slice(known);
        let mut vars = vec![0i64; self.data.len() + self.reduce.len()];
        let mut element = Vec::with_capacity(size);
        loop {
            if let (Part::Turn(turn), Some(&first)) = (part, vars.first())
                && first != turn as i64
            {
                if advance(&mut vars, &self.data) {
                    continue;
                }
                return Some(out);
            }
            let (value, at) = if kernel.may_load_dst() {
                let mut memory = memory.clone();
                memory[dst].bytes = &out;
                self.iteration(&mut vars, &memory)?
            } else {
                memory[dst].bytes = &[];
                self.iteration(&mut vars, &memory)?
            };
            let at = at.checked_mul(size)?;
            element.clear();
            value.write(&mut element);
            out.get_mut(at..at.checked_add(size)?)?.copy_from_slice(&element);
            if !advance(&mut vars, &self.data) {
                return Some(out);
            }
        }
    }

    /// What an iteration of the data loops stores, and where.
    fn iteration(&self, vars: &mut [i64], memory: &[Memory<'_>]) -> Option<(Scalar, usize)> {
        let value = self.element(vars, memory)?;
        Some((value, usize::try_from(self.store.eval(vars, memory, None)?).ok()?))
    }

    /// What this iteration of the data loops stores.
    fn element(&self, vars: &mut [i64], memory: &[Memory<'_>]) -> Option<Scalar> {
        let (Some(init), Some(finish)) = (&self.init, &self.finish) else {
            return self.body.eval(vars, memory, None);
        };
        let mut acc = init.eval(vars, memory, None)?;
        loop {
            let v = self.body.eval(vars, memory, None)?;
            acc = program::combine(self.combine.binary(), acc, v)?;
            if !advance(vars, &self.reduce) {
                return finish.eval(vars, memory, Some(acc));
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

#[cfg(test)]
mod tests {
    use octrt_ops::expr::{BufId, Expr, VarId};

    use super::*;
    use crate::loop_ir::verify::samples::{conv, copy, f32s, loop_, pad};
    use crate::loop_ir::{Form, Reduction};

    fn ramp(ty: &TensorType) -> Tensor {
        let n = ty.shape.numel();
        let v: Vec<f32> = (0..n).map(|i| ((i * 37 + 11) % 19) as f32 * 0.375 - 3.0).collect();
        Tensor::new(ty.shape.clone(), &v).unwrap()
    }

    #[test]
    fn conv_is_a_sum_in_order() {
        let k = conv();
        let [src, wei, bias] = [0, 1, 3].map(|b| ramp(&k.buffers[b].ty));
        let out = run(&k, &[Some(&src), Some(&wei), None, Some(&bias)]).unwrap().to_vec::<f32>().unwrap();
        let (s, w, b) =
            (src.to_vec::<f32>().unwrap(), wei.to_vec::<f32>().unwrap(), bias.to_vec::<f32>().unwrap());
        for (oc, b) in b.iter().enumerate() {
            for (oh, ow) in (0..5).flat_map(|h| (0..6).map(move |w| (h, w))) {
                let mut acc = *b;
                for (ic, kh, kw) in (0..27).map(|i| (i / 9, i / 3 % 3, i % 3)) {
                    acc += s[(ic * 7 + oh + kh) * 8 + ow + kw] * w[(oc * 3 + ic) * 9 + kh * 3 + kw];
                }
                assert_eq!(out[(oc * 5 + oh) * 6 + ow], acc.max(0.0));
            }
        }
    }

    #[test]
    fn padding_is_selected() {
        let k = pad();
        let src = ramp(&k.buffers[0].ty);
        let out = run(&k, &[Some(&src), None]).unwrap().to_vec::<f32>().unwrap();
        let s = src.to_vec::<f32>().unwrap();
        for (i, &v) in out.iter().enumerate() {
            let (h, w) = (i / 10, i % 10);
            let inside = (1..7).contains(&h) && (2..7).contains(&w);
            assert_eq!(v, if inside { s[(h - 1) * 5 + w - 2] } else { -1.0 });
        }
    }

    #[test]
    fn order_of_reduce_loops_decides_the_sum() {
        let mut k = copy(1, &[2, 2], Expr::int(0));
        k.loops.iter_mut().for_each(|l| l.role = Role::Reduce);
        k.buffers[0] = f32s([2, 2]);
        k.body = Expr::load(BufId(0), [Expr::var(0), Expr::var(1)]);
        k.reduce = Some(Reduction { combine: ReduceFn::Sum, init: Expr::f32(0.0), finish: Expr::Acc });
        let src = Tensor::new([2, 2], &[1e8f32, 1.0, -1e8, 1.0]).unwrap();
        let sum = |k: &Kernel| run(k, &[Some(&src), None]).unwrap().to_vec::<f32>().unwrap()[0];
        assert_eq!(sum(&k), 1.0);
        k.loops.swap(0, 1);
        assert_eq!(sum(&k), 2.0);
    }

    #[test]
    fn accumulators_inside_the_reduction() {
        let k = conv();
        let [src, wei, bias] = [0, 1, 3].map(|b| ramp(&k.buffers[b].ty));
        let inputs = [Some(&src), Some(&wei), None, Some(&bias)];
        let mut inner = k.clone();
        inner.loops[2].form = Form::Unrolled;
        inner.loops[2..].rotate_left(1);
        assert_eq!(run(&inner, &inputs), run(&k, &inputs));
    }

    #[test]
    fn tables_and_types() {
        // b1[L0] = f32(b2[L0] * 2) + b0[b2[L0]]
        let mut k = copy(3, &[3], Expr::var(0));
        k.buffers[0] = f32s([5]);
        let table = Expr::load(BufId(2), [Expr::var(0)]);
        k.buffers.push(KernelBuffer { ty: TensorType::new(DType::I64, [3]), range: Some((0, 4)) });
        k.body = (table.clone() * Expr::int(2)).cast(DType::F32) + Expr::load(BufId(0), [table]);
        let src = Tensor::new([5], &[0.0f32, 10.0, 20.0, 30.0, 40.0]).unwrap();
        let go = |t: &Tensor| run(&k, &[Some(&src), None, Some(t)]);
        let out = go(&Tensor::new([3], &[4i64, 0, 1]).unwrap()).unwrap();
        assert_eq!(out.to_vec::<f32>().unwrap(), [48.0, 0.0, 12.0]);
        let outside = go(&Tensor::new([3], &[4i64, 5, 1]).unwrap()).unwrap_err().to_string();
        assert_eq!(outside, "kernel 'copy': b2: expected elements in 0..4, found 5");
        let wrong = go(&Tensor::new([3], &[4i32, 0, 1]).unwrap()).unwrap_err().to_string();
        assert!(wrong.contains("expected a tensor i64[3], found i32[3]"), "{wrong}");
        assert!(run(&k, &[Some(&src)]).unwrap_err().to_string().contains("b2 is missing"));
    }

    #[test]
    fn scalars_and_broken_kernels() {
        let mut k = copy(1, &[], Expr::int(0));
        k.buffers = vec![f32s([]), f32s([])];
        (k.index, k.body) = (vec![], Expr::load(BufId(0), []));
        let one = Tensor::scalar(2.5f32);
        assert_eq!(run(&k, &[Some(&one), None]), Ok(one.clone()));
        k.loops.push(loop_(0, 0, Role::Data));
        assert!(run(&k, &[Some(&one), None]).is_err());
        k.loops[0] = loop_(u32::MAX, 3, Role::Data);
        k.body = Expr::Var(VarId(u32::MAX)).cast(DType::F32);
        assert!(run(&k, &[Some(&one), None]).is_err());
    }
}
