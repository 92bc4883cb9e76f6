//! Artifacts made by hand, and models of them.

use std::sync::Arc;

use iced_x86::IcedError;
use iced_x86::code_asm::*;
use octrt_compiler::artifact::{Artifact, BufferRef, Constant, Function, FunctionId, Place, Port, Step};
use octrt_compiler::{Isa, Target};
use octrt_ops::{DType, Dim, Graph, Tensor, TensorType};

use crate::error::Error;
use crate::model::{About, Files, Model, Source};
use crate::options::LoadOptions;
use crate::ports::{PortInfo, Ports};
use crate::specialization::Request;

pub type Asm = fn(&mut CodeAssembler) -> Result<(), IcedError>;

pub fn function(symbol: &str, code: Asm) -> Function {
    let mut a = CodeAssembler::new(64).unwrap();
    code(&mut a).unwrap();
    Function { symbol: symbol.to_string(), alignment: 16, bytes: a.assemble(0).unwrap() }
}

/// `dst[i] = src[i] * wei[0]` for buffers `src wei dst` of f32; the parallel axis is `i`.
pub fn scale(a: &mut CodeAssembler) -> Result<(), IcedError> {
    let mut head = a.create_label();
    let mut done = a.create_label();
    a.mov(r8, qword_ptr(rdi))?;
    a.mov(r9, qword_ptr(rdi + 8))?;
    a.mov(r10, qword_ptr(rdi + 16))?;
    a.movss(xmm1, dword_ptr(r9))?;
    a.set_label(&mut head)?;
    a.cmp(rsi, rdx)?;
    a.jge(done)?;
    a.movss(xmm0, dword_ptr(r8 + rsi * 4))?;
    a.mulss(xmm0, xmm1)?;
    a.movss(dword_ptr(r10 + rsi * 4), xmm0)?;
    a.inc(rsi)?;
    a.jmp(head)?;
    a.set_label(&mut done)?;
    a.ret()
}

/// `dst[0] = MXCSR` and `dst[1] = rsp & 15` for one buffer of i32.
pub fn mode(a: &mut CodeAssembler) -> Result<(), IcedError> {
    a.mov(r8, qword_ptr(rdi))?;
    a.stmxcsr(dword_ptr(r8))?;
    a.mov(eax, esp)?;
    a.and(eax, 15)?;
    a.mov(dword_ptr(r8 + 4), eax)?;
    a.ret()
}

/// `dst[0] = src[0]` for buffers `src dst` of bytes.
pub fn copy_byte(a: &mut CodeAssembler) -> Result<(), IcedError> {
    a.mov(r8, qword_ptr(rdi))?;
    a.mov(r9, qword_ptr(rdi + 8))?;
    a.mov(al, byte_ptr(r8))?;
    a.mov(byte_ptr(r9), al)?;
    a.ret()
}

pub fn port(name: &str, dtype: DType, dims: &[usize]) -> Port {
    Port { name: name.to_string(), ty: TensorType::new(dtype, dims.to_vec()) }
}

pub fn buffer(place: Place, dtype: DType, dims: &[usize]) -> BufferRef {
    BufferRef { place, ty: TensorType::new(dtype, dims.to_vec()) }
}

pub fn step(function: u32, buffers: Vec<BufferRef>, extent: usize) -> Step {
    Step {
        function: FunctionId(function),
        results: vec![buffers.len() - 1],
        buffers,
        extent,
        node: format!("node{function}"),
        op: "Mul",
        stage: "mul",
        check: None,
    }
}

/// `y[i] = x[i] * 2 * 3` over `n` f32, by way of the arena.
pub fn scale_twice(n: usize) -> Artifact {
    let f32s = |place| buffer(place, DType::F32, &[n]);
    let weight = |i| buffer(Place::Const(i), DType::F32, &[1]);
    Artifact {
        target: Target::new(Isa::V2),
        inputs: vec![port("x", DType::F32, &[n])],
        outputs: vec![port("y", DType::F32, &[n])],
        functions: vec![function("scale", scale)],
        steps: vec![
            step(0, vec![f32s(Place::Input(0)), weight(0), f32s(Place::Arena(64))], n),
            step(0, vec![f32s(Place::Arena(64)), weight(1), f32s(Place::Output(0))], n),
        ],
        repeats: vec![],
        copies: vec![],
        constants: [2.0f32, 3.0].map(|x| Constant::Plain(Tensor::new([1], &[x]).unwrap())).into(),
        arena_bytes: 64 + n * 4,
        scratch_bytes: 0,
    }
}

/// A model whose only code is this artifact's, with functions of this module or of the compiler. It has no graph, from
/// which code for anything else could be made.
///
/// # Errors
/// As loading what the compiler has made.
pub fn model(artifact: Artifact, options: &LoadOptions) -> Result<Model, Error> {
    let info = |p: &Port| PortInfo {
        name: p.name.clone(),
        dtype: p.ty.dtype.into(),
        dims: Some(p.ty.shape.iter().map(|&d| Dim::Fixed(d)).collect()),
    };
    let infos = |ports: &[Port]| ports.iter().map(info).collect();
    let ports = Ports { inputs: infos(&artifact.inputs), outputs: infos(&artifact.outputs) };
    let (name, source) = ("artifact".to_string(), Source::Graph(Graph::default()));
    let model =
        Model::new(name, source, ports, Vec::new(), About::default(), Files::default(), options.clone());
    let types: Vec<TensorType> = artifact.inputs.iter().map(|p| p.ty.clone()).collect();
    model.check_artifact(&artifact, &Request::of_types(&types))?;
    let mut cache = model.lock()?;
    let plan = model.load_plan(artifact, &mut cache.weights, None)?;
    cache.plans.push(Arc::new(plan));
    drop(cache);
    Ok(model)
}
