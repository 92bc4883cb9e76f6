//! Products of packed rows with vectors in memory.

use octrt_compiler::leaf::Width;
use octrt_compiler::leaf::programs::Product;

use super::super::model::{Model, activated};
use super::super::{Case, Rng};
use super::activation;

pub fn product(width: Width, rng: &mut Rng) -> Case {
    let lanes = width.lanes() as usize;
    let (rows, vectors) = match width {
        Width::W8 => rng.pick(&[(4, 3), (1, 3), (3, 1), (4, 2)]),
        Width::W16 => rng.pick(&[(8, 3), (5, 2), (1, 3), (7, 1)]),
    };
    let tail = rng.chance(2).then(|| rng.range(1, lanes as i64) as u8);
    let row = (vectors - 1) * lanes + tail.map_or(lanes, usize::from);
    let p = Product {
        width,
        rows,
        packed: rows + rng.range(0, 2) as usize,
        vectors,
        terms: rng.range(1, 3) as usize,
        taps: (0..rng.range(1, 3)).map(|_| 4 * rng.range(-9, 20) as i32).collect(),
        right_bytes: 4 * rng.range(-70, 200) as i32,
        dst_bytes: 4 * (row as i64 + rng.range(0, 9)) as i32,
        tail,
        activation: activation(rng),
    };
    let mut model = Model::new(rng);
    let trips = model.rng.range(0, 3);
    model.numbers.insert("trips".into(), trips);
    let mut acc = vec![vec![0.0; row]; rows];
    for (r, row) in acc.iter_mut().enumerate() {
        row.fill(model.read("bias", 4 * r as i64));
    }
    for k in 0..trips * p.terms as i64 {
        for (t, tap) in p.taps.iter().enumerate() {
            let packed = (k * p.taps.len() as i64 + t as i64) * p.packed as i64;
            let at = k * i64::from(p.right_bytes) + i64::from(*tap);
            let of_row: Vec<f32> = (0..row as i64).map(|x| model.read("right", at + 4 * x)).collect();
            for (r, acc) in acc.iter_mut().enumerate() {
                let w = model.read("left", 4 * (packed + r as i64));
                acc.iter_mut().zip(&of_row).for_each(|(acc, x)| *acc = w.mul_add(*x, *acc));
            }
        }
    }
    for (r, x) in (0..rows).flat_map(|r| (0..row).map(move |x| (r, x))) {
        let at = r as i64 * i64::from(p.dst_bytes) + 4 * x as i64;
        model.write("dst", at, activated(p.activation, acc[r][x]));
    }
    model.case(format!("{p:?}"), p.program())
}
