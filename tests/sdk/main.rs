//! The real SDK through the layers, against the simulator.

mod causes;
mod operations;
mod retries;
mod socket;
mod wire;
