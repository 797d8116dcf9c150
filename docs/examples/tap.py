#!/usr/bin/env python3
"""Prints every change of every app, read from the stream of the bus with a plain NATS client.

    pip install nats-py protobuf
    python3 docs/examples/tap.py nats://tap:PASSWORD@127.0.0.1:4222
    python3 docs/examples/tap.py nats://tap:PASSWORD@127.0.0.1:4222 --since 2026-01-02T03:04:05Z

The consumer is durable: started again under the same name, it goes on where it stopped. What a change says is described
in docs/events.md and proto/rollcall/event/v1/event.proto; the descriptors come from proto/contracts.binpb.
"""

import argparse
import asyncio
import datetime
import json
import pathlib

import nats
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

CONTRACTS = pathlib.Path(__file__).resolve().parents[2] / "proto/contracts.binpb"
STREAM = "ROLLCALL_STATUS"
SUBJECT = "rollcall.status.*"


def change_class():
    """Makes the class of changes."""
    files = descriptor_pb2.FileDescriptorSet.FromString(CONTRACTS.read_bytes())
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("rollcall.event.v1.Change"))


def parse():
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url", help="nats://user:password@host:port")
    parser.add_argument("--name", default="example", help="name of the consumer (default: example)")
    time = datetime.datetime.fromisoformat
    parser.add_argument(
        "--since",
        type=lambda text: time(text.replace("Z", "+00:00")),
        help="begin a new consumer at this time, as in 2026-01-02T03:04:05Z (default: with all that is kept)",
    )
    parser.add_argument("--count", type=int, help="end after this many changes")
    return parser.parse_args()


async def main():
    args = parse()
    change_of = change_class()
    kinds = change_of.DESCRIPTOR.fields_by_name["kind"].enum_type
    # Answers come to the inbox that this user may read.
    client = await nats.connect(args.url, inbox_prefix=b"_INBOX.tap")
    stream = client.jetstream()
    start = {"deliver_policy": DeliverPolicy.ALL}
    if args.since:
        start = {"deliver_policy": DeliverPolicy.BY_START_TIME, "opt_start_time": args.since}
    config = ConsumerConfig(
        name=args.name, durable_name=args.name, filter_subject=SUBJECT, ack_policy=AckPolicy.EXPLICIT, **start
    )
    await stream.add_consumer(STREAM, config=config)
    consumer = await stream.pull_subscribe_bind(durable=args.name, stream=STREAM)

    # A change may come again, or after a later one of its user: the greater record version is the later. Lists and friends
    # have records of their own. (An example: it remembers every user that it heard of.)
    own_records = [kinds.values_by_name[name].number for name in ("CHANGE_KIND_LIST", "CHANGE_KIND_FRIENDS")]
    latest = {}
    left = args.count
    while left is None or left > 0:
        try:
            messages = await consumer.fetch(100 if left is None else min(left, 100), timeout=5)
        except nats.errors.TimeoutError:
            continue
        for message in messages:
            change = change_of.FromString(message.data)
            record = change.kind if change.kind in own_records else None
            key = (change.app_id, change.user_id, record)
            if change.record_version > latest.get(key, 0):
                latest[key] = change.record_version
                told = {
                    "partition": int(message.subject.rsplit(".", 1)[1]),
                    "app_id": change.app_id,
                    "user_id": change.user_id,
                    "kind": kinds.values_by_number[change.kind].name,
                    "version": change.status_version,
                    "custom": change.custom,
                }
                print(json.dumps(told, ensure_ascii=False), flush=True)
                left = None if left is None else left - 1
            await message.ack()
    await client.close()


if __name__ == "__main__":
    asyncio.run(main())
