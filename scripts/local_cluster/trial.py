"""Tries a local cluster as people use it, on one of its own."""

import json
import os
import queue
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from .common import (
    PROGRAM, DOWN, HOST, LOG_LINES, MOST_INSTANCES, NOT_RUNNING, OFFSETS, POLL, SILENT, START_LIMIT, TEST_LIMIT, UP,
    environment, expect, say, Stopwatch, Unexpected,
)
from .plan import Folder, is_free, Part


class Trial:
    """A cluster of its own, used through the command line as people use it."""

    def __init__(self, folder, binaries):
        self.folder = Folder(folder)
        self.binaries = binaries
        self.children = []

    def ask(self, command, *arguments):
        """Runs a command of this script; returns its exit code and what it wrote."""
        words = [sys.executable, str(PROGRAM), command, "--folder", str(self.folder.path), *arguments]
        ended = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               text=True, timeout=4 * START_LIMIT)
        return ended.returncode, ended.stdout

    def run(self, command, *arguments, expected=0):
        """Runs a command of this script that ends as expected, and returns what it wrote."""
        code, output = self.ask(command, *arguments)
        expect(code == expected, f"{command} to end with {expected}, got {code}", output)
        return output

    def start(self):
        """Starts it, on ports that are free just now."""
        for _ in range(100):
            base = random.randrange(10_000, 30_000, 100)
            if all(is_free(base + offset) for offset in range(max(OFFSETS.values()) + MOST_INSTANCES)):
                break
        arguments = ["--binaries", str(self.binaries), "--profile", "fast", "--port-base", str(base)]
        return self.run("start", *arguments)

    def pasted(self, output, user):
        """Finds the command that was printed for a user."""
        found = [line for line in output.splitlines() if f"--user-id {user}" in line]
        expect(len(found) == 1, f"one command to paste for {user}", output)
        return found[0]

    def operates(self, output):
        """Lets an operator see the app, by the command that was printed and not without its certificate."""
        found = [line for line in output.splitlines() if " app show " in line]
        expect(len(found) == 1, "one command to paste for an operator", output)
        expect(self.paste(found[0], stdout=subprocess.DEVNULL).wait(TEST_LIMIT) == 0, "it to end with 0", output)
        bare = found[0].split(" --ca ")[0].replace("https://", "http://")
        code = self.paste(bare, stdout=subprocess.DEVNULL).wait(TEST_LIMIT)
        expect(code == 3, "an operator without a certificate to reach nobody", code)

    def paste(self, command, **options):
        """Runs a command as a shell does."""
        with open(self.folder / "logs/rollcallctl.log", "ab") as log:
            child = subprocess.Popen(["sh", "-c", f"exec {command} --output json"], env=environment(),
                                     stdin=subprocess.DEVNULL, stderr=log, start_new_session=True, **options)
        self.children.append(child)
        return child

    def change_arrives(self, output):
        """Lets bob watch on one gateway what alice sets on another."""
        bob, alice = self.pasted(output, "bob"), self.pasted(output, "alice")
        urls = [command.split("--url ")[1].split()[0] for command in [bob, alice]]
        expect(urls[0] != urls[1], "bob and alice on two gateways", output)
        watcher = self.paste(bob, stdout=subprocess.PIPE)
        lines = queue.Queue()
        threading.Thread(target=read_into, args=(watcher.stdout, lines), daemon=True).start()
        sees(lines, lambda status: True, "a first status of alice")
        setter = self.paste(alice, stdout=subprocess.DEVNULL)
        sees(lines, lambda status: (status["general"], status["custom"]) == ("ONLINE", "listening to music"),
             "alice ONLINE and listening to music")
        for child in [setter, watcher]:
            child.send_signal(signal.SIGINT)
            code = child.wait(TEST_LIMIT)
            expect(code == 0, "rollcallctl to end with 0", code)

    def part(self, name):
        return next(part for part in self.folder.parts() if part.name == name)

    def left(self):
        """Finds processes of the trial's cluster, whoever remembers them."""
        found = subprocess.run(["ps", "-A", "-ww", "-o", "pid=", "-o", "args="], capture_output=True, text=True)
        return [line for line in found.stdout.splitlines() if str(self.folder.path) in line]

    def states(self, wanted):
        """Waits until the status tells these states, and that all others are up."""
        wanted = dict.fromkeys((part.name for part in self.folder.parts()), UP) | wanted
        deadline = time.monotonic() + TEST_LIMIT
        while True:
            code, output = self.ask("status")
            rows = [line.partition(HOST)[0].split() for line in output.splitlines() if HOST in line]
            if {name: " ".join(state) for name, *state in rows} == wanted:
                expect(code == (0 if set(wanted.values()) == {UP} else 1), "another exit code of status", code)
                return
            expect(time.monotonic() < deadline, f"the states {wanted}", output)
            time.sleep(POLL)

    def play(self, clock):
        """Tries all that the script can do."""
        self.folder.path.mkdir()
        (self.folder / "run").mkdir()
        self.folder.remember(Part("gateway", 1, 1, ["rollcall-gateway"], "none", os.getpid(), "once"))
        output = self.start()
        expect("ended without being stopped" in output, "a record of someone else's process to be taken away", output)
        clock.say("a cluster starts, where an earlier one has left the pid of someone else")

        self.change_arrives(output)
        clock.say("the pasted commands show a change arriving from one gateway at another")

        self.operates(output)
        clock.say("an operator is served with a certificate, and not without")

        self.states({})
        before = self.folder.parts()
        output = self.start()
        expect("runs already" in output and self.folder.parts() == before, "a second start to change nothing", output)
        clock.say("a second start says that it runs, and changes nothing")

        for name in ["gateway-2", "presence-1"]:
            self.part(name).signal(signal.SIGKILL)
        self.part("subscription-2").signal(signal.SIGSTOP)
        self.states({"gateway-2": DOWN, "presence-1": DOWN, "subscription-2": SILENT})
        clock.say("the status tells of killed and of paused processes")

        output = self.run("stop")
        expect("gateway-2 was not running" in output and "killed" not in output, "a stop in order", output)
        expect(not self.left(), "no process to be left", self.left())
        self.run("status", expected=NOT_RUNNING)
        clock.say("stop leaves no process, not even paused ones")

        self.change_arrives(self.start())
        for part in self.folder.parts():
            part.signal(signal.SIGKILL)
        clock.say("started again on its data, and all killed at once")
        self.run("stop", "--wipe")
        expect(not self.left() and not self.folder.path.exists(), "nothing to be left", self.left())
        clock.say("stop --wipe leaves nothing")

    def clean(self):
        """Leaves no process behind, whatever happened."""
        for child in self.children:
            child.kill()
            child.wait()
        if (self.folder / "run").is_dir():
            for part in self.folder.parts():
                part.signal(signal.SIGKILL)


