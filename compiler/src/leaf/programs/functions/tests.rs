use super::Function;
use crate::leaf::emulate::Emulator;
use crate::leaf::memory::{Access, Memory, Region, Value};
use crate::leaf::{Variable, Width, interp, registers, verify, x64};

/// The function of vectors in a row.
fn computed(f: Function, width: Width, x: &[f32]) -> Vec<f32> {
    let program = f.program(width);
    assert_eq!(verify::verify(&program), Ok(()), "{program}");
    let mut memory = Memory::default();
    let src = memory.add(Region::floats(x, Access::Read));
    let dst = memory.add(Region::floats(&vec![0.0; x.len()], Access::ReadWrite));
    let trips = x.len() as i64 / i64::from(width.lanes());
    let slots = [Value::Pointer(src), Value::Pointer(dst), Value::Number(trips)];
    assert_eq!(interp::run(&program, &slots, &mut memory), Ok(()), "{program}");
    memory.regions[1].to_floats()
}

/// The function in f64.
fn exact(f: Function, x: f64) -> f64 {
    match f {
        Function::Neg => -x,
        Function::Abs => x.abs(),
        Function::Sqrt => x.sqrt(),
        Function::Floor => x.floor(),
        Function::Ceil => x.ceil(),
        Function::Round => x.round_ties_even(),
        Function::Exp => x.exp(),
        Function::Log => x.ln(),
        Function::Tanh => x.tanh(),
        Function::Erf => octrt_ops::expr::erf(x),
        Function::Sigmoid => 1.0 / (1.0 + (-x).exp()),
    }
}

/// Arguments at which a function changes from one way to another, and their neighbours.
fn boundaries() -> impl Iterator<Item = f32> {
    let around = |x: f32| (-40..=40).map(move |by| f32::from_bits(x.to_bits().wrapping_add_signed(by)));
    let magnitudes = [
        0.0,
        f32::MIN_POSITIVE,
        0.062_5,
        0.173,
        0.346_573_6,
        0.5,
        0.75,
        1.0,
        1.5,
        4.0,
        9.02,
        87.336_54,
        88.0,
        88.3,
        88.722_84,
        89.0,
        f32::MAX,
    ];
    magnitudes.into_iter().flat_map(around).flat_map(|x| [x, -x])
}

/// Numbers of all exponents and both signs, as many as fill vectors.
fn arguments() -> Vec<f32> {
    let stride = (0..=u32::MAX).step_by(70_001).map(f32::from_bits);
    let mut all: Vec<f32> = stride.chain(boundaries()).collect();
    all.resize(all.len().next_multiple_of(16), f32::NAN);
    all
}

/// Zero for what is denormal.
fn flushed(x: f32) -> f32 {
    if x.abs() < f32::MIN_POSITIVE { 0f32.copysign(x) } else { x }
}

/// Floats from one to the other.
fn distance(a: f32, b: f32) -> u64 {
    let ordered = |x: f32| {
        let bits = i64::from(x.to_bits() & 0x7fff_ffff);
        if x.is_sign_negative() { -1 - bits } else { bits }
    };
    match (a.is_nan(), b.is_nan()) {
        (true, true) => 0,
        (false, false) => ordered(a).abs_diff(ordered(b)),
        _ => u64::MAX,
    }
}

/// How far `y` is from the function of `x`, or of 0 where `x` is denormal.
fn error(f: Function, x: f32, y: f32) -> u64 {
    let expected = |x: f32| flushed(exact(f, x.into()) as f32);
    distance(flushed(y), expected(x)).min(distance(flushed(y), expected(flushed(x))))
}

#[test]
fn functions_are_within_their_bounds() {
    let x = arguments();
    for f in Function::ALL {
        let bound = match f {
            Function::Tanh | Function::Erf | Function::Sigmoid => 2,
            Function::Exp | Function::Log => 1,
            _ => 0,
        };
        for width in Width::ALL {
            let y = computed(f, width, &x);
            let errors = x.iter().zip(&y).map(|(&x, &y)| (error(f, x, y), x, y));
            let worst = errors.max_by_key(|e| e.0).expect("arguments");
            assert!(worst.0 <= bound, "{f:?} {width}: {worst:?} of {}", exact(f, worst.1.into()));
        }
    }
}

#[test]
fn ends_are_what_functions_tend_to() {
    let inf = f32::INFINITY;
    for (f, x, y) in [
        (Function::Exp, [-inf, -0.0, 0.0, inf], [0.0, 1.0, 1.0, inf]),
        (Function::Log, [0.0, -0.0, 1.0, inf], [-inf, -inf, 0.0, inf]),
        (Function::Tanh, [-inf, -0.0, 0.0, inf], [-1.0, -0.0, 0.0, 1.0]),
        (Function::Erf, [-inf, -0.0, 0.0, inf], [-1.0, -0.0, 0.0, 1.0]),
        (Function::Sigmoid, [-inf, -0.0, 0.0, inf], [0.0, 0.5, 0.5, 1.0]),
        (Function::Sqrt, [0.0, -0.0, 1.0, inf], [0.0, -0.0, 1.0, inf]),
        (Function::Neg, [-inf, -0.0, 0.0, inf], [inf, 0.0, -0.0, -inf]),
    ] {
        for width in Width::ALL {
            let found = computed(f, width, &x.repeat(4)).into_iter().map(|y| flushed(y).to_bits());
            let expected = y.repeat(4).into_iter().map(f32::to_bits);
            assert!(found.eq(expected), "{f:?} {width}");
        }
    }
}

#[test]
fn few_registers_are_in_use() {
    for (f, width) in Function::ALL.into_iter().flat_map(|f| Width::ALL.map(|w| (f, w))) {
        let registers = registers::allocate(&f.program(width)).expect("it fits");
        let vectors = registers.variables.iter().filter(|(v, _)| matches!(v, Variable::Vector(_)));
        let most = vectors.map(|(_, r)| *r).max();
        assert!(most <= Some(3), "{f:?} {width}: {most:?}");
    }
}

/// The table in the header.
#[test]
fn instructions_are_as_many_as_the_table_says() {
    for (f, of_8, of_16) in [
        (Function::Neg, 1, 1),
        (Function::Sqrt, 1, 1),
        (Function::Floor, 1, 1),
        (Function::Ceil, 1, 1),
        (Function::Round, 1, 1),
        (Function::Abs, 2, 2),
        (Function::Exp, 22, 18),
        (Function::Log, 26, 17),
        (Function::Tanh, 26, 26),
        (Function::Erf, 31, 31),
        (Function::Sigmoid, 22, 22),
    ] {
        // Three slots are read, one of them tested; each trip loads, stores and steps; at the end are a `vzeroupper` and a
        // return.
        let others = 5 + 6 + 2;
        let count = |width| {
            let code = x64::assemble(&f.program(width)).expect("it fits");
            Emulator::new(&code.bytes).expect("it decodes").instructions().len() - others
        };
        assert_eq!(Width::ALL.map(count), [of_8, of_16], "{f:?}");
    }
}
