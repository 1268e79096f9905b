//! What the benches share: rows that can be measured in turn, and how they are measured.

#![allow(missing_debug_implementations)]

pub mod measure;
pub mod report;
pub mod row;
pub mod rows;
