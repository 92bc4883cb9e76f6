use octrt_ops::expr::{BufId, Expr, VarId};
use octrt_ops::{Shape, Tensor};

use super::script::Schedule;
use super::*;
use crate::nest::interp::{Engine, run};
use crate::nest::samples::{conv, pad};
use crate::nest::verify::verify;
use crate::nest::{Buffer, Form, Stmt};

fn lines(nest: &Nest) -> Vec<String> {
    nest.loops().iter().map(|l| l.to_string()).collect()
}

#[test]
fn splits_of_parallel_and_unrolled_loops() {
    let mut s = Schedule::new(conv().nest());
    s.parallel(VarId(0)).unwrap();
    s.unroll(VarId(2)).unwrap();
    s.split(VarId(0), 2).unwrap();
    s.split(VarId(2), 2).unwrap();
    let forms = [
        "for L6 in 4 parallel",
        "for L7 in 2",
        "for L1 in 5",
        "for L8 in 3 unrolled",
        "for L9 in 2 unrolled",
    ];
    assert_eq!(lines(s.nest())[..5], forms);
    let of_threads = s.split(VarId(6), 3).unwrap_err().to_string();
    assert!(of_threads.contains("divides the extent 4 of a parallel loop, found 3"), "{of_threads}");
}

#[test]
fn what_is_loaded_of_the_result_is_not_defined_twice() {
    let mut k = pad();
    k.body = Expr::load(BufId(1), [Expr::var(0), Expr::var(1)]) + Expr::f32(1.0);
    k.update = true;
    let refused = Schedule::new(k.nest()).split(VarId(1), 4).unwrap_err().to_string();
    assert!(refused.contains("of a loop around a definition that loads what it writes"), "{refused}");
}

#[test]
fn loops_are_fused_where_there_are_some() {
    let mut s = Schedule::new(pad().nest());
    assert!(s.fuse(&[]).unwrap_err().to_string().contains("each once, found 0 loops"));
    assert_eq!(s.fuse(&[VarId(0)]), Ok(VarId(0)));
    assert_eq!(s.to_string(), "");
}

/// Numbers that look random, the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((self.0 >> 33) as usize) % n.max(1)
    }

    fn order(&mut self, nest: &Nest) -> Vec<VarId> {
        let mut order: Vec<VarId> = nest.loops().iter().map(|l| l.id).collect();
        // Few exchanges: a fully shuffled nest is hardly ever legal.
        for _ in 0..1 + self.below(3) {
            let (a, b) = (self.below(order.len()), self.below(order.len()));
            order.swap(a, b);
        }
        order
    }

    /// A primitive with any arguments; often it refuses.
    fn rewrite(&mut self, s: &mut Schedule) -> Result<(), ScheduleError> {
        let loops: Vec<(VarId, usize)> = s.nest().loops().iter().map(|l| (l.id, l.extent)).collect();
        let at = self.below(loops.len());
        let (l, extent) = loops[at];
        match self.below(8) {
            0 | 1 => s.split(l, self.below(extent + 1)).map(|_| ()),
            2 | 3 => {
                let order = self.order(s.nest());
                s.reorder(&order)
            }
            4 => s.unroll(l),
            5 => lanes(s, l),
            6 => s.parallel(loops[0].0),
            _ => s.fuse(&[l, loops.get(at + 1).map_or(l, |(l, _)| *l)]).map(|_| ()),
        }
    }
}

/// Vectorises tiles of 4 of a loop.
fn lanes(s: &mut Schedule, l: VarId) -> Result<(), ScheduleError> {
    let [_, inner] = s.split(l, 4)?;
    if matches!(s.nest().find(inner), Some(Stmt::Loop(l, _)) if l.form != Form::Unrolled) {
        s.unroll(inner)?;
    }
    let all: Vec<VarId> = s.nest().loops().iter().map(|l| l.id).collect();
    let order: Vec<VarId> = all.into_iter().filter(|&id| id != inner).chain([inner]).collect();
    s.reorder(&order)?;
    s.vectorize(inner)
}

fn inputs(buffers: &[Buffer]) -> Vec<Tensor> {
    let ramp = |shape: &Shape| {
        let v: Vec<f32> = (0..shape.numel()).map(|i| ((i * 29 + 5) % 23) as f32 * 0.37 - 3.1).collect();
        Tensor::new(shape.clone(), &v).unwrap()
    };
    buffers.iter().map(|b| ramp(&b.ty.shape)).collect()
}

#[test]
fn schedules_keep_every_bit() {
    let mut numbers = Numbers(3);
    let mut forms = std::collections::BTreeMap::new();
    for round in 0..240 {
        let naive = if round % 2 == 0 { conv() } else { pad() }.nest();
        let tensors = inputs(&naive.buffers);
        let buffers: Vec<Option<&Tensor>> = tensors.iter().map(Some).collect();
        let expected = run(&naive, &buffers, None, Engine::Interpreter).unwrap();
        let mut s = Schedule::new(naive);
        for _ in 0..4 + numbers.below(16) {
            let mut next = s.clone();
            // What a primitive makes may be refused as a whole: threads that write the same elements, lanes apart.
            if numbers.rewrite(&mut next).is_ok() && verify(next.nest()).is_ok() {
                s = next;
            }
        }
        for l in s.nest().loops() {
            *forms.entry(l.form.to_string()).or_insert(0) += 1;
        }
        let found = run(s.nest(), &buffers, None, Engine::Interpreter);
        assert_eq!(found.as_ref(), Ok(&expected), "{s}\n{}", s.nest());
    }
    for form in [Form::Parallel, Form::Unrolled, Form::Vector] {
        assert!(forms.get(&form.to_string()).is_some_and(|&n| n > 20), "{forms:?}");
    }
}