def read_into(stream, lines):
    """Reads lines as they come; None is the end."""
    for line in stream:
        lines.put(line)
    lines.put(None)


def sees(lines, accepts, wanted):
    """Waits for a status that is accepted."""
    deadline = time.monotonic() + TEST_LIMIT
    while True:
        try:
            line = lines.get(timeout=max(0, deadline - time.monotonic()))
        except queue.Empty:
            raise Unexpected(f"expected bob to see {wanted} within {TEST_LIMIT:.0f} s") from None
        expect(line is not None, f"bob to see {wanted}", "the end of his watch")
        if accepts(json.loads(line)):
            return


def selftest(options):
    """Tries all of this on a cluster of its own."""
    clock = Stopwatch()
    # Who is told to stop leaves nothing behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory(prefix="rollcall-") as folder:
        # A path with a space, since people have them.
        trial = Trial(Path(folder) / "a cluster", options.binaries)
        try:
            trial.play(clock)
        except Unexpected as unexpected:
            for log in sorted((trial.folder / "logs").glob("*.log")):
                say("\n".join([f"--- {log.stem}", *log.read_text(errors="replace").splitlines()[-LOG_LINES:]]))
            say(f"\nthe selftest failed: {unexpected}")
            return 1
        finally:
            trial.clean()
    clock.say("all went as told")
    return 0
