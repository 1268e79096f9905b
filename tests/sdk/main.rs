//! The real SDK through the layers, against the simulator.

mod cancel;
mod causes;
mod connections;
mod operations;
mod retries;
mod socket;
mod streams;
mod wire;
