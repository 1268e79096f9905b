//! The commands that README and CI use.
fn main() {}
