//! The equation of an Einsum on operands of given shapes.

use crate::error::OpError;
use crate::invalid;
use crate::shape::Shape;

/// An axis that has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Label {
    /// The axis of the ellipsis with this position, counted from the last.
    Ellipsis(usize),
    /// A letter.
    Letter(char),
}

/// Labels of all axes of the operands and of the result, and extents of labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// One label per axis of each operand.
    pub operands: Vec<Vec<Label>>,
    /// One label per axis of the result.
    pub result: Vec<Label>,
    /// Extents of the labels, each once, in order of appearance.
    pub extents: Vec<(Label, usize)>,
}

impl Problem {
    /// Reads `equation` for operands of these shapes.
    ///
    /// # Errors
    /// [`OpError::Invalid`] when the equation is malformed or does not fit the shapes.
    pub fn new(equation: &str, shapes: &[&Shape]) -> Result<Problem, OpError> {
        let text: String = equation.chars().filter(|c| !c.is_whitespace()).collect();
        let (left, right) = match text.split_once("->") {
            Some((left, right)) => (left, Some(right)),
            None => (text.as_str(), None),
        };
        let terms: Vec<&str> = left.split(',').collect();
        if terms.len() != shapes.len() {
            return invalid!("'{equation}' has {} operands, found {} inputs", terms.len(), shapes.len());
        }
        let mut operands = Vec::new();
        for (i, (term, shape)) in terms.iter().zip(shapes).enumerate() {
            let (before, ellipsis, after) = term_of(term)?;
            let named = before.len() + after.len();
            let rest = shape.rank().checked_sub(named).filter(|&n| ellipsis || n == 0);
            let Some(rest) = rest else {
                return invalid!("input {i}: expected the axes '{term}', found {shape}");
            };
            operands.push(labels(&before, rest, &after));
        }
        let extents = extents(&operands, shapes)?;
        let most = operands.iter().flatten().filter(|l| matches!(l, Label::Ellipsis(_)));
        let most = most.map(|l| if let Label::Ellipsis(i) = l { i + 1 } else { 0 }).max().unwrap_or(0);
        let result = match right {
            Some(right) => explicit(right, most)?,
            None => implicit(&operands, most),
        };
        for (i, label) in result.iter().enumerate() {
            if result[..i].contains(label) {
                return invalid!("'{equation}' names an axis of the result twice");
            }
            if !extents.iter().any(|(l, _)| l == label) {
                return invalid!("'{equation}' names an axis of the result that no operand has");
            }
        }
        Ok(Problem { operands, result, extents })
    }

    /// The extent of a label.
    pub fn extent(&self, label: Label) -> usize {
        self.extents.iter().find(|(l, _)| *l == label).map_or(1, |(_, n)| *n)
    }

    /// Extents of labels.
    pub fn shape(&self, labels: &[Label]) -> Shape {
        Shape::new(labels.iter().map(|&l| self.extent(l)).collect::<Vec<_>>())
    }
}

/// The letters before and after the ellipsis, and whether there is one.
fn term_of(term: &str) -> Result<(Vec<char>, bool, Vec<char>), OpError> {
    let (before, after) = match term.split_once("...") {
        Some((before, after)) => (before, Some(after)),
        None => (term, None),
    };
    let letters = |text: &str| match text.chars().find(|c| !c.is_ascii_alphabetic()) {
        Some(c) => {
            invalid!("equation: expected letters, ',', '...' and '->', found '{}'", c.escape_default())
        }
        None => Ok(text.chars().collect::<Vec<char>>()),
    };
    Ok((letters(before)?, after.is_some(), letters(after.unwrap_or_default())?))
}

fn labels(before: &[char], ellipsis: usize, after: &[char]) -> Vec<Label> {
    let letters = |list: &[char]| list.iter().map(|&c| Label::Letter(c)).collect::<Vec<Label>>();
    let middle: Vec<Label> = (0..ellipsis).rev().map(Label::Ellipsis).collect();
    [letters(before), middle, letters(after)].concat()
}

fn explicit(right: &str, most: usize) -> Result<Vec<Label>, OpError> {
    let (before, ellipsis, after) = term_of(right)?;
    if !ellipsis && most > 0 {
        return invalid!("operands have axes for '...', the result '{right}' has no '...'");
    }
    Ok(labels(&before, most, &after))
}

/// The axes of the ellipsis, then the letters that appear once, by their codes.
fn implicit(operands: &[Vec<Label>], most: usize) -> Vec<Label> {
    let all: Vec<Label> = operands.concat();
    let once =
        |l: &&Label| matches!(l, Label::Letter(_)) && all.iter().filter(|other| other == l).count() == 1;
    let mut letters: Vec<Label> = all.iter().filter(once).copied().collect();
    letters.sort_unstable();
    [labels(&[], most, &[]), letters].concat()
}

fn extents(operands: &[Vec<Label>], shapes: &[&Shape]) -> Result<Vec<(Label, usize)>, OpError> {
    let mut all: Vec<(Label, usize)> = Vec::new();
    for (i, (operand, shape)) in operands.iter().zip(shapes).enumerate() {
        for (axis, (&label, &n)) in operand.iter().zip(shape.iter()).enumerate() {
            let before = operand[..axis].iter().position(|l| *l == label);
            if let Some(first) = before.filter(|&first| shape[first] != n) {
                return invalid!("input {i}: axes {first} and {axis} of {shape} have one name, but differ");
            }
            match all.iter_mut().find(|(l, _)| *l == label) {
                None => all.push((label, n)),
                Some((_, known)) if *known == 1 => *known = n,
                Some((_, known)) if n == 1 || n == *known => {}
                Some((_, known)) => {
                    return invalid!("input {i}: axis {axis} of {shape}: expected 1 or {known}, found {n}");
                }
            }
        }
    }
    Ok(all)
}
