//! Keeping the text of the rules that sessions begin under, so that their decisions can be taken again when the files are gone.
//!
//! What ships with Bursar is not kept: whoever checks has it. A session pins digests, and a text that is kept is the one of its digest
//! or none at all.

use super::{OpenError, Shared};
use bursar_ledger::{CommitError, LinkWrite, Refusal, SealedEvent, StreamId, Transaction};
use bursar_types::CanonicalError;
use serde::{Deserialize, Serialize};

/// The stream of kept rules, and the kind of its entries. Which rules is told by the payload alone: they may name somebody.
pub(crate) const RULES: &str = "rules";
const KEPT: &str = "rules.kept";

/// What is kept of a file of rules.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeptRules {
    pub(crate) text: String,
}

impl Shared {
    /// Keeps the text of every file of the user's that is not kept yet.
    pub(super) async fn keep_rules(&self) -> Result<(), OpenError> {
        for (digest, text) in self.policy.own_files() {
            let key = format!("{RULES}/{digest}");
            if self.ledger.link(&key).await?.is_some() {
                continue;
            }
            let link = LinkWrite { key, expected: None, value: Some("kept".to_owned()) };
            let mut transaction = Transaction { links: vec![link], ..Transaction::default() };
            let stream = StreamId::new(RULES).map_err(|error| OpenError::Unreadable(error.to_string()))?;
            let kept = KeptRules { text: text.to_owned() };
            SealedEvent::new(stream, KEPT, [], &kept, &*self.entropy)
                .map_err(CanonicalError::Json)?
                .add_to(&mut transaction);
            match self.ledger.commit(transaction).await {
                // Another process kept the same at the same time.
                Ok(_) | Err(CommitError::Refused(Refusal::LinkMoved { .. })) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}
