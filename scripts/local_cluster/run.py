"""Starts, attends to and stops a local cluster."""

import json
import shlex
import signal
import subprocess
import sys
import time

from .common import (
    APP, CERTS, DOWN, ENGINES, KILL_LIMIT, NOT_RUNNING, POLL, REFRESH, STAGES, START_LIMIT, STOP_LIMIT, TOKEN_TTL, UP,
    environment, Interrupt, Interrupted, ours, say, shown, Stopwatch, told, Unexpected,
)
from .plan import birth_of, engine, Folder, Plan
from .state import answers, states_of, summary, tell_table


class Starter:
    """Starts the processes of a plan."""

    def __init__(self, folder, plan, interrupt):
        self.folder = folder
        self.plan = plan
        self.interrupt = interrupt
        self.clock = Stopwatch()
        self.parts = []
        self.children = {}

    def start(self):
        """Starts all, one stage after the other, and waits until each process serves."""
        for stage in STAGES:
            since = self.clock.passed()
            started = [self.spawn(service, number) for service in stage for number in self.plan.numbers(service)]
            self.clock.say(f"starting {', '.join(part.name for part in started)}")
            for part in started:
                self.await_serving(part)
                self.clock.say(f"  {part.name} serves on {part.address}, after {self.clock.passed() - since:.1f} s")

    def spawn(self, service, number):
        """Starts a process that outlives us, with all that it writes in its log."""
        part, variables = self.plan.launch(service, number)
        with open(part.log, "ab") as log:
            child = subprocess.Popen(
                part.command,
                cwd=self.folder.path,
                env=environment() | variables,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C is for us: processes are stopped in order.
                start_new_session=True,
            )
        part.pid, part.born = child.pid, birth_of(child.pid)
        self.folder.remember(part)
        self.parts.append(part)
        self.children[part.name] = child
        return part

    def await_serving(self, part):
        """Waits until a process serves."""
        deadline = time.monotonic() + START_LIMIT
        addresses = self.folder / f"run/{part.name}.addresses"
        while not ((part.service in ENGINES or addresses.exists()) and answers(part, self.folder)):
            self.interrupt.check()
            # Of the whole stage: one may wait for another that has ended.
            for other in self.parts:
                code = self.children[other.name].poll()
                if code is not None:
                    raise Unexpected(f"{other.name} ended {told(code)}, expected it to serve\n{other.last_lines()}")
            if time.monotonic() > deadline:
                raise Unexpected(f"{part.name} does not serve after {START_LIMIT:.0f} s\n{part.last_lines()}")
            time.sleep(POLL)

    def reap(self):
        """Takes note of children that ended, so that they are gone for everyone."""
        for child in self.children.values():
            child.poll()


