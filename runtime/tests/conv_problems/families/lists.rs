//! Single convolutions, listed: what networks consist of, at every size and with awkward numbers of channels.

use crate::problem::{Bias, Conv, Fill, Kind, Pads, Problem, Window};

fn one(problems: &mut Vec<Problem>, shape: &[usize], conv: Conv) {
    let mut p = Problem::new(problems.len() as u64);
    let x = p.add(Kind::Input { shape: shape.to_vec(), fill: Fill::Unit }, &[]);
    p.add(Kind::Conv(conv), &[x]);
    problems.push(p);
}

fn dense(oc: usize, window: Window) -> Conv {
    Conv { oc, group: 1, bias: Bias::Unit, window }
}

/// Kernels, strides and channels of dense convolutions.
pub fn kernels() -> Vec<Problem> {
    let mut all = Vec::new();
    let channels = [(3, 8), (8, 16), (16, 24), (24, 51), (27, 6), (51, 27), (96, 16)];
    let kernels: [&[usize]; 7] = [&[1, 1], &[3, 3], &[5, 5], &[7, 7], &[1, 7], &[7, 1], &[2, 2]];
    for (i, kernel) in kernels.into_iter().enumerate() {
        let half: Vec<usize> = kernel.iter().map(|k| k / 2).collect();
        for stride in [1, 2] {
            for (j, (ic, oc)) in channels.into_iter().enumerate() {
                let extents = [[7, 7], [14, 14], [5, 9], [13, 6], [8, 8]];
                for at in [i + j, i + j + 1 + stride] {
                    let [h, w] = extents[at % 5];
                    let (strides, pads) = (vec![stride; 2], Pads::Explicit(half.repeat(2)));
                    let window = Window { strides, pads, ..Window::new(kernel) };
                    one(&mut all, &[1, ic, h, w], dense(oc, window));
                }
            }
        }
    }
    all
}

/// 3x3 convolutions of stride 1 at all sizes up to 30.
pub fn three_by_three() -> Vec<Problem> {
    let mut all = Vec::new();
    for h in 1..=30 {
        for (i, (ic, oc)) in [(8, 8), (16, 24), (27, 13)].into_iter().enumerate() {
            let w = [h, 31 - h, 1 + h * 7 % 30][i];
            one(&mut all, &[1, ic, h, w], dense(oc, Window::uniform(2, 3, 1, 1)));
        }
    }
    for (ic, oc, extent, mb) in
        [(64, 64, 7, 1), (32, 32, 14, 1), (16, 16, 28, 1), (70, 58, 7, 1), (48, 40, 7, 2)]
    {
        one(&mut all, &[mb, ic, extent, extent], dense(oc, Window::uniform(2, 3, 1, 1)));
    }
    all
}

/// Depthwise convolutions.
pub fn depthwise() -> Vec<Problem> {
    let mut all = Vec::new();
    for extent in (1..=16).chain([28]) {
        for (i, ic) in [3, 8, 27, 32].into_iter().enumerate() {
            let kernel = if (extent + i).is_multiple_of(3) { 5 } else { 3 };
            for stride in [1, 2] {
                let window = Window::uniform(2, kernel, stride, kernel / 2);
                let oc = if i == 1 && extent % 2 == 0 { 2 * ic } else { ic };
                one(&mut all, &[1 + i % 2, ic, extent, extent + i], Conv { group: ic, ..dense(oc, window) });
            }
        }
    }
    all
}

/// Padding that differs from side to side, and more padding than the kernel needs.
pub fn paddings() -> Vec<Problem> {
    let mut all = Vec::new();
    let pads = [
        [0, 0, 1, 1],
        [1, 1, 0, 0],
        [0, 1, 1, 0],
        [2, 0, 1, 3],
        [3, 3, 3, 3],
        [0, 2, 0, 2],
        [4, 1, 0, 0],
        [0, 0, 0, 0],
    ];
    for (i, pads) in pads.into_iter().enumerate() {
        for stride in [1, 2] {
            for (ic, oc, group) in [(16, 16, 1), (12, 12, 12), (16, 8, 2)] {
                let (strides, pads) = (vec![stride; 2], Pads::Explicit(pads.to_vec()));
                let window = Window { strides, pads, ..Window::new(&[3, 3]) };
                one(&mut all, &[1, ic, 9 + i, 8], Conv { group, ..dense(oc, window) });
            }
        }
    }
    all
}

