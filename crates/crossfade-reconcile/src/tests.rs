//! Backfill and verification against a small database in memory.

mod backfill;
mod control;
mod fake;
mod verify;
