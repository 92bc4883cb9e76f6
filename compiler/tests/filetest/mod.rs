//! Tests as text files: directives, an input and the expected output in one place.
//!
//! ```text
//! ; test pass=fuse_batch_norm           directives, at the top: words and key=value pairs after `; `
//! ; seed 7
//! graph "g" { ... }                     the input: everything up to the expectation
//! ; ---- expect
//! graph "g" { ... }                     what the test must print
//! ```
//!
//! A test that must fail ends in `; error: message` in place of `; ---- expect` and what follows. With
//! `OCTRT_BLESS=1` in the environment the expectations are rewritten instead of compared.
//!
//! A test target is `mod filetest;` and one `#[test]` that calls [`run_folder`].

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

const EXPECT: &str = "; ---- expect";
const ERROR: &str = "; error:";

/// A directive: `; test lower target=avx2` has the name `test`, the word `lower` and the option `target`.
#[derive(Clone, Debug)]
pub struct Directive {
    /// The first word.
    pub name: String,
    /// Further words that are not `key=value`.
    pub words: Vec<String>,
    /// The words that are `key=value`.
    pub options: BTreeMap<String, String>,
}

/// A test file.
#[derive(Clone, Debug)]
pub struct Case {
    /// Where it is, from the crate's folder.
    pub path: PathBuf,
    /// Its directives in order.
    pub directives: Vec<Directive>,
    /// Its input, without directives and expectation.
    pub input: String,
    /// What stands in the file before the expectation.
    head: String,
    /// What the file expects; `None` in a new file.
    expected: Option<Outcome>,
}

/// What a test prints, or the message of its error.
type Outcome = Result<String, String>;

impl Case {
    /// The first directive of this name.
    #[allow(dead_code)] // not every test target asks
    pub fn directive(&self, name: &str) -> Option<&Directive> {
        self.directives.iter().find(|d| d.name == name)
    }

    /// The value of `key` in the directive `test`.
    #[allow(dead_code)] // not every test target asks
    pub fn option(&self, key: &str) -> Option<&str> {
        self.directive("test")?.options.get(key).map(String::as_str)
    }

    fn split(path: PathBuf, text: &str) -> Case {
        let at = text.split_inclusive('\n').scan(0, |start, line| {
            let this = *start;
            *start += line.len();
            Some((this, line))
        });
        let mut case =
            Case { path, directives: Vec::new(), input: String::new(), head: text.into(), expected: None };
        for (start, line) in at {
            let rest = &text[start + line.len()..];
            if line.trim_end() == EXPECT {
                case.expected = Some(Ok(rest.to_string()));
            } else if let Some(message) = text[start..].strip_prefix(ERROR) {
                // Messages of several lines go on as comments.
                let lines: Vec<&str> = message.trim().lines().collect();
                case.expected = Some(Err(lines.join("\n").replace("\n; ", "\n")));
            } else {
                match line.strip_prefix("; ") {
                    Some(directive) if case.input.trim().is_empty() => {
                        case.directives.push(Directive::read(directive));
                        // Lines of the input keep their numbers.
                        case.input.push('\n');
                    }
                    _ => case.input.push_str(line),
                }
                continue;
            }
            case.head = text[..start].to_string();
            break;
        }
        case
    }

    /// The file with this outcome in place of its expectation.
    fn with(&self, outcome: &Outcome) -> String {
        let head = self.head.trim_end();
        match outcome {
            Ok(text) => format!("{head}\n{EXPECT}\n{}\n", text.trim_end()),
            Err(message) => format!("{head}\n{ERROR} {}\n", message.replace('\n', "\n; ")),
        }
    }
}

impl Directive {
    fn read(line: &str) -> Directive {
        let mut words = line.split_whitespace().map(str::to_string);
        let name = words.next().unwrap_or_default();
        let mut directive = Directive { name, words: Vec::new(), options: BTreeMap::new() };
        for word in words {
            match word.split_once('=') {
                Some((key, value)) => {
                    directive.options.insert(key.into(), value.into());
                }
                None => directive.words.push(word),
            }
        }
        directive
    }
}

