use octrt_ops::Shape;
use octrt_ops::def::conv_transpose::phases::Taps;

use super::*;

/// A tensor whose elements are all different and not 0.
fn counted(dims: &[usize]) -> Tensor {
    let n = dims.iter().product::<usize>();
    let elements: Vec<f32> = (0..n).map(|i| (i + 1) as f32 * if i % 3 == 0 { -1.0 } else { 1.0 }).collect();
    Tensor::new(dims.to_vec(), &elements).unwrap()
}

fn floats(t: &Tensor) -> Vec<f32> {
    t.to_vec().unwrap()
}

/// What a recipe makes of a tensor; its size is that of its type.
fn packed(packing: &Packing, source: &Tensor) -> Vec<f32> {
    let ty = packing.ty(source.ty());
    let mut bytes = vec![0; ty.bytes()];
    packing.pack(source, &mut bytes).unwrap();
    bytes.as_chunks::<4>().0.iter().map(|x| f32::from_le_bytes(*x)).collect()
}

fn recipe([lanes, src_lanes, groups, merged]: [usize; 4], tiles: &[usize]) -> ConvPacking {
    ConvPacking { lanes, src_lanes, groups, merged, tiles: tiles.to_vec() }
}

/// The kernel, as its first element, that belongs to an output channel and an input channel of a packed group.
fn kernel(p: &ConvPacking, [oc, ic, taps]: [usize; 3], group: usize, o: usize, i: usize) -> Option<usize> {
    let group_oc = oc / p.groups;
    if o >= group_oc || i >= ic * p.merged {
        return None;
    }
    // Output channels of one group of the model see the input channels of that group only.
    let model_group = o / (group_oc / p.merged);
    (i / ic == model_group).then(|| ((group * group_oc + o) * ic + i % ic) * taps)
}

/// Convolution weights, one element after the other in the order of the header.
fn naive_conv(p: &ConvPacking, source: &Tensor) -> Vec<f32> {
    let &[oc, ic, kh, kw] = source.shape().dims() else { unreachable!() };
    let (w, taps, mut out) = (floats(source), kh * kw, Vec::new());
    for group in 0..p.groups {
        for (t, vectors) in p.tiles.iter().enumerate() {
            let first: usize = p.tiles[..t].iter().sum();
            for block in 0..(ic * p.merged).div_ceil(p.src_lanes) {
                for (tap, channel) in (0..taps).flat_map(|t| (0..p.src_lanes).map(move |c| (t, c))) {
                    for lane in 0..vectors * p.lanes {
                        let (o, i) = (first * p.lanes + lane, block * p.src_lanes + channel);
                        let at = kernel(p, [oc, ic, taps], group, o, i);
                        out.push(at.map_or(0.0, |at| w[at + tap]));
                    }
                }
            }
        }
    }
    out
}

#[test]
fn convolutions() {
    // Lanes, lanes of the input, groups, merged; vectors of tiles; weights.
    let cases: &[([usize; 4], &[usize], [usize; 4])] = &[
        ([8, 8, 1, 1], &[2], [16, 8, 3, 3]),
        ([8, 8, 1, 1], &[2, 3], [40, 16, 1, 1]),
        // Channels that do not fill blocks.
        ([8, 8, 1, 1], &[3], [20, 13, 3, 3]),
        ([8, 8, 1, 1], &[1], [1, 1, 5, 5]),
        ([16, 16, 1, 1], &[2], [17, 20, 1, 3]),
        // Planar inputs.
        ([8, 1, 1, 1], &[3], [20, 3, 7, 7]),
        ([16, 1, 1, 1], &[2], [32, 3, 3, 3]),
        // Groups.
        ([8, 8, 2, 1], &[2], [32, 8, 3, 3]),
        ([8, 8, 3, 1], &[1], [24, 16, 1, 1]),
        // Several groups of the model in each.
        ([8, 8, 4, 2], &[1], [32, 4, 3, 3]),
        ([16, 16, 2, 4], &[1], [32, 4, 3, 3]),
        ([16, 16, 1, 8], &[1], [16, 2, 5, 5]),
    ];
    for (p, tiles, dims) in cases {
        let (p, source) = (recipe(*p, tiles), counted(dims));
        let found = packed(&Packing::Conv(p.clone()), &source);
        assert_eq!(found, naive_conv(&p, &source), "{p:?} {dims:?}");
        // Nothing is lost: each weight appears once.
        let (mut a, mut b) = (floats(&source), found);
        b.retain(|x| *x != 0.0);
        a.sort_by(f32::total_cmp);
        b.sort_by(f32::total_cmp);
        assert_eq!(a, b, "{p:?} {dims:?}");
    }
}

