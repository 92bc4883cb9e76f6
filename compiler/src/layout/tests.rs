use octrt_ops::window::{Rounding, Window};
use octrt_ops::{Shape, Tensor};

use super::*;
use crate::nest::affine::Affine;

fn halo(top: usize, bottom: usize, left: usize, right: usize) -> Halo {
    Halo { top, bottom, left, right, ..Halo::default() }
}

fn layouts() -> Vec<Layout> {
    let deep = Halo { front: 2, back: 1, ..halo(0, 1, 1, 0) };
    let halos = [Halo::default(), halo(1, 1, 1, 1), halo(0, 2, 3, 0), halo(0, 0, 1, 0), deep];
    let borders = [Border::Zero, Border::Lowest];
    let all = [1, 8, 16].into_iter().flat_map(|lanes| halos.map(|halo| (lanes, halo)));
    all.flat_map(|(lanes, halo)| borders.map(|border| Layout { halo, border, ..Layout::blocked(lanes) }))
        .collect()
}

/// Without a halo along axes that the map does not have.
fn laid(plain: &Map, layout: Layout) -> Map {
    let mut halo = layout.halo;
    if plain.axes < 3 {
        (halo.front, halo.back) = (0, 0);
    }
    if plain.axes < 2 {
        (halo.top, halo.bottom) = (0, 0);
    }
    Map { layout: Layout { halo, ..layout }, ..*plain }
}

fn plain(dims: &[usize]) -> Map {
    Map::new(&TensorType::new(DType::F32, dims.to_vec()), Layout::PLAIN).unwrap()
}

fn maps() -> Vec<Map> {
    let dims: [&[usize]; 9] = [
        &[1, 8, 3, 4],
        &[2, 20, 2, 3],
        &[1, 5, 1, 1],
        &[1, 16, 1, 1],
        &[3, 1, 4, 1],
        &[1, 20, 7],
        &[2, 3, 1],
        &[1, 16, 2, 3, 4],
        &[2, 5, 3, 1, 2],
    ];
    dims.map(plain).into()
}

/// Elements that are all different.
fn counted(map: &Map) -> Tensor {
    let ty = map.ty();
    let elements: Vec<f32> = (0..ty.shape.numel()).map(|i| i as f32 + 1.0).collect();
    Tensor::new(ty.shape, &elements).unwrap()
}

fn moved(from: &Map, to: &Map, t: &Tensor) -> Tensor {
    let out = relayout(from, to).evaluate(&[Some(t)]).unwrap().remove(0);
    assert_eq!(*out.ty(), to.ty());
    out
}

/// All planes, rows and columns of a box.
fn places([d, h, w]: [usize; AXES]) -> impl Iterator<Item = [usize; AXES]> {
    let rows = (0..d).flat_map(move |d| (0..h).map(move |h| (d, h)));
    rows.flat_map(move |(d, h)| (0..w).map(move |w| [d, h, w]))
}

/// The plain tensor as it lies in a layout, element by element.
fn naive(map: &Map, plain: &Tensor) -> Vec<f32> {
    let x = plain.to_vec::<f32>().unwrap();
    let (layout, extents, mut out) = (map.layout, map.extents(), Vec::new());
    let ends = layout.halo.ends();
    let room: [usize; AXES] = std::array::from_fn(|i| ends[i].0 + extents[i] + ends[i].1);
    for (n, block) in (0..map.mb).flat_map(|n| (0..map.blocks()).map(move |b| (n, b))) {
        for at in places(room) {
            let at: [Option<usize>; AXES] =
                std::array::from_fn(|i| at[i].checked_sub(ends[i].0).filter(|at| *at < extents[i]));
            for c in (0..layout.lanes).map(|lane| block * layout.lanes + lane) {
                out.push(match (c < map.c, at) {
                    (false, _) => 0.0,
                    (true, [Some(d), Some(h), Some(w)]) => {
                        x[(((n * map.c + c) * map.d + d) * map.h + h) * map.w + w]
                    }
                    (true, _) => layout.border.value(),
                });
            }
        }
    }
    out
}

