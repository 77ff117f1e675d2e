"""`python -m bertx`."""

from bertx.cli.main import main

if __name__ == "__main__":
    main()
