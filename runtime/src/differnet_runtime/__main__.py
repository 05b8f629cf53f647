"""``python -m differnet_runtime``: the command, for where it is not on the path."""

from differnet_runtime.cli import run

if __name__ == "__main__":
    run()