/// Many channels on small maps, large maps with few, stems: where loops are cut into blocks.
pub fn large() -> Vec<Problem> {
    let mut all = Vec::new();
    // Input and output channels, kernel, stride, extents.
    let dense_ones = [
        (512, 256, 1, 1, [3, 3]),
        (256, 512, 1, 1, [2, 7]),
        (384, 100, 1, 1, [7, 7]),
        (130, 259, 1, 1, [7, 7]),
        (200, 333, 1, 2, [10, 9]),
        (1024, 101, 1, 1, [1, 1]),
        (256, 64, 3, 1, [3, 3]),
        (128, 32, 3, 1, [7, 7]),
        (32, 128, 3, 1, [7, 7]),
        (160, 72, 3, 1, [4, 4]),
        (120, 120, 3, 2, [7, 7]),
        (96, 160, 3, 2, [8, 6]),
        // All tiles of channels take a part of the input channels before the next.
        (160, 72, 3, 2, [32, 32]),
        (16, 16, 1, 1, [56, 56]),
        (8, 8, 3, 1, [56, 56]),
        (8, 12, 3, 1, [40, 70]),
        (3, 16, 3, 1, [60, 60]),
        (3, 16, 3, 2, [64, 64]),
        (3, 8, 7, 2, [64, 64]),
        (3, 24, 7, 2, [40, 41]),
        (3, 32, 11, 4, [43, 43]),
        (1, 16, 5, 1, [28, 28]),
        (6, 5, 7, 1, [30, 30]),
    ];
    for (ic, oc, kernel, stride, [h, w]) in dense_ones {
        one(&mut all, &[1, ic, h, w], dense(oc, Window::uniform(2, kernel, stride, kernel / 2)));
    }
    // Plain maps of which no blocks are made: rows, and single pixels.
    let plain: [(&[usize], usize, usize, usize); 9] = [
        (&[1, 5, 500], 11, 3, 1),
        (&[2, 16, 450], 16, 1, 0),
        (&[1, 33, 777], 8, 5, 0),
        (&[3, 1, 400], 1, 15, 7),
        (&[1, 24, 389], 40, 2, 1),
        (&[1, 80, 2000], 12, 3, 1),
        (&[2, 20, 22, 23], 17, 1, 0),
        (&[1, 7, 5, 9, 10], 30, 1, 0),
        (&[1, 500, 400], 3, 1, 0),
    ];
    for (dims, oc, kernel, pad) in plain {
        one(&mut all, dims, dense(oc, Window::uniform(dims.len() - 2, kernel, 1, pad)));
    }
    for (ic, kernel, stride, [h, w]) in [
        (384, 3, 1, [7, 7]),
        (192, 3, 2, [14, 14]),
        (100, 5, 1, [14, 14]),
        (576, 3, 1, [4, 5]),
        (240, 7, 1, [7, 7]),
        (16, 3, 1, [56, 56]),
        (8, 5, 2, [64, 63]),
    ] {
        let window = Window::uniform(2, kernel, stride, kernel / 2);
        one(&mut all, &[1, ic, h, w], Conv { group: ic, ..dense(ic, window) });
    }
    for (ic, oc, group, extent) in [(256, 256, 32, 7), (128, 256, 32, 7), (240, 120, 3, 7), (192, 192, 8, 5)]
    {
        let window = Window::uniform(2, 3, 1, 1);
        one(&mut all, &[1, ic, extent, extent], Conv { group, ..dense(oc, window) });
    }
    all
}
