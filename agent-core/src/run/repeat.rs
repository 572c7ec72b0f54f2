//! Recognising circles: the same calls with the same results.

use super::{CallState, CallView};
use crate::model::Arguments;
use crate::sorted::sorted_text;
use bursar_types::Digest;
use std::collections::BTreeSet;

/// The longest circle that is looked for, in turns.
const PERIOD_MAX: usize = 4;

/// The turns that were seen, and which circle the model was told of.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Seen {
    /// One digest for each turn with calls since the last warning.
    turns: Vec<Digest>,
    told: BTreeSet<Digest>,
}

/// What was found in the turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Circle {
    /// None.
    No,
    /// One that the model was not told of yet.
    New,
    /// The one that it was told of.
    Again,
}

impl Seen {
    /// Takes in a turn whose calls all have their results, and looks for a circle that was gone round so many times.
    pub(super) fn turn(&mut self, calls: &[CallView], times: u32) -> Circle {
        self.turns.push(digest(calls));
        let Some(period) = period(&self.turns, times) else { return Circle::No };
        let round: BTreeSet<Digest> = self.turns.iter().rev().take(period).copied().collect();
        if self.told == round {
            return Circle::Again;
        }
        (self.turns, self.told) = (Vec::new(), round);
        Circle::New
    }
}

/// The length of the shortest circle at the end that was gone round so many times.
fn period(turns: &[Digest], times: u32) -> Option<usize> {
    let times = usize::try_from(times.max(2)).unwrap_or(usize::MAX);
    (1..=PERIOD_MAX).find(|period| {
        let length = period.saturating_mul(times);
        let Some(last) = turns.len().checked_sub(length).and_then(|from| turns.get(from..)) else {
            return false;
        };
        last.iter().zip(last.iter().skip(*period)).all(|(a, b)| a == b)
    })
}

fn digest(calls: &[CallView]) -> Digest {
    let mut parts: Vec<Vec<u8>> = Vec::new();
    for call in calls {
        let mut arguments = Vec::new();
        match &call.arguments {
            Arguments::Parsed { value } => sorted_text(value, &mut arguments),
            Arguments::Malformed { text, .. } => arguments.extend_from_slice(text.as_bytes()),
        }
        let mut content = Vec::new();
        if let CallState::Finished(result) = &call.state {
            sorted_text(&result.content, &mut content);
        }
        parts.extend([call.tool.clone().into_bytes(), arguments, content]);
    }
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    Digest::of_parts("bursar/agent/turn", &parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn circles_are_found_at_the_end_of_what_was_done() {
        for (turns, times, expected) in [
            ("", 2, None),
            ("aa", 3, None),
            ("baaa", 3, Some(1)),
            ("aaab", 3, None),
            ("ababab", 3, Some(2)),
            ("xabab", 3, None),
            ("abcabcabc", 3, Some(3)),
            ("abcdabcd", 2, Some(4)),
            ("abcdeabcde", 2, None),
            ("aa", 0, Some(1)),
        ] {
            let turns: Vec<Digest> = turns.bytes().map(|byte| Digest::of(&[byte])).collect();
            assert_eq!(period(&turns, times), expected, "{turns:?}");
        }
    }
}
