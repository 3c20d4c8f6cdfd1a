//! Records of the ledger's journal: any bytes are refused or have one form.

use peerway_cluster::ledger::service::entry::{Entry, decode_snapshot, encode_snapshot};

pub(crate) fn run(input: &[u8]) {
    if let Ok(entry) = Entry::decode(input) {
        assert_eq!(entry.encode(), input);
    }
    if let Ok(entries) = decode_snapshot(input) {
        assert_eq!(encode_snapshot(&entries), input);
    }
}
