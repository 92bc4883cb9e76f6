//! Leaf programs: what builders make computes its formula in the interpreter, and the assembled bytes compute the same
//! bits in the emulator, for both instruction sets.

mod cases;
mod winograd;

use cases::{Case, fuzz};
use octrt_compiler::leaf::emulate::Emulator;
use octrt_compiler::leaf::programs::{
    Advance, Axis, Conv, Epilogue, Formula, Grid, Pixels, Reduction, Weights,
};
use octrt_compiler::leaf::{Inst, Program, Width, interp, text, verify, x64};
use octrt_compiler::strategy::tail::Tail;
use octrt_ops::expr::{Expr, UnaryFn};

/// Interpreter, text form and emulator on one case.
fn check(case: &Case) {
    let (name, program) = (&case.name, &case.program);
    assert_eq!(verify::verify(program), Ok(()), "{name}\n{program}");
    assert_eq!(text::parse(&program.to_string()).as_ref(), Ok(program), "{name}");
    let mut expected = case.memory.clone();
    let interpreted = interp::run(program, &case.slots, &mut expected);
    let function = x64::assemble(program).unwrap_or_else(|e| panic!("{name}: {e}\n{program}"));
    let emulator = Emulator::new(&function.bytes).unwrap_or_else(|e| panic!("{name}: {e}\n{program}"));
    let mut found = case.memory.clone();
    let emulated = emulator.run(&case.slots, &mut found);
    assert_eq!(interpreted.is_ok(), emulated.is_ok(), "{name}: {interpreted:?} {emulated:?}\n{program}");
    if interpreted.is_err() {
        assert!(case.formula.is_none(), "{name}: {interpreted:?}\n{program}");
        // Of a store that leaves its region in part, either may have written some lanes.
        return;
    }
    assert!(expected.same(&found), "{name}: the emulator computes something else\n{program}");
    assert!(case.computes(&found), "{name}: the formula gives something else\n{program}");
}

#[test]
fn builders_compute_their_formulas() {
    let mut rng = cases::Rng::new(1);
    for width in Width::ALL {
        for kind in cases::KINDS {
            (0..100).for_each(|_| check(&kind(width, &mut rng)));
        }
    }
}

#[test]
fn operations_agree() {
    let mut rng = cases::Rng::new(5);
    for width in Width::ALL {
        cases::operations(width, &mut rng).iter().for_each(check);
    }
}

#[test]
fn functions_agree() {
    for width in Width::ALL {
        cases::functions(width, 1_000_003).iter().for_each(check);
    }
}

#[test]
fn random_programs_agree() {
    let mut rng = cases::Rng::new(2);
    let mut finished = 0;
    for width in Width::ALL {
        for _ in 0..400 {
            let case = fuzz(width, &mut rng);
            check(&case);
            finished +=
                usize::from(interp::run(&case.program, &case.slots, &mut case.memory.clone()).is_ok());
        }
    }
    assert!(finished > 600, "{finished} of 800 programs touch only their memory");
}

/// A tile as schedules use it: a block of channels, pixels by table, one loop, bias, and a function.
fn main_tile(width: Width, pixels: usize, vectors: usize, end: &Tail) -> Program {
    let strided = |bytes| Pixels::Strided { bytes, repeat: 1 };
    // Offsets of more pixels do not fit the general registers.
    let src = if pixels <= 12 { Pixels::Table } else { strided(width.bytes()) };
    let dst = Grid { pixels: strided(width.bytes()), vector_bytes: 1 << 16 };
    Conv {
        width,
        pixels,
        vectors,
        channels: width.lanes() as usize,
        taps: vec![0],
        src: Grid { pixels: src, vector_bytes: 0 },
        weights: Weights::Packed,
        reduction: Reduction::Loops(vec![
            Axis { name: "blocks", src: Advance::Slot },
            Axis { name: "kh", src: Advance::Slot },
        ]),
        merged: 1,
        ahead: 0,
        epilogue: Epilogue { formula: Formula::of_buffers(&end.value).unwrap(), ..Epilogue::store(dst) },
    }
    .program()
}

/// Whatever function ends a tile, it fits the registers: where accumulators leave too few, they are stored first.
#[test]
fn tiles_fit_whatever_they_end_with() {
    let mut by_memory = 0;
    for (width, pixels, vectors) in
        [(Width::W8, 6, 2), (Width::W8, 3, 4), (Width::W16, 12, 2), (Width::W16, 28, 1)]
    {
        for f in [UnaryFn::Exp, UnaryFn::Log, UnaryFn::Tanh, UnaryFn::Erf, UnaryFn::Sqrt] {
            let gated = Tail::of(Expr::Acc * Expr::unary(f, Expr::Acc * Expr::f32(0.5)));
            let program = main_tile(width, pixels, vectors, &gated);
            let assembled = x64::assemble(&program);
            assert!(assembled.is_ok(), "{f:?} {pixels}x{vectors}: {:?}", assembled.err());
            let stores = program.body.iter().filter(|i| matches!(i, Inst::Store { .. })).count();
            assert!([pixels * vectors, 2 * pixels * vectors].contains(&stores), "{f:?}: {stores} stores");
            by_memory += usize::from(stores > pixels * vectors);
        }
    }
    assert!((1..15).contains(&by_memory), "{by_memory} of 20 tiles are stored first");
}

/// The tiles that schedules are made of fit the registers.
#[test]
fn main_tiles_fit() {
    for (width, pixels, vectors) in [
        (Width::W8, 6, 2),
        (Width::W8, 5, 2),
        (Width::W8, 4, 2),
        (Width::W8, 4, 3),
        (Width::W8, 3, 4),
        (Width::W16, 12, 2),
        (Width::W16, 14, 2),
        (Width::W16, 6, 4),
        (Width::W16, 28, 1),
    ] {
        let program = main_tile(width, pixels, vectors, &Tail::relu());
        let assembled = x64::assemble(&program);
        assert!(assembled.is_ok(), "{pixels}x{vectors}: {:?}", assembled.err());
    }
    let too_large = x64::assemble(&main_tile(Width::W8, 7, 2, &Tail::relu()));
    assert_eq!(
        too_large.map_err(|e| e.to_string()),
        Err("leaf 'conv_7x16' needs 17 vector registers at once, there are 16".into())
    );
}
