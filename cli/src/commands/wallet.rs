//! `bursar wallet new`: a key that pays, in an encrypted file.

use crate::args::WalletNewArgs;
use crate::exit::{CliError, Exit};
use bursar::payments::{LocalWallet, Wallet as _};
use bursar::types::Entropy as _;
use bursar::{BursarError, SystemEntropy};
use std::io::Write as _;
use zeroize::Zeroizing;

/// The variable that holds the password unless the configuration names another.
const PASSWORD: &str = "BURSAR_WALLET_PASSWORD";

/// Makes a key. A file that exists is never touched.
pub(crate) fn new(args: &WalletNewArgs) -> Result<Exit, CliError> {
    if args.file.exists() {
        return Err(CliError::Exists { path: args.file.clone() });
    }
    let password = password().ok_or(BursarError::NoSecret {
        variable: PASSWORD.to_owned(),
        what: "the new keystore's password",
    })?;
    let mut secret = Zeroizing::new([0; 32]);
    SystemEntropy.fill(secret.as_mut_slice());
    let wallet = LocalWallet::create_keystore(&args.file, &password, &secret, &SystemEntropy)
        .map_err(BursarError::from)?;
    let _ = write!(
        anstream::stdout().lock(),
        "made {}, readable by you only; keep a copy of it and of its password: nobody can make them again\n\
         address {}\n\
         next: send it what may be spent; for Base Sepolia, https://faucet.circle.com gives USDC that is worth nothing\n",
        args.file.display(),
        wallet.address()
    );
    Ok(Exit::Done)
}

#[expect(clippy::disallowed_methods, reason = "the command line reads the environment")]
fn password() -> Option<Zeroizing<String>> {
    std::env::var(PASSWORD).ok().filter(|password| !password.is_empty()).map(Zeroizing::new)
}
