//! The words Bursar's crates share: ids, amounts, decisions, canonical bytes and the traits between floors.