#[test]
fn types_have_the_axes_of_the_tensor() {
    let ty = |dims: &[usize], layout| laid(&plain(dims), layout).ty().shape.dims().to_vec();
    let halo = Halo { front: 1, back: 2, top: 3, bottom: 4, left: 5, right: 6 };
    let blocks = Layout { halo, ..Layout::blocked(8) };
    assert_eq!(ty(&[2, 20, 30], blocks), [2, 3, 41, 8]);
    assert_eq!(ty(&[2, 20, 10, 30], blocks), [2, 3, 17, 41, 8]);
    assert_eq!(ty(&[2, 20, 1, 10, 30], blocks), [2, 3, 4, 17, 41, 8]);
    assert_eq!(ty(&[2, 20, 1, 10, 30], Layout::PLAIN), [2, 20, 1, 10, 30]);
    let none = |dims: &[usize]| Map::new(&TensorType::new(DType::F32, dims.to_vec()), blocks).is_none();
    assert!(none(&[2, 20]) && none(&[1, 2, 3, 4, 5, 6]));
    assert!(Map::new(&TensorType::new(DType::I64, [1, 2, 3]), blocks).is_none());
}

#[test]
fn values_go_to_their_places_and_come_back() {
    for plain in maps() {
        let t = counted(&plain);
        for layout in layouts() {
            let map = laid(&plain, layout);
            let there = moved(&plain, &map, &t);
            assert_eq!(there.to_vec::<f32>().unwrap(), naive(&map, &t), "{map:?}");
            assert_eq!(moved(&map, &plain, &there), t, "{map:?}");
        }
    }
}

#[test]
fn any_layout_leads_to_any_other() {
    for plain in maps().into_iter().filter(|m| m.c % 8 != 0) {
        let t = counted(&plain);
        for (from, to) in layouts().into_iter().flat_map(|a| layouts().into_iter().map(move |b| (a, b))) {
            let (from, to) = (laid(&plain, from), laid(&plain, to));
            let found = moved(&from, &to, &moved(&plain, &from, &t));
            assert_eq!(found, moved(&plain, &to, &t), "{from:?} {to:?}");
        }
    }
}

#[test]
fn same_bytes_need_no_move() {
    let mut same = 0;
    for plain in maps() {
        let t = counted(&plain);
        for (from, to) in layouts().into_iter().flat_map(|a| layouts().into_iter().map(move |b| (a, b))) {
            let (from, to) = (laid(&plain, from), laid(&plain, to));
            assert_eq!(from.same_bytes(&to), to.same_bytes(&from));
            if from.same_bytes(&to) {
                same += 1;
                let (a, b) = (moved(&plain, &from, &t), moved(&plain, &to, &t));
                assert_eq!(a.bytes(), b.bytes(), "{from:?} {to:?}");
            }
        }
    }
    assert!(same > maps().len() * layouts().len(), "{same}");
}

#[test]
fn distances_are_those_of_the_elements() {
    for plain in maps() {
        for layout in layouts() {
            let map = laid(&plain, layout);
            let there = moved(&plain, &map, &counted(&plain)).to_vec::<f32>().unwrap();
            let each = (0..map.mb).flat_map(|n| (0..map.c).map(move |c| (n, c)));
            for (i, (n, c)) in each.enumerate() {
                for (k, at) in places(map.extents()).enumerate() {
                    let lanes = layout.lanes;
                    let index = map.index(&Expr::int(n), &Expr::int(c / lanes), at.map(Expr::int));
                    let of = map.ty().shape;
                    let at = Affine::flat(&of, &index).constant as usize;
                    let block = n * map.image_bytes() as usize + c / lanes * map.block_bytes() as usize;
                    assert!((block..block + map.block_bytes() as usize).contains(&(4 * at)), "{map:?}");
                    assert_eq!(there[at + c % lanes], (i * map.pixels() + k) as f32 + 1.0, "{map:?}");
                }
            }
            assert_eq!(map.image_bytes() * map.mb as i64, map.ty().bytes() as i64);
        }
    }
}