#[test]
fn transforms_are_rounded_once() {
    for (size, lanes, tiles, oc, ic, planes) in [
        (Winograd::F2, 8, &[2][..], 16, 8, 1),
        (Winograd::F2, 16, &[3], 40, 20, 1),
        (Winograd::F4, 8, &[2, 3], 35, 13, 1),
        (Winograd::F4, 16, &[1], 5, 3, 1),
        (Winograd::F2, 8, &[2], 13, 20, 2),
        (Winograd::F4, 16, &[2, 1], 40, 17, 3),
    ] {
        let p = recipe([lanes, lanes, 1, 1], tiles);
        let dims = [&[oc, ic][..], &[planes, 3, 3][usize::from(planes == 1)..]].concat();
        let source = octrt_ops::graph::text::random(&dims.into(), 7).unwrap();
        let (w, g, n) = (floats(&source), size.kernel(), size.input());
        let found = packed(&Packing::Winograd(size, p.clone()), &source);
        let channels = ic.div_ceil(lanes) * lanes;
        let mut at = 0;
        for (i, j) in (0..n).flat_map(|i| (0..n).map(move |j| (i, j))) {
            for (t, vectors) in p.tiles.iter().enumerate() {
                let first = p.tiles[..t].iter().sum::<usize>() * lanes;
                let row = vectors * lanes;
                for n in 0..channels * planes * row {
                    // Block, plane, channel of the block, output channel.
                    let (c, o) = (n / (planes * lanes * row) * lanes + n / row % lanes, first + n % row);
                    let k = n / (lanes * row) % planes;
                    // Element (i, j) of G k G^T.
                    let tap = |x: usize, y: usize| f64::from(w[((o * ic + c) * planes + k) * 9 + 3 * x + y]);
                    let all = (0..3).flat_map(|x| (0..3).map(move |y| (x, y)));
                    let expected: f64 = match o < oc && c < ic {
                        true => all.map(|(x, y)| g[i][x] * tap(x, y) * g[j][y]).sum(),
                        false => 0.0,
                    };
                    let error = (f64::from(found[at]) - expected).abs();
                    assert!(error <= expected.abs() * 2f64.powi(-24) + 1e-15, "{size:?} {o} {c}: {error}");
                    at += 1;
                }
            }
        }
        assert_eq!(at, found.len());
    }
}

#[test]
fn groups_of_any_size() {
    // Groups, input and output channels of each.
    for (groups, ic, of_group) in [(32, 3, 3), (32, 1, 3), (4, 3, 1), (2, 5, 7), (3, 8, 4), (5, 2, 1)] {
        let (oc, lanes, taps) = (groups * of_group, 8, 6);
        let (p, source) = (GroupedPacking { lanes, groups }, counted(&[oc, ic, 3, 2]));
        let (w, found) = (floats(&source), packed(&Packing::Grouped(p.clone()), &source));
        let blocks: Vec<Vec<usize>> = p.blocks(oc, ic).collect();
        assert_eq!(found.len(), blocks.len() * blocks[0].len() * taps * lanes);
        let mut at = 0;
        for (block, channels) in blocks.iter().enumerate() {
            assert!(channels.iter().all(|c| *c < groups * ic));
            for (i, channel) in channels.iter().enumerate() {
                // The last channel may stand for those that the block does not see.
                let again = channels[..i].contains(channel);
                for (tap, lane) in (0..taps).flat_map(|t| (0..lanes).map(move |l| (t, l))) {
                    let o = block * lanes + lane;
                    let own = o < oc && o / of_group == channel / ic && !again;
                    let expected = if own { w[(o * ic + channel % ic) * taps + tap] } else { 0.0 };
                    assert_eq!(
                        found[at], expected,
                        "{groups} {ic} {of_group}: {block} {channel} {tap} {lane}"
                    );
                    at += 1;
                }
            }
        }
        let (mut a, mut b) = (w, found);
        b.retain(|x| *x != 0.0);
        a.sort_by(f32::total_cmp);
        b.sort_by(f32::total_cmp);
        assert_eq!(a, b, "each weight appears once");
    }
}

