//! Logs, on stderr, without secrets.

use std::io::{self, IsTerminal, Write};

use tracing_subscriber::EnvFilter;

use crate::redact::redact_record;

/// Starts logging. RUST_LOG wins over the number of `-v`.
pub(crate) fn start(verbose: u8) {
    let level = match verbose {
        0 => "warn",
        1 => "warn,crossfade=info",
        2 => "info,crossfade=debug",
        _ => "debug,crossfade=trace",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    // A second subscriber is a test's; it stays.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(|| Redacted)
        .try_init();
}

/// Writes whole records to stderr, redacted.
struct Redacted;

impl Write for Redacted {
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        let text = redact_record(&String::from_utf8_lossy(record));
        io::stderr().write_all(text.as_bytes())?;
        Ok(record.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
