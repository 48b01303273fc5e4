"""A real Slurm of two nodes on this machine: no root, no munge, no database, free ports, a folder of its own.

Jobs of the partition urgent preempt those of cpu, which get SIGTERM four seconds before they are killed.

Run a command in it (needs slurmctld and slurmd, on Debian from the package slurm-wlm):

    python tests/slurm/cluster.py COMMAND ARGUMENT...

The command finds Slurm through SLURM_CONF; when it ends, the jobs are cancelled and the daemons stopped. Nodes trust
whoever reaches their ports, which listen on this machine: for tests, and for nothing else.
"""

import argparse
import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

NODES = ("n1", "n2")
_PATIENCE_S = 60.0
_DAEMONS = ("slurmctld", "slurmd")
_CONF = """\
ClusterName=loopback
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={controller_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/none
CredType=cred/none
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
SwitchType=switch/none
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/backfill
SchedulerParameters=sched_min_interval=1,batch_sched_delay=1
SlurmdParameters=config_overrides
ReturnToService=2
SlurmctldTimeout=30
SlurmdTimeout=30
KillWait=3
MinJobAge=120
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
{nodes}
PartitionName=cpu Nodes={names} Default=YES MaxTime=INFINITE State=UP PriorityTier=1 GraceTime=4
PartitionName=urgent Nodes={names} MaxTime=INFINITE State=UP PriorityTier=9
"""


def missing() -> str | None:
    """Return what is not installed; None when all is there."""
    absent = [name for name in (*_DAEMONS, "sbatch", "scontrol") if _program(name) is None]
    return f"Slurm is not installed: {', '.join(absent)} (Debian: slurm-wlm)" if absent else None


def _program(name: str) -> str | None:
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def wait_until(condition: Callable[[], object], what: str) -> None:
    """Wait for up to a minute; then raise TimeoutError with what was waited for."""
    deadline_s = time.monotonic() + _PATIENCE_S
    while not condition():
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"{what} expected within {_PATIENCE_S:.0f} s, found none")
        time.sleep(0.2)


def ask(*command: str) -> str:
    """Return the output of a command of Slurm; empty when it fails."""
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


@contextmanager
def cluster(folder: Path, cpus_per_node: int = 4) -> Iterator[Path]:
    """Start Slurm, set SLURM_CONF, and stop it in the end.

    Args:
        folder: for its configuration, state and logs; short, for sockets live in it.
        cpus_per_node: that it believes in.

    Yields:
        The path of slurm.conf.
    """
    conf = _write_conf(folder, cpus_per_node)
    before = os.environ.get("SLURM_CONF")
    os.environ["SLURM_CONF"] = str(conf)
    daemons: list[subprocess.Popen[bytes]] = []
    try:
        daemons.append(_start(folder, "slurmctld"))
        daemons += [_start(folder, "slurmd", "-N", name) for name in NODES]
        wait_until(
            lambda: ask("sinfo", "-h", "-N", "-p", "cpu", "-o", "%T").split() == ["idle"] * len(NODES),
            "idle nodes",
        )
        yield conf
    finally:
        _stop(folder, daemons)
        if before is None:
            del os.environ["SLURM_CONF"]
        else:
            os.environ["SLURM_CONF"] = before


def _write_conf(folder: Path, cpus_per_node: int) -> Path:
    for name in ("state", *(f"spool/{node}" for node in NODES)):
        (folder / name).mkdir(parents=True)
    controller_port, *ports = _free_ports(1 + len(NODES))
    nodes = "\n".join(
        f"NodeName={name} NodeHostname=localhost NodeAddr=127.0.0.1 Port={port} CPUs={cpus_per_node}"
        for name, port in zip(NODES, ports, strict=True)
    )
    conf = folder / "slurm.conf"
    text = _CONF.format(
        folder=folder,
        user=getpass.getuser(),
        controller_port=controller_port,
        nodes=nodes,
        names=",".join(NODES),
    )
    conf.write_text(text)
    return conf


def _free_ports(number: int) -> list[int]:
    sockets = [socket.socket() for _ in range(number)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def _start(folder: Path, name: str, *arguments: str) -> "subprocess.Popen[bytes]":
    program = _program(name)
    assert program is not None
    with open(folder / "daemons.log", "ab") as log:
        return subprocess.Popen([program, "-D", *arguments], stdout=log, stderr=log, start_new_session=True)


def _stop(folder: Path, daemons: "list[subprocess.Popen[bytes]]") -> None:
    ask("scancel", "--user", getpass.getuser(), "--signal=KILL", "--full")
    ask("scancel", "--user", getpass.getuser())
    with suppress(TimeoutError):
        wait_until(lambda: not ask("squeue", "-h"), "end of the jobs")
    for daemon in reversed(daemons):
        daemon.terminate()
    for daemon in daemons:
        try:
            daemon.wait(timeout=15)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()
    for pid in processes("SLURM_CONF", str(folder / "slurm.conf")):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def processes(variable: str, value: str) -> list[int]:
    """Return the processes other than this one and its parents that have a variable in their environment."""
    wanted, found = f"{variable}={value}".encode(), []
    kin = _kin()
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if int(path.name) not in kin and wanted in (path / "environ").read_bytes().split(b"\0"):
                found.append(int(path.name))
    return found


def _kin() -> set[int]:
    found, pid = set[int](), os.getpid()
    while pid > 1:
        found.add(pid)
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return found


def main() -> None:
    """Run a command in a cluster."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", nargs=argparse.REMAINDER, help="what to run, with its arguments")
    args = parser.parse_args()
    if why := missing():
        sys.exit(why)
    with tempfile.TemporaryDirectory(prefix="slurm-") as folder, cluster(Path(folder)):
        status = subprocess.run(args.command, check=False).returncode
    sys.exit(status)


if __name__ == "__main__":
    main()
