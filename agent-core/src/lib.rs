//! An agent loop as a pure state machine: models, tools, runs.