#[test]
fn depthwise() {
    let source = counted(&[20, 1, 3, 2]);
    let (w, found) = (floats(&source), packed(&Packing::Depthwise { lanes: 8 }, &source));
    assert_eq!(found.len(), 24 * 6);
    for (i, x) in found.iter().enumerate() {
        let (block, tap, lane) = (i / 48, i / 8 % 6, i % 8);
        let c = block * 8 + lane;
        assert_eq!(*x, if c < 20 { w[c * 6 + tap] } else { 0.0 }, "{i}");
    }
}

#[test]
fn scaled_weights_are_packed_as_their_products() {
    let winograd = |size| Packing::Winograd(size, recipe([8, 8, 1, 1], &[2, 3]));
    for (packing, dims) in [
        (Packing::Conv(recipe([8, 8, 1, 1], &[2, 3])), [40, 13, 3, 3]),
        (Packing::Conv(recipe([8, 8, 1, 1], &[2])), [13, 20, 1, 1]),
        (Packing::Conv(recipe([16, 16, 2, 4], &[1])), [32, 4, 3, 3]),
        (winograd(Winograd::F2), [37, 20, 3, 3]),
        (winograd(Winograd::F4), [40, 5, 3, 3]),
        (Packing::Depthwise { lanes: 8 }, [20, 1, 3, 3]),
        (Packing::Grouped(GroupedPacking { lanes: 8, groups: 4 }), [12, 3, 3, 3]),
    ] {
        let source = octrt_ops::graph::text::random(&dims.to_vec().into(), 3).unwrap();
        let factors: Vec<f64> = (0..dims[0]).map(|i| 0.3 * (i as f64 - 7.5)).collect();
        let scaled = source.scaled(factors).unwrap();
        let products = Tensor::from_bytes(scaled.ty().clone(), scaled.bytes().to_vec()).unwrap();
        assert_eq!(packed(&packing, &scaled), packed(&packing, &products), "{packing:?}");
        assert_ne!(packed(&packing, &scaled), packed(&packing, &source), "{packing:?}");
    }
}

#[test]
fn vectors_end_in_zeros() {
    let source = counted(&[1, 3]);
    assert_eq!(packed(&Packing::Vector { len: 5 }, &source), [-1.0, 2.0, 3.0, 0.0, 0.0]);
    assert_eq!(packed(&Packing::Vector { len: 3 }, &source), [-1.0, 2.0, 3.0]);
}

#[test]
fn matrices() {
    let (n, k, lanes, tiles) = (35, 5, 8, [2, 2, 1]);
    for order in [MatrixOrder::NByK, MatrixOrder::KByN] {
        let rows = order == MatrixOrder::NByK;
        let source = counted(&if rows { [n, k] } else { [k, n] });
        let w = floats(&source);
        let scale = 0.5f32;
        let packing = Packing::Matrix { order, lanes, tiles: tiles.to_vec(), scale };
        let mut expected = Vec::new();
        for (t, vectors) in tiles.iter().enumerate() {
            let first = tiles[..t].iter().sum::<usize>() * lanes;
            for (i, column) in (0..k).flat_map(|i| (0..vectors * lanes).map(move |l| (i, first + l))) {
                let at = if rows { column * k + i } else { i * n + column };
                expected.push(if column < n { w[at] * scale } else { 0.0 });
            }
        }
        assert_eq!(packed(&packing, &source), expected, "{order}");
    }
}

