//! Runnable examples, one folder or file each.
