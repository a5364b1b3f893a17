//! The actors that own live state.

pub mod ports;
