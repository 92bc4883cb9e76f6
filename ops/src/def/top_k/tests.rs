use super::*;
use crate::tensor::Element;
use crate::testing::{error, infer_unknown, run_all, t};

const LARGEST: TopK = TopK { axis: -1, largest: true, sorted: true };
const SMALLEST: TopK = TopK { axis: -1, largest: false, sorted: true };

fn run<T: Element>(op: &TopK, shape: &[usize], x: &[T], k: i64) -> (Vec<f64>, Vec<i64>) {
    let x = t(shape.to_vec(), x);
    let outputs = run_all(op, &[Some(&x), Some(&t([1], &[k]))]).unwrap();
    (outputs[0].to_f64s(), outputs[1].to_vec().unwrap())
}

#[test]
fn hand_computed() {
    let x = [3.0f32, 1.0, 3.0, 2.0, -1.0, -5.0, 0.0, -1.0];
    assert_eq!(run(&LARGEST, &[2, 4], &x, 2), (vec![3.0, 3.0, 0.0, -1.0], vec![0, 2, 2, 0]));
    assert_eq!(run(&SMALLEST, &[2, 4], &x, 3).1, [1, 3, 0, 1, 0, 3]);
    let down = TopK { axis: 0, ..LARGEST };
    assert_eq!(run(&down, &[2, 4], &x, 1), (vec![3.0, 1.0, 3.0, 2.0], vec![0, 0, 0, 0]));
    let middle = TopK { axis: 1, sorted: false, ..SMALLEST };
    assert_eq!(run(&middle, &[1, 4, 2], &x, 2).1, [2, 2, 3, 3]);
    assert_eq!(run(&LARGEST, &[4], &x[..4], 0), (vec![], vec![]));
    assert_eq!(run::<f32>(&LARGEST, &[0, 3], &[], 2), (vec![], vec![]));
    assert_eq!(run::<f32>(&LARGEST, &[2, 0], &[], 0), (vec![], vec![]));
}

#[test]
fn zeros_are_equal_and_nan_is_largest() {
    let x = [0.0f32, f32::NAN, -0.0, f32::INFINITY, f32::NEG_INFINITY, -f32::NAN, 1.0, -1.0, -0.0, 0.0];
    for k in [1, 7, 10] {
        let order = [1, 5, 3, 6, 0, 2, 8, 9, 7, 4];
        assert_eq!(run(&LARGEST, &[10], &x, k).1, order[..k as usize]);
        let order = [4, 7, 0, 2, 8, 9, 6, 3, 1, 5];
        assert_eq!(run(&SMALLEST, &[10], &x, k).1, order[..k as usize]);
        let wide = x.map(f64::from);
        assert_eq!(run(&SMALLEST, &[10], &wide, k).1, order[..k as usize]);
    }
}

#[test]
fn limits_of_integers() {
    fn of<T: Element>(x: [T; 4]) {
        // The largest, the lowest, and two between, of which the second is larger.
        for k in 1..=4 {
            assert_eq!(run(&LARGEST, &[4], &x, k).1, [0, 3, 2, 1][..k as usize]);
            assert_eq!(run(&SMALLEST, &[4], &x, k).1, [1, 2, 3, 0][..k as usize]);
        }
    }
    of([i64::MAX, i64::MIN, -1, 1]);
    of([i32::MAX, i32::MIN, -1, 1]);
    of([i16::MAX, i16::MIN, -1, 1]);
    of([i8::MAX, i8::MIN, -1, 1]);
    of([u64::MAX, 0, 1, 1 << 63]);
    of([u32::MAX, 0, 1, 1 << 31]);
    of([u16::MAX, 0, 1, 1 << 15]);
    of([u8::MAX, 0, 1, 128]);
}

/// Numbers of which many are equal.
fn numbers(n: usize, below: u64) -> Vec<i64> {
    let mut state = 7u64;
    let mut next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) % below
    };
    (0..n).map(|_| next() as i64 - below as i64 / 2).collect()
}

#[test]
fn every_way_through_the_steps() {
    // One by one, block by block, all sorted, selected and sorted by counting.
    for (n, k) in
        [(256, 8), (300, 8), (299, 13), (256, 9), (256, 256), (300, 9), (300, 255), (300, 299), (300, 300)]
    {
        for below in [3, 1 << 20] {
            let ints = numbers(2 * n, below);
            run(&LARGEST, &[2, n], &ints, k as i64);
            let floats: Vec<f32> = ints.iter().map(|&v| v as f32).collect();
            run(&SMALLEST, &[2, n], &floats, k as i64);
            let bytes: Vec<u8> = ints.iter().map(|&v| v as u8).collect();
            run(&TopK { axis: 0, ..LARGEST }, &[n, 2], &bytes, k as i64);
        }
    }
}

#[test]
fn blocks_with_nothing_left_are_not_taken_for_the_smallest() {
    let mut ints = vec![i32::MIN; 300];
    (ints[3], ints[150], ints[299]) = (7, i32::MIN + 1, 7);
    run(&LARGEST, &[300], &ints, 13);
    run(&SMALLEST, &[300], &ints.iter().map(|v| !v).collect::<Vec<i32>>(), 13);
    let wide: Vec<i64> = ints.iter().map(|&v| if v < 0 { i64::MIN } else { v.into() }).collect();
    run(&LARGEST, &[300], &wide, 13);
    let low = vec![f32::NEG_INFINITY; 300];
    run(&LARGEST, &[300], &low, 13);
}

#[test]
fn many_are_sorted_by_digits() {
    for (n, k) in [(1100, 1100), (1200, 1030)] {
        let ints = numbers(n, 1 << 20);
        let floats: Vec<f32> = ints.iter().map(|&v| v as f32 / 7.0).collect();
        run(&LARGEST, &[n], &floats, k);
        let shorts: Vec<i16> = ints.iter().map(|&v| v as i16).collect();
        run(&SMALLEST, &[n, 1], &shorts, 1);
        run(&TopK { axis: 0, ..SMALLEST }, &[n], &shorts, k);
    }
    let large: Vec<u64> = numbers(1100, 1 << 30).iter().map(|&v| (v as u64) << 20).collect();
    run(&SMALLEST, &[1100], &large, 1100);
}

#[test]
fn errors() {
    let x = t([2, 3], &[0.0f32; 6]);
    let range = "input 1 (K): expected 0 to 3 for axis 1 of f32[2,3], found";
    assert_eq!(error(&LARGEST, &[&x, &t([1], &[4i64])]), format!("{range} 4"));
    assert_eq!(error(&LARGEST, &[&x, &t([], &[-1i64])]), format!("{range} -1"));
    assert!(error(&LARGEST, &[&x, &t([2], &[1i64, 1])]).contains("expected one integer, found i64[2]"));
    assert!(error(&LARGEST, &[&t([], &[1.0f32]), &t([], &[1i64])]).contains("the 0 axes"));
    assert!(error(&LARGEST, &[&t([1], &[true]), &t([], &[1i64])]).contains("found bool[1]"));
    let k = TensorType::new(DType::I64, [1]);
    assert!(matches!(infer_unknown(&LARGEST, &[x.ty().clone(), k]), Err(OpError::DataDependent(_))));
}
