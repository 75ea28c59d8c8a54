"""Where meterbell keeps what it acknowledged: the log, what it caused, and control objects."""
