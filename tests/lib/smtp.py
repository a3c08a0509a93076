"""A real SMTP server for tests: aiosmtpd, unpacked by deps.sh, with STARTTLS and AUTH required, certificates of its own CA,
failures chosen by the recipient's name: defer@ 451, reject@ 550, spam@ 554 after DATA, noack@ takes the mail and loses the answer."""
import email, email.policy, logging, os, shutil, ssl, subprocess, sys, tempfile, threading, time, warnings

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../build/deps/root/usr/lib/python3/dist-packages"))
from aiosmtpd.controller import Controller  # noqa: E402
from aiosmtpd.smtp import AuthResult  # noqa: E402

warnings.filterwarnings("ignore", module="aiosmtpd")
logging.getLogger("mail.log").setLevel(logging.CRITICAL)  # refused handshakes are what some tests are about


def make_certificates(folder, names="DNS:localhost,IP:127.0.0.1"):
    """CA and a server certificate: ca.pem, srv.pem, srv.key."""
    def run(*args):
        subprocess.run(["openssl", *args], cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    run("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=logd test CA", "-keyout", "ca.key", "-out", "ca.pem")
    run("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-keyout", "srv.key", "-out", "srv.csr")
    with open(os.path.join(folder, "ext"), "w") as f:
        f.write("subjectAltName=" + names + "\n")
    run("x509", "-req", "-in", "srv.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "30", "-extfile", "ext", "-out", "srv.pem")


class Mail:
    def __init__(self, raw, rcpt, tls):
        self.raw, self.rcpt, self.tls = raw, rcpt, tls
        self.message = email.message_from_bytes(raw, policy=email.policy.default)
        self.subject = str(self.message["Subject"])
        part = self.message.get_body(("plain",))
        self.body = part.get_content() if part else ""
        part = self.message.get_body(("html",))
        self.html = part.get_content() if part else ""


class Smtp:
    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="logd-smtp-")
        make_certificates(self.dir)
        self.ca = os.path.join(self.dir, "ca.pem")
        self.inbox, self.tries, self.logins, self.lock = [], [], 0, threading.Lock()
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(os.path.join(self.dir, "srv.pem"), os.path.join(self.dir, "srv.key"))
        self.controller = Controller(self, hostname="127.0.0.1", port=0, tls_context=tls, require_starttls=True, auth_required=True,
                                     authenticator=self.authenticate)
        self.controller.port = _free_port()
        self.controller.start()
        self.url = f"smtp://localhost:{self.controller.port}"

    def authenticate(self, server, session, envelope, mechanism, data):
        self.logins += 1
        ok = getattr(data, "login", None) == b"logd" and data.password == b"s3cret"
        return AuthResult(success=ok, handled=ok)

    async def handle_RCPT(self, server, session, envelope, address, options):
        name = address.split("@")[0]
        with self.lock:
            self.tries.append(address)
        if name == "defer":
            return "451 4.2.0 try again later"
        if name == "reject":
            return "550 5.1.1 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        names = [a.split("@")[0] for a in envelope.rcpt_tos]
        if "spam" in names:
            return "554 5.7.1 looks like spam"
        with self.lock:
            self.inbox.append(Mail(envelope.original_content, envelope.rcpt_tos, session.ssl is not None))
        if "noack" in names and len(self.inbox) == 1:
            server.transport.abort()
        return "250 OK queued"

    def config(self, to=("ops@example.com",), min_rank="P3"):
        digest = time.strftime("%H:%M", time.gmtime(time.time() + 43200))  # far away, whenever the test runs
        people = "".join(f"  - {{email: {a}, min: {min_rank}, digest: '{digest}', timezone: UTC}}\n" for a in to)
        return f'mail: {{url: "{self.url}", from: logd@example.com, user: logd, password: s3cret}}\nrecipients:\n{people}'

    def stop(self):
        self.controller.stop()
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def _free_port():
    import socket
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]
