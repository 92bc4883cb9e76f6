//! Leaf programs on the files of `filetests/leaf`.
//!
//! `; test verify` verifies the program and prints it. `; test registers` prints the machine register of every variable
//! and loop counter. `; test asm` prints the machine code, without the constants behind it. `; test run` runs the
//! program in the interpreter and in the emulator, which must agree, and prints what the regions hold. Its values
//! follow in directives, one per slot: `; slot pointer 1.0 2.5` a region of f32, `; slot table 0 4` a region of i32,
//! `; slot number 3`.

mod filetest;

use filetest::Case;
use octrt_compiler::leaf::emulate::Emulator;
use octrt_compiler::leaf::memory::{Access, Memory, Region, Value};
use octrt_compiler::leaf::{Program, interp, registers, text, verify, x64};

#[test]
fn leaves() {
    filetest::run_folder("filetests/leaf", &test);
}

fn test(case: &Case) -> Result<String, String> {
    let program = text::parse(&case.input).map_err(|e| e.to_string())?;
    verify::verify(&program).map_err(|e| e.to_string())?;
    let printed = program.to_string();
    assert_eq!(text::parse(&printed).as_ref(), Ok(&program), "{}", case.path.display());
    let what = case.directive("test").map(|d| d.words.join(" ")).unwrap_or_default();
    match what.as_str() {
        "verify" => Ok(printed),
        "registers" => allocation(&program),
        "asm" => listing(&program),
        "run" => run(case, &program),
        _ => Err(format!("there is no test '{what}'")),
    }
}

fn allocation(program: &Program) -> Result<String, String> {
    let found = registers::allocate(program).map_err(|e| e.to_string())?;
    let variables = found.variables.iter().map(|(variable, register)| format!("{variable}: {register}\n"));
    let counters = found.counters.iter().enumerate().map(|(i, register)| match register {
        Some(register) => format!("loop {i}: {register}\n"),
        None => format!("loop {i}: stack\n"),
    });
    Ok(variables.chain(counters).collect())
}

fn listing(program: &Program) -> Result<String, String> {
    use iced_x86::Formatter;
    let function = x64::assemble(program).map_err(|e| e.to_string())?;
    let decoded = Emulator::new(&function.bytes).map_err(|e| e.to_string())?;
    let start = decoded.instructions().first().map_or(0, |i| i.ip());
    let (mut formatter, mut out) = (iced_x86::GasFormatter::new(), String::new());
    for instruction in decoded.instructions() {
        let mut instruction = *instruction;
        if instruction.is_ip_rel_memory_operand() {
            instruction.set_memory_displacement64(instruction.memory_displacement64() - start);
        } else if instruction.near_branch_target() != 0 {
            instruction.set_near_branch64(instruction.near_branch_target() - start);
        }
        out.push_str(&format!("{:4x}  ", instruction.ip() - start));
        formatter.format(&instruction, &mut out);
        out.push('\n');
    }
    Ok(out)
}

fn run(case: &Case, program: &Program) -> Result<String, String> {
    let mut memory = Memory::default();
    let mut slots = Vec::new();
    for directive in case.directives.iter().filter(|d| d.name == "slot") {
        let (kind, rest) = directive.words.split_first().ok_or("a slot without a value")?;
        let floats = || rest.iter().map(|w| w.parse::<f32>().map_err(|e| format!("{w}: {e}")));
        let ints = || rest.iter().map(|w| w.parse::<i64>().map_err(|e| format!("{w}: {e}")));
        slots.push(match kind.as_str() {
            "pointer" => {
                let floats = floats().collect::<Result<Vec<_>, _>>()?;
                Value::Pointer(memory.add(Region::floats(&floats, Access::ReadWrite)))
            }
            "table" => {
                let ints = ints().map(|i| i.map(|i| i as i32)).collect::<Result<Vec<_>, _>>()?;
                Value::Pointer(memory.add(Region::table(&ints)))
            }
            _ => Value::Number(ints().next().ok_or("a number slot without a number")??),
        });
    }
    let mut emulated = memory.clone();
    interp::run(program, &slots, &mut memory).map_err(|e| e.to_string())?;
    let function = x64::assemble(program).map_err(|e| e.to_string())?;
    let emulator = Emulator::new(&function.bytes).map_err(|e| e.to_string())?;
    emulator.run(&slots, &mut emulated).map_err(|e| e.to_string())?;
    assert!(memory.same(&emulated), "{}", case.path.display());
    let region = |r: &Region| format!("{:?}\n", r.to_floats());
    Ok(memory.regions.iter().filter(|r| r.access == Access::ReadWrite).map(region).collect())
}
