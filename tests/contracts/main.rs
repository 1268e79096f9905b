//! What every layer promises a caller and asks of a service, held against each of them alone and all
//! of them together: calls dropped wherever they wait, readiness, panics, and numbers without end.

mod cancel;
mod extremes;
mod faces;
mod panics;
mod readiness;
mod rigs;
