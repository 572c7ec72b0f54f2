//! A ledger that is slow in one place, and cannot read another.

use super::*;
use bursar_proof::{Hash, Node};

#[derive(Debug)]
struct Odd {
    inner: Ledger,
    unreadable: Mutex<Option<StreamId>>,
    slow_link: Mutex<Option<String>>,
    reached: Notify,
    go: Notify,
}

impl Odd {
    fn over(inner: Ledger) -> Arc<Self> {
        Arc::new(Self {
            inner,
            unreadable: Mutex::default(),
            slow_link: Mutex::default(),
            reached: Notify::new(),
            go: Notify::new(),
        })
    }
}

#[async_trait]
impl Store for Odd {
    fn id(&self) -> LedgerId {
        self.inner.id()
    }

    fn entropy(&self) -> &dyn Entropy {
        self.inner.entropy()
    }

    async fn commit(&self, transaction: Transaction) -> Result<Committed, CommitError> {
        self.inner.commit(transaction).await
    }

    async fn stream(&self, stream: &StreamId, from: u64) -> Result<Vec<Entry>, StoreError> {
        if self.unreadable.lock().unwrap().as_ref() == Some(stream) {
            return Err(StoreError::Io("a page of the file is damaged".into()));
        }
        self.inner.stream(stream, from).await
    }

    async fn entries(&self, from: u64, limit: u32) -> Result<Vec<Entry>, StoreError> {
        self.inner.entries(from, limit).await
    }

    async fn streams(&self, prefix: &str) -> Result<Vec<(StreamId, u64)>, StoreError> {
        self.inner.streams(prefix).await
    }

    async fn budget(&self, id: BudgetId) -> Result<Option<BudgetState>, StoreError> {
        self.inner.budget(id).await
    }

    async fn hold(&self, id: HoldId) -> Result<Option<HoldState>, StoreError> {
        self.inner.hold(id).await
    }

    async fn link(&self, key: &str) -> Result<Option<String>, StoreError> {
        let here = {
            let mut slow = self.slow_link.lock().unwrap();
            let here = slow.as_ref().is_some_and(|prefix| key.starts_with(prefix.as_str()));
            if here {
                *slow = None;
            }
            here
        };
        if here {
            self.reached.notify_one();
            self.go.notified().await;
        }
        self.inner.link(key).await
    }

    async fn links(&self, prefix: &str) -> Result<Vec<(String, String)>, StoreError> {
        self.inner.links(prefix).await
    }

    async fn sealed(&self, commitment: Commitment) -> Result<Option<Payload>, StoreError> {
        self.inner.sealed(commitment).await
    }

    async fn payload(&self, commitment: Commitment) -> Result<Option<Bytes>, StoreError> {
        self.inner.payload(commitment).await
    }

    async fn head(&self) -> Result<TreeHead, StoreError> {
        self.inner.head().await
    }

    async fn nodes(&self, nodes: &[Node]) -> Result<Vec<Option<Hash>>, StoreError> {
        self.inner.nodes(nodes).await
    }

    async fn verify(&self) -> Result<Verification, StoreError> {
        self.inner.verify().await
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.inner.close().await
    }
}

fn odd_process(world: &World, seed: u64) -> (Payments, Arc<Odd>) {
    let mut parts = world.parts(seed);
    let odd = Odd::over(parts.ledger);
    parts.ledger = Ledger::new(odd.clone());
    (Payments::new(parts), odd)
}

#[tokio::test]
async fn money_that_a_person_dismissed_does_not_come_back_as_a_stray_that_nobody_can_place() {
    let (world, _purse, _id) = owed(RefundRule::Foreign { from: None }).await;
    run_out(&world);
    for _ in 0..2 {
        world.payments.recover().await.unwrap();
        world.market.chain().mine();
    }
    let event = world.payments.strays().await.unwrap().remove(0).transfer.event;
    // Recovery in another process looks at it anew, and is slow, while the person decides.
    let (other, odd) = odd_process(&world, 3);
    *odd.slow_link.lock().unwrap() = Some("stray/".to_owned());
    let pass = tokio::spawn(async move { other.recover().await });
    odd.reached.notified().await;
    world.payments.dismiss_stray(&event, "Ada", "a gift").await.unwrap();
    odd.go.notify_one();
    pass.await.unwrap().unwrap();
    let left = world.payments.strays().await.unwrap();
    let again = world.payments.dismiss_stray(&event, "Ada", "a gift").await;
    assert!(left.is_empty(), "it is listed again, and dismissing it says: {again:?}");
}

#[tokio::test]
async fn one_payment_that_cannot_be_read_does_not_hide_the_refunds_of_all_others() {
    let (world, purse, bad) = owed(RefundRule::None).await;
    let good = undelivered(&world, &purse, "beta").await;
    run_out(&world);
    let (other, odd) = odd_process(&world, 3);
    send_back(&world, 1_000);
    // The exact amount goes to the oldest that can be read; which one that is does not matter here.
    *odd.unreadable.lock().unwrap() = Some(StreamId::of("payment", bad));
    let found = other.recover().await;
    assert!(found.is_ok(), "no refund of any payment is seen any more: {found:?}");
    assert_eq!(standing(&world, good).await.obligation.refunded(), Some(1_000));
    assert!(other.obligations().await.is_ok(), "what is owed cannot even be listed");
}
