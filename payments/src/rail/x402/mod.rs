//! x402 over HTTP.
