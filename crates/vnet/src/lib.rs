//! Builds virtual networks on Linux from one description, and keeps them as it says.
