//! The text form of a problem:
//!
//! ```text
//! seed7; in 2x16x14x14 unit; conv 0 oc24 k3x3 s1x1 d1x1 p1,1,1,1 g1 bias; relu 1; add 2 0; out 1
//! ```
//!
//! Nodes are numbered from 0 in order, `seed` and `out` not counted. A word is the name of an attribute and its value.

use std::fmt;
use std::str::FromStr;

use crate::problem::{
    Bias, Binary, Conv, Counting, Fill, Gemm, GemmBias, Kind, Node, Pads, Problem, Rounding, Unary, Up,
    Window,
};

const FILLS: [(&str, Fill); 5] = [
    ("unit", Fill::Unit),
    ("wide", Fill::Wide),
    ("negative", Fill::Negative),
    ("positive", Fill::Positive),
    ("special", Fill::Special),
];
const BINARIES: [(&str, Binary); 6] = [
    ("add", Binary::Add),
    ("sub", Binary::Sub),
    ("mul", Binary::Mul),
    ("div", Binary::Div),
    ("max", Binary::Max),
    ("min", Binary::Min),
];
const BIASES: [(&str, Bias); 2] = [("bias", Bias::Unit), ("negative_bias", Bias::Negative)];
const GEMM_BIASES: [(&str, GemmBias); 2] = [("row", GemmBias::Row), ("column", GemmBias::Column)];

fn word_of<T: PartialEq + Copy>(table: &[(&'static str, T)], value: T) -> Option<&'static str> {
    table.iter().find(|(_, v)| *v == value).map(|(word, _)| *word)
}

fn joined(v: &[usize], by: &str) -> String {
    v.iter().map(ToString::to_string).collect::<Vec<_>>().join(by)
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [k, s, d] = [&self.kernel, &self.strides, &self.dilations].map(|v| joined(v, "x"));
        write!(f, "k{k} s{s} d{d} ")?;
        match &self.pads {
            Pads::Explicit(p) => write!(f, "p{}", joined(p, ",")),
            Pads::SameUpper => f.write_str("same_upper"),
            Pads::SameLower => f.write_str("same_lower"),
            Pads::Valid => f.write_str("valid"),
        }
    }
}

impl fmt::Display for Conv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "oc{} {} g{}", self.oc, self.window, self.group)?;
        word_of(&BIASES, self.bias).map_or(Ok(()), |word| write!(f, " {word}"))
    }
}

/// The name of a node's kind, and its attributes.
fn words(kind: &Kind) -> (&'static str, String) {
    let ceil = |r: &Rounding| if *r == Rounding::Ceil { " ceil" } else { "" };
    let data = |shape: &[usize], fill: Fill| {
        format!("{} {}", joined(shape, "x"), word_of(&FILLS, fill).unwrap_or_default())
    };
    let none = String::new();
    match kind {
        Kind::Input { shape, fill } => ("in", data(shape, *fill)),
        Kind::Const { shape, fill } => ("const", data(shape, *fill)),
        Kind::Conv(c) => ("conv", c.to_string()),
        Kind::ConvTranspose { conv, output_padding } => {
            ("conv_transpose", format!("{conv} op{}", joined(output_padding, ",")))
        }
        Kind::BatchNorm => ("bn", none),
        Kind::Unary(Unary::Relu) => ("relu", none),
        Kind::Unary(Unary::Sigmoid) => ("sigmoid", none),
        Kind::Unary(Unary::HardSwish) => ("hard_swish", none),
        Kind::Unary(Unary::PRelu) => ("prelu", none),
        Kind::Unary(Unary::LeakyRelu(alpha)) => ("leaky_relu", format!("alpha{alpha}")),
        Kind::Unary(Unary::Clip(low, high)) => ("clip", format!("low{low} high{high}")),
        Kind::Binary(b) => (word_of(&BINARIES, *b).unwrap_or_default(), none),
        Kind::MaxPool(w, r) => ("max_pool", format!("{w}{}", ceil(r))),
        Kind::AveragePool(w, r, c) => {
            let counting = if *c == Counting::Padded { " padded" } else { "" };
            ("average_pool", format!("{w}{}{counting}", ceil(r)))
        }
        Kind::GlobalAverage => ("global_average", none),
        Kind::GlobalMax => ("global_max", none),
        Kind::Concat => ("concat", none),
        Kind::Up(Up::Asymmetric) => ("up", none),
        Kind::Up(Up::HalfPixel) => ("up", "half_pixel".into()),
        Kind::Pad(p) => ("pad", format!("p{}", joined(p, ","))),
        Kind::Slice(begin, end) => ("slice", format!("from{begin} to{end}")),
        Kind::ChannelsLast => ("channels_last", none),
        Kind::Flatten => ("flatten", none),
        Kind::Gemm(g) => ("gemm", gemm_words(g)),
        Kind::MatMul => ("matmul", none),
    }
}

