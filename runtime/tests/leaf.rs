//! Leaf programs on the processor: the assembled bytes compute the same bits as the interpreter. Instruction sets that
//! this machine lacks are left out; `octrt-compiler`'s own tests emulate them.

#[path = "../../compiler/tests/leaf/cases/mod.rs"]
mod cases;

use cases::Case;
use memmap2::MmapMut;
use octrt_compiler::leaf::memory::{Memory, Region, Value};
use octrt_compiler::leaf::{Width, interp, x64};

/// What the processor does with denormal numbers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Denormals {
    /// They are numbers as others.
    Kept,
    /// They count as zero, as in compiled code.
    Flushed,
}

impl Denormals {
    /// What MXCSR holds then, all exceptions masked, rounding to nearest.
    fn mode(self) -> u32 {
        match self {
            Denormals::Kept => 0x1f80,
            Denormals::Flushed => 0x9fc0,
        }
    }
}

/// Whether this processor has the instructions of a width.
fn detected(width: Width) -> bool {
    match width {
        Width::W8 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
        Width::W16 => is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512dq"),
    }
}

/// Assembles the program of a case and calls it on memory of its own.
///
/// # Safety
/// * The processor has the instructions of the program's width.
/// * The interpreter runs the case without an error: then the program touches nothing but the case's memory.
unsafe fn call(case: &Case, denormals: Denormals) -> Memory {
    let function = x64::assemble(&case.program).unwrap_or_else(|e| panic!("{}: {e}", case.name));
    let mut map = MmapMut::map_anon(function.bytes.len()).expect("memory for the code");
    map.copy_from_slice(&function.bytes);
    let map = map.make_exec().expect("executable memory");
    let mut memory = case.memory.clone();
    let addresses: Vec<*mut u8> = memory.regions.iter_mut().map(|r| r.bytes.as_mut_ptr()).collect();
    let slots: Vec<u64> = case
        .slots
        .iter()
        .map(|slot| match slot {
            Value::Pointer(place) => addresses[place.region].wrapping_offset(place.byte as isize) as u64,
            Value::Number(n) => *n as u64,
        })
        .collect();
    let (mode, usual) = (denormals.mode(), Denormals::Kept.mode());
    // SAFETY: the mapping holds a complete function of the System V ABI whose argument are the slots, and lives until the
    // end of this function. The slots are what the program asks for, and its accesses stay in the regions, whose bytes
    // nothing else touches during the call; both are promised by the caller. The registers of the operands are preserved,
    // and the mode is again what Rust asks for.
    unsafe {
        std::arch::asm!(
            "ldmxcsr [r13]",
            "call r12",
            "ldmxcsr [r14]",
            in("r12") map.as_ptr(),
            in("r13") &raw const mode,
            in("r14") &raw const usual,
            in("rdi") slots.as_ptr(),
            clobber_abi("sysv64"),
        );
    }
    memory
}

/// Whether the case ran: it does where the processor can and the interpreter finds no fault.
fn check(case: &Case) -> bool {
    let mut expected = case.memory.clone();
    let clean = interp::run(&case.program, &case.slots, &mut expected).is_ok();
    if !clean || !detected(case.program.width) {
        return false;
    }
    // SAFETY: both conditions have just been tested.
    let found = unsafe { call(case, Denormals::Kept) };
    assert!(expected.same(&found), "{}: the processor computes something else\n{}", case.name, case.program);
    assert!(case.computes(&found), "{}: the formula gives something else\n{}", case.name, case.program);
    true
}

#[test]
fn builders_run_on_the_processor() {
    let mut rng = cases::Rng::new(3);
    for width in Width::ALL {
        for kind in cases::KINDS {
            let ran = (0..50).filter(|_| check(&kind(width, &mut rng))).count();
            assert_eq!(ran, if detected(width) { 50 } else { 0 }, "{width}");
        }
    }
}

#[test]
fn operations_run_on_the_processor() {
    let mut rng = cases::Rng::new(6);
    for width in Width::ALL {
        let cases = cases::operations(width, &mut rng);
        let ran = cases.iter().filter(|case| check(case)).count();
        assert_eq!(ran, if detected(width) { cases.len() } else { 0 }, "{width}");
    }
}

/// Zero for what is denormal.
fn flushed(region: &Region) -> Vec<f32> {
    let flush = |x: f32| if x.is_subnormal() { 0f32.copysign(x) } else { x };
    region.to_floats().into_iter().map(flush).collect()
}

/// In the mode of compiled code, functions of denormal numbers are those of zero, and all others have the bits of the
/// interpreter, but for denormal ones.
#[test]
fn functions_run_on_the_processor() {
    for width in Width::ALL.into_iter().filter(|w| detected(*w)) {
        for mut case in cases::functions(width, 30_011) {
            // SAFETY: the processor has been asked; the interpreter runs the same program on memory of the same size.
            let found = unsafe { call(&case, Denormals::Flushed) };
            let src = &mut case.memory.regions[0];
            *src = Region::floats(&flushed(src), src.access);
            interp::run(&case.program, &case.slots, &mut case.memory)
                .expect("the program touches its memory");
            let [x, y] = [0, 1].map(|i| flushed(&case.memory.regions[i]));
            for ((x, y), z) in x.iter().zip(&y).zip(flushed(&found.regions[1])) {
                let same = y.to_bits() == z.to_bits() || y.is_nan() && z.is_nan();
                assert!(same, "{} {width} of {x:e}: {y:e}, the processor has {z:e}", case.name);
            }
        }
    }
}

#[test]
fn random_programs_run_on_the_processor() {
    let mut rng = cases::Rng::new(4);
    for width in Width::ALL {
        let ran = (0..300).filter(|_| check(&cases::fuzz(width, &mut rng))).count();
        assert!(ran > 200 || !detected(width), "{ran} of 300 programs touch only their memory");
    }
}
