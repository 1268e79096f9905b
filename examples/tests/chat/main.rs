//! The chat example over real sockets, as a program.

mod caller;
mod disconnect;
mod flags;
mod limits;
mod routes;
#[cfg(unix)]
mod shutdown;
mod support;
mod trouble;
