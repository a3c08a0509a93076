"""TLS: the same server behind a certificate, and a new certificate on SIGHUP without a restart."""
import http.client, os, shutil, signal, socket, ssl, subprocess, sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from logd import Logd, Skip, eventually, run


def certificate(folder, name):
    """cert.pem and key.pem for that common name, signed by itself."""
    if not shutil.which("openssl"):
        raise Skip("openssl is not installed")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=" + name,
                    "-addext", "subjectAltName=DNS:" + name, "-keyout", folder + "/key.pem", "-out", folder + "/cert.pem"], check=True, capture_output=True)


def secure(**more):
    logd = Logd(**more)
    certificate(logd.folder, "one.example")
    logd.configure("tls: {cert: %s/cert.pem, key: %s/key.pem}\n" % (logd.folder, logd.folder))
    return logd


def common_name(logd):
    pem = ssl.get_server_certificate((logd.host, logd.port))
    out = subprocess.run(["openssl", "x509", "-noout", "-subject"], input=pem, capture_output=True, text=True, check=True).stdout
    return out.split("CN = ")[1].strip()


def test_everything_works_through_tls():
    with secure() as logd:
        assert logd.url.startswith("https://")
        assert logd.post("/v1/events", '{"message":"x"}').status == 200
        c = logd.connect()
        for i in range(50):
            assert logd.post("/v1/events", '{"message":"%d"}\n' % i * 100, connection=c).json()["accepted"] == 100
        assert logd.post("/v1/events", '{"message":"%s"}\n' % ("a" * 9000) * 300, connection=c).json()["accepted"] == 300
        c.close()
        assert logd.count() == 5301
        assert logd.command("key", "list").stdout  # the socket in the data folder is not TLS


def test_plain_http_to_a_tls_port_gets_nothing_and_harms_nothing():
    with secure(env={"LOGD_TEST_HURRY": "10"}) as logd:
        with socket.create_connection((logd.host, logd.port), timeout=10) as s:
            s.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            got = s.recv(65536)
        assert not got.startswith(b"HTTP/"), got
        assert logd.get("/healthz", key=False).status == 200


def test_old_protocols_are_refused():
    with secure() as logd:
        for version, fine in [(ssl.TLSVersion.TLSv1_3, True), (ssl.TLSVersion.TLSv1_2, True), (ssl.TLSVersion.TLSv1_1, False)]:
            context = ssl._create_unverified_context()
            context.set_ciphers("DEFAULT:@SECLEVEL=0")
            context.minimum_version = context.maximum_version = version
            try:
                with context.wrap_socket(socket.create_connection((logd.host, logd.port), timeout=10)):
                    worked = True
            except (ssl.SSLError, ConnectionError):
                worked = False
            assert worked == fine, version


def test_a_new_certificate_is_shown_after_sighup_and_open_connections_go_on():
    with secure() as logd:
        assert common_name(logd) == "one.example"
        c = logd.connect()
        assert logd.get("/healthz", key=False, connection=c).status == 200
        certificate(logd.folder, "two.example")
        logd.process.send_signal(signal.SIGHUP)
        eventually(lambda: common_name(logd) == "two.example", "the new certificate is shown")
        assert logd.get("/healthz", key=False, connection=c).status == 200
        c.close()


def test_a_bad_certificate_on_sighup_leaves_the_old_one_and_says_why():
    with secure() as logd:
        good = open(logd.folder + "/key.pem").read()
        certificate(logd.folder, "two.example")
        with open(logd.folder + "/key.pem", "w") as f:
            f.write(good)  # the key of another certificate
        logd.process.send_signal(signal.SIGHUP)
        eventually(lambda: "does not belong to the certificate" in logd.log(), "the reason is said")
        assert common_name(logd) == "one.example"


def test_a_refusal_in_the_middle_of_a_body_reaches_the_sender_through_tls():
    with secure() as logd:
        logd.configure("limits: {body: 1MiB}\n" + open(logd.config_path).read())
        logd.restart()
        context = ssl._create_unverified_context()
        with context.wrap_socket(socket.create_connection((logd.host, logd.port), timeout=10)) as s:
            s.sendall(b"POST /v1/events HTTP/1.1\r\nHost: x\r\nX-Logd-Key: %s\r\nTransfer-Encoding: chunked\r\n\r\n" % logd.key().encode())
            try:
                for _ in range(20):
                    s.sendall(b"10000\r\n" + b"a" * 65536 + b"\r\n")
            except OSError:
                pass
            assert s.recv(65536).startswith(b"HTTP/1.1 413 ")


def test_slow_handshakes_are_cut_off():
    with secure(env={"LOGD_TEST_HURRY": "10"}) as logd:
        sockets = [socket.create_connection((logd.host, logd.port), timeout=10) for _ in range(50)]
        for s in sockets:
            s.sendall(b"\x16\x03\x01")
        for s in sockets:
            try:
                assert s.recv(100) == b""
            except ConnectionResetError:
                pass
            s.close()
        assert logd.get("/healthz", key=False).status == 200


if __name__ == "__main__":
    run(globals())
