//! Streams end to end: what other projects report of theirs, played by the simulator through the
//! SDK and the layers.

mod failures;
mod player;
mod recordings;
mod row;
mod words;
