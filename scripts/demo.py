#!/usr/bin/env python3
"""Plays the story of two users in one terminal, with real processes: `make demo`.

Bob watches alice. Alice logs in and says what she does, logs out, is killed, loses her network; bob sees each. The
durations are scaled (profile `fast`). Every step is checked: the exit code is 0 if all went as told, else 1, with
what was expected. Needs target/debug/rollcall and target/debug/rollcallctl.
"""

import argparse
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

# How long any step may take before the demo fails: generous, for busy machines.
LIMIT = 60.0
# How often it is looked whether something has come true.
POLL = 0.05
# The durations of the profile `fast`, in seconds.
EXPIRY = 8.0
HEARTBEAT = 1.0
# How many lines of a log are shown when the demo fails.
LOG_LINES = 30

START = time.monotonic()


class Unexpected(Exception):
    """Says what was expected and what came instead."""


def say(text):
    """Tells the next step, with the time since the start."""
    print(f"[{time.monotonic() - START:5.1f} s] {text}", flush=True)


class Processes:
    """The children of the demo; leaving the block ends them, whatever happened."""

    def __init__(self, folder):
        self.folder = folder
        self.children = []
        # What the caller's shell has set for other servers and users is not for the demo's.
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("ROLLCALL_")}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for child in self.children:
            # SIGKILL also ends a stopped process.
            child.kill()
            child.wait()

    def start(self, name, command, environment=None, output=subprocess.DEVNULL):
        """Starts a child, in a folder of its own, with its standard error in a file."""
        with open(self.folder / f"{name}.log", "ab") as log:
            child = subprocess.Popen(
                [str(word) for word in command],
                cwd=self.folder,
                env=self.environment | (environment or {}),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=log,
                # Ctrl-C is for the demo, which then ends its children.
                start_new_session=True,
            )
        self.children.append(child)
        return child

    def logs(self):
        """Returns the ends of what the children have logged."""
        for log in sorted(self.folder.glob("*.log")):
            lines = log.read_text(errors="replace").splitlines()
            if lines:
                yield "\n".join([f"--- {log.stem}", *lines[-LOG_LINES:]])


class Server:
    """A running rollcall, with the demo's app and tokens."""

    def __init__(self, processes, binaries):
        self.processes = processes
        self.ctl = binaries / "rollcallctl"
        file = processes.folder / "addresses.json"
        command = [binaries / "rollcall", "--demo", "--profile", "fast", "--listen", "127.0.0.1:0"]
        for service in ["admin", "subscription", "notifier"]:
            command += [f"--{service}-listen", "127.0.0.1:0"]
        command += ["--addresses-file", file]
        self.process = processes.start("rollcall", command)
        deadline = time.monotonic() + LIMIT
        while not file.exists():
            if self.process.poll() is not None:
                raise Unexpected(f"rollcall ended with {self.process.returncode}, expected it to serve")
            if time.monotonic() > deadline:
                raise Unexpected(f"rollcall does not serve after {LIMIT:.0f} s")
            time.sleep(POLL)
        told = json.loads(file.read_text())
        self.client, self.demo = told["client"], told["demo"]

    def run(self, user, *command, **options):
        """Starts rollcallctl as a user."""
        environment = {
            "ROLLCALL_URL": f"ws://{self.client}/v1/connect",
            "ROLLCALL_APP_ID": str(self.demo["app_id"]),
            "ROLLCALL_USER_ID": user,
            "ROLLCALL_TOKEN": self.demo["tokens"][user],
        }
        return self.processes.start(user, [self.ctl, *command], environment, **options)

    def alice_sets(self, text):
        """Lets alice log in, set a custom status, and stay."""
        return self.run("alice", "status", "set", text)


