//! The command `vnet`.
fn main() {}
