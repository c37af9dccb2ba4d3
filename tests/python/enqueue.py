"""Puts messages straight into the embedded queue's file, as nobody should: enqueue.py queue.db < lines of JSON."""

import json
import sqlite3
import sys
import time
import uuid

LANES = {"events": 1, "deliver.fast": 2, "deliver.slow": 3, "history": 4}

connection = sqlite3.connect(sys.argv[1])
with connection:
    (highest,) = connection.execute("SELECT coalesce(max(id), 0) FROM messages").fetchone()
    for number, line in enumerate(sys.stdin, highest + 1):
        message = json.loads(line)
        body = bytes.fromhex(message["body"])
        reason = message["parked"]
        connection.execute(
            "INSERT INTO messages (id, lane, due_at, size, message_id, parked_reason, parked_at, body)"
            " VALUES (?, ?, 0, ?, ?, ?, ?, ?)",
            (
                number,
                LANES[message["lane"]],
                len(body),
                uuid.UUID(message["id"]).bytes,
                reason,
                int(time.time() * 1_000_000) if reason else 0,
                body,
            ),
        )
connection.close()
