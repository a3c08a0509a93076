"""logd-agent mails by itself when no server takes anything."""
import importlib, os, re, socket, subprocess, sys, tempfile, threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "lib")]
from logd import Logd, eventually, run
from proxy import Proxy

story = importlib.import_module("90_agent_every_line_once")
AGENT, Agent = story.AGENT, story.Agent


class Mailbox:
    """A mail server as small as one can be, on this machine."""

    def __init__(self):
        self.mails = []
        self.server = socket.create_server(("127.0.0.1", 0))
        self.url = "smtp://127.0.0.1:%d" % self.server.getsockname()[1]

    def __enter__(self):
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.close()

    def accept(self):
        while True:
            try:
                client = self.server.accept()[0]
            except OSError:
                return
            with client, client.makefile("rw", newline="") as f:
                self.talk(f)

    def talk(self, f):
        def say(text):
            f.write(text + "\r\n")
            f.flush()
        to = []
        say("220 mailbox")
        for line in f:
            word = line.split(":")[0].strip().upper()
            if word == "RCPT TO":
                to.append(re.search("<(.*)>", line).group(1))
            if word == "QUIT":
                return say("221 bye")
            if word == "DATA":
                say("354 go on")
                text = "".join(iter(f.readline, ".\r\n"))
                self.mails.append((to, text))
            say("250 ok")


def config(text):
    f = tempfile.NamedTemporaryFile("w", suffix=".yaml")
    f.write(text)
    f.flush()
    return f


def test_an_outage_is_one_mail_and_its_end_another():
    with Logd() as logd, Mailbox() as mailbox, Proxy(lambda: (logd.host, logd.port)) as proxy, \
            config("alarm: {to: [ops@example.com, boss@example.com], from: agent@example.com, smtp: '%s', after: 1s}" % mailbox.url) as f, \
            Agent(logd, proxy.url, args=("--config", f.name)) as agent:
        agent.write("a.log", "1\n")
        eventually(lambda: logd.count() == 1, "all is well")
        proxy.chance["lose"] = 1
        agent.write("a.log", "2\n" * 100)
        eventually(lambda: mailbox.mails, "somebody is told")
        to, text = mailbox.mails[0]
        assert to == ["ops@example.com", "boss@example.com"] and "From: agent@example.com\r\n" in text, text
        assert re.search("Subject: No logd takes the logs of .+\r\n", text) and re.search("bytes that wait: [1-9]", text), text
        assert proxy.url in text and "the last answer: " in text and "reset" in text, text
        proxy.heal()
        eventually(lambda: len(mailbox.mails) == 2, "and told when it is over", 20)
        assert "Subject: The logs of " in mailbox.mails[1][1] and "It is over" in mailbox.mails[1][1], mailbox.mails
        eventually(lambda: logd.count() == 101, "every line")
        assert len(mailbox.mails) == 2, mailbox.mails


def test_a_wrong_alarm_is_one_sentence_with_its_place():
    for text, said in (("alarm: {}", "1:8: alarm.to: expected the address"), ("alarm: {to: nobody}", 'expected a bare address, got "nobody"'),
                       ("alarm: {to: a@b.c, smtp: 'http://x'}", "alarm.smtp: expected smtp://HOST:PORT"), ("alarm: {to: a@b.c, form: a@b.c}", "from"),
                       ("alarm: {to: a@b.c, after: 1ms}", "alarm.after"), ("alarm: no", "alarm: expected a map")):
        with config(text) as f:
            done = subprocess.run([AGENT, "run", "--config", f.name, "--server", "http://127.0.0.1:1", "--key", "k", "x"], capture_output=True, text=True)
        assert done.returncode == 2 and said in done.stderr and done.stderr.count("\n") == 1, (text, done)


if __name__ == "__main__":
    run(globals())