class Demo:
    """An app with two users, made as an operator and the app's backend would make them."""

    def __init__(self, folder, binaries, parts):
        self.folder = folder
        self.control = binaries / "rollcallctl"
        self.admin = next(f"https://{part.address}" for part in parts if part.service == "presence")
        gateways = [part for part in parts if part.service == "gateway"]
        self.gateways = [gateways[0], gateways[-1] if len(gateways) < 2 else gateways[1]]

    def run(self, *command, variables=None):
        """Runs rollcallctl; returns its exit code and what it wrote."""
        command = [str(self.control), *command]
        try:
            ended = subprocess.run(command, env=environment() | (variables or {}), stdin=subprocess.DEVNULL,
                                   capture_output=True, text=True, timeout=START_LIMIT)
        except subprocess.TimeoutExpired:
            raise Unexpected(f"expected `{' '.join(command)}` to end within {START_LIMIT:.0f} s") from None
        return ended.returncode, ended.stdout, ended.stderr.strip()

    def operator(self):
        """Returns the options by which an operator reaches the app."""
        options = ["--app-id", str(APP), "--admin", self.admin]
        for flag, path in zip(["--ca", "--cert", "--cert-key"], self.folder.certificate("operator")):
            options += [flag, shown(path)]
        return options

    def app_key(self):
        """Returns the token key of the app, which is created if it is not there."""
        app, path = self.operator(), self.folder / "secrets/app-key"
        if path.exists() and self.run("app", "show", *app)[0] == 0:
            return path.read_text()
        create = ["app", "create", "--edition", "premium", "--status", "on", "--output", "json", *app]
        code, output, errors = self.run(*create)
        if code != 0:
            raise Unexpected(f"the demo's app could not be made: {errors}\nIf it is there from before, its key is "
                             f"lost: `{ours(self.folder, 'stop', '--wipe')}` removes all data, then start again")
        self.folder.write("secrets/app-key", json.loads(output)["token_key"])
        return path.read_text()

    def command(self, key, user, gateway, *command):
        """Returns a command of rollcallctl to paste."""
        token = ["token", "--app-id", str(APP), "--user-id", user, "--ttl", TOKEN_TTL]
        code, output, errors = self.run(*token, variables={"ROLLCALL_KEY": key})
        if code != 0:
            raise Unexpected(f"a token for {user} could not be made: {errors}")
        words = [shown(self.control), *command, "--url", f"ws://{gateway.address}/v1/connect"]
        words += ["--app-id", str(APP), "--user-id", user, "--token", output.strip()]
        return " ".join(shlex.quote(word) for word in words)

    def tell(self):
        """Says how to see a change arrive."""
        key = self.app_key()
        first, second = self.gateways
        say(f"""
  app   {APP} (PREMIUM, status on), token key in {shown(self.folder / 'secrets/app-key')}
  certs by which the processes know each other in {shown(self.folder / CERTS)}
  logs  `tail -F {shlex.quote(shown(self.folder / 'logs'))}/*.log` follows them

To see a change arrive, open two more terminals in this folder.
The first watches alice, as bob, on {first.name}:

{self.command(key, 'bob', first, 'watch', 'alice')}

The second sets alice's custom status, as alice, on {second.name}:

{self.command(key, 'alice', second, 'status', 'set', 'listening to music')}

End that one with Ctrl-C, and alice leaves.

An operator shows who it is by a certificate:

{" ".join(shlex.quote(word) for word in [shown(self.control), "app", "show", *self.operator()])}
""")


def end(folder, parts, starter=None):
    """Stops processes from the front to the back: in order, and by force who does not stop in time."""
    clock = Stopwatch()
    for stage in reversed(STAGES):
        stopping = []
        for part in (part for part in parts if part.service in stage):
            if part.is_alive():
                # One that was paused hears of it when it goes on.
                part.signal(signal.SIGTERM, signal.SIGCONT)
                stopping.append(part)
            else:
                folder.forget(part)
                clock.say(f"{part.name} was not running")
        deadline = clock.passed() + STOP_LIMIT
        for part in stopping:
            how = "stopped"
            if not await_end(part, deadline, clock, starter):
                part.signal(signal.SIGKILL)
                how = f"did not stop within {STOP_LIMIT:.0f} s and was killed"
                if not await_end(part, clock.passed() + KILL_LIMIT, clock, starter):
                    raise Unexpected(f"{part.name} (pid {part.pid}) cannot be killed")
            folder.forget(part)
            clock.say(f"{part.name} {how}")


def await_end(part, deadline, clock, starter):
    """Waits until a process is gone; says whether it is."""
    while part.is_alive():
        if clock.passed() > deadline:
            return False
        time.sleep(POLL)
        if starter:
            starter.reap()
    return True


def check_programs(binaries):
    """Looks whether all is there that will be started."""
    services = [service for stage in STAGES for service in stage if service not in ENGINES]
    for name in ["rollcallctl", *(f"rollcall-{service}" for service in services)]:
        if not (binaries / name).is_file():
            raise Unexpected(f"{shown(binaries / name)} is missing: `make build` builds it; --binaries names another "
                             "folder")
    for service in ENGINES:
        engine(service)


