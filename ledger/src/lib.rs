//! Budgets with two-phase holds and a tamper-evident journal, in one transaction, in memory or SQLite.
