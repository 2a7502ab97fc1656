"""Whether a process still runs: told from another with its number, and from one that has ended."""

import os
import socket
import subprocess
import time

from natlab.processes import alive, birth


def test_another_process_with_the_pid_of_a_dead_holder_is_not_it():
    holder = {"host": socket.gethostname(), "pid": os.getpid(), "birth": birth(os.getpid())}
    assert alive(holder, silent=10**6)  # on its own machine a stopped process is alive, however silent
    assert not alive({**holder, "birth": "1"}, silent=0)


def test_a_zombie_is_dead():
    with subprocess.Popen(["sleep", "600"]) as process:
        assert birth(process.pid) is not None
        process.kill()
        while "Z" not in open(f"/proc/{process.pid}/stat").read().rsplit(")", 1)[1].split()[0]:
            time.sleep(0.01)
        assert birth(process.pid) is None
