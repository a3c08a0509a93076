"""Mail that a sendmail program takes: it is started clean, gets the whole mail, and one that fails is tried again."""
import os, sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from logd import Logd, eventually, run

RULES = "rules:\n- {id: any-error, why: an error, when: level >= error, rank: P1}\n"
PROGRAM = """#!/bin/sh
cd "$(dirname "$0")"
test -e works || exit 75
grep SigBlk /proc/self/status > blocked
printf '%s\\n' "$@" > arguments
cat > mail.tmp && mv mail.tmp mail
"""


def test_a_program_gets_the_mail_and_its_failure_is_not_the_end():
    with Logd() as logd:
        path = lambda name: os.path.join(logd.folder, name)
        read = lambda name: open(path(name)).read()
        with open(path("send"), "w") as f:
            f.write(PROGRAM)
        os.chmod(path("send"), 0o755)
        logd.configure("mail: {url: 'sendmail:%s', from: logd@example.com}\nrecipients: [{email: eva@example.com, min: P5}]\n" % path("send"), RULES)
        logd.restart()
        logd.post("/v1/events", {"level": "error", "message": "the till is stuck"})
        eventually(lambda: "exited with 75" in logd.log(), "the failure is said")
        open(path("works"), "w").close()
        logd.advance(120)
        eventually(lambda: os.path.exists(path("mail")), "it is tried again")
        assert "the till is stuck" in read("mail") and "To: eva@example.com" in read("mail") and "Key:" not in read("mail"), read("mail")
        assert read("arguments") == "-i\n-f\nlogd@example.com\n--\neva@example.com\n", read("arguments")
        assert read("blocked").split() == ["SigBlk:", "0" * 16], "it can be stopped like any program"


run(globals())
