//! How near written texts come to those of the person they were written for.
//!
//! `metrics` compares predicted texts with reference texts.

pub mod metrics;
