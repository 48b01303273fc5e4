"""Compare scored classifiers pairwise on the same recordings: is the difference more than chance?

  fairseq-ext score comparison --run RUN --partition unseen_speakers/ --systems mfcc_logistic whisper_logistic
Every system is compared with the first: difference of macro recall (UAR) with its 95 % interval and probability by a
bootstrap over speakers, and McNemar's test over recordings. A partition that ends in / is all folds of a family
together. Prints a table, and writes RUN/comparison/<partition>.json, which the report shows.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..scoring.comparison import Comparison

SUMMARY = "Compare classifiers on the same recordings"
HEADER = (
    "System",
    "UAR %",
    "Difference, points",
    "95 % interval",
    "p (bootstrap)",
    "Only it / only the first right",
    "p (McNemar)",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--run", type=Path, required=True, help="run folder")
    parser.add_argument(
        "--partition", required=True, help="partition, or family of folds such as unseen_speakers/"
    )
    parser.add_argument(
        "--systems", nargs="+", required=True, help="two or more; the first is what others face"
    )
    parser.add_argument("--seed", type=int, default=1, help="seed of the systems (default: 1)")


def run(args: argparse.Namespace) -> int:
    """Compare, print the table and write it."""
    if len(set(args.systems)) < 2 or len(set(args.systems)) < len(args.systems):
        raise argparse.ArgumentError(None, "--systems: two different systems or more expected, each once")
    from ..scoring.comparison import compare, read_system
    from ..scoring.scored_system import write_json

    first, *others = (read_system(args.run, args.partition, name, args.seed) for name in args.systems)
    found = {name: compare(first, other) for name, other in zip(args.systems[1:], others, strict=True)}
    table = _table(args.systems[0], args.partition, found)
    for row in (table["header"], *table["rows"]):
        print("\t".join(row))
    path = args.run / "comparison" / f"{args.partition.strip('/').replace('/', '-')}.json"
    write_json(path, table)
    print(path)
    return 0


def _table(first: str, partition: str, found: "dict[str, Comparison]") -> dict[str, Any]:
    one = next(iter(found.values()))
    rows = [[first, f"{100 * one.macro_recall[0]:.1f}", *["–"] * (len(HEADER) - 2)]]
    rows += [_row(name, comparison) for name, comparison in found.items()]
    note = (
        f"Against {first}, on the same {one.n} recordings. The bootstrap resamples {one.over}; McNemar's test takes "
        "recordings for independent. No correction for several comparisons."
    )
    return {"title": f"Differences on {partition}", "header": list(HEADER), "rows": rows, "note": note}


def _row(name: str, found: "Comparison") -> list[str]:
    difference = found.difference
    return [
        name,
        f"{100 * found.macro_recall[1]:.1f}",
        f"{100 * difference.value:+.1f}",
        f"[{100 * difference.low:+.1f}, {100 * difference.high:+.1f}]",
        f"{found.p_bootstrap:.2g}",
        f"{found.only_second} / {found.only_first}",
        f"{found.p_mcnemar:.2g}",
    ]
