"""Publishes three events with nothing but the schema and the stock gRPC tools; prints their ids.

Usage: publish.py FOLDER_OF_PROTO_FILES HOST:PORT TOKEN
"""

import pathlib
import sys
import tempfile
import uuid
from importlib import resources

import grpc
from grpc_tools import protoc


def compile_schema(proto: pathlib.Path, out: str) -> None:
    files = sorted(str(path.relative_to(proto)) for path in (proto / "testmo/webhooks/v1").glob("*.proto"))
    well_known = str(resources.files("grpc_tools") / "_proto")
    arguments = [f"-I{proto}", f"-I{well_known}", f"--python_out={out}", f"--grpc_python_out={out}", *files]
    status = protoc.main(["protoc", *arguments])
    if status != 0:
        raise SystemExit(f"protoc refuses the schema: status {status}")


def events(events_pb2, entities_pb2):
    project = entities_pb2.Project(id=1, name="Shop", url="https://acme.testmo.example/projects/1")
    user = entities_pb2.User(id=3, name="Ada Lovelace")
    run = entities_pb2.Run(id=11, name="Nightly", project_id=1, total_count=20, failure_count=2)
    milestone = entities_pb2.Milestone(id=12, name="2.0", due_date="2026-12-01")
    entity = entities_pb2.MentionEntity(type="run", id=11, name="Nightly", project=project)
    comment = entities_pb2.Comment(id=13, text="Have a look, @grace: <b>broken</b> “again”")

    def event(**data):
        return events_pb2.Event(id=str(uuid.uuid4()), user=user, **data)

    completed = events_pb2.RunCompleted(run=run, result=entities_pb2.RUN_RESULT_FAILED)
    cleared = events_pb2.MilestoneDueDateChanged(milestone=milestone)
    change = events_pb2.Change(field="due_date", from_json='"2026-12-01"', to_json="null")
    mentioned = events_pb2.UserMentioned(
        mentioned_user=entities_pb2.User(id=4, name="Grace Hopper"), comment=comment, entity=entity
    )
    return [
        event(project=project, run_completed=completed, extra_json='{"branch": "main"}'),
        event(project=project, milestone_due_date_changed=cleared, changes=[change]),
        event(user_mentioned=mentioned),
    ]


def main() -> None:
    proto, address, token = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2], sys.argv[3]
    with tempfile.TemporaryDirectory() as out:
        compile_schema(proto, out)
        sys.path.insert(0, out)
        from testmo.webhooks.v1 import entities_pb2, events_pb2, events_pb2_grpc

        metadata = [("authorization", f"Bearer {token}")]
        first, *others = events(events_pb2, entities_pb2)
        with grpc.insecure_channel(address) as channel:
            stub = events_pb2_grpc.EventsStub(channel)
            answer = stub.Publish(events_pb2.PublishRequest(event=first), metadata=metadata, timeout=10)
            print(answer.id)
            batch = stub.PublishBatch(events_pb2.PublishBatchRequest(events=others), metadata=metadata, timeout=10)
            for result in batch.results:
                if result.HasField("error"):
                    raise SystemExit(f"refused: {result.error}")
                print(result.id)
            try:
                stub.Publish(events_pb2.PublishRequest(event=first), timeout=10)
            except grpc.RpcError as error:
                if error.code() != grpc.StatusCode.UNAUTHENTICATED:
                    raise
            else:
                raise SystemExit("published without a token")


main()
