//! The errors of F(4x4, 3x3) on maps of the sizes that networks have, for any number of channels: 1e-5 of the root mean square.

use octrt_compiler::Target;
use octrt_compiler::leaf::programs::Winograd;
use octrt_compiler::strategy::conv::Algorithm;
use octrt_ops::Tensor;

use super::{Data, Problem, by};
use crate::{ISAS, TOLERANCE, compare};

/// Normal numbers (xorshift, Box and Muller).
struct Normals(u64);

impl Normals {
    fn uniform(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 11) as f64 + 0.5) / 2f64.powi(53)
    }

    fn next(&mut self) -> f64 {
        let radius = (-2.0 * self.uniform().ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    fn tensor(&mut self, dims: Vec<usize>, of: impl Fn(f64) -> f64) -> Tensor {
        let v: Vec<f32> = (0..dims.iter().product()).map(|_| of(self.next()) as f32).collect();
        Tensor::new(dims, &v).unwrap()
    }
}

/// A map as an activation leaves it, and weights as training begins with: results of about the same size in all layers.
/// A volume has `planes`, and so have its kernels.
fn layer(ic: usize, map: usize, planes: Option<usize>) -> (Problem, Data) {
    let p = Problem { ic, oc: 32, h: map, w: map, planes: planes.map(|n| (n, n)), ..Problem::SAME };
    let mut normals = Normals(ic as u64 * 1000 + map as u64);
    let scale = (2.0 / (9 * ic * p.planes().1) as f64).sqrt();
    let dims = |lead: [usize; 2], [h, w]: [usize; 2]| -> Vec<usize> {
        lead.into_iter().chain(planes).chain([h, w]).collect()
    };
    let data = Data {
        src: normals.tensor(dims([1, ic], [map, map]), |x| x.max(0.0)),
        wei: normals.tensor(dims([p.oc, ic], [3, 3]), |x| x * scale),
        bias: Tensor::new([p.oc], &vec![0.0f32; p.oc]).unwrap(),
        addend: None,
    };
    (p, data)
}

#[test]
fn errors_of_tiles_of_4_do_not_grow_with_channels() {
    let layers = [
        (16, 56),
        (64, 56),
        (32, 28),
        (128, 28),
        (128, 14),
        (200, 14),
        (256, 14),
        (512, 14),
        (64, 7),
        (256, 7),
        (320, 7),
        (512, 7),
        (1024, 7),
    ];
    let volumes = [(32, 28, Some(3)), (128, 14, Some(3)), (256, 7, Some(3)), (512, 7, Some(2))];
    for (ic, map, planes) in layers.map(|(ic, map)| (ic, map, None)).into_iter().chain(volumes) {
        let (p, data) = layer(ic, map, planes);
        let expected = p.reference(&data);
        for isa in ISAS {
            let found = by(Algorithm::Winograd(Winograd::F4).into(), &p, &data, Target::new(isa)).unwrap();
            let error = compare(&found.to_f64s(), &expected, TOLERANCE);
            let error =
                error.unwrap_or_else(|e| panic!("{ic} channels, {map}x{map}, {planes:?}, {isa:?}: {e}"));
            println!("{ic} channels, {map}x{map}, {planes:?}, {isa:?}: {error:.1e}");
        }
    }
}
