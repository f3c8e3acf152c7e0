//! Fuzz targets of what reads files and requests: `scripts/fuzz` runs them, [`properties`] says what must
//! hold, [`mutate`] changes inputs so that they stay near what parsers take.

pub mod allocator;
pub mod mutate;
#[path = "../properties/mod.rs"]
pub mod properties;
