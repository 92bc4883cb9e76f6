use iced_x86::IcedError;
use iced_x86::code_asm::*;

use super::*;

fn run(write: impl FnOnce(&mut CodeAssembler) -> Result<(), IcedError>) -> Result<(), String> {
    let code = CodeAssembler::new(64).and_then(|mut a| {
        write(&mut a)?;
        a.assemble(0)
    });
    let mut memory = Memory::default();
    let slots = [Value::Pointer(memory.add(Region::floats(&[1.0; 8], Access::Read)))];
    let emulator = Emulator::new(&code.expect("the code assembles")).map_err(|e| e.to_string())?;
    emulator.run(&slots, &mut memory).map_err(|e| e.to_string())
}

#[test]
fn promises_to_callers_are_checked() {
    let clean = run(|a| {
        a.push(rbx)?;
        a.mov(rbx, rdi)?;
        a.pop(rbx)?;
        a.vzeroupper()?;
        a.ret()
    });
    assert_eq!(clean, Ok(()));
    let upper = run(|a| a.ret());
    assert_eq!(upper, Err("the upper halves of vector registers are not clear".into()));
    let preserved = run(|a| {
        a.mov(r12, rdi)?;
        a.vzeroupper()?;
        a.ret()
    });
    assert_eq!(preserved, Err("a register that belongs to the caller is not restored".into()));
    let stack = run(|a| {
        a.push(rdi)?;
        a.ret()
    });
    assert_eq!(stack, Err("at byte 1: unexpected instruction Retnq".into()));
}

#[test]
fn memory_is_checked() {
    let fault = |write: fn(&mut CodeAssembler) -> Result<(), IcedError>| {
        run(|a| {
            a.mov(rax, qword_ptr(rdi))?;
            write(a)?;
            a.vzeroupper()?;
            a.ret()
        })
        .expect_err("the code faults")
    };
    assert!(fault(|a| a.vmovups(ymm0, ymmword_ptr(rax + 4))).contains("outside the region"));
    assert!(fault(|a| a.vmovups(ymm0, ymmword_ptr(rax - 4))).contains("outside the region"));
    assert!(fault(|a| a.vmovups(ymmword_ptr(rax), ymm0)).contains("the region is read only"));
    assert!(fault(|a| a.mov(qword_ptr(rdi), rax)).contains("the region is read only"));
    assert!(fault(|a| a.mov(rax, qword_ptr(rdi + 8))).contains("outside the region"));
    assert!(fault(|a| a.mov(rax, qword_ptr(rcx))).contains("no such region"));
}

#[test]
fn other_instructions_are_refused() {
    assert_eq!(run(|a| a.vaddps(xmm0, xmm0, xmm0)).map_err(|e| e.contains("that is none")), Err(true));
    let refused = run(|a| {
        a.vhaddps(ymm0, ymm0, ymm0)?;
        a.ret()
    });
    assert_eq!(refused, Err("at byte 0: unexpected instruction VEX_Vhaddps_ymm_ymm_ymmm256".into()));
    let unknown_flag = run(|a| {
        let mut end = a.create_label();
        a.add(rax, 1)?;
        a.je(end)?;
        a.set_label(&mut end)?;
        a.ret()
    });
    assert!(unknown_flag.is_err_and(|e| e.contains("Je_rel8_64")));
}
