//! Tests of the rules, as data.

use super::*;

#[test]
fn the_shipped_files_load() {
    assert_eq!(Policy::shipped().unwrap().digests().len(), 4);
}
