"""Python programs that need not import fairseq: each runs in a fork of a process that has done so.

Importing fairseq takes 5 to 10 s of a core, longer than most programs that the tests start. A program here has its own
process, arguments, environment, working directory, output and exit status, and can be killed; but fairseq and the
plugin of this checkout are there already, and what Python reads at its start (PYTHONPATH, PYTHONHASHSEED) has no
effect. A test of the import itself takes `subprocess`.

Run as a script this is the process that forks: it reads requests, a line of JSON each, from the socket it is given.
"""

import gc
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

PLUGIN = Path(__file__).resolve().parents[1] / "fairseq_ext"


class Forked:
    """A program that was started; as far as it goes, a `subprocess.Popen`."""

    def __init__(self, preloaded: "Preloaded", pid: int) -> None:
        self._preloaded = preloaded
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Exit status, negative for a signal; None while it runs."""
        if self.returncode is None:
            self.returncode = self._preloaded.ask({"poll": self.pid})
        return self.returncode

    def wait(self, timeout_s: float = 300.0) -> int:
        """Exit status; what takes too long is killed, and raises TimeoutError."""
        deadline_s = time.monotonic() + timeout_s
        while (status := self.poll()) is None:
            if time.monotonic() > deadline_s:
                self.kill()
                raise TimeoutError(f"process {self.pid}: still running after {timeout_s} s")
            time.sleep(0.01)
        return status

    def kill(self) -> None:
        """Send SIGKILL, unless the program has ended."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)


class Preloaded:
    """The process that forks, and what it is asked."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, __file__, str(theirs.fileno())]
            self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
        self._answers = self._socket.makefile(encoding="utf-8")

    def start(
        self,
        command: Sequence[str | Path],
        out: Path,
        err: Path,
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Forked:
        """Start a program.

        Args:
            command: a Python file and its arguments.
            out: file for what it prints.
            err: file for its errors; may be the same.
            cwd: its working directory; that of this process if none is given.
            env: all of its environment; that of this process if none is given.
        """
        request = {"command": list(map(str, command)), "streams": [str(out), str(err)]}
        pid = self.ask({**request, "cwd": str(cwd or Path.cwd()), "env": dict(env or os.environ)})
        assert pid is not None
        return Forked(self, pid)

    def run(
        self,
        command: Sequence[str | Path],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        check: bool = False,
    ) -> "subprocess.CompletedProcess[str]":
        """Run a program to its end and capture its output; with `check`, raise as `subprocess.run` does."""
        with tempfile.TemporaryDirectory() as folder:
            streams = [Path(folder, name) for name in ("stdout", "stderr")]
            status = self.start(command, *streams, cwd=cwd, env=env).wait()
            said = [stream.read_text(encoding="utf-8") for stream in streams]
        done = subprocess.CompletedProcess(list(map(str, command)), status, *said)
        if check:
            done.check_returncode()
        return done

    def ask(self, request: dict[str, Any]) -> int | None:
        """Return the answer to a request."""
        self._socket.sendall(json.dumps(request).encode() + b"\n")
        answer = self._answers.readline()
        assert answer, "the process that forks has ended; what it said is on standard error"
        found: int | None = json.loads(answer)
        return found

    def close(self) -> None:
        """End the process; programs that still run go on."""
        self._answers.close()
        self._socket.close()
        self._process.wait()


def serve(connection: socket.socket) -> None:
    """Answer requests until the other side hangs up; in a fork, run its program and returns."""
    del sys.path[0]  # the folder of this file
    import_fairseq()
    gc.freeze()
    for line in connection.makefile(encoding="utf-8"):
        request = json.loads(line)
        if "poll" in request:
            pid, status = os.waitpid(request["poll"], os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if pid else None
        else:
            answer = os.fork()
            if answer == 0:
                os.close(connection.detach())
                become(**request)
                return
        connection.sendall(json.dumps(answer).encode() + b"\n")


def import_fairseq() -> None:
    """Import fairseq, and the plugin as fairseq does so that it counts as registered."""
    import argparse
    import warnings

    with warnings.catch_warnings(action="ignore"):  # of fairseq about Hydra's and its own future
        import fairseq_cli.hydra_train  # noqa: F401
        from fairseq.utils import import_user_module

        import_user_module(argparse.Namespace(user_dir=str(PLUGIN)))


def become(command: list[str], streams: list[str], cwd: str, env: dict[str, str]) -> None:
    """Run a program in this process, to its end."""
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    for number, path in enumerate(streams, start=1):
        descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_APPEND, 0o644)
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.argv = command
    sys.path.insert(0, str(Path(command[0]).parent))
    runpy.run_path(command[0], run_name="__main__")


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
