//! Leaf programs on the processor: the assembled bytes compute the same bits as the interpreter. Instruction sets that
//! this machine lacks are left out; `octrt-compiler`'s own tests emulate them.

#[path = "../../compiler/tests/leaf/cases/mod.rs"]
mod cases;

use cases::Case;
use memmap2::MmapMut;
use octrt_compiler::leaf::memory::{Memory, Value};
use octrt_compiler::leaf::{Width, interp, x64};

/// An assembled leaf program; its argument are the slots.
type Leaf = unsafe extern "sysv64" fn(*const u64);

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
unsafe fn call(case: &Case) -> Memory {
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
    // SAFETY: the mapping holds a complete function of this signature.
    let leaf = unsafe { std::mem::transmute::<*const u8, Leaf>(map.as_ptr()) };
    // SAFETY: the slots are what the program asks for, and its accesses stay in the regions, whose bytes nothing else
    // touches during the call; both are promised by the caller. The code lives until the end of this function.
    unsafe { leaf(slots.as_ptr()) };
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
    let found = unsafe { call(case) };
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

#[test]
fn random_programs_run_on_the_processor() {
    let mut rng = cases::Rng::new(4);
    for width in Width::ALL {
        let ran = (0..300).filter(|_| check(&cases::fuzz(width, &mut rng))).count();
        assert!(ran > 200 || !detected(width), "{ran} of 300 programs touch only their memory");
    }
}
