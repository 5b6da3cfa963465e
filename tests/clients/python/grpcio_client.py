"""grpcio: unary calls, and beside them streams in both directions, on one channel."""

import queue
from urllib.parse import urlsplit

import grpc
from tally import pauses, run_threads

# Messages for each stream; with the pauses between them it lasts a second.
MESSAGES = 5


def unary(url, tally, stopping):
    with grpc.insecure_channel(urlsplit(url).netloc) as channel:
        hello = channel.unary_unary("/ebb.Clients/Hello")
        for pause in pauses():
            try:
                tally.answered(hello(b"x" * 1000).decode())
            except grpc.RpcError as error:
                tally.failed(f"unary: {error.code()}: {error.details()}")
            if stopping.wait(pause):
                return


def streams(url, tally, stopping):
    # A channel to the same address with the same options shares the connection.
    with grpc.insecure_channel(urlsplit(url).netloc) as channel:
        talk = channel.stream_stream("/ebb.Clients/Talk")
        while not stopping.is_set():
            messages = queue.SimpleQueue()
            try:
                answers = talk(iter(messages.get, None))
                for _, pause in zip(range(MESSAGES), pauses()):
                    messages.put(b"x" * 100)
                    tally.answered(next(answers).decode())
                    stopping.wait(pause)
                messages.put(None)
                if next(answers, None) is not None:
                    tally.failed("stream: one answer too many")
            except grpc.RpcError as error:
                tally.failed(f"stream: {error.code()}: {error.details()}")
                stopping.wait(0.05)
            except StopIteration:
                tally.failed("stream: it ended before its last answer")
            finally:
                messages.put(None)


run_threads(unary, streams)
