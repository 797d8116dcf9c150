#!/usr/bin/env python3
"""Runs a cluster of Rollcall on this machine: Redis, NATS, and some of each service, as real processes.

  cluster.py start      starts it, waits until all of it serves, makes a demo app, and prints what to paste
  cluster.py status     shows each process: up, down, or without an answer
  cluster.py stop       stops it in order; data and logs stay
  cluster.py selftest   starts one of its own, tries all of this on it, and stops it

All that it has lies in one folder, .cluster, which only its owner can read: config/, secrets/, logs/, data/, and in
run/ who runs. All listen on 127.0.0.1 alone. With --port-base N (7800 unless told otherwise) the ports are:

  N       Redis           N+11..N+15  gateways, for clients      N+31..N+35  presence and admin, gRPC
  N+1     NATS            N+21..N+25  gateways, gRPC health      N+41..N+45  subscription, gRPC
                                                                 N+51..N+55  notifiers, gRPC

For an operator's tools, HTTP with /livez, /readyz and /metrics, N+61..N+65 are of gateways, N+66..N+70 of presence,
N+71..N+75 of subscription, and N+76..N+80 of notifiers.

Needs the binaries (`make build`) and the servers of Redis and NATS (`make setup`; ROLLCALL_REDIS_SERVER and
ROLLCALL_NATS_SERVER name others). Exit codes: 0 done, or all is up; 1 failed, or something is down; 2 wrong usage;
3 `status` found no cluster.
"""

import argparse
import contextlib
import dataclasses
import hashlib
import json
import os
import queue
import random
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
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
BUS_USERS = ["gateway", "presence", "subscription", "notifier", "node"]
STORE_USER = "rollcall"
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


@dataclasses.dataclass
class Part:
    """A process of the cluster."""

    service: str
    number: int
    port: int
    command: list
    log: str
    pid: int = 0
    born: str = ""

    @property
    def name(self):
        return f"{self.service}-{self.number}"

    @property
    def address(self):
        return f"{HOST}:{self.port}"

    def is_alive(self):
        """Says whether it runs: not only someone who was given the same pid later."""
        return bool(self.born) and birth_of(self.pid) == self.born

    def signal(self, *signals):
        """Sends signals, unless it is gone."""
        for each in signals:
            if self.is_alive():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.pid, each)

    def last_lines(self):
        """Returns the end of its log."""
        with contextlib.suppress(OSError):
            lines = Path(self.log).read_text(errors="replace").splitlines()
            return "\n".join([f"--- the last lines of {shown(self.log)}", *lines[-LOG_LINES:], "---"])
        return f"--- {shown(self.log)} cannot be read"


def birth_of(pid):
    """Returns when a process began, which tells it from all that had or will have its pid; nothing if it has ended."""
    if not Path("/proc/self/stat").exists():
        asked = ["ps", "-o", "stat=", "-o", "lstart=", "-p", str(pid)]
        words = subprocess.run(asked, capture_output=True, text=True).stdout.split()
        return "" if not words or words[0].startswith("Z") else " ".join(words[1:])
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        # After the name, which stands in brackets and may hold some itself: the state is the 3rd field, the ticks
        # from boot to start the 22nd.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else f"{boot}/{fields[19]}"


