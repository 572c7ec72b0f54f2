//! From the lines a caller names to the debits of every budget.

use super::{BudgetRow, Draft, Stop};
use crate::account::Line;
use crate::refusal::Refusal;
use bursar_types::{Amount, BudgetId, HoldId};

/// The longest chain of parents.
pub(super) const ANCESTORS_MAX: usize = 16;

/// One budget on the way up from the lines.
struct Node {
    id: BudgetId,
    depth: usize,
    parent: Option<BudgetId>,
    named: u128,
    from_children: u128,
}

/// Adds the ancestors' debits to the lines.
///
/// A budget's debit is what the lines name for it, or the sum of its children's debits if that is more: an ancestor that
/// is named beside its child is debited once, and children with a common ancestor add up in it.
pub(super) fn expand(draft: &Draft<'_>, hold: HoldId, lines: &[Line]) -> Result<Vec<Line>, Stop> {
    let mut nodes: Vec<Node> = Vec::with_capacity(lines.len());
    for line in lines {
        let row = known(draft, line.budget)?;
        if row.budget.limit.asset() != line.amount.asset() {
            return Err(Refusal::WrongUnit(line.budget).into());
        }
        if nodes.iter().any(|node| node.id == line.budget) {
            return Err(Refusal::BadLines(hold).into());
        }
        let named = line.amount.atomic();
        nodes.push(Node { id: line.budget, depth: 0, parent: row.budget.parent, named, from_children: 0 });
    }
    if nodes.iter().all(|node| node.parent.is_none()) {
        return Ok(lines.to_vec());
    }
    add_ancestors(draft, &mut nodes)?;
    let mut order: Vec<(usize, BudgetId)> = nodes.iter().map(|node| (node.depth, node.id)).collect();
    order.sort_by(|a, b| b.cmp(a));
    for (_, id) in order {
        let Some(node) = nodes.iter().find(|node| node.id == id) else { continue };
        let (debit, parent) = (node.named.max(node.from_children), node.parent);
        let above = nodes.iter_mut().find(|node| Some(node.id) == parent);
        if let Some(above) = above {
            above.from_children = above.from_children.checked_add(debit).ok_or(Refusal::OutOfRange)?;
        }
    }
    let debit = |node: &Node| -> Result<Line, Stop> {
        let asset = known(draft, node.id)?.budget.limit.asset().clone();
        let amount = Amount::from_atomic(asset, node.named.max(node.from_children));
        Ok(Line { budget: node.id, amount })
    };
    nodes.iter().map(debit).collect()
}

/// Appends every ancestor once and sets each node's depth below its root.
fn add_ancestors(draft: &Draft<'_>, nodes: &mut Vec<Node>) -> Result<(), Stop> {
    let mut next = 0;
    while let Some(node) = nodes.get(next) {
        let (id, parent) = (node.id, node.parent);
        let mut depth: usize = 0;
        let mut above = parent;
        while let Some(ancestor) = above {
            depth = depth.checked_add(1).filter(|d| *d <= ANCESTORS_MAX).ok_or(Refusal::BadBudget(id))?;
            above = known(draft, ancestor)?.budget.parent;
        }
        if let Some(node) = nodes.get_mut(next) {
            node.depth = depth;
        }
        if let Some(parent) = parent.filter(|parent| nodes.iter().all(|node| node.id != *parent)) {
            let row = known(draft, parent)?;
            let parent_of = row.budget.parent;
            nodes.push(Node { id: parent, depth: 0, parent: parent_of, named: 0, from_children: 0 });
        }
        next = next.saturating_add(1);
    }
    Ok(())
}

pub(super) fn known<'a>(draft: &'a Draft<'_>, id: BudgetId) -> Result<&'a BudgetRow, Stop> {
    Ok(draft.budget(id)?.ok_or(Refusal::UnknownBudget(id))?)
}

/// Whether two lists debit every budget the same; a line of zero is no line.
pub(super) fn same_debits(left: &[Line], right: &[Line]) -> bool {
    let covers = |a: &[Line], b: &[Line]| a.iter().all(|line| line.amount.is_zero() || b.contains(line));
    covers(left, right) && covers(right, left)
}
