"""What a local cluster is made of: its folder, its processes, their ports, commands and configuration."""

import contextlib
import dataclasses
import hashlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
from pathlib import Path

from .common import (
    BUS_USERS, CERTS, ENGINES, HOST, LOG_LINES, OFFSETS, ROOT, STAGES, START_LIMIT, STORE_USER, environment, ours, quoted,
    shown, Unexpected,
)


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

    def certificate(self, role):
        """Returns the files by which a role is known: of the authority, its certificate, and its key."""
        return [self / CERTS / name for name in ["ca.pem", f"{role}.pem", f"{role}.key"]]

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
        """Returns the URLs of a service's processes, as the others are told them."""
        return ",".join(f"https://{self.address(service, number)}" for number in self.numbers(service))

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

    def certify(self):
        """Makes new certificates for all roles, of the authority that is there, or of a new one."""
        command = [str(self.binaries / "rollcallctl"), "certs", str(self.folder / CERTS), "--force"]
        ended = subprocess.run(command, env=environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                               timeout=START_LIMIT)
        if ended.returncode != 0:
            raise Unexpected(f"certificates could not be made: {ended.stderr.strip()}")

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
        if service == "subscription":
            keys[service]["presence"] = self.urls("presence")
        if service in ["presence", "subscription"]:
            keys["store"] = {"url": f"redis://{STORE_USER}:{folder.secret('store')}@{self.address('redis')}"}
        keys["tls"] = dict(zip(["ca", "certificate", "key"], folder.certificate(service)))
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
