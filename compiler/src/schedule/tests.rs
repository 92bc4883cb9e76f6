use octrt_ops::{Shape, Tensor};

use super::fuse::fuse;
use super::parallel::parallel;
use super::reorder::reorder;
use super::split::split;
use super::unroll::unroll;
use super::vectorize::vectorize;
use super::*;
use crate::loop_ir::interp::run;
use crate::loop_ir::verify::samples::{conv, copy, pad};
use crate::loop_ir::{Form, KernelBuffer, Loop};

const L: [VarId; 6] = [VarId(0), VarId(1), VarId(2), VarId(3), VarId(4), VarId(5)];

fn nest(k: &Kernel) -> Vec<String> {
    k.loops.iter().map(Loop::to_string).collect()
}

fn message<T: std::fmt::Debug>(r: Result<T, ScheduleError>) -> String {
    r.expect_err("the primitive refuses").to_string()
}

#[test]
fn splits() {
    let (k, outer, inner) = split(&conv(), L[0], 4).unwrap();
    assert_eq!((outer, inner), (VarId(6), VarId(7)));
    assert_eq!(nest(&k)[..3], ["for L6 in 2", "for L7 in 4", "for L1 in 5"]);
    assert_eq!(k.index[0].to_string(), "add(mul(L6, 4), L7)");
    let (k, ..) = split(&conv(), L[1], 2).unwrap();
    assert_eq!(nest(&k)[..3], ["for L0 in 8", "for L6 in 3", "for L7 in 2"]);
    assert_eq!(k.index[1].to_string(), "add(min(mul(L6, 2), 3), L7)");
    let (k, ..) = split(&parallel(&conv(), L[0]).unwrap(), L[0], 2).unwrap();
    assert_eq!(nest(&k)[..2], ["for L6 in 4 parallel", "for L7 in 2"]);
    let (k, ..) = split(&unroll(&conv(), L[2]).unwrap(), L[2], 2).unwrap();
    assert_eq!(nest(&k)[2..4], ["for L6 in 3 unrolled", "for L7 in 2 unrolled"]);
}

#[test]
fn loops_of_a_tree_are_fused_where_there_are_some() {
    let text = "nest \"copy\" { in b0: f32[4] out b1: f32[4] for L0 in 4 { b1[L0] = b0[L0] } }";
    let mut schedule = script::Schedule::new(crate::nest::text::parse(text).unwrap());
    assert!(message(schedule.fuse(&[])).contains("expected each loop of the kernel once, found 0 loops"));
    assert_eq!(schedule.fuse(&[L[0]]), Ok(L[0]));
    assert_eq!(schedule.to_string(), "");
}

#[test]
fn splits_that_are_refused() {
    let k = conv();
    let reduce = message(split(&k, L[4], 2));
    assert_eq!(
        reduce,
        "split of kernel 'conv': loop L4: expected a factor that divides the extent 3 of a reduce loop, found 2\n  \
         for L0 in 8\n  for L1 in 5\n  for L2 in 6\n  reduce L3 in 3\n> reduce L4 in 3\n  reduce L5 in 3"
    );
    for factor in [0, 5, 6, usize::MAX] {
        assert!(message(split(&k, L[1], factor)).contains("a factor from 1 to less than its extent 5"));
    }
    assert!(message(split(&parallel(&k, L[0]).unwrap(), L[0], 3)).contains("of a parallel loop, found 3"));
    assert!(message(split(&k, VarId(9), 2)).contains("there is no loop L9"));
    let vector = vectorize(&copy(4, &[4], Expr::var(0)), L[0]).unwrap();
    assert!(message(split(&vector, L[0], 2)).contains("expected a loop that is not yet a vector"));
    let mut last = copy(4, &[4], Expr::var(0));
    last.loops[0].id = VarId(u32::MAX);
    (last.index[0], last.body) = (Expr::Var(VarId(u32::MAX)), Expr::f32(0.0));
    assert!(message(split(&last, VarId(u32::MAX), 2)).contains("no id left"));
}

#[test]
fn orders() {
    let k = unroll(&conv(), L[2]).unwrap();
    let k = reorder(&k, &[L[1], L[0], L[3], L[4], L[2], L[5]]).unwrap();
    assert_eq!(nest(&k)[4..], ["for L2 in 6 unrolled", "reduce L5 in 3"]);
    let [a, b, c, d, e, f] = L;
    let refused = |order: &[VarId]| message(reorder(&conv(), order));
    assert!(
        refused(&[a, b, c, d, f, e])
            .contains("L4: expected reduce loop L4 outside reduce loop L5, as before")
    );
    assert!(refused(&[a, b, d, c, e, f]).contains("loop L2: expected an unrolled or vector loop"));
    assert!(refused(&[a, b, c, d, e]).contains("each loop of the kernel once, found 5 loops"));
    assert!(
        refused(&[a, b, c, d, e, e])
            .contains("loop L4: expected each loop once in the new order, found it twice")
    );
    let outer = parallel(&conv(), a).unwrap();
    assert!(message(reorder(&outer, &[b, a, c, d, e, f])).contains("a parallel loop to be the outermost"));
}

