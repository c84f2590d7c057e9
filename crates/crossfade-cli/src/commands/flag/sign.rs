//! `crossfade flag sign` and `crossfade flag open`.

use std::io::Write;
use std::path::PathBuf;

use crossfade_flags::{SigningKey, TrustedKeys};
use crossfade_rules::MAX_DOCUMENT_BYTES;

use super::place::{Document, Place};
use crate::{
    app::App,
    failure::{Exit, Failure},
    output::{Output, broken_pipe_is_fine},
};

const SIGN_EXAMPLES: &str = "\
Prints a DSSE envelope, one line of JSON that holds the rule set and the signature, as clients with
trusted keys ask for. A rule set that would be refused is not signed.

Examples:
  openssl genpkey -algorithm ed25519 -out key.pem
  crossfade flag sign flags.json --key key.pem --key-id release-2026 > flags.signed.json";

const OPEN_EXAMPLES: &str = "\
Prints the rule set inside. Ends with exit code 1 when none of the trusted keys has signed it.

Examples:
  openssl pkey -in key.pem -pubout -out public.pem
  crossfade flag open flags.signed.json --trust release-2026=public.pem";

/// The largest envelope that is read: base64, and some for the signatures.
const MOST_ENVELOPE: usize = MAX_DOCUMENT_BYTES / 3 * 4 + 64 * 1024;

/// Sign a rule set with an Ed25519 key.
#[derive(Debug, clap::Args)]
#[command(after_help = SIGN_EXAMPLES)]
pub(crate) struct Sign {
    /// A file in flagd's format, `-` for stdin, or `@7` or `@latest` of the database.
    #[arg(value_parser = clap::value_parser!(Place))]
    file: Place,
    /// The private key, in PEM.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// What people call the key.
    #[arg(long, value_name = "ID")]
    key_id: String,
}

/// Verify a signed rule set and print what is inside.
#[derive(Debug, clap::Args)]
#[command(after_help = OPEN_EXAMPLES)]
pub(crate) struct Open {
    /// A signed rule set, or `-` for stdin.
    #[arg(value_parser = clap::value_parser!(Place))]
    file: Place,
    /// A key to trust: its id, and the file that holds the public key.
    #[arg(long, value_name = "ID=FILE", value_parser = id_and_file, required = true)]
    trust: Vec<(String, PathBuf)>,
}

pub(super) async fn sign(app: &App, args: &Sign) -> Result<Exit, Failure> {
    let document = Document::read(app, &args.file, MAX_DOCUMENT_BYTES).await?;
    document.rules()?;
    let text = document.text().map_err(|problem| document.refused(&problem))?;
    let key = SigningKey::from_pem(&read(&args.key)?)
        .map_err(|error| Failure::failed(format!("{} is no key", args.key.display()), &error))?;
    let envelope = key.sign(text, &args.key_id);
    print(&envelope)?;
    Ok(Exit::Done)
}

pub(super) async fn open(app: &App, args: &Open) -> Result<Exit, Failure> {
    let envelope = Document::read(app, &args.file, MOST_ENVELOPE).await?;
    let text = envelope.text().map_err(|problem| envelope.refused(&problem))?;
    let mut keys = TrustedKeys::new();
    for (id, file) in &args.trust {
        keys = keys
            .with_key(id, &read(file)?)
            .map_err(|error| Failure::failed(format!("{} is no key", file.display()), &error))?;
    }
    let document = keys.open(text, MAX_DOCUMENT_BYTES);
    let document = document
        .map_err(|error| Failure::failed(format!("{} is refused", envelope.name), &error))?;
    print(document.trim_end())?;
    Ok(Exit::Done)
}

/// JSON, for people and for programs alike, to the letter.
fn print(text: &str) -> Result<(), Failure> {
    let mut out = Output::answers();
    let written = writeln!(out, "{text}").and_then(|()| out.flush());
    broken_pipe_is_fine(written).map_err(|error| Failure::failed("failed to print", &error))
}

fn id_and_file(text: &str) -> Result<(String, PathBuf), &'static str> {
    match text.split_once('=') {
        Some((id, file)) if !id.is_empty() && !file.is_empty() => Ok((id.into(), file.into())),
        _ => Err("write it like release-2026=public.pem"),
    }
}

fn read(path: &PathBuf) -> Result<String, Failure> {
    std::fs::read_to_string(path)
        .map_err(|error| Failure::failed(format!("{} cannot be read", path.display()), &error))
}
