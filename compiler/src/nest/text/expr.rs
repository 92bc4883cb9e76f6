//! Reading of expressions, as [`Expr`] prints; a NaN keeps only that it is one.

use octrt_ops::DType;
use octrt_ops::compute::ReduceFn;
use octrt_ops::expr::{BinaryFn, BufId, CompareFn, Expr, Scalar, UnaryFn, VarId};

use crate::nest::{Form, Loop, Reduction, Role};
use crate::text::{Mark, ParseError, Words, numbered};

/// Deepest nesting of an expression: it is read recursively.
const MAX_DEPTH: usize = 200;

/// The expression that a text prints; it may be ill-typed.
///
/// # Errors
/// [`ParseError`] where the text is not an expression as [`Expr`] prints.
pub fn parse_expr(text: &str) -> Result<Expr, ParseError> {
    let mut words = Words::new(text);
    let e = expr(&mut words)?;
    words.end()?;
    Ok(e)
}

/// The expression that stands next.
pub(crate) fn expr(words: &mut Words<'_>) -> Result<Expr, ParseError> {
    nested(words, 0)
}

/// A loop up to its form.
pub(crate) fn loop_(words: &mut Words<'_>) -> Result<Loop, ParseError> {
    let role = words.read("a loop", |s| match s {
        "for" => Some(Role::Data),
        "reduce" => Some(Role::Reduce),
        _ => None,
    })?;
    let id = VarId(words.numbered("a variable", 'L')?);
    words.expect("in")?;
    let extent = words.number("an extent")?;
    let forms = [Form::Parallel, Form::Unrolled, Form::Vector, Form::Turn];
    let form = forms.into_iter().find(|f| words.takes(&f.to_string()));
    Ok(Loop { id, extent, role, form: form.unwrap_or(Form::Serial) })
}

/// What an element is: a value, or the reduction of one.
pub(crate) fn definition(words: &mut Words<'_>) -> Result<(Expr, Option<Reduction>), ParseError> {
    if words.takes("=") {
        return Ok((expr(words)?, None));
    }
    if !words.takes("init") {
        return Err(words.error("`=` or `init`"));
    }
    let init = expr(words)?;
    let combine =
        words.read("`sum`, `max`, `min` or `prod`", |s| ReduceFn::ALL.into_iter().find(|f| f.name() == s))?;
    let value = expr(words)?;
    words.expect("finish")?;
    Ok((value, Some(Reduction { combine, init, finish: expr(words)? })))
}

/// What begins with a name.
#[derive(Clone, Copy)]
enum Function {
    Unary(UnaryFn),
    Binary(BinaryFn),
    Compare(CompareFn),
    Select,
    Cast(DType),
    Bits,
}

impl Function {
    fn of(name: &str) -> Option<Function> {
        let unary = UnaryFn::ALL.iter().find(|f| f.name() == name).map(|f| Function::Unary(*f));
        let binary = || BinaryFn::ALL.iter().find(|f| f.name() == name).map(|f| Function::Binary(*f));
        let compare = || CompareFn::ALL.iter().find(|f| f.name() == name).map(|f| Function::Compare(*f));
        let cast = || name.parse().ok().map(Function::Cast);
        let select = || match name {
            "select" => Some(Function::Select),
            "bits" => Some(Function::Bits),
            _ => None,
        };
        unary.or_else(binary).or_else(compare).or_else(cast).or_else(select)
    }
}

fn nested(words: &mut Words<'_>, depth: usize) -> Result<Expr, ParseError> {
    let start = words.mark();
    if depth > MAX_DEPTH {
        return Err(words.error(format!("at most {MAX_DEPTH} nested expressions")));
    }
    let word = words.text();
    if !word.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-') {
        return Err(words.error("an expression"));
    }
    words.advance();
    if let Some(s) = scalar(word) {
        return Ok(Expr::Const(s));
    }
    if word == "acc" {
        return Ok(Expr::Acc);
    }
    if let Some(id) = numbered(word, 'L') {
        return Ok(Expr::Var(VarId(id)));
    }
    if let Some(id) = numbered(word, 'b') {
        words.expect("[")?;
        return Ok(Expr::Load(BufId(id), words.list("]", |w| nested(w, depth + 1))?));
    }
    let function = Function::of(word).ok_or_else(|| words.error_at(start, "an expression"))?;
    words.expect("(")?;
    call(words, function, start, depth)
}

fn call(words: &mut Words<'_>, function: Function, start: Mark, depth: usize) -> Result<Expr, ParseError> {
    let args = words.list(")", |w| nested(w, depth + 1))?;
    let count = args.len();
    let mut args = args.into_iter();
    let e = match (function, args.next(), args.next(), args.next(), args.next()) {
        (Function::Unary(f), Some(a), None, ..) => Expr::unary(f, a),
        (Function::Cast(d), Some(a), None, ..) => a.cast(d),
        (Function::Bits, Some(a), None, ..) => a.bits(),
        (Function::Binary(f), Some(a), Some(b), None, _) => Expr::binary(f, a, b),
        (Function::Compare(f), Some(a), Some(b), None, _) => Expr::compare(f, a, b),
        (Function::Select, Some(c), Some(a), Some(b), None) => c.select(a, b),
        (function, ..) => {
            let takes = match function {
                Function::Unary(_) | Function::Cast(_) | Function::Bits => 1,
                Function::Binary(_) | Function::Compare(_) => 2,
                Function::Select => 3,
            };
            let found = count.to_string();
            return Err(ParseError { found, ..words.error_at(start, format!("arguments: {takes}")) });
        }
    };
    Ok(e)
}

/// A literal: `3`, `-3i32`, `1u8`, `true`, `1e-5f32`, `-inff64`, `NaNf32`.
fn scalar(word: &str) -> Option<Scalar> {
    match word {
        "true" => return Some(Scalar::Bool(true)),
        "false" => return Some(Scalar::Bool(false)),
        _ => {}
    }
    let suffixed = |d: &DType| word.strip_suffix(d.name()).map(|number| (*d, number));
    let Some((dtype, number)) = DType::NUMBERS.iter().find_map(suffixed) else {
        return word.parse().ok().map(Scalar::I64);
    };
    match (dtype, number) {
        (d, "NaN") if d.is_float() => Some(Scalar::F64(f64::NAN).cast(d)),
        (d, "inf") if d.is_float() => Some(Scalar::F64(f64::INFINITY).cast(d)),
        (d, "-inf") if d.is_float() => Some(Scalar::F64(f64::NEG_INFINITY).cast(d)),
        (_, n) if !n.starts_with(|c: char| c.is_ascii_digit() || c == '-') => None,
        // i64 has no suffix.
        (DType::I64 | DType::Bool, _) => None,
        (DType::F32, n) => n.parse().ok().map(Scalar::F32),
        (DType::F64, n) => n.parse().ok().map(Scalar::F64),
        (DType::I32, n) => n.parse().ok().map(Scalar::I32),
        (DType::I16, n) => n.parse().ok().map(Scalar::I16),
        (DType::I8, n) => n.parse().ok().map(Scalar::I8),
        (DType::U64, n) => n.parse().ok().map(Scalar::U64),
        (DType::U32, n) => n.parse().ok().map(Scalar::U32),
        (DType::U16, n) => n.parse().ok().map(Scalar::U16),
        (DType::U8, n) => n.parse().ok().map(Scalar::U8),
    }
}