fn gemm_words(g: &Gemm) -> String {
    let mut s = format!("n{} alpha{} beta{}", g.n, g.alpha, g.beta);
    let flags = [(g.trans_a, "ta"), (g.trans_b, "tb")];
    let flags = flags.iter().filter(|(on, _)| *on).map(|(_, word)| *word);
    for word in flags.chain(word_of(&GEMM_BIASES, g.c)) {
        s = format!("{s} {word}");
    }
    s
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed{}", self.seed)?;
        for node in &self.nodes {
            let (name, attributes) = words(&node.kind);
            write!(f, "; {name}")?;
            node.inputs.iter().try_for_each(|i| write!(f, " {i}"))?;
            if !attributes.is_empty() {
                write!(f, " {attributes}")?;
            }
        }
        if !self.outputs.is_empty() {
            write!(f, "; out {}", joined(&self.outputs, " "))?;
        }
        Ok(())
    }
}

/// The words of a node that are not yet understood.
struct Words<'a>(Vec<&'a str>);

impl<'a> Words<'a> {
    /// The value of the attribute `name`, taken out; a name ends where no letter follows.
    fn value(&mut self, name: &str) -> Result<&'a str, String> {
        let ends = |w: &str| w.find(|c: char| !c.is_ascii_alphabetic() && c != '_').unwrap_or(w.len());
        let found = self.0.iter().position(|w| &w[..ends(w)] == name);
        let i = found.ok_or_else(|| format!("no attribute '{name}' in {:?}", self.0))?;
        Ok(&self.0.remove(i)[name.len()..])
    }

    fn number<T: FromStr>(&mut self, name: &str) -> Result<T, String> {
        let v = self.value(name)?;
        v.parse().map_err(|_| format!("attribute '{name}': '{v}' is no number"))
    }

    fn list(&mut self, name: &str, by: char) -> Result<Vec<usize>, String> {
        numbers(self.value(name)?, by)
    }

    fn flag(&mut self, name: &str) -> bool {
        self.value(name).is_ok()
    }

    /// What the first word of the table that is there stands for.
    fn one_of<T: Copy>(&mut self, table: &[(&str, T)]) -> Option<T> {
        table.iter().find(|(word, _)| self.flag(word)).map(|(_, v)| *v)
    }

    fn rounding(&mut self) -> Rounding {
        if self.flag("ceil") { Rounding::Ceil } else { Rounding::Floor }
    }

    fn window(&mut self) -> Result<Window, String> {
        let [kernel, strides, dilations] = [self.list("k", 'x')?, self.list("s", 'x')?, self.list("d", 'x')?];
        let same = [("same_upper", Pads::SameUpper), ("same_lower", Pads::SameLower), ("valid", Pads::Valid)];
        let named = same.into_iter().find(|(word, _)| self.flag(word));
        let pads = match named {
            Some((_, pads)) => pads,
            None => Pads::Explicit(self.list("p", ',')?),
        };
        Ok(Window { kernel, strides, dilations, pads })
    }

    fn conv(&mut self) -> Result<Conv, String> {
        let bias = self.one_of(&BIASES).unwrap_or(Bias::None);
        Ok(Conv { oc: self.number("oc")?, group: self.number("g")?, bias, window: self.window()? })
    }

    /// The shape and numbers of an input or a constant.
    fn data(&mut self) -> Result<(Vec<usize>, Fill), String> {
        let fill = self.one_of(&FILLS).unwrap_or(Fill::Unit);
        let shape = if self.0.is_empty() { return Err("no shape".into()) } else { self.0.remove(0) };
        Ok((numbers(shape, 'x')?, fill))
    }
}

fn numbers(text: &str, by: char) -> Result<Vec<usize>, String> {
    text.split(by).map(|n| n.parse().map_err(|_| format!("'{text}': '{n}' is no number"))).collect()
}

