"""What `make run` prints can be copied: the curl line, the query, the page that throws, losing it all and bringing it back."""
import json, os, re, shutil, signal, subprocess, sys, tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from logd import TREE, eventually, run


def shell(line):
    done = subprocess.run(line, shell=True, cwd=TREE, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, (line, done)
    return done.stdout


class Demo:
    """demo.py in a folder of its own; `said` is what it printed, `line` what stands behind a word of it."""

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="logd.")
        self.demo = os.path.join(self.folder, "demo")
        self.process = subprocess.Popen([sys.executable, os.path.join(TREE, "tests/lib/demo.py"), "--port", "0"], stdout=subprocess.PIPE, text=True,
                                        env=dict(os.environ, LOGD_DEMO=self.demo))
        self.said = ""
        while "Ctrl-C" not in self.said:
            line = self.process.stdout.readline()
            assert line, "the demo ended: " + self.said
            self.said += line
        return self

    def line(self, word):
        return re.search(r"^  %s +(.*?)(   |$)" % word, self.said, re.M)[1]

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)
        shutil.rmtree(self.folder, ignore_errors=True)


def test_each_line_of_the_demo_does_what_it_says():
    with Demo() as demo:
        assert json.loads(shell(demo.line("post")))["accepted"] == 1
        assert "shop" in shell(demo.line("query"))
        assert json.loads(shell("curl -s" + demo.line("numbers").split("curl")[1]))["accepted"] == 1
        url = demo.line("open").split("/first")[0]
        with open(demo.demo + "/page/index.html") as f:
            assert url + "/b.js" in f.read()
        mails = lambda: [open(f"{demo.demo}/mail/new/{name}").read() for name in os.listdir(demo.demo + "/mail/new")]
        eventually(lambda: [m for m in mails() if "hello from curl" in m], "the mail of the curl line")
        assert len([m for m in mails() if re.search("^Subject:.*hello from curl", m, re.M)]) == 1
        data = f"--data {demo.demo}/data"
        shell(f"build/logd archive ship {data}")
        query = f"build/logd query '\"hello from curl\"' {data} --format ndjson"
        before = shell(query)
        assert before.count("\n") == 1, before
        shell(demo.line("lose it all"))
        eventually(lambda: demo.process.poll() is not None, "the demo ends with its server")
        assert "logd has ended (-9)" in demo.process.stdout.read()
        assert not os.path.exists(demo.demo + "/data")
        assert "done:" in shell(demo.line("and restore"))
        serve = re.search(r"^ +(build/logd serve .*)$", demo.said, re.M)[1]
        server = subprocess.Popen("exec " + serve, shell=True, cwd=TREE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            assert server.stdout.readline() == f"logd: listening on {url}\n"
            assert shell(query) == before
            assert json.loads(shell(demo.line("post")))["accepted"] == 1, "the key came back too"
        finally:
            server.terminate()
            server.wait(30)


if __name__ == "__main__":
    run(globals())
