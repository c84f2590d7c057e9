//! The spans that more than one file opens, at level `debug`. `docs/metrics.md` lists them all.

use crossfade_core::{Epoch, MigrationName, MigrationState, Side, Stage};
use tracing::{Instrument, Level, Span, debug_span};

/// Awaits a future within a span, where spans of level `debug` are wanted at all. Asking that comes
/// first, since most applications want none, and each wake-up of a write passes here.
pub(crate) async fn within<F: Future + Unpin>(span: impl FnOnce() -> Span, future: F) -> F::Output {
    match tracing::level_enabled!(Level::DEBUG) {
        true => future.instrument(span()).await,
        false => future.await,
    }
}

/// Around one try of a write.
pub(crate) fn write(state: &MigrationState) -> Span {
    debug_span!(
        "crossfade.write",
        migration = %state.definition.name,
        stage = %state.stage,
        epoch = state.epoch.get()
    )
}

/// Around a side's part of a write.
pub(crate) fn write_side(side: Side) -> Span {
    debug_span!("crossfade.write.side", %side)
}

/// Around a comparison. Its task may outlive the call that it belongs to, so it does not lie within
/// the span of that call, which would stay open for it, but follows from it.
pub(crate) fn shadow(migration: &MigrationName, stage: Stage, epoch: Epoch) -> Span {
    let span = debug_span!(
        parent: None,
        "crossfade.shadow",
        %migration,
        %stage,
        epoch = epoch.get()
    );
    span.follows_from(Span::current());
    span
}

/// Around each of a comparison's reads.
pub(crate) fn shadow_side(side: Side) -> Span {
    debug_span!("crossfade.shadow.side", %side)
}
