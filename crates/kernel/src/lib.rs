//! Namespaces, observing and executing: the only crate that touches the kernel.
