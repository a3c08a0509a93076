"""What stands outside logd in the stories: a browser, Node programs, a page that throws."""
import http.server, json, os, subprocess, tempfile, threading
from logd import TREE, Skip

DEPS = os.path.join(TREE, "build/deps")
SHOTS = os.path.join(TREE, "build/shots")


def node(script, *args, **more):
    env = dict(os.environ, NODE_PATH=os.path.join(DEPS, "node/node_modules"))
    return subprocess.Popen([os.path.join(DEPS, "node-bin"), os.path.join(TREE, "tests/lib", script), *map(str, args)], env=env, **more)


def browse(*steps):
    """Drives a real Chromium through the steps of browser.js; what it said."""
    if not os.path.exists("/usr/bin/chromium"):
        raise Skip("there is no /usr/bin/chromium: make deps-test installs it")
    os.makedirs(SHOTS, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", suffix=".json") as f:
        json.dump(steps, f)
        f.flush()
        done = node("browser.js", f.name, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        out, err = done.communicate(timeout=120)
    assert done.returncode == 0, err[-3000:]
    return json.loads(out)


def shot(name, **more):
    return {"do": "shot", "file": os.path.join(SHOTS, name + ".png"), **more}


class Site:
    """A web site of somebody else: serves the given pages on a free port of its own origin; a number is a status without a page."""

    def __init__(self, pages):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                page = pages.get(self.path.split("?")[0], 404)
                status, body = (page, b"") if isinstance(page, int) else (200, page.encode())
                self.send_response(status)
                self.send_header("Content-Type", "text/javascript" if self.path.split("?")[0].endswith(".js") else "text/html")
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self):
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self.do_GET()

            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.origin = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
