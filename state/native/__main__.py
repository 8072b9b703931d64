"""`python -m state.native`: compile the library where there is a compiler, and say whether it is used."""

import sys

from state.native.building import build

if __name__ == "__main__":
    sys.stdout.write(f"{build()}\n")
    sys.exit(0)
