"""Sizes of a partition and the balance of its classes, for people to read."""

from ..splits import Key
from .partitions import Partition


def describe(partition: Partition, sample_rate_hz: int) -> list[str]:
    """Describe a partition in lines of text; its `num_samples` count at `sample_rate_hz`.

    A line of sizes; with one stream of classes also a line per class; with several a line per stream, that says for how
    many utterances the class is known. What is in one side alone, such as a whole corpus, has that only.
    """
    sizes = []
    filled = {side: members for side, members in partition.sides.items() if members}
    for side, members in (filled if len(filled) == 1 else partition.sides).items():
        hours = sum(u.num_samples for u in members) / sample_rate_hz / 3600
        sizes.append(
            f"{side} {len(members)} clips {hours:.2f} h {len({u.speaker for u in members})} speakers"
        )
    lines = [f"{partition.name:13} {', '.join(sizes)}"]
    if len(partition.labels) == 1:
        for symbol, counts in balance(partition).items():
            cells = (
                f"{side} {clips} clips {speakers} speakers" for side, (clips, speakers) in counts.items()
            )
            lines.append(f"  {symbol:17} {', '.join(cells)}")
    elif partition.labels.keys() == partition.dictionaries.keys():
        lines += [f"  {stream:17} {_known(partition, label)}" for stream, label in partition.labels.items()]
    return lines


def _known(partition: Partition, label: Key) -> str:
    return ", ".join(
        f"{side} {sum(bool(label(u)) for u in members)} of {len(members)} clips"
        for side, members in partition.sides.items()
    )


def balance(partition: Partition) -> dict[str, dict[str, tuple[int, int]]]:
    """Return class -> side -> (utterances, speakers) of a partition with one stream of classes, such as `accent`."""
    ((stream, label),) = partition.labels.items()
    table: dict[str, dict[str, tuple[int, int]]] = {}
    for symbol in partition.dictionaries[stream]:
        sides = {
            side: [u for u in members if label(u) == symbol] for side, members in partition.sides.items()
        }
        table[symbol] = {side: (len(found), len({u.speaker for u in found})) for side, found in sides.items()}
    return table
