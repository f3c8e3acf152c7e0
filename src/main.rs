//! Parse, run, report.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
