//! Proof that a definition defines every element of its result, and each one in one way.
//!
//! The index expressions are decomposed into *digits*. A digit `(L / div) % extent` is a part of a loop variable; the
//! digits of a variable that do not overlap take all their values independently. A sum of digits times strides is
//! *complete* when the strides are those of a mixed-radix number, 1, e0, e0 e1, ...: it takes every value from 0 to
//! the product less 1, each once. Three forms become a new variable (a *tile*) with digits of its own:
//!
//! ```text
//! add(min(A, c), B)   A complete after division by f, B complete over 0..f, c <= max A
//!                     takes every value in 0..c+f, some several times (a split that overlaps)
//! div(S, d), rem(S, d)   S complete over 0..n, where d does not separate its digits
//!                     S takes every value in 0..n, each once (a loop fused, then split)
//! ```
//!
//! Every element is defined when each dimension's index is complete over its extent and no digit is used twice. A
//! variable is *determined* when the element fixes its value. Iterations that write the same element write the same
//! value when the value depends on data loops only through determined digits; iterations of a parallel loop write
//! different elements when its variable is determined.

use octrt_ops::expr::{BinaryFn, Expr, Scalar, VarId};

use super::Violation;
use crate::nest::{Definition, Form, Role};

/// `(base / div) % extent`, where `base` is a position in [`Proof::bases`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Digit {
    base: usize,
    div: usize,
    extent: usize,
}

/// A digit times a stride.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Term {
    digit: Digit,
    stride: usize,
}

/// A variable that takes every value in `0..extent`: a loop, or a tile.
#[derive(Clone, Debug)]
struct Base {
    extent: usize,
    tile: Option<Tile>,
}

/// What a tile is made of, in order of strides. With `cap`, the terms from the first stride of `steps` on are
/// `min(.., cap)`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Tile {
    low: Vec<Term>,
    capped: Option<(Vec<Term>, usize)>,
}

impl Tile {
    fn digits(&self) -> impl Iterator<Item = Digit> {
        let steps = self.capped.iter().flat_map(|(steps, _)| steps);
        self.low.iter().chain(steps).map(|t| t.digit)
    }
}

/// Loops first, in the order of the nest; then tiles, each made of earlier bases.
struct Proof<'a> {
    k: &'a Definition<'a>,
    bases: Vec<Base>,
}

/// Proves that every element is defined, and alike where several iterations define it.
///
/// The definition keeps the rules on loops, names and bounds.
///
/// # Errors
/// [`Violation::Coverage`] or [`Violation::Overlap`] when there is no proof.
pub(super) fn prove(k: &Definition<'_>) -> Result<(), Violation> {
    let bases = k.loops.iter().map(|l| Base { extent: l.extent, tile: None }).collect();
    let mut proof = Proof { k, bases };
    let mut used = Vec::new();
    for (dim, (e, &extent)) in k.define.index.iter().zip(k.dst_ty().shape.iter()).enumerate() {
        let uncovered = |why: String| Violation::Coverage {
            dst: k.define.dst,
            reason: format!("index {dim}, `{e}`, {why}"),
        };
        let mut terms = proof.terms(e).ok_or_else(|| uncovered("is not a sum of digits of loops".into()))?;
        match complete(&mut terms) {
            Some(n) if n == extent => used.extend(terms.iter().map(|t| t.digit)),
            _ => return Err(uncovered(format!("does not take every value in 0..{extent}"))),
        }
    }
    proof.check_independent(&used)?;
    let known = proof.determined(used);
    proof.check_alike(&known)
}

/// The number of values, if the terms are those of a mixed-radix number from its lowest digit on. Sorts them.
fn complete(terms: &mut [Term]) -> Option<usize> {
    terms.sort_by_key(|t| t.stride);
    terms.iter().try_fold(1usize, |n, t| if t.stride == n { product(n, t.digit.extent) } else { None })
}

/// The product, if it is an i64: what the expression computes does not wrap then.
fn product(a: usize, b: usize) -> Option<usize> {
    a.checked_mul(b).filter(|&n| i64::try_from(n).is_ok())
}

/// Whether `a` is `min(inner, c)` with a constant `c >= 0`.
fn capped(a: &Expr) -> Option<(&Expr, usize)> {
    let Expr::Binary(BinaryFn::Min, a, b) = a else { return None };
    match (positive(a), positive(b)) {
        (None, Some(c)) => Some((a, c)),
        (Some(c), None) => Some((b, c)),
        _ => None,
    }
}

/// The value of a constant that is 0 or more.
fn positive(e: &Expr) -> Option<usize> {
    match e {
        Expr::Const(Scalar::I64(c)) => usize::try_from(*c).ok(),
        _ => None,
    }
}

