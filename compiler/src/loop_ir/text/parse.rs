//! Reading of kernels.

use octrt_ops::expr::BufId;
use octrt_ops::{DType, TensorType};

use crate::loop_ir::{Kernel, KernelBuffer};
use crate::nest::text::expr::{definition, expr, loop_};
use crate::text::{ParseError, Words};

/// The kernel that a text prints; it may break rules of the loop IR other than those of the text form.
///
/// # Errors
/// [`ParseError`] where the text is not of the form in the header of [`text`](super).
pub fn parse(text: &str) -> Result<Kernel, ParseError> {
    let mut words = Words::new(text);
    let kernel = kernel(&mut words)?;
    words.end()?;
    Ok(kernel)
}

fn kernel(words: &mut Words<'_>) -> Result<Kernel, ParseError> {
    words.expect("kernel")?;
    let name = words.string("the kernel's name as a string")?;
    words.expect("{")?;
    let (buffers, dst) = buffers(words)?;
    let mut loops = Vec::new();
    while ["for", "reduce"].contains(&words.text()) {
        loops.push(loop_(words)?);
    }
    let update = words.takes("update");
    words.read(&format!("a loop or the store to {dst}"), |s| (s == dst.to_string()).then_some(()))?;
    words.expect("[")?;
    let index = words.list("]", expr)?;
    let (body, reduce) = definition(words)?;
    words.expect("}")?;
    Ok(Kernel { name, buffers, dst, loops, index, reduce, body, update })
}

fn buffers(words: &mut Words<'_>) -> Result<(Vec<KernelBuffer>, BufId), ParseError> {
    let (mut buffers, mut dst) = (Vec::new(), None);
    loop {
        match words.text() {
            "in" => {}
            "out" if dst.is_none() => dst = Some(BufId(buffers.len() as u32)),
            _ => break,
        }
        words.advance();
        words.expect(&format!("b{}", buffers.len()))?;
        words.expect(":")?;
        let dtype: DType = words.number("an element type")?;
        words.expect("[")?;
        let dims = words.list("]", |w| w.number::<usize>("an extent"))?;
        let range = if words.takes("range") { Some(range(words)?) } else { None };
        buffers.push(KernelBuffer { ty: TensorType::new(dtype, dims), range });
    }
    match dst {
        Some(dst) => Ok((buffers, dst)),
        None => Err(words.error("a buffer `in` or `out`")),
    }
}

fn range(words: &mut Words<'_>) -> Result<(i64, i64), ParseError> {
    let lo = words.number("the smallest element")?;
    words.expect("..")?;
    Ok((lo, words.number("the largest element")?))
}
