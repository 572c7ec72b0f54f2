//! Names and ids as the service allows them.

use crate::message::{Message, Part};
use crate::model::ModelRequest;
use bursar_types::{CallId, Digest};
use std::collections::{BTreeMap, BTreeSet};

const LENGTH_MAX: usize = 64;
/// Of a name that does not fit, so much is kept before its hash.
const KEPT: usize = 47;

/// The tools of one request under names of `[a-zA-Z0-9_-]{1,64}`.
///
/// A name that the service allows is itself. Any other is its beginning and a hash of all of it, so it is the same in each request,
/// and two of them never meet: a name that is taken already is passed over.
#[derive(Debug, Default)]
pub(super) struct Names {
    wire: BTreeMap<String, String>,
    own: BTreeMap<String, String>,
}

impl Names {
    /// Names for the tools that are offered and those that the conversation speaks of.
    pub(super) fn of(request: &ModelRequest) -> Self {
        let offered = request.tools.iter().map(|tool| tool.name.as_str());
        let called =
            request.messages.iter().flat_map(|message| &message.parts).filter_map(|part| match part {
                Part::ToolCall { tool, .. } => Some(tool.as_str()),
                _ => None,
            });
        Self::new(offered.chain(called))
    }

    fn new<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let (fit, unfit): (BTreeSet<&str>, BTreeSet<&str>) = names.partition(|name| fits(name));
        let mut this = Self::default();
        for name in fit {
            this.keep(name, name.to_owned());
        }
        for name in unfit {
            let free = (0_u32..).map(|round| hashed(name, round)).find(|wire| !this.own.contains_key(wire));
            this.keep(name, free.unwrap_or_default());
        }
        this
    }

    fn keep(&mut self, own: &str, wire: String) {
        self.own.insert(wire.clone(), own.to_owned());
        self.wire.insert(own.to_owned(), wire);
    }

    /// The name for the service.
    pub(super) fn wire<'a>(&'a self, own: &'a str) -> &'a str {
        self.wire.get(own).map_or(own, String::as_str)
    }

    /// The name that the service's stands for; one that nobody gave it stays as it is.
    pub(super) fn own<'a>(&'a self, wire: &'a str) -> &'a str {
        self.own.get(wire).map_or(wire, String::as_str)
    }
}

fn fits(name: &str) -> bool {
    (1..=LENGTH_MAX).contains(&name.len()) && name.bytes().all(in_a_name)
}

const fn in_a_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

fn hashed(name: &str, round: u32) -> String {
    let digest = Digest::of_parts("bursar/bedrock/tool", &[name.as_bytes(), &round.to_be_bytes()]);
    let kept = name.chars().take(KEPT).map(|c| if c.is_ascii() && in_a_name(c as u8) { c } else { '_' });
    let hash: Vec<String> = digest.as_bytes().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("{}_{}", kept.collect::<String>(), hash.concat())
}

/// The calls of one conversation under ids of `[a-zA-Z0-9_.:-]{1,64}`.
///
/// The provider's own id where it fits and was not used before; ours otherwise, as in a conversation that another provider began.
#[derive(Debug, Default)]
pub(super) struct Ids(BTreeMap<CallId, String>);

impl Ids {
    pub(super) fn of(messages: &[Message]) -> Self {
        let mut used = BTreeSet::new();
        let mut wire = BTreeMap::new();
        for part in messages.iter().flat_map(|message| &message.parts) {
            let Part::ToolCall { call, provider_id, .. } = part else { continue };
            let theirs = provider_id.clone().filter(|id| is_id(id) && !used.contains(id));
            let id = theirs.unwrap_or_else(|| call.to_string());
            used.insert(id.clone());
            wire.insert(*call, id);
        }
        Self(wire)
    }

    /// The id for the service.
    pub(super) fn wire(&self, call: CallId) -> String {
        self.0.get(&call).cloned().unwrap_or_else(|| call.to_string())
    }
}

fn is_id(id: &str) -> bool {
    let allowed = |byte: u8| in_a_name(byte) || matches!(byte, b'.' | b':');
    (1..=LENGTH_MAX).contains(&id.len()) && id.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Role;
    use proptest::prelude::*;
    use serde_json::Value;

    proptest! {
        #[test]
        fn names_come_back_and_never_meet(names in proptest::collection::btree_set(".{0,90}|[a-z_]{60,70}", 0..20)) {
            let map = Names::new(names.iter().map(String::as_str));
            let wires: BTreeSet<&str> = names.iter().map(|name| map.wire(name)).collect();
            prop_assert_eq!(wires.len(), names.len());
            for name in &names {
                prop_assert!(fits(map.wire(name)));
                prop_assert_eq!(map.own(map.wire(name)), name);
            }
        }
    }

    #[test]
    fn a_name_is_mapped_alike_whatever_else_is_offered() {
        let long = "market___".repeat(9);
        let alone = Names::new([long.as_str()].into_iter());
        let among = Names::new(["fetch", long.as_str(), "a b"].into_iter());
        assert_eq!(alone.wire(&long), among.wire(&long));
        let taken = Names::new([long.as_str(), alone.wire(&long)].into_iter());
        assert_ne!(taken.wire(&long), alone.wire(&long), "a tool that is really called so keeps its name");
        assert_eq!(taken.own(taken.wire(&long)), long);
    }

    #[test]
    fn an_id_is_used_once() {
        let call = |n: u8| CallId::derived(&[&[n]]);
        let part = |n: u8, id: Option<&str>| Part::ToolCall {
            call: call(n),
            provider_id: id.map(str::to_owned),
            tool: "t".into(),
            arguments: Value::Null,
        };
        let long = "x".repeat(65);
        let parts = vec![part(0, Some("tooluse_0")), part(1, Some("tooluse_0")), part(2, None)];
        let more = vec![part(3, Some("call|1")), part(4, Some(&long)), part(5, Some(""))];
        let messages = [parts, more].map(|parts| Message { role: Role::Assistant, parts });
        let ids = Ids::of(&messages);
        assert_eq!(ids.wire(call(0)), "tooluse_0");
        let all: BTreeSet<String> = (0..6).map(|n| ids.wire(call(n))).collect();
        assert_eq!(all.len(), 6);
        assert!(all.iter().all(|id| is_id(id)));
    }
}
