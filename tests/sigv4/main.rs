//! The verifier of signatures that the other tests rely on, proven against AWS's own vectors.

mod changes;
mod sdk;
mod vectors;
