use super::*;
use crate::Tensor;
use crate::arg::Arg;
use crate::shape::Shape;

/// Sums `of` axes of a tensor of these extents; the elements are small integers, so that no order rounds.
fn check(shape: &[usize], of: &[usize]) -> Compute {
    let shape = Shape::new(shape);
    let elements: Vec<f32> = (0..shape.numel()).map(|i| (i * 7 % 31) as f32 - 11.0).collect();
    let src = Tensor::new(shape.clone(), &elements).unwrap();
    let mut c = Compute::new();
    let x = c.input(0, &Arg { dtype: DType::F32, shape: &shape, value: None });
    let kept: Vec<usize> = (0..shape.rank()).filter(|a| !of.contains(a)).collect();
    let position = |a: usize| match kept.iter().position(|&k| k == a) {
        Some(i) => Expr::var(i),
        None => Expr::var(kept.len() + of.iter().position(|&r| r == a).unwrap()),
    };
    let body = Expr::load(x, (0..shape.rank()).map(position).collect::<Vec<_>>());
    let reduce = Reduce {
        extents: of.iter().map(|&a| shape[a]).collect(),
        combine: ReduceFn::Sum,
        init: Expr::f32(3.0),
        finish: Expr::Acc * Expr::f32(2.0),
    };
    let dims: Vec<usize> = kept.iter().map(|&a| shape[a]).collect();
    let out = c.reduce_blocked("sum", TensorType::new(DType::F32, dims.clone()), reduce, body);
    c.output(out);
    let mut want = vec![3.0; Shape::new(dims.clone()).numel()];
    for (at, v) in shape.indices().zip(&elements) {
        want[kept.iter().fold(0, |flat, &a| flat * shape[a] + at[a])] += v;
    }
    let want: Vec<f32> = want.into_iter().map(|v| v * 2.0).collect();
    let got = c.evaluate(&[Some(&src)]).unwrap();
    assert_eq!(got, [Tensor::new(dims, &want).unwrap()], "{shape} over {of:?}: {c:?}");
    let whole = Compute { stages: c.whole_stages().into_iter().cloned().collect(), ..c.clone() };
    assert_eq!(whole.stages.len(), 1, "{whole:?}");
    assert_eq!(whole.evaluate(&[Some(&src)]).unwrap(), got, "{shape} over {of:?}: {whole:?}");
    for stage in &c.stages {
        assert!(count(&stage.reduce.as_ref().unwrap().extents) <= 2 * STEPS, "{shape} over {of:?}: {c:?}");
    }
    c
}

#[test]
fn every_element_counts_once() {
    for n in [1, 2, 127, 128, 129, 131, 144, 197, 255, 256, 1000, 2048, 2049, 4099, 18_385, 40_000] {
        check(&[n], &[0]);
    }
    for n in [100, 128, 129, 300, 1155] {
        check(&[3, n], &[1]);
        check(&[n, 3], &[0]);
        check(&[2, n, 2], &[1]);
        check(&[n, 5], &[0, 1]);
        check(&[5, n], &[1, 0]);
    }
    for shape in [[2, 3, 14, 14], [1, 2, 20, 23], [1, 1, 50, 197], [2, 2, 64, 56], [1, 3, 131, 3]] {
        check(&shape, &[2, 3]);
        check(&shape, &[1, 2]);
        check(&shape, &[0, 3]);
        check(&shape, &[0, 1, 2, 3]);
    }
}

#[test]
fn short_reductions_are_one_stage() {
    let stages = |shape: &[usize], of: &[usize]| -> Vec<String> {
        let c = check(shape, of);
        c.stages.iter().map(|s| format!("{:?} {}", s.reduce.as_ref().unwrap().extents, s.body)).collect()
    };
    assert_eq!(stages(&[7, 3], &[1]), ["[1] add(b0[L0, 0], add(b0[L0, 1], b0[L0, 2]))"]);
    assert_eq!(stages(&[4, 7, 7], &[1, 2]).len(), 1);
    assert_eq!(stages(&[4, 8, 100, 3], &[1, 3]).len(), 1);
    assert_eq!(stages(&[4, 14, 14], &[1, 2]).len(), 2);
    let [parts, lanes] = &stages(&[2, 1024], &[1])[..] else { panic!("two stages") };
    assert_eq!(parts, "[64] b0[L0, add(mul(L2, 16), L1)]");
    assert!(lanes.starts_with("[1] add(add(add(add(b1[L0, 0], b1[L0, 1]), "), "{lanes}");
    let [parts, blocks] = &stages(&[1024, 5], &[0])[..] else { panic!("two stages") };
    assert!(
        parts.starts_with("[8] add(add(add(add(b0[add(mul(L0, 128), add(mul(L2, 16), 0)), L1], "),
        "{parts}"
    );
    assert!(blocks.starts_with("[1] add(add(add(b1[0, L0], b1[1, L0]), "), "{blocks}");
}

