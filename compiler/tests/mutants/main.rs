//! What the verifier of nests of calls takes runs without a fault and without a race: small nests with random changes, in the
//! interpreter.
#![allow(missing_docs)]

mod change;
mod nests;

use std::collections::BTreeMap;

use change::{Random, change};
use octrt_compiler::leaf::Inst;
use octrt_compiler::nest::interp::races;
use octrt_compiler::nest::{BufferRole, Nest, SlotValue, Stmt, verify};
use octrt_ops::Tensor;
use octrt_ops::graph::text::random;

const MUTANTS: usize = 10_000;

/// Most statements of leaf programs that a nest runs to be looked at.
const WORK: usize = 18_000;

/// Statements of leaf programs that a nest runs.
fn work(nest: &Nest) -> usize {
    fn insts(body: &[Inst], slots: &[SlotValue]) -> usize {
        let one = |inst: &Inst| match inst {
            Inst::Loop { count, body } => match slots.get(usize::from(count.0)) {
                Some(SlotValue::Number(n)) => insts(body, slots).saturating_mul(*n as usize),
                _ => 0,
            },
            _ => 1,
        };
        body.iter().map(one).fold(0, usize::saturating_add)
    }
    fn block(nest: &Nest, body: &[Stmt]) -> usize {
        let one = |stmt: &Stmt| match stmt {
            Stmt::Loop(l, body) => block(nest, body).saturating_mul(l.extent),
            Stmt::Define(_) => 1,
            Stmt::Call { leaf, slots } => {
                nest.leaves.get(*leaf).map_or(0, |p| insts(&p.body, slots).saturating_add(1))
            }
        };
        body.iter().map(one).fold(0, usize::saturating_add)
    }
    block(nest, &nest.body)
}

/// Tensors for the inputs of a nest.
fn sources(nest: &Nest) -> Vec<Option<Tensor>> {
    let one = |(i, b): (usize, &octrt_compiler::nest::Buffer)| match b.role {
        BufferRole::Src => Some(random(&b.ty.shape, i as u64).unwrap()),
        _ => None,
    };
    nest.buffers.iter().enumerate().map(one).collect()
}

fn race(nest: &Nest) -> Result<Option<usize>, String> {
    let sources = sources(nest);
    let inputs: Vec<Option<&Tensor>> = sources.iter().map(Option::as_ref).collect();
    races(nest, &inputs).map_err(|e| e.to_string())
}

/// Which rule speaks in a message.
fn rule(message: &str) -> &'static str {
    match message {
        m if m.contains("may write the same bytes") => "iterations write the same bytes",
        m if m.contains("to have written before") => "reads what is not written",
        m if m.contains("touches bytes") => "bounds",
        _ => "others",
    }
}

#[test]
fn what_verifies_has_no_fault_and_no_race() {
    let nests = nests::all();
    for nest in &nests {
        verify::verify(nest).unwrap_or_else(|e| panic!("{e}\n{nest}"));
        assert_eq!(race(nest), Ok(None), "{nest}");
        assert!(work(nest) <= WORK, "{} runs {} statements", nest.name, work(nest));
    }
    let mut random = Random(1);
    let (mut accepted, mut seen) = (0, 0);
    // By the rule that refuses: all, run, of these with a fault or a race.
    let mut refused: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
    while seen < MUTANTS {
        let original = &nests[random.below(nests.len())];
        let mut nest = original.clone();
        (0..=random.below(2)).for_each(|_| change(&mut nest, &mut random));
        if nest == *original {
            continue;
        }
        seen += 1;
        let verdict = verify::verify(&nest);
        let runs = work(&nest) <= WORK;
        match verdict {
            Ok(()) if runs => {
                accepted += 1;
                assert_eq!(race(&nest), Ok(None), "mutant {seen} of {}\n{nest}", original.name);
            }
            Ok(()) => {}
            Err(e) => {
                let rule = rule(&e.violation.to_string());
                let [all, run, bad] = refused.entry(rule).or_default();
                *all += 1;
                if runs && rule != "bounds" && rule != "others" {
                    *run += 1;
                    *bad += usize::from(race(&nest) != Ok(None));
                }
            }
        }
    }
    println!("{} nests, {MUTANTS} mutants, {accepted} accepted and run", nests.len());
    for (rule, [all, run, bad]) in &refused {
        println!("{rule}: {all} refused; of {run} that were run {bad} have a fault or a race");
    }
    let raced = |rule| refused.get(rule).map_or(0, |[_, _, bad]| *bad);
    assert!(accepted > MUTANTS / 10, "{accepted} accepted");
    assert!(raced("iterations write the same bytes") > 100, "{refused:?}");
    assert!(raced("reads what is not written") > 10, "{refused:?}");
}
