"""Qdrant without its server: the gRPC services as Qdrant's Python package defines them, over the engine in memory that the
same package carries for tests. So requests are read, filtered and ranked by Qdrant's own code and not by ours."""

import os
import threading
import time
import warnings
from concurrent import futures

# The nodes are forked from this process; with this support on, the children would wait for gRPC's threads.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"

import grpc
from qdrant_client import QdrantClient
from qdrant_client import grpc as proto
from qdrant_client.conversions.conversion import GrpcToRest, RestToGrpc
from qdrant_client.http import models


class Qdrant:
    def __init__(self, api_key: str | None = None):
        self.engine = QdrantClient(":memory:")
        self.engine_lock = threading.Lock()
        self.indexes: dict[str, set[str]] = {}
        self.delay = 0.0
        """How long every answer takes."""
        self.searches = 0
        self.api_key = api_key
        self.port = 0
        self.start()

    def start(self) -> None:
        self.server = grpc.server(futures.ThreadPoolExecutor(8), interceptors=[_Gate(self)], options=[("grpc.so_reuseport", 0)])
        proto.add_CollectionsServicer_to_server(_Collections(self), self.server)
        proto.add_PointsServicer_to_server(_Points(self), self.server)
        bound = self.server.add_insecure_port(f"127.0.0.1:{self.port}")
        assert bound and self.port in (0, bound), f"port {self.port} is taken"
        self.port = bound
        self.server.start()

    def stop(self) -> None:
        """All connections end; what it holds stays."""
        self.server.stop(None).wait()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def collections(self) -> dict[str, models.CollectionInfo]:
        with self.engine_lock:
            return {c.name: self.engine.get_collection(c.name) for c in self.engine.get_collections().collections}

    def points(self) -> list[models.Record]:
        with self.engine_lock:
            return [p for c in self.engine.get_collections().collections for p in self.engine.scroll(c.name, limit=10_000, with_vectors=True)[0]]


class _Gate(grpc.ServerInterceptor):
    def __init__(self, qdrant: Qdrant):
        self.qdrant = qdrant

    def intercept_service(self, continuation, details):
        given = dict(details.invocation_metadata).get("api-key")
        if self.qdrant.api_key and given != self.qdrant.api_key:
            return grpc.unary_unary_rpc_method_handler(lambda _, context: context.abort(grpc.StatusCode.UNAUTHENTICATED, "Invalid API key or JWT"))
        return continuation(details)


class _Service:
    def __init__(self, qdrant: Qdrant):
        self.qdrant = qdrant

    def run(self, context, name: str | None, work):
        """What the engine does, or the status that the server answers in its place."""
        time.sleep(self.qdrant.delay)
        with self.qdrant.engine_lock, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            engine = self.qdrant.engine
            if name is not None and not engine.collection_exists(name):
                context.abort(grpc.StatusCode.NOT_FOUND, f"Not found: Collection `{name}` doesn't exist!")
            try:
                return work(engine)
            except ValueError as error:
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"Wrong input: {error}")


class _Collections(_Service, proto.CollectionsServicer):
    def CollectionExists(self, request, context):
        exists = self.run(context, None, lambda engine: engine.collection_exists(request.collection_name))
        return proto.CollectionExistsResponse(result=proto.CollectionExists(exists=exists))

    def Create(self, request, context):
        def create(engine: QdrantClient) -> bool:
            if engine.collection_exists(request.collection_name):
                context.abort(grpc.StatusCode.ALREADY_EXISTS, f"Wrong input: Collection `{request.collection_name}` already exists!")
            return engine.create_collection(request.collection_name, GrpcToRest.convert_vectors_config(request.vectors_config))

        return proto.CollectionOperationResponse(result=self.run(context, None, create))

    def Get(self, request, context):
        info = self.run(context, request.collection_name, lambda engine: engine.get_collection(request.collection_name))
        answer = RestToGrpc.convert_collection_info(info)
        for field in self.qdrant.indexes.get(request.collection_name, ()):
            answer.payload_schema[field].data_type = proto.PayloadSchemaType.Keyword
        return proto.GetCollectionInfoResponse(result=answer)


def _done() -> proto.PointsOperationResponse:
    return proto.PointsOperationResponse(result=proto.UpdateResult(operation_id=1, status=proto.UpdateStatus.Completed))


class _Points(_Service, proto.PointsServicer):
    def CreateFieldIndex(self, request, context):
        self.run(context, request.collection_name, lambda _: self.qdrant.indexes.setdefault(request.collection_name, set()).add(request.field_name))
        return _done()

    def Upsert(self, request, context):
        points = [GrpcToRest.convert_point_struct(point) for point in request.points]
        self.run(context, request.collection_name, lambda engine: engine.upsert(request.collection_name, points))
        return _done()

    def Delete(self, request, context):
        selector = GrpcToRest.convert_points_selector(request.points)
        self.run(context, request.collection_name, lambda engine: engine.delete(request.collection_name, selector))
        return _done()

    def Scroll(self, request, context):
        ask = {"scroll_filter": GrpcToRest.convert_filter(request.filter), "limit": request.limit}
        found, _ = self.run(context, request.collection_name, lambda engine: engine.scroll(request.collection_name, **ask))
        return proto.ScrollResponse(result=[RestToGrpc.convert_record(point) for point in found])

    def Query(self, request, context):
        self.qdrant.searches += 1
        query = GrpcToRest.convert_query_points(request)
        ask = {"query": query.query, "query_filter": query.filter, "limit": query.limit, "score_threshold": query.score_threshold}
        found = self.run(context, request.collection_name, lambda engine: engine.query_points(request.collection_name, with_payload=True, **ask))
        return proto.QueryResponse(result=[RestToGrpc.convert_scored_point(point) for point in found.points])
