"""``python -m fastbatch``: the command line of `fastbatch.cli`."""

from fastbatch.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
