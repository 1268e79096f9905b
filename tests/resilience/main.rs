//! Whole stacks under load and in outages, in virtual time.

mod inside_sdk;
mod load;
mod metastability;
mod outages;
mod overflow;
mod residency;
mod server;
mod stacks;
mod total_outage;
mod wire;
