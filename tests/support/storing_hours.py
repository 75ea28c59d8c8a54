"""`meterbell`, but with every closed hour put into the store at the next checkpoint."""

from meterbell.cli.main import main
from meterbell.ledger import checkpoints

if __name__ == "__main__":
    checkpoints.HOURS_MAX = 1
    main()
