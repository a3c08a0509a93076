"""A disk that is nearly full: posts are told to come back, reading, signing in and alerts go on, and it recovers by itself."""
import os, subprocess, sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from logd import Logd, Skip, eventually, run

RULES = """
rules:
- {id: any-error, why: an error happened, when: level >= error, by: [app], digest: 60s}
"""


class SmallDisk:
    """A file system of its own for the data folder."""

    def __init__(self, folder, mib):
        self.path = os.path.join(folder, "small")
        os.mkdir(self.path)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mib}m", "tmpfs", self.path], capture_output=True, text=True)
        if done.returncode:
            raise Skip("a small file system cannot be mounted here: " + done.stderr.strip())

    def __enter__(self):
        return self.path

    def __exit__(self, *_):
        subprocess.run(["umount", "-l", self.path])


def test_posts_get_503_and_everything_else_goes_on_until_space_is_free():
    with Logd(rules=RULES) as logd:
        mails = os.path.join(logd.folder, "mail")
        logd.configure(f'mail: {{url: "maildir:{mails}", from: a@b.c}}\nrecipients: [{{email: x@y.z}}]\n', RULES)
        logd.stop()
        with SmallDisk(logd.folder, 110) as disk:
            logd.data, logd.keys = os.path.join(disk, "data"), {}
            logd.start()
            key = logd.key("ingest")
            logd.key("read"), logd.key("admin")
            logd.command("user", "add", "a@b.cd", input="a long password\n")
            line = '{"level":"error","message":"' + "x" * 1000 + '"}\n'
            taken, refused = 0, None
            for _ in range(200):
                r = logd.post("/v1/events", line * 500, key=key)
                if r.status != 200:
                    refused = r
                    break
                taken += 500
            assert refused is not None and refused.status == 503 and refused.headers["Retry-After"] and "disk" in refused.json()["error"], refused
            assert logd.count() == taken, "reading goes on"
            assert logd.post("/login", {"email": "a@b.cd", "password": "a long password"}, key=False).status == 200
            logd.advance(61)
            eventually(lambda: os.path.isdir(mails + "/new") and len(os.listdir(mails + "/new")) == 2, "the digest is sent")
            # somebody makes room
            subprocess.run(["mount", "-o", "remount,size=200m", disk], check=True)
            eventually(lambda: logd.post("/v1/events", line, key=key).status == 200, "it recovers unaided")
            assert logd.count() == taken + 1
            logd.kill9_and_restart()
            assert logd.count() == taken + 1
            assert logd.stop() == 0


if __name__ == "__main__":
    run(globals())
