//! The fluent client with the layers inside of it, against the simulator.

mod signatures;
mod signing;
mod streams;
mod suite;
mod support;