class Watcher:
    """What bob sees of alice."""

    def __init__(self, server):
        self.server = server
        self.process = server.run("bob", "watch", "alice", "--output", "json", output=subprocess.PIPE)
        self.lines = queue.Queue()
        self.version = -1
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        """Reads lines as they come, in a thread of its own; None is the end."""
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def sees(self, general, custom):
        """Waits until bob sees this of alice. He may see other states before, but never one that cannot be."""
        wanted = f"bob to see alice {general} with {shown(custom)}"
        deadline = time.monotonic() + LIMIT
        while True:
            status = self.next(wanted, deadline)
            say(f"  bob sees: {status['user_id']} is {status['general']}, {shown(status['custom'])}")
            self.check(status)
            if (status["general"], status["custom"]) == (general, custom):
                return

    def next(self, wanted, deadline):
        """Waits for the next status that bob is shown."""
        while time.monotonic() < deadline:
            try:
                line = self.lines.get(timeout=POLL)
            except queue.Empty:
                if self.server.process.poll() is not None:
                    raise Unexpected(f"expected {wanted}, but rollcall ended") from None
                continue
            if line is None:
                raise Unexpected(f"expected {wanted}, but bob's watch ended")
            return json.loads(line)
        raise Unexpected(f"expected {wanted} within {LIMIT:.0f} s")

    def check(self, status):
        """Checks what holds for every status that is shown."""
        if status["version"] <= self.version:
            raise Unexpected(f"expected a version above {self.version}, got {status['version']}")
        if status["general"] != "ONLINE" and status["custom"]:
            raise Unexpected("expected no custom status of a user who is not ONLINE")
        self.version = status["version"]


def shown(custom):
    """Writes a custom status for people."""
    return f"“{custom}”" if custom else "no custom status"


def ends(child, name):
    """Waits until a child ends in order."""
    try:
        code = child.wait(LIMIT)
    except subprocess.TimeoutExpired:
        raise Unexpected(f"expected {name} to end within {LIMIT:.0f} s") from None
    if code != 0:
        raise Unexpected(f"expected {name} to end with 0, got {code}")


def play(processes, binaries):
    """Plays the story."""
    say(f"starting rollcall; durations are scaled, a silent client is OFFLINE after {EXPIRY:.0f} s")
    server = Server(processes, binaries)
    say(f"rollcall serves clients on {server.client}; alice and bob are users of app {server.demo['app_id']}")

    say("bob logs in and watches alice, who was never there")
    bob = Watcher(server)
    bob.sees("UNLOGINED", "")

    say("alice logs in and sets her custom status")
    alice = server.alice_sets("listening to music")
    bob.sees("ONLINE", "listening to music")

    say("alice logs out: she is UNLOGINED, and her custom status is cleared")
    alice.send_signal(signal.SIGINT)
    bob.sees("UNLOGINED", "")
    ends(alice, "alice's rollcallctl")

    say("alice logs in again")
    alice = server.alice_sets("writing a letter")
    bob.sees("ONLINE", "writing a letter")

    say("alice's process is killed: no logout, so she is OFFLINE at once, and can be reached by push")
    alice.kill()
    bob.sees("OFFLINE", "")

    say("alice logs in once more")
    alice = server.alice_sets("on a train")
    bob.sees("ONLINE", "on a train")

    say("alice's train enters a tunnel: her process is stopped, her connection stays open but silent")
    stopped = time.monotonic()
    alice.send_signal(signal.SIGSTOP)
    bob.sees("OFFLINE", "")
    silent = time.monotonic() - stopped
    # Her last heartbeat may have been one interval before.
    if silent < EXPIRY - 2 * HEARTBEAT:
        raise Unexpected(f"expected alice to stay ONLINE for about {EXPIRY:.0f} s, it was {silent:.1f} s")
    say(f"she was OFFLINE {silent:.1f} s after she fell silent")

    say("stopping")
    bob.process.send_signal(signal.SIGINT)
    ends(bob.process, "bob's rollcallctl")
    server.process.send_signal(signal.SIGTERM)
    ends(server.process, "rollcall")


def main():
    root = Path(__file__).resolve().parent.parent
    target = Path(os.environ.get("CARGO_TARGET_DIR", root / "target"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binaries", type=Path, default=target / "debug", help="folder of the two binaries")
    binaries = parser.parse_args().binaries.resolve()
    for name in ["rollcall", "rollcallctl"]:
        if not (binaries / name).is_file():
            print(f"{binaries / name} is missing: build it with `make build`", file=sys.stderr)
            return 1

    # A demo that is told to stop leaves no children behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory(prefix="rollcall-demo-") as folder:
        with Processes(Path(folder)) as processes:
            try:
                play(processes, binaries)
            except Unexpected as unexpected:
                print("\n".join(processes.logs()), file=sys.stderr)
                print(f"\nthe demo failed: {unexpected}", file=sys.stderr)
                return 1
            except KeyboardInterrupt:
                print("\nthe demo was interrupted", file=sys.stderr)
                return 1
    say("all went as told")
    return 0


if __name__ == "__main__":
    sys.exit(main())
