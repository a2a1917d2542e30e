//! The pure middle of vnet: topologies, states, steps, and the plan between two states.