#[test]
fn dear_terms_are_written_once() {
    let shape = Shape::from([1000, 8]);
    let mut c = Compute::new();
    let x = c.input(0, &Arg { dtype: DType::F32, shape: &shape, value: None });
    let body = Expr::unary(UnaryFn::Exp, Expr::load(x, [Expr::var(1), Expr::var(0)]));
    let reduce =
        Reduce { extents: vec![1000], combine: ReduceFn::Sum, init: Expr::f32(0.0), finish: Expr::Acc };
    let out = c.reduce_blocked("sum", TensorType::new(DType::F32, [8]), reduce, body);
    c.output(out);
    assert_eq!(c.stages[0].body.to_string(), "exp(b0[add(mul(L0, 25), L2), L1])");
    let elements: Vec<f32> = (0..8000).map(|i| (i * 37 % 1000) as f32 / 1000.0).collect();
    let got =
        c.evaluate(&[Some(&Tensor::new(shape, &elements).unwrap())]).unwrap()[0].to_vec::<f32>().unwrap();
    for (i, got) in got.into_iter().enumerate() {
        let want: f64 = elements.iter().skip(i).step_by(8).map(|&v| f64::from(v.exp())).sum();
        assert!((f64::from(got) - want).abs() < 2.5e-7 * want, "{got} {want}");
    }
}

#[test]
fn memory_bounds_the_number_of_blocks() {
    let split = |kept: usize| Split::new(&[1 << 20], Some(0), kept, (STEPS, 1));
    assert_eq!((split(1).blocks[0], split(1).serial[0]), (1024, 64));
    assert_eq!(split(1 << 20).blocks[0], FEWEST);
    let body = Expr::load(BufId(0), [Expr::var(0), Expr::var(1)]);
    assert_eq!(lane_axis(&body, 1, &[64], 1000), Some(0));
    assert_eq!(lane_axis(&body, 1, &[64], PARTS), None);
}

#[test]
fn products_keep_vectors_along_kept_axes() {
    let (a, b) = (Shape::from([2, 1300]), Shape::from([1300, 8]));
    let mut c = Compute::new();
    let [x, y] =
        [(0, &a), (1, &b)].map(|(i, shape)| c.input(i, &Arg { dtype: DType::F32, shape, value: None }));
    let body = |k: Expr| Expr::load(x, [Expr::var(0), k.clone()]) * Expr::load(y, [k, Expr::var(1)]);
    let reduce =
        |extent, combine| Reduce { extents: vec![extent], combine, init: Expr::f32(0.0), finish: Expr::Acc };
    let ty = TensorType::new(DType::F32, [2, 8]);
    let sum = c.sum_products("sum", ty.clone(), reduce(1300, ReduceFn::Sum), body(Expr::var(2)));
    let at = "add(mul(L0, 325), L3)";
    assert_eq!(c.stages[0].body.to_string(), format!("mul(b0[L1, {at}], b1[{at}, L2])"));
    assert_eq!(c.stages.len(), 2);
    c.sum_products("sum", ty.clone(), reduce(1024, ReduceFn::Sum), body(Expr::var(2)));
    assert_eq!(c.stages.len(), 3);
    let max = c.reduce_blocked("max", ty, reduce(1300, ReduceFn::Max), body(Expr::var(2)));
    assert_eq!(c.stages.len(), 4);
    c.output(sum);
    c.output(max);
    let ones = |shape: &Shape| Tensor::new(shape.clone(), &vec![-1.0f32; shape.numel()]).unwrap();
    let out = c.evaluate(&[Some(&ones(&a)), Some(&ones(&b))]).unwrap();
    assert_eq!(out[0].to_vec::<f32>().unwrap(), [1300.0; 16]);
    assert_eq!(out[1].to_vec::<f32>().unwrap(), [1.0; 16]);
}

#[test]
fn integers_stay_one_stage() {
    let shape = Shape::from([1000]);
    let mut c = Compute::new();
    let x = c.input(0, &Arg { dtype: DType::I64, shape: &shape, value: None });
    let reduce =
        Reduce { extents: vec![1000], combine: ReduceFn::Sum, init: Expr::int(0), finish: Expr::Acc };
    c.reduce_blocked("sum", TensorType::new(DType::I64, []), reduce, Expr::load(x, [Expr::var(0)]));
    assert_eq!(c.stages.len(), 1);
}
