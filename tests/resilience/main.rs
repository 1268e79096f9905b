//! Whole stacks under load and in outages, in virtual time.

mod load;
mod metastability;
mod outages;
mod server;
mod stacks;
mod wire;
