"""`python -m goldenthread` is the same as `goldenthread`."""

from goldenthread.cli import main

main()
