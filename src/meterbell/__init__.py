"""meterbell: self-hosted usage metering and usage alerts, wire-compatible with Stripe Billing."""

__version__ = "0.1.0"