class Folder:
    """The folder of a cluster. Whoever changes what runs holds its lock."""

    PARTS = ["config", "secrets", "logs", "run", "data/redis", "data/nats"]

    def __init__(self, path):
        self.path = Path(path).absolute()

    def __truediv__(self, name):
        return self.path / name

    @contextlib.contextmanager
    def lock(self):
        """Makes the folder, and keeps others from changing what runs."""
        import fcntl

        self.path.mkdir(parents=True, exist_ok=True)
        with open(self / "lock", "w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Unexpected("another start or stop is at work here: try again when it is done") from None
            for name in self.PARTS:
                (self / name).mkdir(parents=True, exist_ok=True)
            yield

    def write(self, name, text):
        """Writes a file whole, for its owner alone."""
        path = self / name
        new = path.with_name(path.name + ".new")
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)
        new.replace(path)
        return path

    def secret(self, name):
        """Returns a password, which is made when it is first asked for."""
        path = self / "secrets" / name
        if not path.exists():
            # It begins with a letter: the server of NATS takes what begins with a digit for a number.
            self.write(f"secrets/{name}", "p" + secrets.token_hex(24))
        return path.read_text()

    def parts(self):
        """Returns the processes that were started and not stopped, front last."""
        order = [service for stage in STAGES for service in stage]
        parts = []
        for path in (self / "run").glob("*.pid"):
            try:
                parts.append(Part(**json.loads(path.read_text())))
            except FileNotFoundError:
                # It was stopped just now.
                continue
            except (OSError, ValueError, TypeError):
                raise Unexpected(f"{shown(path)} cannot be read, expected what `start` wrote; see who still "
                                 f"runs by `ps`, and remove the file") from None
        return sorted(parts, key=lambda part: (order.index(part.service), part.number))

    def remember(self, part):
        self.write(f"run/{part.name}.pid", json.dumps(dataclasses.asdict(part)) + "\n")

    def forget(self, part):
        for kind in ["pid", "addresses"]:
            (self / "run" / f"{part.name}.{kind}").unlink(missing_ok=True)

    def tidy(self):
        """Takes away what an earlier run has left, but its data, its secrets and one old log of each process."""
        for name in ["config", "run"]:
            for path in (self / name).iterdir():
                path.unlink()
        for path in (self / "logs").glob("*.log"):
            path.replace(path.with_suffix(".log.old"))

    def wipe(self):
        """Takes away all that was made here, and nothing else."""
        for name in ["config", "secrets", "logs", "run", "data"]:
            shutil.rmtree(self / name, ignore_errors=True)
        (self / "lock").unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self.path.rmdir()


class Plan:
    """What runs, on which ports, and with which configuration."""

    def __init__(self, folder, options):
        self.folder = folder
        self.binaries = options.binaries
        self.base = options.port_base
        self.instances = options.instances
        self.profile = options.profile

    def numbers(self, service):
        """Returns the numbers of a service's processes, from 1."""
        return range(1, 2 if service in ENGINES else self.instances + 1)

    def port(self, kind, number=1):
        return self.base + OFFSETS[kind] + number - 1

    def address(self, kind, number=1):
        return f"{HOST}:{self.port(kind, number)}"

    def urls(self, service):
        """Returns the URLs of a service's processes, as the gateways are told them."""
        return ",".join(f"http://{self.address(service, number)}" for number in self.numbers(service))

    def check_ports(self):
        """Looks whether all ports are free, and tells of all that are not."""
        kinds = [service for stage in STAGES for service in stage]
        kinds += [kind for kind in OFFSETS if kind not in kinds]
        taken = [(f"{kind}-{number}", self.port(kind, number)) for kind in kinds for number in self.numbers(kind)
                 if not is_free(self.port(kind, number))]
        if not taken:
            return
        look = f"ss -ltnp 'sport = :{taken[0][1]}'" if sys.platform == "linux" else f"lsof -nP -iTCP:{taken[0][1]}"
        raise Unexpected("\n".join([
            "ports are taken:",
            *(f"  {HOST}:{number}, for {name}" for name, number in taken),
            f"Stop who listens there (`{look}` shows who), or take other ports, as by",
            f"  {ours(self.folder, 'start', '--port-base', str(self.base + 100))}",
        ]))

    def launch(self, service, number):
        """Returns the process to be started, and the variables that it needs; writes its configuration."""
        if service == "redis":
            command, variables = self.redis()
        elif service == "nats":
            command, variables = self.nats()
        else:
            command, variables = self.service(service, number)
        log = self.folder / f"logs/{service}-{number}.log"
        return Part(service, number, self.port(service, number), command, str(log)), variables

    def redis(self):
        """Redis with its deployed users, which has on disk what it acknowledged a second ago."""
        folder, user = self.folder, f"user {STORE_USER} "
        digest = hashlib.sha256(folder.secret("store").encode()).hexdigest()
        users = deployed("redis/users.acl", {f"{user}off resetpass ": f"{user}on resetpass #{digest} "})
        lines = [
            f"bind {HOST}",
            f"port {self.port('redis')}",
            f"dir {quoted(folder / 'data/redis')}",
            f"aclfile {quoted(folder.write('config/users.acl', users))}",
            "appendonly yes",
            "appendfsync everysec",
            'save ""',
        ]
        config = folder.write("config/redis.conf", "\n".join(lines) + "\n")
        return [engine("redis"), str(config)], {}

    def nats(self):
        """NATS as it is deployed, with its streams on disk."""
        folder = self.folder
        folder.write("config/users.conf", deployed("nats/users.conf", {}))
        here = {
            '"0.0.0.0:4222"': quoted(self.address("nats")),
            '"/var/lib/nats"': quoted(folder / "data/nats"),
        }
        config = folder.write("config/nats.conf", deployed("nats/nats.conf", here))
        passwords = {f"ROLLCALL_{user.upper()}_PASSWORD": folder.secret(user) for user in BUS_USERS}
        return [engine("nats"), "--config", str(config)], passwords

    def service(self, service, number):
        """A service, with its own user of the bus."""
        folder, name = self.folder, f"{service}-{number}"
        keys = {service: {"listen": self.address(service, number)}}
        if service == "gateway":
            keys[service]["health_listen"] = self.address("health", number)
            keys[service] |= {behind: self.urls(behind) for behind in ["presence", "subscription", "notifier"]}
        if service in ["presence", "subscription"]:
            keys["store"] = {"url": f"redis://{STORE_USER}:{folder.secret('store')}@{self.address('redis')}"}
        keys["ops"] = {"listen": self.address(f"{service}-ops", number)}
        folder.secret(service)
        keys["bus"] = {
            "url": f"nats://{self.address('nats')}",
            "user": service,
            "password_file": str(folder / "secrets" / service),
        }
        text = "\n".join(
            "\n".join([f"[{section}]", *(f"{key} = {quoted(value)}" for key, value in values.items()), ""])
            for section, values in keys.items()
        )
        config = folder.write(f"config/{name}.toml", text)
        command = [self.binaries / f"rollcall-{service}", "--config", config, "--profile", self.profile]
        command += ["--addresses-file", folder / f"run/{name}.addresses"]
        return [str(word) for word in command], {}


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
        self.admin = next(f"http://{part.address}" for part in parts if part.service == "presence")
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

    def app_key(self):
        """Returns the token key of the app, which is created if it is not there."""
        app, path = ["--app-id", str(APP), "--admin", self.admin], self.folder / "secrets/app-key"
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
  logs  `tail -F {shlex.quote(shown(self.folder / 'logs'))}/*.log` follows them