impl Proof<'_> {
    /// The expression as a sum of digits times strides; digits of extent 1, which are 0, are left out.
    fn terms(&mut self, e: &Expr) -> Option<Vec<Term>> {
        match e {
            Expr::Const(Scalar::I64(0)) => Some(Vec::new()),
            Expr::Var(id) => self.k.position(*id).map(|base| self.whole(base)),
            Expr::Binary(BinaryFn::Add | BinaryFn::Min, ..) => self.sum(e),
            Expr::Binary(BinaryFn::Mul, a, b) => {
                let (a, c) = positive(b).map(|c| (a, c)).or_else(|| positive(a).map(|c| (b, c)))?;
                let scale = |t: Term| Some(Term { stride: product(t.stride, c)?, ..t });
                if c == 0 { Some(Vec::new()) } else { self.terms(a)?.into_iter().map(scale).collect() }
            }
            Expr::Binary(BinaryFn::Div, a, b) => {
                let terms = self.terms(a)?;
                Some(self.divide(terms, positive(b)?)?.0)
            }
            Expr::Binary(BinaryFn::Rem, a, b) => {
                let terms = self.terms(a)?;
                Some(self.divide(terms, positive(b)?)?.1)
            }
            _ => None,
        }
    }

    /// All of a variable.
    fn whole(&self, base: usize) -> Vec<Term> {
        let extent = self.bases[base].extent;
        if extent == 1 { Vec::new() } else { vec![Term { digit: Digit { base, div: 1, extent }, stride: 1 }] }
    }

    /// A sum, in which parts `min(A, c)` are joined with the digits below them.
    fn sum(&mut self, e: &Expr) -> Option<Vec<Term>> {
        let (mut addends, mut parts) = (vec![e], Vec::new());
        while let Some(e) = addends.pop() {
            match e {
                Expr::Binary(BinaryFn::Add, a, b) => addends.extend([&**b, &**a]),
                _ => parts.push(e),
            }
        }
        let (mut terms, mut caps) = (Vec::new(), Vec::new());
        for part in parts {
            match capped(part) {
                Some((steps, cap)) => caps.push((self.terms(steps)?, cap)),
                None if matches!(part, Expr::Binary(BinaryFn::Min, ..)) => return None,
                None => terms.extend(self.terms(part)?),
            }
        }
        let step = |terms: &[Term]| terms.iter().map(|t| t.stride).min();
        caps.sort_by_key(|(steps, _)| step(steps));
        for (mut steps, cap) in caps {
            let step = step(&steps)?;
            let mut low: Vec<Term> = terms.extract_if(.., |t| t.stride < step).collect();
            if complete(&mut low) != Some(step) {
                return None;
            }
            let reach = self.reach(&mut steps, step)?;
            if cap > reach {
                return None;
            }
            let extent = cap.checked_add(step)?;
            let tile = self.tile(extent, Tile { low, capped: Some((steps, cap)) });
            terms.extend(self.whole(tile));
        }
        Some(terms)
    }

    /// The largest value of `steps`, if they take every multiple of `step` up to it. Sorts them.
    fn reach(&self, steps: &mut [Term], step: usize) -> Option<usize> {
        let unit = |t: &Term| t.stride.is_multiple_of(step).then(|| Term { stride: t.stride / step, ..*t });
        let count = complete(&mut steps.iter().map(unit).collect::<Option<Vec<_>>>()?)?;
        steps.sort_by_key(|t| t.stride);
        product(count - 1, step)
    }

    /// The position of a tile among the bases.
    fn tile(&mut self, extent: usize, tile: Tile) -> usize {
        let known = self.bases.iter().position(|b| b.tile.as_ref() == Some(&tile));
        known.unwrap_or_else(|| {
            self.bases.push(Base { extent, tile: Some(tile) });
            self.bases.len() - 1
        })
    }

    /// Quotient and remainder by `c`.
    fn divide(&mut self, mut terms: Vec<Term>, c: usize) -> Option<(Vec<Term>, Vec<Term>)> {
        if c == 0 {
            return None;
        }
        if let Some(parts) = separate(&mut terms, c) {
            return Some(parts);
        }
        let n = complete(&mut terms)?;
        let tile = self.tile(n, Tile { low: terms, capped: None });
        separate(&mut self.whole(tile), c)
    }

    /// That no part of a variable is used by two digits, so that all take their values independently.
    fn check_independent(&self, used: &[Digit]) -> Result<(), Violation> {
        let tiles = self.bases.iter().filter_map(|b| b.tile.as_ref()).flat_map(Tile::digits);
        let mut digits: Vec<Digit> = used.iter().copied().chain(tiles).collect();
        digits.sort_by_key(|d| (d.base, d.div));
        let clash = |a: &Digit, b: &Digit| a.base == b.base && !b.div.is_multiple_of(a.div * a.extent);
        match digits.windows(2).find(|w| clash(&w[0], &w[1])) {
            None => Ok(()),
            Some(w) => {
                let loops = self.loops_of(w[0].base);
                let names: Vec<String> = loops.iter().map(|&l| self.k.loops[l].id.to_string()).collect();
                let reason = format!("{} chooses an index twice", names.join(", "));
                Err(Violation::Coverage { dst: self.k.define.dst, reason })
            }
        }
    }

    /// Positions of the loops that a base is made of.
    fn loops_of(&self, base: usize) -> Vec<usize> {
        match &self.bases[base].tile {
            None => vec![base],
            Some(tile) => tile.digits().flat_map(|d| self.loops_of(d.base)).collect(),
        }
    }

    /// All digits that the element fixes: those in its index, and through tiles that take each value once.
    fn determined(&self, mut known: Vec<Digit>) -> Vec<Digit> {
        for (base, b) in self.bases.iter().enumerate().rev() {
            if let Some(tile @ Tile { capped: None, .. }) = &b.tile
                && self.fixes(&known, Digit { base, div: 1, extent: b.extent })
            {
                known.extend(tile.digits());
            }
        }
        known
    }

    /// Whether known digits, one directly above the other, give the value of `d`.
    fn fixes(&self, known: &[Digit], d: Digit) -> bool {
        if self.k.loops.get(d.base).is_some_and(|l| l.role == Role::Reduce) {
            return true;
        }
        let end = d.div.saturating_mul(d.extent);
        let mut at = d.div;
        while at < end {
            let above = |k: &&Digit| {
                k.base == d.base && at.is_multiple_of(k.div) && k.div <= at && at < k.div * k.extent
            };
            match known.iter().find(above) {
                Some(k) => at = k.div * k.extent,
                None => return false,
            }
        }
        at.is_multiple_of(end) || at >= self.bases[d.base].extent
    }

    /// That iterations which write the same element write the same value, and are run by one thread.
    fn check_alike(&mut self, known: &[Digit]) -> Result<(), Violation> {
        let loops = &self.k.loops;
        let free = |base: usize| !self.fixes(known, Digit { base, div: 1, extent: loops[base].extent });
        if let Some(l) = loops.first()
            && l.form == Form::Parallel
            && free(0)
        {
            return Err(Violation::Overlap { id: l.id, conflict: "run on different threads".into() });
        }
        if !(0..loops.len()).any(free) {
            return Ok(());
        }
        let k = self.k;
        let reduction = k.define.reduce.iter().flat_map(|r| [&r.init, &r.finish]);
        for e in [&k.define.value].into_iter().chain(reduction) {
            if let Some(id) = self.undetermined(e, known) {
                let conflict = format!("`{e}` depends on it");
                return Err(Violation::Overlap { id, conflict });
            }
        }
        Ok(())
    }

    /// A data loop on which the expression depends and that the element does not fix.
    fn undetermined(&mut self, e: &Expr, known: &[Digit]) -> Option<VarId> {
        if let Some(terms) = self.terms(e)
            && terms.iter().all(|t| self.fixes(known, t.digit))
        {
            return None;
        }
        match e {
            Expr::Const(_) | Expr::Acc => None,
            Expr::Var(id) => Some(*id),
            Expr::Load(_, index) => index.iter().find_map(|e| self.undetermined(e, known)),
            Expr::Unary(_, a) | Expr::Cast(_, a) | Expr::Bits(a) => self.undetermined(a, known),
            Expr::Binary(_, a, b) | Expr::Compare(_, a, b) => {
                self.undetermined(a, known).or_else(|| self.undetermined(b, known))
            }
            Expr::Select(c, a, b) => [c, a, b].into_iter().find_map(|e| self.undetermined(e, known)),
        }
    }
}

/// The terms above and below `c`, if each is on one side or divides in two there. Sorts them.
fn separate(terms: &mut [Term], c: usize) -> Option<(Vec<Term>, Vec<Term>)> {
    terms.sort_by_key(|t| t.stride);
    let (mut above, mut below) = (Vec::new(), Vec::new());
    let mut reached = 1;
    for &Term { digit, stride } in terms.iter() {
        // No digit may carry into the next.
        if !stride.is_multiple_of(reached) {
            return None;
        }
        reached = product(stride, digit.extent)?;
        if stride.is_multiple_of(c) {
            above.push(Term { digit, stride: stride / c });
        } else if reached <= c {
            below.push(Term { digit, stride });
        } else {
            let low = if c.is_multiple_of(stride) { c / stride } else { return None };
            if !digit.extent.is_multiple_of(low) {
                return None;
            }
            let high = Digit { div: digit.div * low, extent: digit.extent / low, ..digit };
            below.push(Term { digit: Digit { extent: low, ..digit }, stride });
            above.push(Term { digit: high, stride: 1 });
        }
    }
    Some((above, below))
}
