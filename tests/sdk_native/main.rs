//! The fluent client with the layers inside of it, against the simulator.

mod retries;
mod suite;
mod support;
