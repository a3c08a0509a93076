"""A real S3 server for tests: OpenStack Swift with its s3api, unpacked by deps.sh into build/deps/root, one node, loopback,
run as an ordinary program. It checks signatures and payload hashes."""
import hashlib, hmac, os, shutil, signal, socket, subprocess, tempfile, time, urllib.error, urllib.parse, urllib.request
from datetime import datetime, timezone

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../build/deps/root")
PROXY = """[DEFAULT]
bind_ip = 127.0.0.1
bind_port = %(port)d
workers = 0
swift_dir = %(dir)s
log_level = WARNING
[pipeline:main]
pipeline = catch_errors cache listing_formats s3api tempauth copy slo dlo proxy-server
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:%(cache)d
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
s3_acl = false
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = testing .admin
[filter:copy]
use = egg:swift#copy
[filter:slo]
use = egg:swift#slo
[filter:dlo]
use = egg:swift#dlo
[app:proxy-server]
use = egg:swift#proxy
allow_account_management = true
account_autocreate = true
"""
NODE = """[DEFAULT]
bind_ip = 127.0.0.1
bind_port = %(port)d
workers = 0
mount_check = false
swift_dir = %(dir)s
devices = %(dir)s/srv
recon_cache_path = %(dir)s/cache
log_level = WARNING
[pipeline:main]
pipeline = %(kind)s-server
[app:%(kind)s-server]
use = egg:swift#%(kind)s
"""
KINDS = ("account", "container", "object")
RINGS = """import sys
from swift.common.ring import RingBuilder
for kind, port in zip(%r, sys.argv[1:]):
    ring = RingBuilder(4, 1, 1)
    ring.add_dev(dict(id=0, region=1, zone=1, ip="127.0.0.1", port=int(port), replication_ip="127.0.0.1", replication_port=int(port), device="d1", weight=1, meta=""))
    ring.rebalance()
    ring.get_ring().save(kind + ".ring.gz")
""" % (KINDS,)


def free_ports(n):
    socks = [socket.create_server(("127.0.0.1", 0)) for _ in range(n)]
    ports = [s.getsockname()[1] for s in socks]
    for s in socks:
        s.close()
    return ports


class S3:
    access_key, secret_key, region, bucket = "test:tester", "testing", "us-east-1", "logs"

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="logd-s3-")
        self.procs = []
        ports = free_ports(5)
        self.endpoint = f"http://127.0.0.1:{ports[0]}"
        lib = os.path.join(ROOT, "usr/lib")
        self.env = dict(os.environ, PYTHONPATH=os.path.join(ROOT, "usr/lib/python3/dist-packages"), PYTHONNOUSERSITE="1", EVENTLET_NO_GREENDNS="yes",
                        LD_LIBRARY_PATH=f"{lib}/x86_64-linux-gnu:{lib}")
        for sub in ("srv/d1", "cache"):
            os.makedirs(os.path.join(self.dir, sub))
        self._write("swift.conf", "[swift-hash]\nswift_hash_path_prefix = a\nswift_hash_path_suffix = b\n")
        self._write("proxy.conf", PROXY % {"port": ports[0], "dir": self.dir, "cache": ports[4]})
        self._write("rings.py", RINGS)
        subprocess.run(["/usr/bin/python3", "rings.py", *map(str, ports[1:4])], env=self.env, cwd=self.dir, check=True, capture_output=True)
        for kind, port in zip(KINDS, ports[1:4]):
            self._write(kind + ".conf", NODE % {"port": port, "dir": self.dir, "kind": kind})
            self._spawn(f"swift-{kind}-server", os.path.join(self.dir, kind + ".conf"))
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        self.procs.append(subprocess.Popen([os.path.join(ROOT, "usr/bin/memcached"), *user, "-l", "127.0.0.1", "-p", str(ports[4]), "-U", "0", "-m", "16"],
                                           env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        self._spawn("swift-proxy-server", os.path.join(self.dir, "proxy.conf"))
        deadline = time.monotonic() + 40
        while True:
            try:
                if self.call("PUT", "")[0] in (200, 409):
                    return
            except OSError:
                pass
            if time.monotonic() > deadline:
                log = open(os.path.join(self.dir, "log")).read()[-2000:]
                self.stop()
                raise RuntimeError("the S3 server did not start: " + log)
            time.sleep(0.2)

    def _write(self, name, text):
        with open(os.path.join(self.dir, name), "w") as f:
            f.write(text)

    def _script(self, name):
        path = os.path.join(ROOT, "usr/bin", name)  # it looks for swift.conf in /etc unless told before it starts
        start = f"import sys, runpy, swift.common.utils as u; u.set_swift_dir({self.dir!r}); sys.argv[0] = {path!r}; runpy.run_path({path!r}, run_name='__main__')"
        return ["/usr/bin/python3", "-c", start]

    def _spawn(self, name, conf):
        log = open(os.path.join(self.dir, "log"), "ab")
        self.procs.append(subprocess.Popen(self._script(name) + [conf, "-v"], env=self.env, cwd=self.dir, stdout=log, stderr=log))

    def call(self, method, key, body=b"", bucket=None):
        """One request, signed (AWS Signature V4) independently of logd's own signing: (status, body)."""
        path = "/" + (bucket or self.bucket) + ("/" + urllib.parse.quote(key) if key and not key.startswith("?") else "")
        query = key[1:] if key.startswith("?") else ""
        now = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        host, sha = self.endpoint.split("//")[1], hashlib.sha256(body).hexdigest()
        canonical = f"{method}\n{path}\n{query}\nhost:{host}\nx-amz-content-sha256:{sha}\nx-amz-date:{now}\n\nhost;x-amz-content-sha256;x-amz-date\n{sha}"
        scope = f"{now[:8]}/{self.region}/s3/aws4_request"
        to_sign = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        key_ = ("AWS4" + self.secret_key).encode()
        for part in scope.split("/"):
            key_ = hmac.new(key_, part.encode(), hashlib.sha256).digest()
        signature = hmac.new(key_, to_sign.encode(), hashlib.sha256).hexdigest()
        request = urllib.request.Request(self.endpoint + path + ("?" + query if query else ""), data=body or None, method=method, headers={
            "x-amz-date": now, "x-amz-content-sha256": sha,
            "Authorization": f"AWS4-HMAC-SHA256 Credential={self.access_key}/{scope}, SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature={signature}"})
        try:
            with urllib.request.urlopen(request, timeout=30) as r:
                return r.status, r.read()
        except urllib.error.HTTPError as e:
            return e.code, e.read()

    def list(self, prefix=""):
        import re
        status, body = self.call("GET", "?list-type=2&prefix=" + urllib.parse.quote(prefix, safe=""))
        assert status == 200, body
        return re.findall(r"<Key>([^<]+)</Key>", body.decode())

    def get(self, key):
        status, body = self.call("GET", key)
        assert status == 200, (status, body)
        return body

    def pause(self, on=True):
        """Hangs every request until told otherwise."""
        self.procs[-1].send_signal(signal.SIGSTOP if on else signal.SIGCONT)

    def config(self, prefix="prod", every="1s"):
        return (f'archive: {{url: "s3://{self.bucket}/{prefix}", endpoint: "{self.endpoint}", region: {self.region}, '
                f'access_key: "{self.access_key}", secret_key: "{self.secret_key}", every: {every}}}\n')

    def stop(self):
        for p in self.procs:
            p.send_signal(signal.SIGCONT)
            p.kill()
        for p in self.procs:
            p.wait()
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
