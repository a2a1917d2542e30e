//! A kernel on paper.
