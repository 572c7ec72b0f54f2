//! Sending HTTP with reqwest.

/// One exchange at a time over reqwest.
#[derive(Debug)]
pub struct HttpTransport;
