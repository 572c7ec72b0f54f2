//! The library of bought artifacts, and full-text recall over it.
