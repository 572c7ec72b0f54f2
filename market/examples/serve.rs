//! Opens a market over a folder and prints its addresses as one line of JSON. Stops when its standard input ends.
//!
//! ```text
//! cargo run -p bursar-market --example serve -- FOLDER [BUYER_ADDRESS] [CHAIN_ID] [v1|v2|both]
//! ```
#![expect(clippy::print_stdout, reason = "an example is a program, and this line is its answer")]

use bursar_market::{Address, Market, SellerConfig, WireVersion};
use tokio::io::AsyncReadExt as _;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("give a folder of .md, .txt or .html files")?;
    let mut builder = Market::builder().source_dir(folder).admin(true);
    if let Some(buyer) = arguments.next() {
        builder = builder.buyer_funds(buyer.parse::<Address>()?, 1_000_000_000);
    }
    if let Some(chain_id) = arguments.next() {
        builder = builder.chain_id(chain_id.parse()?);
    }
    match arguments.next().as_deref() {
        Some("v1") => builder = builder.add_seller(SellerConfig::new("Old Library").wire(WireVersion::V1)),
        Some("both") => {
            builder = builder.add_seller(SellerConfig::new("Both Library").wire(WireVersion::Both))
        }
        _ => {}
    }
    let market = builder.start().await?;
    println!(
        "{}",
        serde_json::json!({
            "rpcUrl": market.rpc_url(),
            "facilitatorUrl": market.facilitator_url(),
            "discoveryUrl": market.discovery_url(),
            "sellerUrls": market.seller_urls(),
            "network": market.network(),
            "token": market.token(),
            "skipped": market.skipped(),
        })
    );
    let mut ignored = Vec::new();
    tokio::io::stdin().read_to_end(&mut ignored).await?;
    market.stop().await;
    Ok(())
}
