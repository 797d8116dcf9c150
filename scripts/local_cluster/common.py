"""What all parts of the local cluster share: names and limits, how it says what it does, and what may go wrong."""

import contextlib
import json
import os
import shlex
import signal
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
# The program, as people call it.
PROGRAM = Path(__file__).absolute().parent.parent / "cluster.py"
HOST = "127.0.0.1"
PORT_BASE = 7800
# Where the ports of each kind begin, above the base.
OFFSETS = {
    "redis": 0, "nats": 1, "gateway": 11, "health": 21, "presence": 31, "subscription": 41, "notifier": 51,
    "gateway-ops": 61, "presence-ops": 66, "subscription-ops": 71, "notifier-ops": 76,
}
MOST_INSTANCES = 5
# What starts together, from the back to the front; it stops the other way round.
STAGES = [["redis", "nats"], ["notifier", "subscription", "presence"], ["gateway"]]
ENGINES = STAGES[0]
# Users of the bus, as deploy/nats/users.conf names them, and the one of the store.
BUS_USERS = ["gateway", "presence", "subscription", "notifier", "node", "tap"]
STORE_USER = "rollcall"
# Where the certificates lie by which the processes know each other, in the folder of the cluster.
CERTS = "secrets/certs"
# The demo's app, and for how long its users' tokens are good.
APP = 1_400_000_001
TOKEN_TTL = "24h"
# How long a process may take to serve, and a command of rollcallctl to end: generous, for busy machines.
START_LIMIT = 60.0
# How long a process may take to stop before it is killed, and then to be gone.
STOP_LIMIT = 20.0
KILL_LIMIT = 5.0
# How long a process may take to answer when it is asked whether it serves.
ANSWER_LIMIT = 2.0
# How often it is looked whether something has come true, and how often the status line is written.
POLL = 0.05
REFRESH = 1.0
# How many lines of a log are shown of a process that ended by itself.
LOG_LINES = 20
# How long any step of the selftest may take.
TEST_LIMIT = 60.0
# How the states of a process are called.
UP, SILENT, DOWN = "up", "no answer", "down"
# The exit code of `status` where no cluster runs.
NOT_RUNNING = 3


class Unexpected(Exception):
    """Says what was expected and what came instead, and what to do about it."""


class Interrupted(Exception):
    """Someone told us to stop."""


class Interrupt:
    """Whether someone told us to stop. It is noted and looked at between steps, so that no step is left half done."""

    def __init__(self):
        self.is_set = False
        for name in [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]:
            signal.signal(name, self.note)

    def note(self, *_):
        self.is_set = True

    def check(self):
        if self.is_set:
            raise Interrupted


def say(text=""):
    """Writes a line; that nobody reads it any more is no reason to leave processes behind."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w")


class Stopwatch:
    """Tells each line with the time since the start."""

    def __init__(self):
        self.start = time.monotonic()

    def say(self, text):
        say(f"[{self.passed():5.1f} s] {text}")

    def passed(self):
        return time.monotonic() - self.start


def environment():
    """What the caller's shell has set for other servers and users is not for ours."""
    return {name: value for name, value in os.environ.items() if not name.startswith("ROLLCALL_")}


def quoted(value):
    """Writes a text as TOML, Redis and NATS read it."""
    return json.dumps(str(value), ensure_ascii=False)


def shown(path):
    """Writes a path as short as it can be used from here."""
    with contextlib.suppress(ValueError):
        return str(Path(path).relative_to(Path.cwd()))
    return str(path)


def told(code):
    """Says how a process ended."""
    return f"by {signal.Signals(-code).name}" if code < 0 else f"with {code}"


def ours(folder, command, *flags):
    """Says how a command is called for this folder, from where we are."""
    if folder.path == ROOT / ".cluster" and Path.cwd() == ROOT:
        target = "make cluster" if command == "start" else f"make cluster-{command}"
        return f"{target} ARGS={shlex.quote(' '.join(flags))}" if flags else target
    words = [shown(PROGRAM), command, *flags]
    if folder.path != ROOT / ".cluster":
        words += ["--folder", shown(folder.path)]
    return " ".join(shlex.quote(word) for word in words)


def expect(holds, what, found):
    if not holds:
        raise Unexpected(f"{found}\nexpected {what}")
