use octrt_ops::Tensor;
use octrt_ops::window::{AutoPad, Rounding, WindowAttrs, resolve};

use super::*;

fn halo(top: usize, bottom: usize, left: usize, right: usize) -> Halo {
    Halo { top, bottom, left, right }
}

fn layouts() -> Vec<Layout> {
    let halos = [Halo::default(), halo(1, 1, 1, 1), halo(0, 2, 3, 0), halo(0, 0, 1, 0)];
    let borders = [Border::Zero, Border::Lowest];
    let all = [1, 8, 16].into_iter().flat_map(|lanes| halos.map(|halo| (lanes, halo)));
    all.flat_map(|(lanes, halo)| borders.map(|border| Layout { lanes, halo, border })).collect()
}

fn maps() -> Vec<Map> {
    let extents = [(1, 8, 3, 4), (2, 20, 2, 3), (1, 5, 1, 1), (1, 16, 1, 1), (3, 1, 4, 1)];
    extents.map(|(mb, c, h, w)| Map { mb, c, h, w, layout: Layout::PLAIN }).into()
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

/// The plain tensor as it lies in a layout, element by element.
fn naive(map: &Map, plain: &Tensor) -> Vec<f32> {
    let x = plain.to_vec::<f32>().unwrap();
    let (layout, mut out) = (map.layout, Vec::new());
    let Halo { top, bottom, left, right } = layout.halo;
    for (n, block) in (0..map.mb).flat_map(|n| (0..map.blocks()).map(move |b| (n, b))) {
        for (row, column) in
            (0..top + map.h + bottom).flat_map(|r| (0..left + map.w + right).map(move |c| (r, c)))
        {
            for c in (0..layout.lanes).map(|lane| block * layout.lanes + lane) {
                let inside = (top..top + map.h).contains(&row) && (left..left + map.w).contains(&column);
                out.push(match (c < map.c, inside) {
                    (false, _) => 0.0,
                    (true, false) => layout.border.value(),
                    (true, true) => x[((n * map.c + c) * map.h + row - top) * map.w + column - left],
                });
            }
        }
    }
    out
}

#[test]
fn values_go_to_their_places_and_come_back() {
    for plain in maps() {
        let t = counted(&plain);
        for layout in layouts() {
            let map = Map { layout, ..plain };
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
            let (from, to) = (Map { layout: from, ..plain }, Map { layout: to, ..plain });
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
            let (from, to) = (Map { layout: from, ..plain }, Map { layout: to, ..plain });
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
            let map = Map { layout, ..plain };
            let there = moved(&plain, &map, &counted(&plain)).to_vec::<f32>().unwrap();
            let each = (0..map.mb).flat_map(|n| (0..map.c).map(move |c| (n, c)));
            for (i, (n, c)) in each.enumerate() {
                for (h, w) in (0..map.h).flat_map(|h| (0..map.w).map(move |w| (h, w))) {
                    let lanes = layout.lanes;
                    let block = n as i64 * map.image_bytes() + (c / lanes) as i64 * map.block_bytes();
                    let at = block + map.pixel(h as i64, w as i64) + 4 * (c % lanes) as i64;
                    assert_eq!(there[at as usize / 4], ((i * map.h + h) * map.w + w) as f32 + 1.0, "{map:?}");
                }
            }
            assert_eq!(map.image_bytes() * map.mb as i64, map.ty().bytes() as i64);
        }
    }
}

#[test]
fn halos_are_what_windows_reach() {
    let of = |input: usize, kernel: usize, stride: usize, pads: &[usize; 4]| {
        let attrs = WindowAttrs {
            kernel: &[kernel, kernel],
            strides: &[stride, stride],
            dilations: &[],
            pads,
            auto_pad: AutoPad::NotSet,
            rounding: Rounding::Floor,
        };
        Halo::of(&resolve(&[input, input], attrs).unwrap()).unwrap()
    };
    assert_eq!(of(8, 3, 1, &[1; 4]), halo(1, 1, 1, 1));
    // The padding belongs to it also where the last window does not reach it.
    assert_eq!(of(8, 3, 2, &[1; 4]), halo(1, 1, 1, 1));
    assert_eq!(of(7, 3, 2, &[1; 4]), halo(1, 1, 1, 1));
    assert_eq!(of(8, 5, 1, &[0, 1, 2, 3]), halo(0, 2, 1, 3));
    assert_eq!(of(8, 1, 2, &[0; 4]), Halo::default());
    assert!(Halo::of(&[]).is_none());
    assert_eq!(halo(1, 0, 2, 0).union(halo(0, 3, 1, 1)), halo(1, 3, 2, 1));
    assert!(Halo::default().is_none() && !halo(0, 0, 0, 1).is_none());
}
