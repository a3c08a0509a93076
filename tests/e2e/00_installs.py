"""`make install` leaves a server that starts: program, unit, config and rules fit each other, and an admin's config stays."""
import os, re, shutil, subprocess, sys, tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from logd import TREE, Logd, Skip, run

CONFIG, UNIT = "etc/logd/logd.yaml", "lib/systemd/system/logd.service"


class Installed:
    """A folder that everything was installed into, as a package is built; gone at the end."""

    def __enter__(self):
        self.root = tempfile.mkdtemp(prefix="logd.")
        self.install()
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.root, ignore_errors=True)

    def install(self, prefix="/usr"):
        subprocess.run(["make", "-s", "-C", TREE, "install", "DESTDIR=" + self.root, "PREFIX=" + prefix], check=True, timeout=280)

    def path(self, name):
        return os.path.join(self.root, name)

    def read(self, name):
        with open(self.path(name)) as f:
            return f.read()

    def here(self, name):
        """The file's text with its absolute paths leading into the folder."""
        return re.sub(r"(?<=[ =,\[])/(?=usr/|etc/)", self.root + "/", self.read(name))

    def server(self, config, **more):
        logd = Logd(config=config, **more)
        logd.binary = self.path("usr/bin/logd")
        return logd


def test_the_installed_server_starts_with_the_installed_config_and_rules():
    with Installed() as there, there.server(there.here(CONFIG)) as logd:
        assert logd.post("/v1/events", {"message": "hello"}).status == 200 and logd.count() == 1
        files = {r["file"] for r in logd.get("/v1/rules").json()["rules"]}
        assert files == {there.path("usr/share/logd/rules/default.yaml")}, files


def test_each_line_of_the_installed_config_that_is_commented_out_works():
    with Installed() as there:
        text = re.sub(r"^retention:.*\n|^#tls:.*\n", "", there.here(CONFIG), flags=re.M)
        text, n = re.subn(r"^#(?! )|^#(?=  - )", "", text, flags=re.M)
        assert n >= 7, text
        with there.server(text, env={"SMTP_PASSWORD": "x", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}) as logd:
            assert logd.get("/healthz", key=False).status == 200


def test_a_config_that_is_there_is_not_touched():
    with Installed() as there:
        with open(there.path(CONFIG), "w") as f:
            f.write("listen: 127.0.0.1:1\n")
        there.install()
        assert there.read(CONFIG) == "listen: 127.0.0.1:1\n"


def test_systemd_takes_the_unit():
    if not shutil.which("systemd-analyze"):
        raise Skip("there is no systemd-analyze")
    with Installed() as there:
        unit = there.here(UNIT)
        assert "ExecStart=%s/usr/bin/logd serve --config %s/etc/logd/logd.yaml " % (there.root, there.root) in unit, unit
        with open(there.path("logd.service"), "w") as f:
            f.write(unit)
        done = subprocess.run(["systemd-analyze", "verify", "--man=no", there.path("logd.service")], capture_output=True, text=True, timeout=60)
        said = [line for line in done.stderr.splitlines() if "logd.service" in line]
        assert done.returncode == 0 and not said, done


if __name__ == "__main__":
    run(globals())
