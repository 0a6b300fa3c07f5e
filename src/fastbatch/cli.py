"""The ``fastbatch`` command."""

import argparse
from collections.abc import Callable, Sequence

import fastbatch


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that `argv` (default: the process's arguments) asks for.

    Returns
    -------
    int
        The exit status. Bad arguments end in `SystemExit` with status 2, as argparse does it.
    """
    arguments = _parser().parse_args(argv)
    # Imported here, so that --version and --help need not wait for it.
    from fastbatch.demo import run

    try:
        run(epochs=arguments.epochs, batch_size=arguments.batch_size, seed=arguments.seed)
    except KeyboardInterrupt:
        return 130  # what a shell reports for Ctrl-C
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fastbatch", description="Mini-batches from arrays you already have, as fast as memory allows."
    )
    parser.add_argument("--version", action="version", version=f"fastbatch {fastbatch.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    demo = commands.add_parser(
        "demo",
        help="train on real handwritten digits and measure batches per second",
        description="Train a small network on real handwritten digits, with shuffled and with class-balanced batches, "
        "then measure this machine's batches per second. Takes some seconds.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    demo.add_argument(
        "--epochs", type=_integer_from(1), default=20, metavar="N", help="passes over the training images"
    )
    demo.add_argument("--batch-size", type=_integer_from(1), default=32, metavar="N", help="images in a batch")
    demo.add_argument(
        "--seed", type=_integer_from(0), default=0, metavar="N", help="decides split, first weights and order"
    )
    return parser


def _integer_from(minimum: int) -> Callable[[str], int]:
    """Return an argparse type for the integers from `minimum` on."""

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"must be an integer, got {text!r}") from None
        if value < minimum:
            raise argparse.ArgumentTypeError(f"must be at least {minimum}, got {value}")
        return value

    return parse
