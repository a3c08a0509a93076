"""A real HTTP server that takes what webhooks post, for the stories: it answers as it is told to."""
import http.server, json, threading


class Hooks:
    """`answers`: path -> (status, headers, body) or a function of the handler; else 200 ok. `got`: (path, headers, body) in order."""

    def __init__(self, host="127.0.0.1"):
        self.got, self.answers, self.lock = [], {}, threading.Lock()
        hooks = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with hooks.lock:
                    hooks.got.append((self.path, dict(self.headers), body))
                answer = hooks.answers.get(self.path, (200, {}, b"ok"))
                if callable(answer):
                    return answer(self)
                status, headers, text = answer
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_HEAD = do_PUT = lambda self: hooks.got.append((self.path, dict(self.headers), b"")) or self.send_error(405)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer((host, 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_port
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.thread.start()

    def url(self, path="/", host="127.0.0.1"):
        return f"http://{host}:{self.port}{path}"

    def bodies(self, path):
        with self.lock:
            return [json.loads(body) for at, _, body in self.got if at == path]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
