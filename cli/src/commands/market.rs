//! `bursar market`: the market alone, for any x402 client.

use crate::args::MarketArgs;
use crate::exit::{CliError, Exit};
use crate::interrupt::Interrupt;
use crate::market_box::{PLAY_FUNDS, builder};
use crate::screen::Notes;
use bursar_market::{Market, Ports};
use std::io::Write as _;

/// Runs the command until Ctrl-C.
pub(crate) async fn run(args: MarketArgs) -> Result<Exit, CliError> {
    let interrupt = Interrupt::watch(Notes, "\nstopping; Ctrl-C again leaves at once");
    let ports = Ports {
        rpc: args.port_rpc,
        facilitator: args.port_facilitator,
        seller: args.port_seller,
        reseller: args.port_reseller,
    };
    let mut market = builder(args.sources.as_deref())
        .ports(ports)
        .chain_id(args.chain_id)
        .wire(args.wire.into())
        .signed(args.signed)
        .admin(args.admin);
    for address in &args.fund {
        market = market.buyer_funds(*address, PLAY_FUNDS);
    }
    if let Some(state) = &args.state {
        market = market.state_file(state);
    }
    let market = market.start().await?;
    for skipped in market.skipped() {
        Notes.say(format!("note: left out `{}`: it {}", skipped.path, skipped.reason));
    }
    let _ = writeln!(anstream::stdout().lock(), "{}", described(&market, &args));
    interrupt.wait().await;
    market.stop().await;
    Ok(Exit::Done)
}

/// Where it is, and how to buy from it.
fn described(market: &Market, args: &MarketArgs) -> String {
    let token = market.token();
    let mut lines = Vec::new();
    for seller in market.sellers() {
        let documents = seller.documents().count();
        lines.push(format!(
            "seller       {}  {}, {documents} documents, paid to {}",
            seller.url(),
            seller.name(),
            seller.pay_to()
        ));
    }
    lines.push(format!("facilitator  {}", market.facilitator_url()));
    lines.push(format!("discovery    {}?query=…", market.discovery_url()));
    lines.push(format!("chain        {}  JSON-RPC of {}", market.rpc_url(), market.network()));
    lines.push(format!(
        "token        {}  {}, {} decimals, EIP-712 domain \"{}\" version \"{}\"",
        token.address, token.symbol, token.decimals, token.name, token.version
    ));
    for address in &args.fund {
        lines.push(format!("funded       {address} holds {} atomic units", market.balance_of(*address)));
    }
    if args.admin {
        lines.push(format!(
            "admin        GET, POST and DELETE {}/admin/faults; GET /admin/log; the same at each address",
            market.facilitator_url()
        ));
    }
    let document = market
        .sellers()
        .first()
        .and_then(|seller| Some(seller.document_url(seller.documents().next()?.id())));
    lines.push(String::new());
    if let Some(document) = document {
        lines.push(format!("A price:     curl -i {document}"));
    }
    lines.push("To buy:      give any x402 client a key whose address was funded with --fund. For Bursar, put this into".to_owned());
    lines.push("             bursar.toml, the key into BURSAR_KEY, and run `bursar research \"QUESTION\" --config bursar.toml`:".to_owned());
    lines.push(String::new());
    lines.push(config(market));
    lines.push("Ctrl-C stops it.".to_owned());
    lines.join("\n")
}

/// A configuration that buys here.
fn config(market: &Market) -> String {
    let token = market.token();
    let asset = format!("{}/erc20:{}", market.network(), token.address);
    format!(
        "data = \".bursar\"\n\
         discovery = [\"{discovery}\"]\n\
         [network_access]\n\
         loopback = true\n\
         [wallet]\n\
         key_env = \"BURSAR_KEY\"\n\
         [[network]]\n\
         network = \"{network}\"\n\
         rpc = [\"{rpc}\"]\n\
         finality = \"latest\"\n\
         [[asset]]\n\
         id = \"{asset}\"\n\
         symbol = \"{symbol}\"\n\
         decimals = {decimals}\n\
         eip712 = {{ name = \"{name}\", version = \"{version}\" }}\n\
         live = false\n\
         [mandate]\n\
         purpose = \"research\"\n\
         assets = [\"{asset}\"]\n\
         budget = [{{ scope = \"session\", limit = \"0.50\" }}]\n",
        discovery = market.discovery_url(),
        network = market.network(),
        rpc = market.rpc_url(),
        symbol = token.symbol,
        decimals = token.decimals,
        name = token.name,
        version = token.version,
    )
}
