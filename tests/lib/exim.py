"""A real mail server for tests: Exim, unpacked by deps.sh, run without rights on loopback: STARTTLS, AUTH, mail as Maildir.

It looks its user up by name; nss_wrapper shows it a passwd file of its own, so that nothing has to be installed. Failures are chosen
by the recipient's name: defer@ 451, reject@ 550, deferdata@ 451 after DATA, spam@ 550 after DATA, slow@ takes 2 s. What no honest
server does (losing an answer) is in smtp.py."""
import glob, os, shutil, signal, subprocess, tempfile, time
from s3 import ROOT, free_ports
from smtp import Mail, make_certificates

CONFIG = """
local_interfaces = 127.0.0.1
daemon_smtp_ports = %(port)d
spool_directory = %(dir)s/spool
log_file_path = %(dir)s/%%slog
pid_file_path = %(dir)s/pid
primary_hostname = localhost
domainlist local_domains = *
deliver_drop_privilege = true
tls_advertise_hosts = *
tls_certificate = %(dir)s/srv.pem
tls_privatekey = %(dir)s/srv.key
auth_advertise_hosts = ${if eq{$tls_in_cipher}{}{}{*}}
acl_smtp_connect = accept
acl_smtp_mail = mail
acl_smtp_rcpt = rcpt
acl_smtp_data = data
host_lookup =
rfc1413_query_timeout = 0s
message_size_limit = 1M
smtp_accept_max = 20
never_users =
keep_environment =
begin acl
mail:
  deny message = 530 5.7.0 Must issue STARTTLS first
       !encrypted = *
  accept
rcpt:
  deny message = 530 5.7.0 Authentication required
       !authenticated = *
  defer local_parts = defer
        message = 4.2.0 try again later
  deny local_parts = reject
       message = 5.1.1 no such user
  accept local_parts = slow
         delay = 2s
  accept
data:
  defer condition = ${if match{$recipients}{deferdata@}}
        message = 4.3.1 disk full
  deny condition = ${if match{$recipients}{spam@}}
       message = 5.7.1 looks like spam
  accept
begin routers
all:
  driver = accept
  transport = maildir
begin transports
maildir:
  driver = appendfile
  directory = %(dir)s/inbox
  maildir_format
  create_directory
  envelope_to_add
  return_path_add
begin retry
* * F,1h,1m
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${if and{{eq{$auth2}{logd}}{eq{$auth3}{s3cret}}}}
  server_set_id = $auth2
login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = Username:: : Password::
  server_condition = ${if and{{eq{$auth1}{logd}}{eq{$auth2}{s3cret}}}}
  server_set_id = $auth1
"""


class Exim:
    """The same face as smtp.Smtp: url, ca, inbox, config()."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="logd-exim-")
        self.uid, self.gid = (65534, 65534) if os.geteuid() == 0 else (os.geteuid(), os.getegid())  # nobody, nogroup
        make_certificates(self.dir)
        self.ca, (port,) = os.path.join(self.dir, "ca.pem"), free_ports(1)
        self.url = f"smtp://localhost:{port}"
        self._write("conf", CONFIG % {"port": port, "dir": self.dir})
        self._write("passwd", f"Debian-exim:x:{self.uid}:{self.gid}::/:/bin/false\nroot:x:0:0::/:/bin/sh\nmail:x:8:8::/:/bin/false\n")
        self._write("group", f"Debian-exim:x:{self.gid}:\nroot:x:0:\nmail:x:8:\n")
        self._copy_program()
        self._run(port)

    def _write(self, name, text):
        with open(os.path.join(self.dir, name), "w") as f:
            f.write(text)

    def _copy_program(self):
        """Out of the tree, which may stand where nobody else may go."""
        lib = os.path.join(self.dir, "lib")
        os.makedirs(lib)
        shutil.copy(os.path.join(ROOT, "usr/sbin/exim4"), self.dir)
        for pattern in ("usr/lib/*.so*", "usr/lib/*-linux-gnu/lib*.so*"):
            for f in glob.glob(os.path.join(ROOT, pattern)):
                shutil.copy(f, lib)
        for path, _, files in os.walk(self.dir):
            for name in [path] + [os.path.join(path, f) for f in files]:
                os.chown(name, self.uid, self.gid)

    def _run(self, port):
        lib = os.path.join(self.dir, "lib")
        env = {"PATH": "/usr/bin:/bin", "LD_LIBRARY_PATH": lib, "LD_PRELOAD": os.path.join(lib, "libnss_wrapper.so"),
               "NSS_WRAPPER_PASSWD": os.path.join(self.dir, "passwd"), "NSS_WRAPPER_GROUP": os.path.join(self.dir, "group")}
        user = {"user": self.uid, "group": self.gid, "extra_groups": []} if os.geteuid() == 0 else {}
        with open(os.path.join(self.dir, "out"), "w") as out:
            self.process = subprocess.Popen([os.path.join(self.dir, "exim4"), "-C", os.path.join(self.dir, "conf"), "-bdf", "-q1m"], env=env, cwd=self.dir,
                                            stdout=out, stderr=out, start_new_session=True, **user)
        deadline = time.monotonic() + 20
        while "listening for SMTP" not in self.log():
            if self.process.poll() is not None or time.monotonic() > deadline:
                said = self.log()
                self.stop()
                raise RuntimeError("exim did not start: " + said)
            time.sleep(0.02)

    def log(self):
        text = ""
        for name in ("out", "mainlog", "paniclog"):
            if os.path.exists(os.path.join(self.dir, name)):
                with open(os.path.join(self.dir, name)) as f:
                    text += f.read()
        return text

    @property
    def inbox(self):
        """Mails in the order of arrival. Exim puts Return-path, Envelope-to and Received in front; Received tells of TLS."""
        mails = []
        for name in sorted(glob.glob(os.path.join(self.dir, "inbox/new/*")), key=lambda n: os.stat(n).st_mtime_ns):
            with open(name, "rb") as f:
                mail = Mail(f.read(), [], False)
            mail.rcpt = str(mail.message["Envelope-to"]).split(", ")
            mail.tls = "esmtpsa" in str(mail.message["Received"])
            mails.append(mail)
        return mails

    def config(self, to=("ops@example.com",), min_rank="P3"):
        people = "".join(f"  - {{email: {a}, min: {min_rank}}}\n" for a in to)
        return f'mail: {{url: "{self.url}", from: logd@example.com, user: logd, password: s3cret}}\nrecipients:\n{people}'

    def stop(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
