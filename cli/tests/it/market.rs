//! `bursar market`.

use crate::support::{Home, steady};

#[test]
fn the_market_alone_says_where_it_is_and_how_to_buy() {
    let home = Home::new();
    let address = "0x00000000000000000000000000000000000000aa";
    let mut running = home.start(["market", "--fund", address, "--admin", "--wire", "both"]);
    let mut text = String::new();
    while !text.contains("Ctrl-C stops it.") {
        text.push_str(&running.until(""));
    }
    running.signal("INT");
    let ran = running.end();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    insta::assert_snapshot!(steady(&text));
}
