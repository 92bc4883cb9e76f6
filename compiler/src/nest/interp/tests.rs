use octrt_ops::expr::{BufId, Expr, VarId};
use octrt_ops::{DType, TensorType};

use super::*;

fn run(k: &Sample, buffers: &[Option<&Tensor>]) -> Result<Tensor, InterpError> {
    super::run(&k.nest(), buffers, None, Engine::Interpreter)
}
use crate::nest::samples::{Sample, conv, copy, f32s, loop_, pad};
use crate::nest::{Form, Reduction, Role};
use octrt_ops::compute::ReduceFn;

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
    let sum = |k: &Sample| run(k, &[Some(&src), None]).unwrap().to_vec::<f32>().unwrap()[0];
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
    k.buffers.push(Buffer {
        ty: TensorType::new(DType::I64, [3]),
        role: BufferRole::Src,
        range: Some((0, 4)),
    });
    k.body = (table.clone() * Expr::int(2)).cast(DType::F32) + Expr::load(BufId(0), [table]);
    let src = Tensor::new([5], &[0.0f32, 10.0, 20.0, 30.0, 40.0]).unwrap();
    let go = |t: &Tensor| run(&k, &[Some(&src), None, Some(t)]);
    let out = go(&Tensor::new([3], &[4i64, 0, 1]).unwrap()).unwrap();
    assert_eq!(out.to_vec::<f32>().unwrap(), [48.0, 0.0, 12.0]);
    let outside = go(&Tensor::new([3], &[4i64, 5, 1]).unwrap()).unwrap_err().to_string();
    assert_eq!(outside, "nest 'copy': b2: expected elements in 0..4, found 5");
    let wrong = go(&Tensor::new([3], &[4i32, 0, 1]).unwrap()).unwrap_err().to_string();
    assert!(wrong.contains("expected a tensor i64[3], found i32[3]"), "{wrong}");
    assert!(run(&k, &[Some(&src)]).unwrap_err().to_string().contains("b2 is missing"));
}

#[test]
fn scalars_and_broken_nests() {
    let mut k = copy(1, &[], Expr::int(0));
    k.buffers = vec![f32s([]), f32s([])];
    (k.index, k.body) = (vec![], Expr::load(BufId(0), []));
    let one = Tensor::scalar(2.5f32);
    assert_eq!(run(&k, &[Some(&one), None]), Ok(one.clone()));
    k.loops.push(loop_(0, 0, Role::Data));
    assert!(run(&k, &[Some(&one), None]).is_err());
    k.loops[0] = loop_(0, 3, Role::Data);
    k.body = Expr::Var(VarId(u32::MAX)).cast(DType::F32);
    assert!(run(&k, &[Some(&one), None]).is_err());
}
