//! Streams end to end: what other projects report of theirs, and what others recorded, played by the
//! simulator through the SDK and the layers.

mod bytes;
mod drops;
mod failures;
mod outcome;
mod player;
mod recordings;
mod row;
mod stack;
mod twins;
mod words;
