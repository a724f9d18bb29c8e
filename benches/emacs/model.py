"""A model server for the benchmark: real HTTP, a stream of events, at the rate that the prompt asks for.

The last line of the last message of a request has to say `TOKENS at RATE a second` or `TOKENS at once`. The
answer is one action whose text has that many words; each is one event and one chunk of HTTP. It runs as a
process of its own, so that it takes no time from the one that presses the keys. It is told that it is to end
by the end of its standard input.
"""

import json
import re
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import words

ORDER = re.compile(r"(\d+) at (once|\d+ a second)")


def chunk(data):
    """One chunk of HTTP."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def event(data):
    """One event of the stream, as one chunk of HTTP."""
    return chunk(b"data: " + json.dumps(data).encode() + b"\n\n")


def piece(text):
    """The event that adds TEXT to the answer."""
    return event({"object": "chat.completion.chunk",
                  "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]})


def lisp(text):
    """TEXT inside a string of Lisp."""
    return text.replace("\\", "\\\\").replace('"', '\\"')


class Model(BaseHTTPRequestHandler):
    """Answers each request with what its prompt orders."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        orders = ORDER.findall(json.dumps(body["messages"]))
        if not orders:
            self.send_error(400, "the prompt orders nothing")
            return
        count, rate = int(orders[-1][0]), orders[-1][1]
        tokens = [lisp(token) for token in words.tokens(count)]
        tokens[0] = ('(:type :request :target :emacs :payload (:action :insert-at-end'
                     ' :buffer "*org-agent-chat*" :text "') + tokens[0]
        tokens[-1] += '"))'
        events = [piece(token) for token in tokens]
        end = (event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
               + event({"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": count,
                                                 "total_tokens": count + 7}})
               + chunk(b"data: [DONE]\n\n") + chunk(b""))
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if rate == "once":
            self.wfile.write(b"".join(events))
        else:
            # By the clock, not by pauses: what is late once does not stay late.
            begun, step = time.monotonic(), 1 / int(rate.split()[0])
            for number, data in enumerate(events):
                time.sleep(max(0, begun + number * step - time.monotonic()))
                self.wfile.write(data)
        self.wfile.write(end)

    def log_message(self, *_):
        """Says nothing."""


class Server(ThreadingHTTPServer):
    """The server; an answer that nobody reads any more is not worth a word."""

    disable_nagle_algorithm = True
    daemon_threads = True

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def main():
    """Serves until standard input ends."""
    server = Server(("127.0.0.1", 0), Model)
    print(f"http://127.0.0.1:{server.server_address[1]}/v1", flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    main()