#[test]
fn other_sources_are_refused() {
    let conv = recipe([8, 8, 1, 1], &[1]);
    let integers = Tensor::new([8, 8, 3, 3], &[1i64; 576]).unwrap();
    let flat = counted(&[64, 9]);
    let square = counted(&[8, 8, 2, 2]);
    let matrix = Packing::Matrix { order: MatrixOrder::KByN, lanes: 8, tiles: vec![1], scale: 0.0 };
    for (packing, source) in [
        (Packing::Conv(conv.clone()), &integers),
        (Packing::Conv(conv.clone()), &flat),
        (Packing::Conv(recipe([8, 8, 3, 1], &[1])), &square),
        (Packing::Conv(recipe([8, 8, 2, 3], &[1])), &square),
        (Packing::Winograd(Winograd::F2, conv.clone()), &square),
        (Packing::Winograd(Winograd::F2, recipe([8, 8, 2, 1], &[1])), &counted(&[8, 8, 3, 3])),
        (Packing::Winograd(Winograd::F2, conv.clone()), &counted(&[8, 3, 3])),
        (Packing::Winograd(Winograd::F2, conv.clone()), &counted(&[8, 8, 3, 1, 3])),
        (Packing::Grouped(GroupedPacking { lanes: 8, groups: 5 }), &square),
        (Packing::Depthwise { lanes: 8 }, &flat),
        (Packing::Depthwise { lanes: 8 }, &square),
        (Packing::Vector { len: 575 }, &flat),
        (Packing::Vector { len: 576 }, &integers),
        (matrix, &square),
    ] {
        let mut out = vec![0; packing.ty(source.ty()).bytes()];
        let e = packing.pack(source, &mut out).unwrap_err();
        let expected = format!("a weight {} cannot be packed as {packing}: expected ", source.ty());
        assert!(e.to_string().starts_with(&expected), "{e}");
        assert!(out.iter().all(|x| *x == 0));
    }
}

/// Files of compiled models hold these texts.
#[test]
fn recipes_print() {
    let conv = recipe([8, 16, 4, 2], &[2, 3]);
    for (packing, text) in [
        (Packing::Conv(conv.clone()), "conv lanes=8 src_lanes=16 groups=4 merged=2 tiles=2,3"),
        (
            Packing::Winograd(Winograd::F2, conv.clone()),
            "winograd_f2 lanes=8 src_lanes=16 groups=4 merged=2 tiles=2,3",
        ),
        (
            Packing::Winograd(Winograd::F4, conv),
            "winograd_f4 lanes=8 src_lanes=16 groups=4 merged=2 tiles=2,3",
        ),
        (Packing::Grouped(GroupedPacking { lanes: 8, groups: 4 }), "grouped lanes=8 groups=4"),
        (Packing::Depthwise { lanes: 16 }, "depthwise lanes=16"),
        (Packing::Vector { len: 40 }, "vector len=40"),
        (
            Packing::Matrix { order: MatrixOrder::NByK, lanes: 8, tiles: vec![4], scale: -0.1 },
            "matrix order=nk lanes=8 tiles=4 scale=-0.1",
        ),
        (
            Packing::Matrix { order: MatrixOrder::KByN, lanes: 8, tiles: vec![], scale: 1.0 },
            "matrix order=kn lanes=8 tiles= scale=1",
        ),
    ] {
        assert_eq!(packing.to_string(), text);
    }
}

#[test]
fn windows_of_any_axes_are_packed_by_their_taps() {
    let windows: [&[usize]; 3] = [&[12], &[3, 4], &[2, 3, 2]];
    let cases = [
        (Packing::Conv(recipe([8, 8, 1, 1], &[3])), [20, 13]),
        (Packing::Conv(recipe([16, 1, 1, 1], &[2])), [32, 3]),
        (Packing::Conv(recipe([8, 8, 2, 2], &[1])), [16, 4]),
        (Packing::Grouped(GroupedPacking { lanes: 8, groups: 5 }), [15, 3]),
        (Packing::Depthwise { lanes: 8 }, [20, 1]),
    ];
    for (packing, channels) in cases {
        let of = |window: &&[usize]| {
            let dims = [&channels[..], *window].concat();
            packed(&packing, &counted(&dims))
        };
        let [line, square, cube] = windows.each_ref().map(of);
        assert!(line == square && line == cube && line.iter().any(|x| *x != 0.0), "{packing:?}");
    }
}

