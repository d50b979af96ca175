"""Rows in messages of topics, in every form."""

import io
import json

import fastavro
import numpy as np
import pyarrow as pa

NAMES = ["oil", "air"]
SCHEMA = {
    "type": "record",
    "name": "Row",
    "fields": [{"name": name, "type": "double"} for name in NAMES],
}


def arrow(rows):
    batch = pa.RecordBatch.from_arrays(list(np.asarray(rows, float).T.copy()), NAMES)
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return sink.getvalue()


def avro(rows):
    if len(rows) == 1:
        sink = io.BytesIO()
        fastavro.schemaless_writer(sink, SCHEMA, dict(zip(NAMES, rows[0], strict=True)))
        return sink.getvalue()
    sink = io.BytesIO()
    fastavro.writer(sink, SCHEMA, [dict(zip(NAMES, row, strict=True)) for row in rows])
    return sink.getvalue()


def objects(rows):
    return [dict(zip(NAMES, row, strict=True)) for row in rows]


FORMS = {
    "an object": ("jsonl", lambda rows: [json.dumps(each).encode() for each in objects(rows)]),
    "an array": ("jsonl", lambda rows: [json.dumps(objects(rows)).encode()]),
    "lines": ("jsonl", lambda rows: ["\n".join(map(json.dumps, objects(rows))).encode()]),
    "arrow": ("arrow", lambda rows: [arrow(rows)]),
    "avro": ("avro", lambda rows: [avro(rows)]),
}
"""Ways to put rows into messages."""
