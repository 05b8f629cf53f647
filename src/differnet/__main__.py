"""``python -m differnet``: the command line, for where the command itself is not on the path."""

from differnet.cli.main import run

if __name__ == "__main__":
    run()
