#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| peerway_fuzz::run("relay", input));
