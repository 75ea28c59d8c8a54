"""The commit queue: many requests, one transaction, answers after it. Recovery of the state."""
