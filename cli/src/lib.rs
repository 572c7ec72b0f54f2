//! The bursar command: research, market, sessions, spend and audit.
