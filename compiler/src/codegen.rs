//! From scheduled nests to machine code, through Cranelift.
//!
//! `nest` walks the loops of kernels, `expr` their expressions, `math` has the elementary functions; `tile` does tile
//! nests. The function's signature and what it may touch are said in [`crate::artifact`].

use cranelift_codegen::Context;
use cranelift_codegen::control::ControlPlane;
use cranelift_codegen::ir::{AbiParam, Function as ClifFunction, Signature, UserFuncName, types};
use cranelift_codegen::isa::{CallConv, OwnedTargetIsa, TargetIsa};
use cranelift_codegen::settings::{self, Configurable};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};

use crate::artifact::Function;
use crate::error::CompileError;
use crate::program::Nest;
use crate::target::{Isa, Target};

mod emitter;
mod expr;
mod math;
mod nest;
mod tile;

const STAGE: &str = "codegen";

/// Compiles kernels for one target.
pub struct Codegen {
    target: Target,
    /// For loops around leaf programs, which have the work: little to gain from optimisations that take time.
    quick: OwnedTargetIsa,
    /// For loops that do the work themselves.
    thorough: OwnedTargetIsa,
}

impl Codegen {
    /// A code generator for `target`.
    ///
    /// # Errors
    /// [`CompileError::Internal`] when Cranelift does not know the target.
    pub fn new(target: Target) -> Result<Self, CompileError> {
        let fail = |e: &dyn std::fmt::Display| CompileError::internal(STAGE, target.to_string(), e);
        let isa = |opt_level| {
            let mut flags = settings::builder();
            for (name, value) in [
                ("opt_level", opt_level),
                ("enable_verifier", if cfg!(debug_assertions) { "true" } else { "false" }),
                // A frame larger than a page must not step over the guard page of the caller's stack.
                ("enable_probestack", "true"),
                ("probestack_strategy", "inline"),
                ("unwind_info", "false"),
            ] {
                flags.set(name, value).map_err(|e| fail(&e))?;
            }
            let mut builder =
                cranelift_codegen::isa::lookup_by_name("x86_64-unknown-linux-gnu").map_err(|e| fail(&e))?;
            for name in features(target.isa) {
                builder.enable(name).map_err(|e| fail(&e))?;
            }
            builder.finish(settings::Flags::new(flags)).map_err(|e| fail(&e))
        };
        Ok(Codegen { target, quick: isa("none")?, thorough: isa("speed")? })
    }

    fn isa(&self, nest: &Nest) -> &dyn TargetIsa {
        match nest {
            Nest::Tile(_) => &*self.quick,
            Nest::Loop(_) => &*self.thorough,
        }
    }

    /// Machine code of a nest.
    ///
    /// # Errors
    /// [`CompileError::Internal`] when the kernel is not well formed.
    pub fn function(&self, nest: &Nest, symbol: String) -> Result<Function, CompileError> {
        let mut context = self.compile(nest, Listing::No)?;
        let fail = |e: &str| CompileError::internal(STAGE, nest.name(), e);
        let code = context.take_compiled_code().ok_or_else(|| fail("no code"))?;
        if let Nest::Tile(tile) = nest {
            let names: Vec<_> = context.func.params.user_named_funcs().values().cloned().collect();
            return tile::link(tile, &code, &names, symbol).map_err(|e| fail(&e));
        }
        if !code.buffer.relocs().is_empty() {
            return Err(fail("the code needs relocations"));
        }
        let alignment = code.buffer.alignment.max(16);
        Ok(Function { symbol, alignment, bytes: code.code_buffer().to_vec() })
    }

    /// The kernel in Cranelift's intermediate form, before its optimisations.
    ///
    /// # Errors
    /// As [`Codegen::function`].
    pub fn clif(&self, nest: &Nest) -> Result<String, CompileError> {
        Ok(self.build(nest)?.display().to_string())
    }

    /// The machine code as text: what Cranelift makes of the loops, then the leaf programs that they call.
    ///
    /// # Errors
    /// As [`Codegen::function`].
    pub fn assembly(&self, nest: &Nest) -> Result<String, CompileError> {
        let context = self.compile(nest, Listing::Yes)?;
        let fail = |e: &str| CompileError::internal(STAGE, nest.name(), e);
        let listing =
            context.compiled_code().and_then(|c| c.vcode.clone()).ok_or_else(|| fail("no listing"))?;
        match nest {
            Nest::Loop(_) => Ok(listing),
            Nest::Tile(tile) => Ok(listing + &tile::listing(tile).map_err(|e| fail(&e))?),
        }
    }

    fn build(&self, nest: &Nest) -> Result<ClifFunction, CompileError> {
        let mut signature = Signature::new(CallConv::SystemV);
        signature.params = [types::I64; 3].map(AbiParam::new).to_vec();
        let mut function = ClifFunction::with_name_signature(UserFuncName::user(0, 0), signature);
        let mut context = FunctionBuilderContext::new();
        let mut builder = FunctionBuilder::new(&mut function, &mut context);
        let emitted = match nest {
            Nest::Loop(kernel) => emitter::Emitter::new(&mut builder, kernel, self.target).function(),
            Nest::Tile(tile) => tile::TileEmitter::new(&mut builder, tile).function(),
        };
        emitted.map_err(|e| CompileError::internal(STAGE, nest.name(), e))?;
        builder.seal_all_blocks();
        builder.finalize(self.isa(nest).frontend_config());
        Ok(function)
    }

    fn compile(&self, nest: &Nest, listing: Listing) -> Result<Context, CompileError> {
        let mut context = Context::for_function(self.build(nest)?);
        context.set_disasm(listing == Listing::Yes);
        context
            .compile(self.isa(nest), &mut ControlPlane::default())
            .map_err(|e| CompileError::internal(STAGE, nest.name(), format!("{:?}", e.inner)))?;
        Ok(context)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Listing {
    Yes,
    No,
}

fn features(isa: Isa) -> &'static [&'static str] {
    const V3: usize = 6;
    const ALL: [&str; 15] = [
        "has_cmpxchg16b",
        "has_popcnt",
        "has_sse3",
        "has_ssse3",
        "has_sse41",
        "has_sse42",
        "has_avx",
        "has_avx2",
        "has_bmi1",
        "has_bmi2",
        "has_fma",
        "has_lzcnt",
        "has_avx512f",
        "has_avx512dq",
        "has_avx512vl",
    ];
    match isa {
        Isa::V2 => &ALL[..V3],
        Isa::V3 => &ALL[..V3 + 6],
        Isa::V4 => &ALL,
    }
}
