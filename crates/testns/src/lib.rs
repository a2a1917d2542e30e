//! Runs each test that touches the kernel in namespaces of its own.
