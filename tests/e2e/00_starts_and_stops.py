"""It starts with no config at all, says one line, answers, and stops cleanly."""
import os, re, signal, socket, struct, subprocess, sys, threading, time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from logd import Logd, eventually, run


def command(logd, *args):
    return subprocess.run([logd.binary, *args], capture_output=True, text=True, timeout=30, cwd=logd.folder)


def test_version_and_help():
    with Logd() as logd:
        assert command(logd, "--version").stdout.startswith("logd ")
        for args in (["--help"], ["serve", "--help"], ["query", "--help"]):
            done = command(logd, *args)
            assert done.returncode == 0 and "logd" in done.stdout, done


def test_wrong_usage_is_one_line_and_exit_2():
    with Logd() as logd:
        for args in (["serv"], ["serve", "--lisen", "x"], ["key", "add", "--app"]):
            done = command(logd, *args)
            assert done.returncode == 2, (args, done)
            assert done.stderr.startswith("logd: ") and done.stderr.count("\n") == 1, done.stderr


def test_answers_and_stops_on_sigterm_with_exit_0():
    with Logd() as logd:
        assert logd.get("/healthz", key=False).json() == {"status": "ok"}
        assert logd.stop() == 0


def test_stops_cleanly_while_many_come_and_go():
    """Requests and resets at the moment of the stop, forty times."""
    halt = threading.Event()

    def come_and_go(address):
        while not halt.is_set():
            try:
                with socket.create_connection(address, 2) as s:
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    s.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
                    if time.monotonic() % .002 < .001:
                        s.recv(4096)
            except OSError:
                pass

    with Logd() as logd:
        for _ in range(40):
            halt.clear()
            threads = [threading.Thread(target=come_and_go, args=((logd.host, logd.port),)) for _ in range(3)]
            for t in threads:
                t.start()
            time.sleep(.02)
            code = logd.stop()
            halt.set()
            for t in threads:
                t.join()
            assert code == 0, (code, logd.log()[-500:])
            logd.start()


def test_a_second_server_on_the_same_folder_is_refused():
    with Logd() as logd:
        done = command(logd, "serve", "--data", logd.data, "--listen", "127.0.0.1:0")
        assert done.returncode == 1 and "held by another logd" in done.stderr, done


def test_a_bad_config_is_one_line_with_its_place_and_the_nearest_name():
    with Logd() as logd:
        logd.configure("lisen: 127.0.0.1:1\n")
        done = command(logd, "serve", "--config", logd.config_path, "--data", os.path.join(logd.folder, "other"))
        assert done.returncode == 1 and done.stderr.count("\n") == 1, done
        assert "logd.yaml:1:1" in done.stderr and "listen" in done.stderr, done.stderr


def test_a_wrong_address_makes_nothing():
    with Logd() as logd:
        other = os.path.join(logd.folder, "other")
        done = command(logd, "serve", "--data", other, "--listen", "bad")
        assert done.returncode == 1 and 'got "bad"' in done.stderr and not os.path.exists(other), done


def die_and_forget_the_fold(logd):
    logd.kill9()
    for name in os.listdir(logd.data):
        if name.startswith("fold.db"):
            os.unlink(os.path.join(logd.data, name))


def test_a_port_that_is_taken_is_told_before_anything_is_replayed():
    with Logd() as logd, socket.create_server(("127.0.0.1", 0)) as other:
        logd.post("/v1/events", [{"message": "one"}, {"message": "two", "level": "error"}])
        die_and_forget_the_fold(logd)
        address = "127.0.0.1:%d" % other.getsockname()[1]
        done = command(logd, "serve", "--data", logd.data, "--listen", address)
        assert done.returncode == 1 and done.stderr == "logd: serve: listen on %s: Address already in use\n" % address, done
        assert not os.path.exists(os.path.join(logd.data, "fold.db")), "nothing was begun"


def test_rules_and_store_replay_at_once_and_queries_wait_for_all():
    with Logd() as logd:
        logd.key("admin")
        pad = "lorem ipsum dolor " * 100
        for i in range(20):
            logd.post("/v1/events", [{"message": "request %d %s" % (j, pad), "level": "error" if j % 100 == 0 else "info"} for j in range(1000)])
        die_and_forget_the_fold(logd)
        logd.start()
        assert logd.count() == 20000, "the first answer has all events"
        eventually(lambda: sum(i["count"] for i in logd.get("/v1/issues").json()["issues"]) == 200, "the fold has each error once")


def test_a_path_that_is_not_known_is_a_page_for_a_browser():
    with Logd() as logd:
        for path in ("/nowhere", "/app/nowhere.js"):
            page = logd.get(path, key=False, headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
            assert page.status == 404 and page.headers["Content-Type"].startswith("text/html") and 'href="/"' in page.text, page
            for accept in ("*/*", "application/json, text/html"):
                assert logd.get(path, key=False, headers={"Accept": accept}).json() == {"error": "there is nothing at " + path}


def test_a_rule_file_that_is_not_there_stops_the_start():
    with Logd() as logd:
        logd.configure("rules: [/nowhere/default.yaml]\n")
        done = command(logd, "serve", "--config", logd.config_path, "--data", os.path.join(logd.folder, "other"), "--listen", "127.0.0.1:0")
        assert done.returncode == 1 and done.stderr == "logd: serve: rules: open '/nowhere/default.yaml': No such file or directory\n", done
        logd.configure("rules: [/nowhere/*.yaml]\n")  # may be empty as yet
        logd.reread(lambda: "what=reloaded" in logd.log(), "a pattern is taken")
        logd.configure("rules: [/nowhere/default.yaml]\n")
        logd.reread(lambda: "No such file" in logd.log(), "the refusal is said")


def test_a_listener_that_is_not_there_stops_the_start_with_one_sentence():
    with Logd() as logd:
        for name in ("syslog", "gelf", "forward"):
            logd.configure("# not yet\n%s: {udp: 127.0.0.1:0}\n" % name)
            done = command(logd, "serve", "--config", logd.config_path, "--data", os.path.join(logd.folder, "other"))
            where = "%s:2:%d" % (logd.config_path, len(name) + 9)
            assert done.returncode == 1, done
            assert done.stderr == "logd: config: %s: %s.udp: the %s listener is not there yet\n" % (where, name, name), done


def test_sighup_with_a_bad_file_keeps_the_old_one_and_says_why():
    with Logd(config="retention: {days: 3}\n") as logd:
        logd.configure("retention: {dayz: 3}\n")
        logd.reread(lambda: "reload refused" in logd.log() and "dayz" in logd.log(), "the refusal is said")
        assert logd.get("/healthz", key=False).status == 200
        logd.configure("retention: {days: 4}\n")
        logd.reread(lambda: "what=reloaded" in logd.log(), "a good file is taken")


def test_sighup_says_which_changes_wait_for_the_next_start():
    with Logd(config="retention: {days: 3}\n") as logd:
        waits = lambda: re.findall(r"next start\" keys=(\S+)", logd.log())
        logd.configure("retention: {days: 4}\nlisten: 127.0.0.1:1\n")  # --listen wins anyway
        logd.reread(lambda: "what=reloaded" in logd.log(), "it is reread")
        assert waits() == []
        logd.configure('url: http://logs.example\narchive: {url: "file:///nowhere"}\nmail: {url: "maildir:x", from: a@b}\n')
        logd.reread(lambda: waits() == ["url,mail,archive"], "what waits is said")


if __name__ == "__main__":
    run(globals())
