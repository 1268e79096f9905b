//! Whole stacks under load and in outages, in virtual time.

mod load;
mod metastability;
mod server;
mod stacks;
