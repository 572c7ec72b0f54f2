//! A market in a box: x402 sellers, a facilitator and a chain on loopback, stricter than the real thing.
