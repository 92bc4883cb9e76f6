//! Files cut short, and with a bit flipped: always an error.

use octrt::Error;

use crate::given::*;
use crate::support::compiled_file::{PAGE, data_begin, manifest_end};
use crate::support::hostile::options;
use octrt::Model;

/// More than any of these files needs.
const MEMORY: usize = 64 << 20;

/// What a damaged file must be: refused when it is loaded, before anything of it is used.
fn assert_refused(file: &[u8], what: &str) {
    match Model::from_bytes(file.to_vec(), &options(MEMORY)) {
        Err(e @ (Error::Corrupt { .. } | Error::Stale { .. })) => {
            assert!(e.to_string().starts_with("model: "), "{what}: {e}");
        }
        Err(e) => panic!("{what}: {e:?}"),
        Ok(_) => panic!("{what}: loaded"),
    }
}

fn assert_cuts_are_refused(file: &[u8], lengths: impl Iterator<Item = usize>) {
    for len in lengths {
        assert_refused(&file[..len], &format!("{len} bytes of {}", file.len()));
    }
}

fn assert_flips_are_refused(file: &[u8], places: impl Iterator<Item = usize>) {
    let mut damaged = file.to_vec();
    for at in places {
        for bit in [0, 3, 7] {
            damaged[at] ^= 1 << bit;
            assert_refused(&damaged, &format!("bit {bit} of byte {at} of {}", file.len()));
            damaged[at] ^= 1 << bit;
        }
    }
}

#[test]
fn cut_anywhere() {
    let file = packed_file();
    assert!(load(&file).is_ok());
    let data = data_begin(manifest_end(&file) - 64);
    assert!(data.is_multiple_of(PAGE) && file.len() > data + 4 * PAGE);
    assert_cuts_are_refused(&file, 0..=data);
    assert_cuts_are_refused(&file, (data..file.len()).step_by(997));
    assert_cuts_are_refused(&file, file.len() - 100..file.len());
    for more in [1, 64, 5000] {
        let mut longer = file.clone();
        longer.resize(file.len() + more, 0);
        assert_refused(&longer, "longer");
    }
}

#[test]
fn a_bit_flipped_anywhere() {
    let file = packed_file();
    let data = data_begin(manifest_end(&file) - 64);
    assert_flips_are_refused(&file, 0..data);
    assert_flips_are_refused(&file, (data..file.len()).step_by(1013));
    assert_flips_are_refused(&file, file.len() - 70..file.len());
}

#[test]
fn small_models_damaged() {
    for model in small_models() {
        let file = saved(&model, &types(&model, 2));
        assert_cuts_are_refused(&file, (0..file.len()).step_by(61));
        assert_flips_are_refused(&file, (0..file.len()).step_by(53));
    }
}

#[test]
fn messages_say_what_is_wrong() {
    let file = packed_file();
    let message = |file: &[u8]| load(file).unwrap_err().to_string();
    assert_eq!(message(&file[..40]), "model: expected at least 64 bytes, found 40");
    let found = message(&file[..5000]);
    assert!(found.contains(&format!("expected {} bytes, found 5000", file.len())), "{found}");
    let damaged = |at: usize| {
        let mut file = file.clone();
        file[at] ^= 1;
        message(&file)
    };
    assert_eq!(damaged(17), "model: the header is damaged: its checksum does not fit");
    assert_eq!(damaged(100), "model: the manifest is damaged: its checksum does not fit");
    assert_eq!(
        damaged(file.len() - 1),
        "model: the data are damaged: the checksum of chunk 0 of 1 does not fit"
    );
}
