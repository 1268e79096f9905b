mod by_hand;
mod capacity;
mod faults;
mod options;
mod properties;
mod published;
mod resolve;
mod support;
