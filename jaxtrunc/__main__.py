"""`python -m jaxtrunc` is the program `jaxtrunc`."""

from jaxtrunc.cli import main

if __name__ == "__main__":
    main()
