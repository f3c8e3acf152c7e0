//! Integration tests of the program and the library, in one binary.

#![allow(missing_docs)]

mod common;
mod documents;

mod arguments;
mod bad_input;
#[cfg(feature = "parquet")]
mod batch;
mod bench;
mod chats;
mod damaged_store;
mod demo;
mod encoder_int8;
mod evaluate;
mod forget;
mod fuzz_seeds;
mod hostile_text;
mod hub;
mod import;
mod kill_import;
mod kill_index;
mod lenient_import;
mod lm_batches;
mod lm_commands;
mod lm_golden;
mod messages;
mod metrics;
mod models;
mod no_sockets;
mod offline;
mod peers;
mod profile;
mod read_only;
mod recommend;
#[cfg(all(feature = "remote", feature = "serve"))]
mod remote;
mod self_test;
#[cfg(feature = "serve")]
mod serve;
mod snapshots;
mod split;
#[cfg(feature = "serve")]
mod start;
mod switches;
mod tiers_and_rewards;
mod tokenizer;
mod train;
mod variations;
mod write;
