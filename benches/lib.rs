//! Benches live beside this file, one a question.
