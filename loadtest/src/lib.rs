//! The load test: an open-loop, constant-rate HTTP load generator and its reports.
//!
//! A run goes: `scenario` (what is asked) -> `timetable` (when it is asked) ->
//! `generator` (asks it, counts into a `recorder`) beside `watch` (CPU and RSS of
//! process trees) -> `report` (JSON, HTML, a table on the terminal). `commands`
//! puts runs together: one run, rounds of several systems, the search for a frontier.
//! `outage` starts a cluster of its own and lets its provider break under load.
//!
//! Latency is counted from the moment at which a request was *due*, never from the
//! moment at which it was sent: a server that stalls makes every request that was
//! due meanwhile slow, as it would for real callers.

pub mod cli;
mod commands;
mod failure;
mod frontier;
mod generator;
mod histogram;
mod machine;
mod measure;
mod mix;
mod outage;
mod output;
mod procs;
mod recorder;
mod report;
mod scenario;
mod sse;
mod system;
mod timetable;
mod verdict;
mod watch;