To see a change arrive, open two more terminals in this folder.
The first watches alice, as bob, on {first.name}:

{self.command(key, 'bob', first, 'watch', 'alice')}

The second sets alice's custom status, as alice, on {second.name}:

{self.command(key, 'alice', second, 'status', 'set', 'listening to music')}

End that one with Ctrl-C, and alice leaves.
""")


def answers(part, folder):
    """Asks a process whether it serves, in its own protocol."""
    ask = {"redis": redis_answers, "nats": nats_answers, "gateway": gateway_answers}.get(part.service, grpc_answers)
    try:
        with socket.create_connection((HOST, part.port), timeout=ANSWER_LIMIT) as connection:
            with connection.makefile("rwb") as stream:
                return ask(stream, folder)
    except OSError:
        return False


def redis_answers(stream, folder):
    """Who takes the password that we made is ours."""
    stream.write(f"AUTH {STORE_USER} {folder.secret('store')}\r\nPING\r\n".encode())
    stream.flush()
    return [stream.readline() for _ in range(2)] == [b"+OK\r\n", b"+PONG\r\n"]


def nats_answers(stream, folder):
    """Who takes the password that we made is ours."""
    login = {"verbose": False, "pedantic": False, "user": "gateway", "pass": folder.secret("gateway")}
    greeting = stream.readline()
    stream.write(f"CONNECT {json.dumps(login)}\r\nPING\r\n".encode())
    stream.flush()
    return greeting.startswith(b"INFO ") and stream.readline().strip() == b"PONG"


def gateway_answers(stream, _):
    """A gateway is ready when presence knows it."""
    stream.write(f"GET /readyz HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode())
    stream.flush()
    return stream.readline().startswith(b"HTTP/1.1 200")


def grpc_answers(stream, _):
    """A server of gRPC greets with its settings of HTTP/2."""
    stream.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0")
    stream.flush()
    frame = stream.read(9)
    return len(frame) == 9 and frame[3] == 4


def state_of(part, folder):
    """Says in which state a process is."""
    if not part.is_alive():
        return DOWN
    return UP if answers(part, folder) else SILENT


def states_of(parts, folder):
    """Says in which states processes are; all are asked at once."""
    states = {}
    threads = [threading.Thread(target=lambda part=part: states.update({part.name: state_of(part, folder)}))
               for part in parts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return states


def summary(states):
    """Counts states, in a line."""
    values = list(states.values())
    counts = [f"{values.count(state)} {word}" for state, word in [(UP, "up"), (DOWN, "down"), (SILENT, "silent")]]
    return f"{len(values)} processes: {', '.join(counts)}"


def tell_table(parts, states):
    """Shows the processes."""
    rows = [("service", "state", "address", "pid", "log")]
    rows += [(part.name, states[part.name], part.address, str(part.pid), shown(part.log)) for part in parts]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        say("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


def is_free(number):
    """Says whether a port of the loopback can be listened on."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, number))
            listener.listen()
        except OSError:
            return False
    return True


