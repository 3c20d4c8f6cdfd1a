//! Records of the ledger's journal: any bytes are refused or have one form. `cargo +nightly fuzz run ledger_entry` in
//! `cluster/`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use peerway_cluster::ledger::service::entry::{Entry, decode_snapshot, encode_snapshot};

fuzz_target!(|input: &[u8]| {
    if let Ok(entry) = Entry::decode(input) {
        assert_eq!(entry.encode(), input);
    }
    if let Ok(entries) = decode_snapshot(input) {
        assert_eq!(encode_snapshot(&entries), input);
    }
});
