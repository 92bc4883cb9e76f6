//! How fast a core can compute at most: fused multiply-adds of f32 between registers, in short windows.
//!
//! The clock of a core changes with load and temperature, and other programs take their share, so one window says
//! little. Take many, spread over the time in which something else is measured, and keep the fastest.
//!
//! ```no_run
//! # fn main() -> Result<(), octrt::Error> {
//! if let Some(peak) = octrt::peak::FmaPeak::new()? {
//!     let fastest = (0..50).map(|_| peak.window()).fold(0.0, f64::max);
//!     println!("{fastest:.1} GFLOP/s");
//! }
//! # Ok(())
//! # }
//! ```

use std::fmt;
use std::ptr;
use std::time::{Duration, Instant};

use octrt_compiler::artifact::FunctionId;
use octrt_compiler::leaf::{Inst, Operand, Program, Slot, SlotId, SlotKind, VecId, Width, x64};
use octrt_compiler::target::{Isa, Target};

use crate::code::Code;
use crate::error::Error;
use crate::machine;

/// Least length of a window.
pub const WINDOW: Duration = Duration::from_millis(5);

/// Sums that do not depend on each other. A sum waits for its last addition, four cycles at most where two can be
/// started in a cycle, so eight would do if every one started in time.
const CHAINS: u16 = 12;

/// Additions to every sum in one turn of the loop.
const UNROLL: u16 = 4;

/// Turns of the loop in one call: a small part of a window, long against the reading of the clock.
const TURNS: usize = 4096;

/// A loop of fused multiply-adds, ready to be run.
pub struct FmaPeak {
    code: Code,
    width: Width,
}

impl fmt::Debug for FmaPeak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FmaPeak").field("width", &self.width).finish_non_exhaustive()
    }
}

impl FmaPeak {
    /// The loop for the vectors of the target that is best for this processor; none below x86-64-v3, where no fused
    /// multiply-add is.
    ///
    /// # Errors
    /// [`Error::Target`], [`Error::NotExecutable`], [`Error::Memory`].
    pub fn new() -> Result<Option<Self>, Error> {
        let target = machine::detect_target()?;
        let width = match target.isa {
            Isa::V2 => return Ok(None),
            Isa::V3 => Width::W8,
            Isa::V4 => Width::W16,
        };
        FmaPeak::load(width, target).map(Some)
    }

    /// The loop of a width that the processor, whose target is given, has.
    fn load(width: Width, target: Target) -> Result<Self, Error> {
        let function = x64::assemble(&program(width)).map_err(|e| Error::Internal(e.to_string()))?;
        Ok(FmaPeak { code: Code::load(&[function], target)?, width })
    }

    /// Speed of the calling core over one window of [`WINDOW`], in GFLOP/s; a multiply-add counts as two operations.
    pub fn window(&self) -> f64 {
        self.window_of(WINDOW)
    }

    /// As [`FmaPeak::window`], over another length of time.
    fn window_of(&self, length: Duration) -> f64 {
        let (mut calls, start) = (0u64, Instant::now());
        loop {
            self.call();
            calls += 1;
            let elapsed = start.elapsed();
            if elapsed >= length {
                return (calls * self.operations()) as f64 / elapsed.as_secs_f64() / 1e9;
            }
        }
    }

    /// Operations of one call.
    fn operations(&self) -> u64 {
        2 * TURNS as u64 * u64::from(UNROLL * CHAINS) * u64::from(self.width.lanes())
    }

    fn call(&self) {
        let slots = [ptr::without_provenance_mut(TURNS)];
        // SAFETY: the only function of `code` is the leaf of `program`, for vectors that `load`'s caller vouches for. It
        // reads its one slot, which it takes for a count, not an address, and touches no other memory. It takes no
        // notice of the part `0..0`.
        unsafe { self.code.call(FunctionId(0), &slots, 0, 0) }
    }
}

/// A loop, as often as `slot 0` says, that adds to every sum.
fn program(width: Width) -> Program {
    let (a, b) = (VecId(CHAINS), VecId(CHAINS + 1));
    let sums = || (0..CHAINS).map(VecId);
    let add = |acc| Inst::Fma { acc, a, b: Operand::Vector(b) };
    let turn = (0..UNROLL).flat_map(|_| sums().map(add)).collect();
    let mut body: Vec<Inst> = sums().map(Inst::Zero).collect();
    body.extend([Inst::Splat(a, 0.5), Inst::Splat(b, 0.25), Inst::Loop { count: SlotId(0), body: turn }]);
    let slots = vec![Slot { name: "turns".to_string(), kind: SlotKind::Count }];
    Program { name: "fma_peak".to_string(), width, slots, body }
}

#[cfg(test)]
mod tests {
    use octrt_compiler::leaf::registers;

    use super::*;

    #[test]
    fn the_loop_needs_no_memory_and_fits_the_registers() {
        for width in Width::ALL {
            let program = program(width);
            assert!(registers::allocate(&program).is_ok());
            let Some(Inst::Loop { body, .. }) = program.body.last() else { panic!("no loop") };
            assert_eq!(body.len(), usize::from(UNROLL * CHAINS));
            assert!(body.iter().all(|i| i.address().is_none()));
        }
    }

    #[test]
    fn a_window_measures_the_processor() {
        let target = machine::detect_target().unwrap();
        let Some(peak) = FmaPeak::new().unwrap() else {
            assert_eq!(target.isa, Isa::V2);
            return;
        };
        let best = (0..5).map(|_| peak.window_of(Duration::from_millis(1))).fold(0.0, f64::max);
        // Even a fifth of a slow core starts one multiply-add of 8 lanes every few cycles; none does 16 a cycle at 8 GHz.
        assert!((1.0..4000.0).contains(&best), "{best} GFLOP/s");
    }
}
