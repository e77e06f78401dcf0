"""A real Slurm of one node on this machine, for tests: no systemd, no cgroups, nothing outside one folder.

Usage: ``python tests/support/slurm_node.py FOLDER`` starts it, prints the variable that makes sbatch, squeue and the others
talk to it, and ends it at Ctrl-C or SIGTERM. It needs Debian's ``slurm-wlm`` and ``munge``, and runs as root or as any user
(who can then submit, alone).
"""

from __future__ import annotations

import getpass
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol", "scancel")
CPUS = 2  # whatever the machine has
_SECONDS = 300.0  # to come up; it takes one or two where nothing else runs

# Jobs are tracked by their process tree. Those of the partition `urgent` preempt those of `main`.
_CONFIGURATION = """
ClusterName=ltbench
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/builtin
SchedulerParameters=batch_sched_delay=0,sched_min_interval=0
ReturnToService=2
KillWait=60
BatchStartTimeout=600
MessageTimeout=100
MinJobAge=60
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmdParameters=config_overrides
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES PriorityTier=1 GraceTime=600 State=UP
PartitionName=urgent Nodes=ALL PriorityTier=2 State=UP
"""


def missing() -> list[str]:
    """Return the programs that are not there."""
    return [name for name in PROGRAMS if _find(name) is None]


@contextmanager
def slurm_node(folder: Path) -> Iterator[dict[str, str]]:
    """Run Slurm, and yield the environment in which its commands find it.

    Args:
        folder: For configuration, key, state and logs; made if it does not exist. A socket in it must have a name of at most 107
            bytes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("state", "spool"):
        (folder / name).mkdir(exist_ok=True)
    key = folder / "munge.key"
    key.write_bytes(secrets.token_bytes(128))
    key.chmod(0o600)
    conf = folder / "slurm.conf"
    conf.write_text(_CONFIGURATION.format(host=socket.gethostname().partition(".")[0], ports=_free_ports(2),
                                          user=getpass.getuser(), folder=folder, cpus=CPUS))
    environment = {**os.environ, "SLURM_CONF": str(conf)}
    commands = [["munged", "--foreground", "--force", f"--socket={folder}/munge.socket", f"--key-file={key}",
                 f"--pid-file={folder}/munged.pid", f"--log-file={folder}/munged.log", f"--seed-file={folder}/munge.seed"],
                ["slurmctld", "-D", "-i"], ["slurmd", "-D"]]
    daemons: list[subprocess.Popen[bytes]] = []
    try:
        for name, *arguments in commands:
            with (folder / f"{name}.out").open("wb") as out:
                daemons.append(subprocess.Popen([str(_find(name)), *arguments], env=environment, stdout=out, stderr=out))
            if name == "munged":
                _until(lambda: (folder / "munge.socket").exists(), folder)
        _until(lambda: _state(environment) == "idle", folder)
        yield environment
    finally:
        subprocess.run(["scancel", "--user", getpass.getuser()], env=environment, capture_output=True)
        for daemon in reversed(daemons):
            daemon.send_signal(signal.SIGTERM)
        for daemon in daemons:
            try:
                daemon.wait(15)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()


def _find(name: str) -> str | None:
    """Look where a user looks, and where root does."""
    return shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")


def _free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def _state(environment: Mapping[str, str]) -> str:
    asked = subprocess.run(["sinfo", "--noheader", "--format=%t"], env=dict(environment), capture_output=True, text=True)
    return asked.stdout.strip()


def _until(there: Callable[[], bool], folder: Path) -> None:
    deadline = time.monotonic() + _SECONDS
    while not there():
        if time.monotonic() > deadline:
            raise RuntimeError(f"Slurm does not come up; its logs are in {folder}")
        time.sleep(0.1)


if __name__ == "__main__":
    with slurm_node(Path(sys.argv[1]).absolute()) as found:
        print(f"export SLURM_CONF={found['SLURM_CONF']}", flush=True)
        ends = {signal.SIGINT, signal.SIGTERM}
        signal.pthread_sigmask(signal.SIG_BLOCK, ends)
        signal.sigwait(ends)
