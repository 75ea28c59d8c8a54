"""`meterbell`, but the Stripe CLI begins a new connection every two seconds."""

from meterbell.api.v1 import stripecli
from meterbell.cli.main import main

if __name__ == "__main__":
    stripecli.RECONNECT_SECONDS = 2
    main()
