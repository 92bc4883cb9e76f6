//! What comes close to the sums that octave convolutions are made of.

use octrt_ops::ValueId;
use octrt_ops::def::binary::{Binary, BinaryKind};
use octrt_ops::def::conv_transpose::ConvTranspose;
use octrt_ops::def::einsum::Einsum;
use octrt_ops::def::gemm::Gemm;
use octrt_ops::window::Window;

use crate::near::Near;

/// `a + b` in one order or the other; seldom something else of the two.
pub fn sum(n: &mut Near, a: ValueId, b: ValueId) -> Option<ValueId> {
    let kind = n.or(BinaryKind::Add, &[BinaryKind::Sub, BinaryKind::Mul, BinaryKind::Max]);
    let inputs = if n.half() { [a, b] } else { [b, a] };
    n.add(Binary { kind }, &inputs)
}

/// A convolution's result to which an upsampled one is added, with what may stand around it.
pub fn doubling(n: &mut Near) -> Option<()> {
    let (c, oc) = (n.pick(&[8, 16, 3]), n.pick(&[8, 16, 5]));
    let batch = n.or(1, &[2]);
    let low = [batch, c, n.pick(&[2, 3, 4, 5]), n.pick(&[2, 3, 4, 7])];
    let low = n.input(&low);
    let window = n.pick(&[1, 3]);
    let low = n.conv(low, oc, window)?;
    let up = n.resized(low, 2.0)?;
    let shape = n.shape(up);
    let high = n.input(&[&[shape[0], c], &shape[2..]].concat());
    let window = n.pick(&[1, 3]);
    let mut y = n.conv(high, shape[1], window)?;
    if n.g.numbers.one_in(4) {
        y = n.activated(y)?;
    }
    if n.g.numbers.one_in(4) {
        let shortcut = n.made(&shape)?;
        y = sum(n, y, shortcut)?;
    }
    y = sum(n, y, up)?;
    if n.g.numbers.one_in(3) {
        let shortcut = n.made(&shape)?;
        y = sum(n, y, shortcut)?;
    }
    n.activated(y).map(|_| ())
}

/// What a convolution gives, repeated, where something follows that it is not computed with.
pub fn repeated(n: &mut Near) -> Option<()> {
    let (c, oc) = (n.pick(&[8, 4]), n.pick(&[8, 16, 5]));
    let shapes = [vec![1, c, 3, 4], vec![2, c, 2, 5], vec![1, c, 5], vec![1, c, 2, 3, 2]];
    let shape = shapes[n.g.numbers.below(4)].clone();
    let x = n.input(&shape);
    let low = n.conv(x, oc, 3)?;
    let by = n.pick(&[2.0, 3.0]);
    let by = n.or(by, &[1.5, 0.5]);
    let up = n.resized(low, by)?;
    let window = n.pick(&[3, 1]);
    match n.g.numbers.below(3) {
        0 => n.conv(up, c, window).map(|_| ()),
        1 => {
            let shape = n.shape(up);
            let other = n.made(&shape)?;
            sum(n, up, other).map(|_| ())
        }
        _ => n.activated(up).map(|_| ()),
    }
}

/// A pointwise convolution of something upsampled.
pub fn pointwise_of_upsampled(n: &mut Near) -> Option<()> {
    let (c, oc) = (n.pick(&[8, 4, 3]), n.pick(&[8, 16, 5]));
    let shapes = [vec![1, c, 3, 4], vec![2, c, 2, 5], vec![1, c, 5], vec![1, c, 2, 3, 2]];
    let shape = if n.odd() { shapes[n.g.numbers.below(4)].clone() } else { shapes[0].clone() };
    let x = n.made(&shape)?;
    let up = n.resized(x, 2.0)?;
    let window = n.or(1, &[3]);
    let y = n.conv(up, oc, window)?;
    n.activated(y).map(|_| ())
}

/// A pooling of what a pointwise convolution gives.
pub fn pooled_pointwise(n: &mut Near) -> Option<()> {
    let (c, oc) = (n.pick(&[8, 4, 3]), n.pick(&[8, 16, 5]));
    let shape = [n.or(1, &[2]), c, n.pick(&[4, 5, 7]), n.pick(&[4, 6, 9])];
    let x = n.made(&shape)?;
    let window = n.or(1, &[3]);
    let y = n.conv(x, oc, window)?;
    let y = n.pooled(y)?;
    n.activated(y).map(|_| ())
}

/// Sums of convolutions, upsampled convolutions and what is neither.
fn linear(n: &mut Near, shape: &[usize], depth: usize) -> Option<ValueId> {
    let [batch, oc, space @ ..] = shape else { return None };
    let of_channels = |n: &mut Near, space: &[usize]| {
        let c = n.pick(&[8, 4, 3]);
        n.input(&[&[*batch, c], space].concat())
    };
    if n.odd() {
        return n.made(shape);
    }
    match n.g.numbers.below(if depth == 0 { 3 } else { 5 }) {
        0 => {
            let half: Vec<usize> = space.iter().map(|e| e.div_ceil(2)).collect();
            let x = of_channels(n, &half);
            let low = n.conv(x, *oc, 1)?;
            let usual = n.pick(&[2.0, 1.0]);
            n.resized(low, usual)
        }
        1 | 2 => {
            let x = of_channels(n, space);
            let window = n.pick(&[1, 3]);
            n.conv(x, *oc, window)
        }
        _ => {
            let a = linear(n, shape, depth - 1)?;
            let shape = n.shape(a);
            let b = match n.or(0, &[1, 2]) {
                0 => linear(n, &shape, depth - 1)?,
                1 => n.g.f32s(&[1, shape[1], 1, 1]),
                _ => a,
            };
            sum(n, a, b)
        }
    }
}