/// Runs every `.txt` file of a folder of this crate (and its subfolders) and compares what `test` gives.
///
/// # Panics
/// When a file does not give what it expects, with a diff for each; when there is no file.
pub fn run_folder(folder: &str, test: &dyn Fn(&Case) -> Result<String, String>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    collect(&root.join(folder), &mut files);
    files.sort();
    assert!(!files.is_empty(), "there are no tests in {folder}");
    let bless = std::env::var_os("OCTRT_BLESS").is_some_and(|v| v == "1");
    let mut failures = String::new();
    for file in &files {
        let path = file.strip_prefix(root).unwrap_or(file).to_path_buf();
        let text = std::fs::read_to_string(file).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let case = Case::split(path, &text);
        let outcome = test(&case);
        if bless {
            std::fs::write(file, case.with(&outcome))
                .unwrap_or_else(|e| panic!("{}: {e}", case.path.display()));
        } else if let Err(difference) = compare(&case, &outcome) {
            let _ = write!(failures, "\n{}:\n{difference}", case.path.display());
        }
    }
    assert!(failures.is_empty(), "OCTRT_BLESS=1 rewrites expectations{failures}");
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|e| e == "txt") {
            files.push(path);
        }
    }
}

fn compare(case: &Case, outcome: &Outcome) -> Result<(), String> {
    match (&case.expected, outcome) {
        (None, _) => Err(format!("there is no expectation; this is what it gives\n{}", case.with(outcome))),
        (Some(Err(a)), Err(b)) if a.trim() == b.trim() => Ok(()),
        (Some(Ok(a)), Ok(b)) if a.trim_end() == b.trim_end() => Ok(()),
        (Some(expected), _) => Err(diff(
            case.with(expected).trim_end(),
            case.with(outcome).trim_end(),
            case.head.lines().count(),
        )),
    }
}

/// The lines of both texts after the first `skip`: common ones, `-` expected only, `+` found only.
fn diff(expected: &str, found: &str, skip: usize) -> String {
    let a: Vec<&str> = expected.lines().skip(skip).collect();
    let b: Vec<&str> = found.lines().skip(skip).collect();
    // common[i][j]: length of the longest common subsequence of a[i..] and b[j..].
    let mut common = vec![vec![0usize; b.len() + 1]; a.len() + 1];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            common[i][j] =
                if a[i] == b[j] { common[i + 1][j + 1] + 1 } else { common[i + 1][j].max(common[i][j + 1]) };
        }
    }
    let (mut i, mut j, mut out) = (0, 0, String::new());
    while i < a.len() || j < b.len() {
        let (sign, line) = if i < a.len() && j < b.len() && a[i] == b[j] {
            (i, j) = (i + 1, j + 1);
            (' ', a[i - 1])
        } else if j == b.len() || i < a.len() && common[i + 1][j] >= common[i][j + 1] {
            i += 1;
            ('-', a[i - 1])
        } else {
            j += 1;
            ('+', b[j - 1])
        };
        let _ = writeln!(out, "{sign} {line}");
    }
    out
}

#[test]
fn files_split_into_their_parts() {
    let text = "; test lower target=avx2\n; seed 7\n\ninput\n; comment\n; ---- expect\nout\n";
    let case = Case::split("x.txt".into(), text);
    assert_eq!(case.directive("test").map(|d| d.words.clone()), Some(vec!["lower".to_string()]));
    assert_eq!(case.option("target"), Some("avx2"));
    assert_eq!(case.directive("seed").map(|d| d.words.clone()), Some(vec!["7".to_string()]));
    assert_eq!(case.input, "\n\n\ninput\n; comment\n");
    assert_eq!(case.expected, Some(Ok("out\n".into())));
    assert_eq!(case.with(&Ok("out".into())), text);
    assert_eq!(
        case.with(&Err("two\nlines".into())),
        "; test lower target=avx2\n; seed 7\n\ninput\n; comment\n; error: two\n; lines\n"
    );
    let failing = Case::split("x.txt".into(), "; test a\nin\n; error: two\n; lines\n");
    assert_eq!(failing.expected, Some(Err("two\nlines".into())));
}

#[test]
fn differences_are_shown_by_line() {
    assert_eq!(diff("head\na\nb\nc", "head\na\nx\nc\nd", 1), "  a\n- b\n+ x\n  c\n+ d\n");
}