fn kind(name: &str, w: &mut Words<'_>) -> Result<Kind, String> {
    if let Some((_, b)) = BINARIES.iter().find(|(word, _)| *word == name) {
        return Ok(Kind::Binary(*b));
    }
    Ok(match name {
        "in" => w.data().map(|(shape, fill)| Kind::Input { shape, fill })?,
        "const" => w.data().map(|(shape, fill)| Kind::Const { shape, fill })?,
        "conv" => Kind::Conv(w.conv()?),
        "conv_transpose" => Kind::ConvTranspose { output_padding: w.list("op", ',')?, conv: w.conv()? },
        "bn" => Kind::BatchNorm,
        "relu" => Kind::Unary(Unary::Relu),
        "sigmoid" => Kind::Unary(Unary::Sigmoid),
        "hard_swish" => Kind::Unary(Unary::HardSwish),
        "prelu" => Kind::Unary(Unary::PRelu),
        "leaky_relu" => Kind::Unary(Unary::LeakyRelu(w.number("alpha")?)),
        "clip" => Kind::Unary(Unary::Clip(w.number("low")?, w.number("high")?)),
        "max_pool" => Kind::MaxPool(w.window()?, w.rounding()),
        "average_pool" => {
            let counting = if w.flag("padded") { Counting::Padded } else { Counting::Inside };
            Kind::AveragePool(w.window()?, w.rounding(), counting)
        }
        "global_average" => Kind::GlobalAverage,
        "global_max" => Kind::GlobalMax,
        "concat" => Kind::Concat,
        "up" => Kind::Up(if w.flag("half_pixel") { Up::HalfPixel } else { Up::Asymmetric }),
        "pad" => Kind::Pad(w.list("p", ',')?),
        "slice" => Kind::Slice(w.number("from")?, w.number("to")?),
        "channels_last" => Kind::ChannelsLast,
        "flatten" => Kind::Flatten,
        "matmul" => Kind::MatMul,
        "gemm" => Kind::Gemm(Gemm {
            n: w.number("n")?,
            trans_a: w.flag("ta"),
            trans_b: w.flag("tb"),
            c: w.one_of(&GEMM_BIASES).unwrap_or(GemmBias::None),
            alpha: w.number("alpha")?,
            beta: w.number("beta")?,
        }),
        _ => return Err("unknown kind".into()),
    })
}

fn node(name: &str, words: Vec<&str>) -> Result<Node, String> {
    let (inputs, words): (Vec<&str>, Vec<&str>) = words.into_iter().partition(|w| w.parse::<usize>().is_ok());
    let inputs = numbers(&inputs.join(" "), ' ').unwrap_or_default();
    let mut words = Words(words);
    let kind = kind(name, &mut words)?;
    if words.0.is_empty() { Ok(Node { kind, inputs }) } else { Err(format!("what is {:?}?", words.0)) }
}

impl FromStr for Problem {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut p = Problem::new(0);
        for part in text.split(';') {
            let mut words = part.split_whitespace();
            let Some(name) = words.next() else { continue };
            let at = |e: String| format!("'{}': {e}", part.trim());
            if let Some(seed) = name.strip_prefix("seed") {
                p.seed = seed.parse().map_err(|_| at("no number".into()))?;
            } else if name == "out" {
                p.outputs = numbers(&words.collect::<Vec<_>>().join(" "), ' ').map_err(at)?;
            } else {
                let node = node(name, words.collect()).map_err(at)?;
                if node.inputs.iter().any(|&i| i >= p.nodes.len()) {
                    return Err(at("a node that does not precede it".into()));
                }
                p.nodes.push(node);
            }
        }
        let outputs_are_nodes = p.outputs.iter().all(|&i| i < p.nodes.len());
        if p.nodes.is_empty() || !outputs_are_nodes {
            Err("no nodes, or outputs beyond them".into())
        } else {
            Ok(p)
        }
    }
}

#[test]
fn text_is_read_back() {
    let text = "seed7; in 2x16x9x9 wide; conv 0 oc24 k3x3 s2x1 d1x2 p1,0,1,1 g8 bias; clip 1 low-0.5 high6; \
                conv_transpose 2 oc4 k3x3 s1x1 d1x1 same_lower g1 op0,1; out 1 2";
    let p: Problem = text.parse().unwrap();
    assert_eq!(p.to_string(), text);
    let gemm = "seed0; in 3x5 unit; gemm 0 n7 alpha0.5 beta2 ta tb row";
    assert_eq!(gemm.parse::<Problem>().unwrap().to_string(), gemm);
    for wrong in ["", "relu 0", "in 2x2; conv 0 oc3", "in 2x2; relu 0 k3", "in 2x2; relax 0", "in 2x2; out 1"]
    {
        assert!(wrong.parse::<Problem>().is_err(), "{wrong}");
    }
}