fn transposed(n: &mut Near) -> Option<ValueId> {
    let group = n.pick(&[1, 2]);
    let (c, oc, strides) = (4, n.pick(&[2, 3]), vec![n.pick(&[1, 2]); 2]);
    let x = n.input(&[1, c, 3, 2]);
    let wei = n.weight(&[c, oc, 2, 3]);
    let bias = n.weight(&[oc * group]);
    let op = ConvTranspose {
        window: Window { strides, ..Window::default() },
        group,
        output_padding: vec![],
        output_shape: vec![],
    };
    n.add(op, &[x, wei, bias])
}

fn product(n: &mut Near) -> Option<ValueId> {
    let (m, k, columns) = (n.pick(&[1, 4, 5]), n.pick(&[3, 8]), n.pick(&[5, 4, 8]));
    let (trans_a, trans_b) = (n.or(false, &[true]), n.half());
    let a = n.input(&if trans_a { [k, m] } else { [m, k] });
    let b = n.weight(&if trans_b { [columns, k] } else { [k, columns] });
    let shapes: [&[usize]; 6] = [&[columns], &[1, columns], &[], &[1], &[m, 1], &[m, columns]];
    let shape = shapes[if n.half() { 0 } else { n.g.numbers.below(6) }];
    let c = n.weight(shape);
    let inputs = if n.half() { vec![a, b, c] } else { vec![a, b] };
    let (alpha, beta) = (n.or(1.0, &[0.5, 0.0]), n.or(1.0, &[0.5, 0.0]));
    n.add(Gemm { alpha, beta, trans_a, trans_b }, &inputs)
}

/// A normalisation of a sum, with statistics that are constants or not.
pub fn normalized(n: &mut Near) -> Option<()> {
    let shape = [n.or(1, &[2]), n.pick(&[8, 4, 5]), n.pick(&[4, 6]), n.pick(&[4, 5])];
    let x = match n.g.numbers.below(6) {
        0 => transposed(n)?,
        1 => product(n)?,
        _ => linear(n, &shape, 2)?,
    };
    let y = n.g.normalized(x)?[0];
    if y == x {
        return None;
    }
    let mut y = y;
    if n.odd() {
        // The same with one of the statistics given at run time.
        let node = n.g.graph.nodes.last()?.clone();
        let at = 1 + n.g.numbers.below(4);
        let mut inputs = node.inputs.clone();
        let given = n.tensor(inputs[at]?).clone();
        inputs[at] = Some(n.input_of(given));
        y = n.g.add(node.op, &inputs, 1)?[0];
    }
    n.shared(y);
    n.activated(y).map(|_| ())
}

/// Two convolutions that are added, of inputs that nodes compute.
pub fn merged(n: &mut Near) -> Option<()> {
    let oc = n.pick(&[8, 16, 5]);
    let (batch, space) = (n.or(1, &[2]), [n.pick(&[3, 4, 6]), n.pick(&[3, 5])]);
    let shape = |n: &mut Near| [batch, n.or(8, &[16, 4, 12]), space[0], space[1]];
    let (a, b) = (shape(n), shape(n));
    let x = n.made(&a)?;
    let y = if n.odd() { x } else { n.made(&b)? };
    let window = n.pick(&[1, 3]);
    let other = n.or(window, &[1, 3, 2]);
    let channels = n.or(oc, &[1]);
    let (x, y) = (n.conv(x, oc, window)?, n.conv(y, channels, other)?);
    let mut s = sum(n, x, y)?;
    if n.g.numbers.one_in(3) {
        let shape = n.shape(s);
        let more = n.made(&[shape[0], 8, shape[2], shape[3]])?;
        let more = n.conv(more, oc, window)?;
        s = sum(n, s, more)?;
    }
    n.activated(s).map(|_| ())
}

/// An equation of two operands whose axes stand in any order; seldom one that is no product of matrices.
pub fn equation(n: &mut Near) -> Option<()> {
    let letters = ['a', 'b', 'c', 'd', 'e'];
    let extents: Vec<usize> = letters.iter().map(|_| n.pick(&[1, 2, 3, 4, 5, 9])).collect();
    // Of which operands and of the result each axis is.
    let mut terms = [String::new(), String::new(), String::new()];
    for letter in letters {
        let usual =
            n.pick(&[[true, true, false], [true, true, true], [true, false, true], [false, true, true]]);
        let odd = n.pick(&[[true, false, false], [false, true, false], [false, false, false]]);
        let of = n.or(usual, &[odd]);
        for (term, _) in terms.iter_mut().zip(of).filter(|(_, is)| *is) {
            let at = n.g.numbers.below(term.len() + 1);
            term.insert(at, letter);
        }
    }
    if n.odd() {
        let again = terms[0].chars().next();
        terms[0].extend(again);
    }
    let shape = |n: &mut Near, i: usize| -> Vec<usize> {
        let of = |c: char| extents[letters.iter().position(|l| *l == c).unwrap()];
        let dims: Vec<usize> = terms[i].chars().map(of).collect();
        dims.into_iter().map(|d| n.or(d, &[1])).collect()
    };
    let (a, b) = (shape(n, 0), shape(n, 1));
    let (a, b) = (n.input(&a), n.weight(&b));
    let y = n.add(Einsum { equation: format!("{},{}->{}", terms[0], terms[1], terms[2]) }, &[a, b])?;
    n.activated(y).map(|_| ())
}
