//! Bursar and rig together.

mod model;
