"""`python -m meterbell` is the same as the `meterbell` command."""

from meterbell.cli.main import main

if __name__ == "__main__":
    main()