#[test]
fn phases_of_transposed_convolutions_are_their_own_weights() {
    let taps = |last, step, count| Taps { last, step, count };
    let inner = |groups| Packing::Conv(recipe([8, 4, groups, 1], &[1]));
    for groups in [1, 2] {
        // Input channels of all groups, output channels of one.
        let source = counted(&[6, 3, 4, 5]);
        let phase =
            KernelPart { order: KernelOrder::Transposed(groups), taps: vec![taps(3, 2, 2), taps(4, 3, 2)] };
        let weights = phase.weights(&source).unwrap();
        assert_eq!(weights.shape().dims(), [3 * groups, 6 / groups, 2, 2]);
        let (w, found) = (floats(&source), floats(&weights));
        for (i, at) in weights.shape().indices().enumerate() {
            let (group, o) = (at[0] / 3, at[0] % 3);
            let ic = group * (6 / groups) + at[1];
            let (row, column) = ([3, 1][at[2]], [4, 1][at[3]]);
            assert_eq!(found[i], w[((ic * 3 + o) * 4 + row) * 5 + column], "{at:?}");
        }
        let packing = Packing::Part(phase, Box::new(inner(groups)));
        assert_eq!(packed(&packing, &source), packed(&inner(groups), &weights));
    }
    let plain = KernelPart { order: KernelOrder::Plain, taps: vec![taps(3, 2, 2), taps(1, 1, 2)] };
    let source = counted(&[2, 3, 5, 3]);
    let (w, found) = (floats(&source), floats(&plain.weights(&source).unwrap()));
    let shape = Shape::from([2, 3, 2, 2]);
    let expected = shape.indices().map(|at| {
        let (row, column) = ([1, 3][at[2]], at[3]);
        w[((at[0] * 3 + at[1]) * 5 + row) * 3 + column]
    });
    assert_eq!(found, expected.collect::<Vec<_>>());
    let packing =
        |taps| Packing::Part(KernelPart { order: KernelOrder::Transposed(2), taps }, Box::new(inner(2)));
    let text = packing(vec![taps(3, 2, 2), taps(1, 1, 1)]).to_string();
    assert_eq!(
        text,
        "part transposed groups=2 taps=2x2from3,1x1from1 of conv lanes=8 src_lanes=4 groups=2 merged=1 tiles=1"
    );
    let refused = [
        packing(vec![taps(3, 2, 3), taps(1, 1, 1)]),
        packing(vec![taps(4, 1, 1), taps(1, 1, 1)]),
        packing(vec![taps(3, 2, 0), taps(1, 1, 1)]),
        packing(vec![taps(3, usize::MAX, 3), taps(1, 1, 1)]),
        packing(vec![taps(3, 1, 1)]),
        packing(vec![taps(0, 1, 1)]),
    ];
    for packing in &refused {
        let error = packing.pack(&counted(&[6, 3, 4, 5]), &mut []).unwrap_err().to_string();
        assert!(error.contains("taps of the part"), "{error}");
    }
    let odd = KernelPart { order: KernelOrder::Transposed(4), taps: vec![taps(3, 1, 1), taps(1, 1, 1)] };
    assert_eq!(odd.ty(counted(&[6, 3, 4, 5]).ty()), None);
}

#[test]
fn rows_of_one_of_several_matrices() {
    let source = counted(&[2, 5, 3]);
    let of = Packing::Matrix { order: MatrixOrder::NByK, lanes: 2, tiles: vec![1], scale: 1.0 };
    let rows = |matrix, first, count| Packing::Rows { matrix, first, count, of: Box::new(of.clone()) };
    assert_eq!(packed(&rows(1, 2, 2), &source), packed(&of, &source.run(7 * 3, [2, 3]).unwrap()));
    let text = rows(1, 2, 2).to_string();
    assert_eq!(text, "rows 2+2 of matrix 1 of matrix order=nk lanes=2 tiles=1 scale=1");
    for packing in [rows(2, 0, 1), rows(0, 4, 2), rows(0, usize::MAX, 2)] {
        assert!(packing.check(source.ty()).is_err(), "{packing}");
    }
    assert!(rows(0, 0, 1).check(counted(&[5, 3]).ty()).is_err());
}
