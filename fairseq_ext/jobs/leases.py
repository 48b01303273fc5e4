"""Leases: which worker has which chunk. A file per claim, created exclusively, kept fresh by a thread of its holder.

FOLDER/work-TOKEN/leases/CHUNK.GENERATION names its holder. A lease is stale when its holder died (seen at once
on the same machine) or has not touched it for `lease_s`; it is taken over by creating the next generation, which
exactly one process can do. The holder of an older generation, woken or requeued, notices at its next heartbeat
and gives up; if that is too late, its commit finds that of the other in place. So leases avoid double work, but
correctness does not depend on them.

Times are those of the file server: the age of a lease is its difference to a file touched just now, never to the clock
of this machine. Leases are opened before their age is read, which makes NFS ask the server again (close-to-open
consistency).
"""

import os
import secrets
import threading
import time
from collections.abc import Set
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..file_errors import explain
from ..leftovers import machine, state_and_start
from .journal import StorageError

_HEARTBEATS_PER_LEASE = 6  # a lease outlives five beats that fail or come late


class LeaseLost(Exception):
    """Another worker has taken this chunk over."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Identity of a process, unique among all that ever ran; `token` is that of one claim.

    `machine` is boot id and process namespace, empty where unknown; `started` counts clock ticks of that machine.
    """

    machine: str
    pid: int
    started: str
    token: str

    def text(self) -> str:
        """Return the content of a lease."""
        return "\n".join([self.machine, str(self.pid), self.started, self.token])


def this_process() -> Holder:
    """Return the identity of this process, with a new token."""
    return Holder(machine(), os.getpid(), state_and_start(os.getpid())[1], secrets.token_hex(6))


def is_dead(text: str) -> bool:
    """Return whether the holder that a lease names was a process of this machine that has ended; False if unknown."""
    where, _, rest = text.partition("\n")
    pid, _, rest = rest.partition("\n")
    started, separator, _ = rest.partition("\n")
    if not separator or not where or where != machine() or not pid.isdigit():
        return False
    state, now_started = state_and_start(int(pid))
    return state in {"", "Z", "X"} or now_started != started


class Lease:
    """A lease on a chunk, kept fresh by this process until released or lost; it expires at an age of `lease_s`."""

    def __init__(self, path: Path, holder: Holder, lease_s: float) -> None:
        self._path, self._holder, self._lease_s = path, holder, lease_s
        self._released = threading.Event()
        self._beaten_s = time.monotonic()
        self._lost = False
        self._thread = threading.Thread(target=self._keep_fresh, daemon=True)
        self._thread.start()

    def _keep_fresh(self) -> None:
        while not self._released.wait(self._lease_s / _HEARTBEATS_PER_LEASE) and not self._lost:
            try:
                self._beat()
            except OSError:  # the server is away; `check` raises if it stays away
                continue

    def _beat(self) -> None:
        try:
            mine = self._path.read_text() == self._holder.text() and not _next(self._path).exists()
            if mine:
                os.utime(self._path)  # without a time: the server puts its own
        except FileNotFoundError:
            mine = False
        self._lost = not mine
        self._beaten_s = time.monotonic()

    def check(self) -> None:
        """Check that this process still has the chunk; reads the disk only when that may have changed.

        Raises:
            LeaseLost: when another worker has taken it over.
            StorageError: when the disk cannot be read.
        """
        # A process that was frozen wakes with an old beat.
        if time.monotonic() - self._beaten_s > self._lease_s / 2:
            self.confirm()
        if self._lost:
            raise LeaseLost(str(self._path))

    def confirm(self) -> None:
        """Check on the disk that this process still has the chunk.

        Raises:
            LeaseLost: when another worker has taken it over.
            StorageError: when the disk cannot be read.
        """
        try:
            self._beat()
        except OSError as error:
            raise StorageError(explain(error, self._path)) from error
        if self._lost:
            raise LeaseLost(str(self._path))

    def release(self) -> None:
        """Release the chunk."""
        self._released.set()
        self._thread.join()
        with suppress(LeaseLost, StorageError):
            self.confirm()  # without it, this might remove the lease of another worker
            self._remove()

    def _remove(self) -> None:
        generation = int(self._path.suffix[1:])
        for older in range(generation, -1, -1):
            self._path.with_suffix(f".{older}").unlink(missing_ok=True)


def _next(path: Path) -> Path:
    return path.with_suffix(f".{int(path.suffix[1:]) + 1}")


class Leases:
    """The leases in the work folder of a plan when this object was created; they expire at an age of `lease_s`."""

    def __init__(self, work: Path, lease_s: float) -> None:
        self._folder, self._lease_s = work / "leases", lease_s
        self._newest: dict[int, int] = {}
        self._server_ahead_s: float | None = None
        for name in os.listdir(self._folder):
            chunk, _, generation = name.partition(".")
            if chunk:
                self._newest[int(chunk)] = max(int(generation), self._newest.get(int(chunk), -1))

    @property
    def chunks(self) -> Set[int]:
        """Chunks with a lease, fresh or stale."""
        return self._newest.keys()

    def held(self) -> set[int]:
        """Return the chunks whose lease is fresh."""
        newest = self._newest.items()
        return {chunk for chunk, number in newest if not self._is_stale(self._path(chunk, number))}

    def claim(self, chunk: int) -> Lease | None:
        """Lease a chunk that is free or whose lease is stale; None when another worker has it."""
        newest = self._newest.get(chunk)
        if newest is not None and not self._is_stale(self._path(chunk, newest)):
            return None
        path = self._path(chunk, 0 if newest is None else newest + 1)
        holder = this_process()
        try:
            with open(path, "x") as file:
                file.write(holder.text())
        except FileExistsError:
            return None
        return Lease(path, holder, self._lease_s)

    def _path(self, chunk: int, generation: int) -> Path:
        return self._folder / f"{chunk:07d}.{generation}"

    def _is_stale(self, path: Path) -> bool:
        try:
            with open(path) as file:
                text, touched_s = file.read(), os.fstat(file.fileno()).st_mtime
        except FileNotFoundError:
            return False  # released just now: free at the next poll
        return is_dead(text) or self._server_time_s() - touched_s > self._lease_s

    def _server_time_s(self) -> float:
        if self._server_ahead_s is None:
            path = self._folder / f".{secrets.token_hex(6)}"
            try:
                with open(path, "x") as file:
                    self._server_ahead_s = os.fstat(file.fileno()).st_mtime - time.monotonic()
            finally:
                path.unlink(missing_ok=True)
        return time.monotonic() + self._server_ahead_s
