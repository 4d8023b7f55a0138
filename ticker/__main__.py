"""`python -m ticker`: the same as the command `ticker`."""

from ticker.commands.cli import main

if __name__ == "__main__":
    main()
