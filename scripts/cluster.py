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
import os
import sys
from pathlib import Path

from local_cluster.common import MOST_INSTANCES, PORT_BASE, ROOT, Unexpected
from local_cluster.run import start, status, stop
from local_cluster.trial import selftest


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
