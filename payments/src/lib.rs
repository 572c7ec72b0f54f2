//! Governed payments: mandate, policy, plans, the purse, rails and wallets.
