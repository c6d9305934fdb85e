"""`python -m imagegen.cli` is the same as `imagegen`."""

from imagegen.cli import main

main()
