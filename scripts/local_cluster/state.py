"""Whether the processes of a local cluster are up: each is asked in its own protocol."""

import json
import socket
import ssl
import threading

from .common import ANSWER_LIMIT, DOWN, HOST, SILENT, STORE_USER, UP, say, shown


def answers(part, folder):
    """Asks a process whether it serves, in its own protocol."""
    asks = {"redis": redis_answers, "nats": nats_answers, "gateway": gateway_answers}
    try:
        with socket.create_connection((HOST, part.port), timeout=ANSWER_LIMIT) as connection:
            if part.service in asks:
                return asked(asks[part.service], connection, folder)
            with secured(connection, part, folder) as secure:
                return asked(grpc_answers, secure, folder)
    except OSError:
        return False


def asked(ask, connection, folder):
    """Asks over a connection."""
    with connection.makefile("rwb") as stream:
        return ask(stream, folder)


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


def secured(connection, part, folder):
    """Speaks TLS as an operator, with who is what it should be by its certificate."""
    authority, certificate, key = folder.certificate("operator")
    context = ssl.create_default_context(cafile=authority)
    context.load_cert_chain(certificate, key)
    context.set_alpn_protocols(["h2"])
    return context.wrap_socket(connection, server_hostname=f"{part.service}.rollcall.internal")


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
