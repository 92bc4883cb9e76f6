//! Schedule primitives.
use crate::loop_ir::Kernel;
use octrt_ops::expr::VarId;
/// Why a primitive refuses.
#[derive(Debug, thiserror::Error)]
#[error("under construction")]
pub struct ScheduleError;
macro_rules! stub { ($($m:ident($($t:ty),*) -> $r:ty;)*) => { $(#[doc = "Stub."] pub mod $m { use super::*; #[doc = "Stub."] #[allow(clippy::missing_errors_doc)] pub fn $m(_: &Kernel $(, _: $t)*) -> Result<$r, ScheduleError> { Err(ScheduleError) } })* } }
stub! { split(VarId, usize) -> (Kernel, VarId, VarId); reorder(&[VarId]) -> Kernel; unroll(VarId) -> Kernel; vectorize(VarId) -> Kernel; parallel(VarId) -> Kernel; }
