//! What lays spans in a stack, as far as the feature `tracing` has it.

#[cfg(feature = "tracing")]
pub(super) type TracedCalls = crate::trace::TraceLayer;
#[cfg(not(feature = "tracing"))]
pub(super) type TracedCalls = ();

pub(super) type TracedAttempts = TracedCalls;

#[cfg(feature = "tracing")]
pub(super) const fn traces() -> (TracedCalls, TracedAttempts) {
    (TracedCalls::calls(), TracedAttempts::attempts())
}

#[cfg(not(feature = "tracing"))]
pub(super) const fn traces() -> (TracedCalls, TracedAttempts) {
    ((), ())
}
