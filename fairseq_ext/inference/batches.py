"""Batches of pieces of similar lengths, which hold little padding."""

from collections.abc import Iterator, Sequence


def batches_by_length(sizes: Sequence[int], limit: int) -> Iterator[list[int]]:
    """Yield the positions of pieces of similar lengths, the shortest first.

    Args:
        sizes: length of each piece.
        limit: most of a batch, its padding included; a longer piece is a batch of its own.
    """
    batch: list[int] = []
    for i in sorted(range(len(sizes)), key=lambda i: sizes[i]):
        if batch and (len(batch) + 1) * sizes[i] > limit:
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch
