//! Agents that spend money: governed, durable, provable.
