"""`python -m rmactors` is `rmactors`."""

from rmactors.cli.main import main

main()
