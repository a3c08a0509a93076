"""The package for Node programs, installed by npm and used by programs that crash, reject, leave and wait for a server."""
import json, os, shutil, socket, subprocess, sys, tempfile, time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from logd import TREE, Logd, eventually, run
from outside import DEPS

HEAD = "const logd = require('logd')({url: %s, key: %s, release: '1.4', env: 'test', service: 'api', spool: %s%s})\n"


class Program:
    """A folder with the package in it, as `npm install` leaves it."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="logd.node.")
        done = subprocess.run(["npm", "install", "--install-links", "--offline", "--no-audit", "--no-fund", os.path.join(TREE, "web/beacon/node")],
                              cwd=self.folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        with open(os.path.join(self.folder, "node_modules/logd/package.json")) as f:
            assert "dependencies" not in json.load(f)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder)

    def start(self, url, key, code, more=""):
        with open(os.path.join(self.folder, "app.js"), "w") as f:
            f.write(HEAD % (json.dumps(url), json.dumps(key), json.dumps(os.path.join(self.folder, "spool")), more) + code)
        return subprocess.Popen([os.path.join(DEPS, "node-bin"), "app.js"], cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def run(self, *args, **more):
        p = self.start(*args, **more)
        out, err = p.communicate(timeout=30)
        return p.returncode, out, err


def fixed():
    """A logd that comes back on its port."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return Logd(args=("--listen", f"127.0.0.1:{s.getsockname()[1]}"))


def test_a_crash_is_told_and_stays_the_crash_it_was():
    with Program() as app, Logd() as logd:
        code, out, err = app.run(logd.url, logd.key(), "console.error('quiet')\nfunction deep() { throw new RangeError('too deep', {cause: new Error('inner')}) }\nsetTimeout(deep, 10)")
        assert code == 1 and "RangeError: too deep" in err and "deep" in err, (code, err)
        row, = logd.query("app=shop")
        assert row["type"] == "node.uncaught" and row["level"] == "critical" and row["message"] == "RangeError: too deep", row
        assert row["release"] == "1.4" and row["env"] == "test" and row["service"] == "api" and row["error.cause.message"] == "inner" and "deep" in row["error.stack"], row
        code, _, err = app.run(logd.url, logd.key(), "Promise.reject(new TypeError('nobody listens'))")
        assert code == 1 and "nobody listens" in err
        assert logd.query("nobody")[0]["type"] == "node.rejection"
        code, _, _ = app.run(logd.url, logd.key(), "process.on('unhandledRejection', () => 0)\nPromise.reject(new TypeError('somebody listens'))")
        assert code == 0 and logd.query("somebody")[0]["type"] == "node.rejection"


def test_a_program_that_leaves_has_said_it_all():
    with Program() as app, Logd() as logd:
        code, _, err = app.run(logd.url, logd.key(), "for (let i = 0; i < 1200; i++) logd('info', 'line ' + i, {n: i})\nlogd('warn', new Error('told'))\n"
                               "for (let i = 0; i < 5; i++) logd.count('order', 2, {kind: 'book'})\nconsole.warn('seen', {a: 1})\nprocess.exit(7)", more=", console: true")
        assert code == 7 and "seen { a: 1 }" in err, (code, err)
        assert logd.count("app=shop") == 1202 and logd.query("told")[0]["error.message"] == "told"
        assert logd.query("type=node.console")[0]["message"] == 'seen {"a":1}'
        assert logd.get("/v1/stats/order?by=day").json()["total"] == 10


def test_what_a_dead_server_did_not_take_arrives_once():
    with Program() as app, fixed() as logd:
        key, url = logd.key(), logd.url
        logd.stop()
        code, _, err = app.run(url, key, "logd.count('boot')\nsetTimeout(() => { throw new Error('while it was away') }, 10)")
        assert code == 1 and "while it was away" in err and len(os.listdir(app.folder + "/spool")) == 1
        p = app.start(url, key, "logd('info', 'next')\nlogd.count('boot')\nsetTimeout(() => 0, 60000)")
        time.sleep(1.5)  # it has tried
        logd.start()
        eventually(lambda: logd.count('"while it was away"') == 1 and logd.count("message=next") == 1, "the running program goes on trying", timeout=20)
        eventually(lambda: logd.get("/v1/stats/boot?by=day").json().get("total") == 2, "counts too")
        eventually(lambda: os.listdir(app.folder + "/spool") == [], "the spool is empty")
        p.kill()
        p.communicate()
        assert logd.count("app=shop") == 2


def test_nothing_is_thrown_into_the_program():
    cases = """const round = {}; round.round = round
logd('error', 'round', round); logd(); logd('loud'); logd('info', Symbol('s')); logd.count(); logd.count('x', 'many', round)
logd('info', {get name() { throw 1 }}); logd('error', Object.create(Error.prototype, {stack: {get() { throw 2 }}})); logd('info', 'bigint', 10n)
Promise.resolve(logd.flush()).then(() => console.log('alive'))"""
    with Program() as app, Logd() as logd:
        for url, key in [(logd.url, logd.key()), ("http://127.0.0.1:1", "x"), ("nonsense", "\n"), (None, None)]:
            code, out, err = app.run(url, key, cases)
            assert code == 0 and out == "alive\n", (url, code, out, err)


if __name__ == "__main__":
    run(globals())
