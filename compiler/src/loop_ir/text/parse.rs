//! Reading of kernels and expressions.

use octrt_ops::compute::ReduceFn;
use octrt_ops::expr::{BinaryFn, BufId, CompareFn, Expr, Scalar, UnaryFn, VarId};
use octrt_ops::{DType, TensorType};

use super::ParseError;
use super::lex::{Kind, Token, tokens};
use crate::loop_ir::{Form, Kernel, KernelBuffer, Loop, Reduction, Role};

/// Deepest nesting of an expression: it is read recursively.
const MAX_DEPTH: usize = 200;

/// The kernel that a text prints; it may break rules of the loop IR other than those of the text form.
///
/// # Errors
/// [`ParseError`] where the text is not of the form in the header of [`text`](super).
pub fn parse(text: &str) -> Result<Kernel, ParseError> {
    let mut p = Parser::new(text)?;
    let kernel = p.kernel()?;
    p.end()?;
    Ok(kernel)
}

/// The expression that a text prints; it may be ill-typed.
///
/// # Errors
/// [`ParseError`] where the text is not an expression as [`Expr`] prints.
pub fn parse_expr(text: &str) -> Result<Expr, ParseError> {
    let mut p = Parser::new(text)?;
    let e = p.expr(0)?;
    p.end()?;
    Ok(e)
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

/// A text that is read token by token.
pub(crate) struct Parser {
    /// The last one is [`Kind::End`].
    tokens: Vec<Token>,
    at: usize,
}

impl Parser {
    pub(crate) fn new(text: &str) -> Result<Parser, ParseError> {
        Ok(Parser { tokens: tokens(text)?, at: 0 })
    }

    pub(crate) fn token(&self) -> &Token {
        &self.tokens[self.at]
    }

    /// Passes over the current token; never over the end.
    pub(crate) fn advance(&mut self) {
        self.at = (self.at + 1).min(self.tokens.len() - 1);
    }

    pub(crate) fn end(&self) -> Result<(), ParseError> {
        if self.token().kind == Kind::End { Ok(()) } else { Err(self.token().error("the end")) }
    }

    /// Whether the current token is this sign; passes over it.
    pub(crate) fn takes_sign(&mut self, sign: &str) -> bool {
        let found = matches!(self.token().kind, Kind::Sign(s) if s == sign);
        if found {
            self.advance();
        }
        found
    }

    pub(crate) fn sign(&mut self, sign: &str) -> Result<(), ParseError> {
        if self.takes_sign(sign) { Ok(()) } else { Err(self.token().error(format!("`{sign}`"))) }
    }

    /// Reads the current token by what it says.
    pub(crate) fn word<T>(
        &mut self,
        expected: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<T, ParseError> {
        let value = match &self.token().kind {
            Kind::Name(s) | Kind::Number(s) => read(s),
            _ => None,
        };
        let value = value.ok_or_else(|| self.token().error(expected))?;
        self.advance();
        Ok(value)
    }

    pub(crate) fn keyword(&mut self, keyword: &str) -> Result<(), ParseError> {
        self.word(&format!("`{keyword}`"), |s| (s == keyword).then_some(()))
    }

    pub(crate) fn number<T: std::str::FromStr>(&mut self, expected: &str) -> Result<T, ParseError> {
        self.word(expected, |s| s.parse().ok())
    }

    /// Items between commas up to a closing sign.
    pub(crate) fn list<T>(
        &mut self,
        close: &str,
        mut item: impl FnMut(&mut Self) -> Result<T, ParseError>,
    ) -> Result<Vec<T>, ParseError> {
        let mut items = Vec::new();
        if self.takes_sign(close) {
            return Ok(items);
        }
        loop {
            items.push(item(self)?);
            if self.takes_sign(close) {
                return Ok(items);
            }
            if !self.takes_sign(",") {
                return Err(self.token().error(format!("`,` or `{close}`")));
            }
        }
    }

    pub(crate) fn string(&mut self, expected: &str) -> Result<String, ParseError> {
        let Kind::Text(text) = self.token().kind.clone() else { return Err(self.token().error(expected)) };
        self.advance();
        Ok(text)
    }

    /// Whether the current token is one of these names.
    pub(crate) fn is_name(&self, names: &[&str]) -> bool {
        matches!(&self.token().kind, Kind::Name(s) if names.contains(&s.as_str()))
    }

    fn kernel(&mut self) -> Result<Kernel, ParseError> {
        self.keyword("kernel")?;
        let name = self.string("the kernel's name as a string")?;
        self.sign("{")?;
        let (buffers, dst) = self.buffers()?;
        let mut loops = Vec::new();
        while matches!(&self.token().kind, Kind::Name(s) if s == "for" || s == "reduce") {
            loops.push(self.loop_()?);
        }
        let update = matches!(&self.token().kind, Kind::Name(s) if s == "update");
        if update {
            self.advance();
        }
        self.word(&format!("a loop or the store to {dst}"), |s| (s == dst.to_string()).then_some(()))?;
        self.sign("[")?;
        let index = self.list("]", |p| p.expr(0))?;
        let (body, reduce) = self.definition()?;
        self.sign("}")?;
        Ok(Kernel { name, buffers, dst, loops, index, reduce, body, update })
    }

    fn buffers(&mut self) -> Result<(Vec<KernelBuffer>, BufId), ParseError> {
        let (mut buffers, mut dst) = (Vec::new(), None);
        loop {
            match &self.token().kind {
                Kind::Name(s) if s == "in" => {}
                Kind::Name(s) if s == "out" && dst.is_none() => dst = Some(BufId(buffers.len() as u32)),
                _ => break,
            }
            self.advance();
            let id = format!("b{}", buffers.len());
            self.word(&format!("`{id}`"), |s| (s == id).then_some(()))?;
            self.sign(":")?;
            let dtype: DType = self.word("an element type", |s| s.parse().ok())?;
            self.sign("[")?;
            let dims = self.list("]", |p| p.number::<usize>("an extent"))?;
            let ranged = matches!(&self.token().kind, Kind::Name(s) if s == "range");
            let range = if ranged { Some(self.range()?) } else { None };
            buffers.push(KernelBuffer { ty: TensorType::new(dtype, dims), range });
        }
        match dst {
            Some(dst) => Ok((buffers, dst)),
            None => Err(self.token().error("a buffer `in` or `out`")),
        }
    }

    fn range(&mut self) -> Result<(i64, i64), ParseError> {
        self.keyword("range")?;
        let lo = self.number("the smallest element")?;
        self.sign("..")?;
        Ok((lo, self.number("the largest element")?))
    }

    pub(crate) fn loop_(&mut self) -> Result<Loop, ParseError> {
        let role = self.word("a loop", |s| match s {
            "for" => Some(Role::Data),
            "reduce" => Some(Role::Reduce),
            _ => None,
        })?;
        let id = self.word("a variable", |s| numbered(s, 'L').map(VarId))?;
        self.keyword("in")?;
        let extent = self.number("an extent")?;
        let form = match &self.token().kind {
            Kind::Name(s) => {
                let forms = [Form::Parallel, Form::Unrolled, Form::Vector, Form::Turn];
                forms.into_iter().find(|f| f.to_string() == *s)
            }
            _ => None,
        };
        if form.is_some() {
            self.advance();
        }
        Ok(Loop { id, extent, role, form: form.unwrap_or(Form::Serial) })
    }

    pub(crate) fn definition(&mut self) -> Result<(Expr, Option<Reduction>), ParseError> {
        if self.takes_sign("=") {
            return Ok((self.expr(0)?, None));
        }
        if !matches!(&self.token().kind, Kind::Name(s) if s == "init") {
            return Err(self.token().error("`=` or `init`"));
        }
        self.advance();
        let init = self.expr(0)?;
        let combine = self
            .word("`sum`, `max`, `min` or `prod`", |s| ReduceFn::ALL.into_iter().find(|f| f.name() == s))?;
        let body = self.expr(0)?;
        self.keyword("finish")?;
        let finish = self.expr(0)?;
        Ok((body, Some(Reduction { combine, init, finish })))
    }

    pub(crate) fn expr(&mut self, depth: usize) -> Result<Expr, ParseError> {
        let start = self.token().clone();
        if depth > MAX_DEPTH {
            return Err(start.error(format!("at most {MAX_DEPTH} nested expressions")));
        }
        let wrong = || start.error("an expression");
        let (Kind::Name(word) | Kind::Number(word)) = &start.kind else { return Err(wrong()) };
        self.advance();
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
            self.sign("[")?;
            return Ok(Expr::Load(BufId(id), self.list("]", |p| p.expr(depth + 1))?));
        }
        let function = Function::of(word).ok_or_else(wrong)?;
        self.sign("(")?;
        self.call(function, &start, depth)
    }

    fn call(&mut self, function: Function, start: &Token, depth: usize) -> Result<Expr, ParseError> {
        let args = self.list(")", |p| p.expr(depth + 1))?;
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
                let found = format!("{count}");
                return Err(ParseError { found, ..start.error(format!("arguments: {takes}")) });
            }
        };
        Ok(e)
    }
}

/// The number in `L3` or `b3`.
pub(crate) fn numbered(word: &str, letter: char) -> Option<u32> {
    let digits = word.strip_prefix(letter)?;
    if digits.starts_with(|c: char| c.is_ascii_digit()) { digits.parse().ok() } else { None }
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
