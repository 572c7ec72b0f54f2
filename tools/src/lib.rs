//! Tools for research agents that may pay: search, quotes, plans, fetch, recall, finish.