#[test]
fn halos_are_what_windows_reach() {
    let of = |input: usize, kernel: usize, stride: usize, pads: &[usize; 6]| {
        let (kernel, strides, pads) = (vec![kernel; 3], vec![stride; 3], pads.to_vec());
        let window = Window { kernel, strides, pads, ..Window::default() };
        Halo::of(&window.axes(&[input; 3], Rounding::Floor).unwrap().try_into().unwrap())
    };
    let all = |n| Halo { front: n, back: n, ..halo(n, n, n, n) };
    assert_eq!(of(8, 3, 1, &[1; 6]), all(1));
    // The padding belongs to it also where the last window does not reach it.
    assert_eq!(of(8, 3, 2, &[1; 6]), all(1));
    assert_eq!(of(7, 3, 2, &[1; 6]), all(1));
    let uneven = Halo { front: 4, back: 5, ..halo(0, 2, 1, 3) };
    assert_eq!(of(9, 5, 1, &[4, 0, 1, 5, 2, 3]), uneven);
    assert_eq!(of(8, 1, 2, &[0; 6]), Halo::default());
    assert_eq!(halo(1, 0, 2, 0).union(halo(0, 3, 1, 1)), halo(1, 3, 2, 1));
    assert_eq!(all(1).union(uneven), Halo { front: 4, back: 5, ..halo(1, 2, 1, 3) });
    assert!(Halo::default().is_none() && !halo(0, 0, 0, 1).is_none());
    assert!(!Halo { back: 1, ..Halo::default() }.is_none());
}

#[test]
fn every_other_pixel_is_a_map_of_the_same_bytes() {
    let v = Expr::var;
    let at = |map: &Map, pixel: [i64; AXES]| -> i64 {
        let index = map.index(&v(0), &v(1), pixel.map(Expr::int));
        let ty = map.ty();
        let dims = ty.shape.dims();
        // The distance of a pixel in a block of channels.
        let inner = index[2..].iter().zip(&dims[2..]).fold(0, |sum, (e, n)| {
            let at = Affine::of(e);
            assert!(at.terms.is_empty(), "{e}");
            sum * *n as i64 + at.constant
        });
        assert!((0..dims[2..].iter().product::<usize>() as i64).contains(&inner), "{map:?} {pixel:?}");
        inner
    };
    let steps: [([usize; AXES], [usize; AXES]); 4] =
        [([1, 1, 2], [0, 0, 1]), ([1, 2, 3], [0, 1, 0]), ([2, 1, 1], [0, 0, 0]), ([1, 4, 4], [0, 0, 2])];
    let mut seen = 0;
    for (map, layout) in maps().iter().flat_map(|m| layouts().into_iter().map(move |l| (m, l))) {
        let whole = laid(map, layout);
        for (steps, first) in steps {
            let some = whole.every(steps, first);
            if first.iter().zip(whole.extents()).any(|(first, n)| *first >= n) {
                continue;
            }
            assert_eq!(some.ty(), whole.ty(), "{whole:?} {steps:?} {first:?}");
            assert_eq!(some.block_bytes(), whole.block_bytes());
            for [d, h, w] in Shape::new(some.extents().to_vec()).indices().map(|i| [i[0], i[1], i[2]]) {
                let own = [d, h, w].map(|x| x as i64);
                let of = std::array::from_fn(|i| (first[i] + steps[i] * own[i] as usize) as i64);
                assert_eq!(at(&some, own), at(&whole, of), "{whole:?} {steps:?} {first:?}");
                seen += 1;
            }
            let again = some.every([1, 2, 1], [0, 0, 0]);
            assert_eq!(again, whole.every([steps[0], 2 * steps[1], steps[2]], first));
        }
    }
    assert!(seen > 1000);
}