#[test]
fn forms() {
    let k = conv();
    assert!(message(parallel(&k, L[1])).contains("a parallel loop to be the outermost, found loop 1"));
    assert!(message(parallel(&k, L[3])).contains("expected a data loop, found a reduce loop"));
    assert!(message(vectorize(&k, L[5])).contains("expected a data loop"));
    assert!(message(vectorize(&k, L[0])).contains("a vector loop to be the innermost"));
    assert!(message(vectorize(&copy(5, &[5], Expr::var(0)), L[0])).contains("extent 4, found 5"));
    assert!(message(unroll(&unroll(&k, L[5]).unwrap(), L[5])).contains("a serial loop, found unrolled"));
    let (tiles, outer, _) = split(&copy(10, &[10], Expr::var(0)), L[0], 4).unwrap();
    let shared = message(parallel(&tiles, outer));
    assert!(
        shared.contains("its iterations may write the same elements, but run on different threads"),
        "{shared}"
    );
    assert!(shared.contains("\n> for L1 in 3\n"), "{shared}");
}

#[test]
fn fusions() {
    let (k, l) = fuse(&conv(), L[1], L[2]).unwrap();
    assert_eq!(nest(&k)[..3], ["for L0 in 8", "for L6 in 30", "reduce L3 in 3"]);
    assert_eq!(k.index[1].to_string(), "div(L6, 6)");
    // Tiles of a flattened map, whole or overlapping.
    assert!(split(&k, l, 7).is_ok());
    let (tiles, outer, _) = split(&k, l, 10).unwrap();
    assert!(
        reorder(&tiles, &[outer, L[0], VarId(8), L[3], L[4], L[5]])
            .is_ok_and(|k| parallel(&k, outer).is_ok())
    );
    let (k, _) = fuse(&parallel(&conv(), L[0]).unwrap(), L[0], L[1]).unwrap();
    assert_eq!(nest(&k)[0], "for L6 in 40 parallel");
    let (k, _) = fuse(&conv(), L[3], L[4]).unwrap();
    assert_eq!(nest(&k)[3], "reduce L6 in 9");
    assert!(message(fuse(&conv(), L[0], L[2])).contains("expected a loop directly inside L0"));
    assert!(
        message(fuse(&conv(), L[2], L[3]))
            .contains("expected a loop like `for L2 in 6`, found `reduce L3 in 3`")
    );
    assert!(
        message(fuse(&unroll(&conv(), L[2]).unwrap(), L[1], L[2]))
            .contains("that goes with serial, found unrolled")
    );
}

#[test]
fn broken_kernels_are_refused() {
    let mut k = conv();
    k.loops[1].extent = usize::MAX;
    k.loops[2].extent = 0;
    assert!(split(&k, L[0], 2).is_err() && fuse(&k, L[0], L[1]).is_err() && unroll(&k, L[2]).is_err());
    assert!(split(&k, L[1], 2).is_err() && split(&k, L[2], 2).is_err() && reorder(&k, &L).is_err());
    k.dst = octrt_ops::expr::BufId(17);
    assert!(parallel(&k, L[0]).is_err() && vectorize(&k, L[2]).is_err());
}

/// Numbers that look random, the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((self.0 >> 33) as usize) % n.max(1)
    }

    fn order(&mut self, k: &Kernel) -> Vec<VarId> {
        let mut order: Vec<VarId> = k.loops.iter().map(|l| l.id).collect();
        // Few exchanges: a fully shuffled nest is hardly ever legal.
        for _ in 0..1 + self.below(3) {
            let (a, b) = (self.below(order.len()), self.below(order.len()));
            order.swap(a, b);
        }
        order
    }

    /// A primitive with any arguments; often it refuses.
    fn rewrite(&mut self, k: &Kernel) -> Result<Kernel, ScheduleError> {
        let at = self.below(k.loops.len());
        let l = k.loops[at].id;
        match self.below(8) {
            0 | 1 => split(k, l, self.below(k.loops[at].extent + 1)).map(|(k, ..)| k),
            2 | 3 => reorder(k, &self.order(k)),
            4 => unroll(k, l),
            5 => lanes(k, l),
            6 => parallel(k, k.loops[0].id),
            _ => fuse(k, l, k.loops.get(at + 1).map_or(l, |l| l.id)).map(|(k, _)| k),
        }
    }
}

/// Vectorises tiles of 4 of a loop.
fn lanes(k: &Kernel, l: VarId) -> Result<Kernel, ScheduleError> {
    let (k, _, inner) = split(k, l, 4)?;
    let k = if k.loops.iter().any(|l| l.id == inner && l.form == Form::Unrolled) {
        k
    } else {
        unroll(&k, inner)?
    };
    let order: Vec<VarId> = k.loops.iter().map(|l| l.id).filter(|&id| id != inner).chain([inner]).collect();
    vectorize(&reorder(&k, &order)?, inner)
}

fn inputs(buffers: &[KernelBuffer]) -> Vec<Tensor> {
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
        let naive = if round % 2 == 0 { conv() } else { pad() };
        let tensors = inputs(&naive.buffers);
        let buffers: Vec<Option<&Tensor>> = tensors.iter().map(Some).collect();
        let expected = run(&naive, &buffers).unwrap();
        let mut k = naive;
        let mut steps = vec![];
        for _ in 0..4 + numbers.below(16) {
            if let Ok(next) = numbers.rewrite(&k) {
                k = next;
                steps.push(nest(&k).join(", "));
            }
        }
        for l in &k.loops {
            *forms.entry(l.form.to_string()).or_insert(0) += 1;
        }
        assert_eq!(run(&k, &buffers).as_ref(), Ok(&expected), "{steps:#?}\n{k}");
    }
    for form in [Form::Parallel, Form::Unrolled, Form::Vector] {
        assert!(forms.get(&form.to_string()).is_some_and(|&n| n > 20), "{forms:?}");
    }
}