def engine(service):
    """Finds the server of an engine."""
    program, variable = f"{service}-server", f"ROLLCALL_{service.upper()}_SERVER"
    named = os.environ.get(variable)
    path = named or str(ROOT / ".tools/current/bin" / program)
    found = shutil.which(path)
    if found is None and named:
        raise Unexpected(f"{variable} is {named!r}, expected a server of {program.partition('-')[0]} that can be run")
    if found is None:
        raise Unexpected(f"{program} is missing at {shown(path)}: `make setup` installs it on Linux (x86-64, aarch64) "
                         f"and macOS (arm64); elsewhere install it yourself, and name it in {variable}")
    return str(Path(found).absolute())


def deployed(name, changes):
    """Reads a file of what is deployed, with what is different here."""
    text = (ROOT / "deploy" / name).read_text()
    for theirs, here in changes.items():
        if theirs not in text:
            raise Unexpected(f"expected {theirs!r} in deploy/{name}")
        text = text.replace(theirs, here)
    return text


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
    words = [shown(Path(__file__).absolute()), command, *flags]
    if folder.path != ROOT / ".cluster":
        words += ["--folder", shown(folder.path)]
    return " ".join(shlex.quote(word) for word in words)


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


class Trial:
    """A cluster of its own, used through the command line as people use it."""

    def __init__(self, folder, binaries):
        self.folder = Folder(folder)
        self.binaries = binaries
        self.children = []

    def ask(self, command, *arguments):
        """Runs a command of this script; returns its exit code and what it wrote."""
        words = [sys.executable, __file__, command, "--folder", str(self.folder.path), *arguments]
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


def expect(holds, what, found):
    if not holds:
        raise Unexpected(f"{found}\nexpected {what}")


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


def instances(text):
    """Reads how many instances there are."""
    if not text.isdecimal() or not 1 <= int(text) <= MOST_INSTANCES:
        raise argparse.ArgumentTypeError(f"{text!r}, expected 1 to {MOST_INSTANCES}")
    return int(text)


def port_base(text):
    """Reads the first of the ports."""
    if not text.isdecimal() or not 1024 <= int(text) <= 65_000:
        raise argparse.ArgumentTypeError(f"{text!r}, expected 1024 to 65000")
    return int(text)


def parse():
    """Reads the command line."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def command(name, action, about, has_folder=True, has_binaries=False):
        added = commands.add_parser(name, help=about, description=about)
        added.set_defaults(action=action)
        if has_folder:
            added.add_argument("--folder", type=Path, default=ROOT / ".cluster",
                               help="where all that the cluster has lies (.cluster)")
        if has_binaries:
            added.add_argument("--binaries", type=Path, default=target / "debug",
                               help="folder of the binaries (target/debug)")
        return added

    starting = command("start", start, "Starts a cluster, unless one runs", has_binaries=True)
    starting.add_argument("--instances", type=instances, default=2, help="how many of each service, 1 to 5 (2)")
    starting.add_argument("--profile", choices=["default", "fast"], default="default",
                          help="durations: a silent client is OFFLINE after 400 s, or with `fast` after 8 s")
    starting.add_argument("--port-base", type=port_base, default=PORT_BASE, metavar="N",
                          help=f"the first of the ports, see above ({PORT_BASE})")
    starting.add_argument("--foreground", action="store_true",
                          help="stay, show a status line each second, and stop the cluster at Ctrl-C")
    command("status", status, "Shows each process: up, down, or without an answer")
    stopping = command("stop", stop, "Stops the cluster: gateways first, Redis and NATS last")
    stopping.add_argument("--wipe", action="store_true", help="also remove its data, secrets and logs")
    command("selftest", selftest, "Tries all of this on a cluster of its own", has_folder=False, has_binaries=True)
    return parser.parse_args()


def main():
    if os.name != "posix":
        print("the cluster needs Linux or macOS; in their place a virtual machine will do", file=sys.stderr)
        return 1
    options = parse()
    if "binaries" in options:
        options.binaries = options.binaries.absolute()
    # What we and the processes write is for its owner alone.
    os.umask(0o077)
    try:
        return options.action(options)
    except Unexpected as unexpected:
        print(f"cluster: {unexpected}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ncluster: interrupted; what was not done yet can be done by the same command", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
