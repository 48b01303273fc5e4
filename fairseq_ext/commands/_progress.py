"""A progress bar for work that reports how much is done of how much."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def progress_bar(**options: Any) -> Iterator[Callable[[int, int | None], None]]:
    """Show a progress bar with options of tqdm, such as `unit` and `desc`.

    Yields a function to call with what is done and with the total; None = not known.
    """
    from tqdm import tqdm

    with tqdm(**options) as bar:

        def show(done: int, total: int | None) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield show