def start(options):
    """Starts a cluster, or says that one runs."""
    folder = Folder(options.folder)
    check_programs(options.binaries)
    interrupt = Interrupt()
    with folder.lock():
        parts = folder.parts()
        if any(part.is_alive() for part in parts):
            return already_runs(folder, options, parts)
        if parts:
            say("an earlier cluster ended without being stopped; its data is kept")
        folder.tidy()
        plan = Plan(folder, options)
        plan.check_ports()
        plan.certify()
        starter = Starter(folder, plan, interrupt)
        try:
            starter.start()
            say(f"\nA cluster of {len(starter.parts)} processes runs, with durations of the profile "
                f"{options.profile}.\n`{ours(folder, 'status')}` shows it, `{ours(folder, 'stop')}` stops it.\n")
            tell_table(starter.parts, dict.fromkeys((part.name for part in starter.parts), UP))
            Demo(folder, options.binaries, starter.parts).tell()
            interrupt.check()
        except BaseException as error:
            if isinstance(error, Interrupted):
                say("\ninterrupted, stopping what was started")
            elif isinstance(error, Unexpected):
                print(f"\ncluster: {error}\n", file=sys.stderr, flush=True)
            end(folder, starter.parts, starter)
            if isinstance(error, (Interrupted, Unexpected)):
                return 1
            raise
    return attend(folder, starter, interrupt) if options.foreground else 0


def already_runs(folder, options, parts):
    """Says that a cluster runs, and changes nothing."""
    states = states_of(parts, folder)
    say(f"a cluster runs already, and is left as it is: {summary(states)}\n")
    tell_table(parts, states)
    if set(states.values()) == {UP}:
        Demo(folder, options.binaries, parts).tell()
        return 0
    say(f"\n`{ours(folder, 'stop')}` stops it; then it can be started whole")
    return 1


def attend(folder, starter, interrupt):
    """Shows a status line until someone stops the cluster; Ctrl-C here does."""
    clock, known, line = Stopwatch(), {}, ""
    is_terminal = sys.stdout.isatty()
    while not interrupt.is_set:
        starter.reap()
        if not folder.parts():
            say("\nthe cluster was stopped from elsewhere")
            return 0
        states = states_of(starter.parts, folder)
        for part in starter.parts:
            if states[part.name] == DOWN and known.get(part.name) != DOWN:
                code = starter.children[part.name].returncode or 0
                say(f"\n{part.last_lines() if code else ''}\n{part.name} ended {told(code)}")
        known, before, line = states, line, summary(states)
        if is_terminal:
            print(f"\r\033[K{line}; running for {clock.passed():.0f} s; Ctrl-C stops it", end="", flush=True)
        elif line != before:
            say(f"{line}; Ctrl-C stops it")
        wake = time.monotonic() + REFRESH
        while not interrupt.is_set and time.monotonic() < wake:
            time.sleep(POLL)
    say("\nstopping")
    with folder.lock():
        end(folder, folder.parts(), starter)
    return 0


def stop(options):
    """Stops a cluster."""
    folder = Folder(options.folder)
    if not (folder / "run").is_dir():
        say("no cluster runs")
        return 0
    with folder.lock():
        parts = folder.parts()
        if parts:
            end(folder, parts)
        else:
            say("no cluster runs")
        if options.wipe:
            folder.wipe()
            say(f"removed {shown(folder.path)}, with all data and logs")
        elif parts:
            say(f"data and logs stay in {shown(folder.path)}; `{ours(folder, 'stop', '--wipe')}` removes them")
    return 0


def status(options):
    """Shows a cluster."""
    folder = Folder(options.folder)
    parts = folder.parts() if (folder / "run").is_dir() else []
    if not parts:
        say(f"no cluster runs; `{ours(folder, 'start')}` starts one")
        return NOT_RUNNING
    states = states_of(parts, folder)
    tell_table(parts, states)
    say(f"\n{summary(states)}")
    return 0 if set(states.values()) == {UP} else 1
