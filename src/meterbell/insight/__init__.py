"""What usage says to people: progress towards thresholds, why an alert fired, what one would do."""
