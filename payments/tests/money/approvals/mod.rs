//! Approvals: asked, answered with a signature, used once, and attacked.

mod call;
mod forged;
mod payment;
mod plan;

use crate::world::World;
use bursar_payments::{
    Answer, ApproverKey, Mandate, OpenApproval, Payments, PaymentsParts, PlanApproval, Policy, PolicyFile,
    Question, SessionPurse, SignedAnswer, Statement,
};
use bursar_types::Timestamp;
use std::sync::Arc;

/// Asks about every payment above half of what a document costs.
const REVIEW: &str = r#"
    @id("mine.review")
    @escalate("may this be paid?")
    @reason("REVIEW: payments above 500 micro-USD are put to a person")
    @advice("wait for the answer")
    forbid (principal, action == Action::"pay", resource) when { context.micro_usd > 500 };
"#;

fn ada() -> ApproverKey {
    ApproverKey::from_secret(&[1; 32])
}

pub(crate) fn key() -> bursar_payments::PublicKey {
    mallory().public()
}

fn mallory() -> ApproverKey {
    ApproverKey::from_secret(&[66; 32])
}

/// A mandate that asks about every plan, and pins ada.
pub(crate) fn asking(world: &World) -> Mandate {
    world.mandate().approval(PlanApproval::Ask).approver("ada", ada().public())
}

/// Another process over the same file, under the shipped rules and this one.
fn under(world: &World, seed: u64, rule: &str) -> Payments {
    let file = PolicyFile { name: "mine.cedar".to_owned(), text: rule.to_owned(), shadow: false };
    let policy = Arc::new(Policy::load(&[file]).unwrap());
    Payments::new(PaymentsParts { policy, ..world.parts(seed) })
}

/// A session that asks about each payment: what it buys is in the mandate.
async fn reviewing(world: &World, payments: &Payments) -> Arc<SessionPurse> {
    let mandate = world.mandate().metered(world.metered("/documents/*")).approver("ada", ada().public());
    payments.open_session(mandate, Default::default()).await.unwrap()
}

/// The one question that waits.
async fn waiting(payments: &Payments) -> OpenApproval {
    let mut open = payments.approvals().await.unwrap();
    assert_eq!(open.len(), 1, "{open:#?}");
    open.remove(0)
}

fn signed(question: &Question, answer: Answer, at: Timestamp, key: &ApproverKey) -> SignedAnswer {
    Statement::on(question, answer, at, None).unwrap().sign(key).unwrap()
}

/// Ada answers the one question that waits, from a process of her own.
pub(crate) async fn answers(world: &World, seed: u64, answer: Answer) -> SignedAnswer {
    let desk = world.reopened(seed);
    let said = signed(&waiting(&desk).await.question, answer, world.now(), &ada());
    desk.answer_approval(&said).await.unwrap();
    said
}
