"""`memory:` bounds what is held for events that are not sealed yet: posts beyond it are told to come back, and nothing is lost."""
import os, sys, threading, time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from logd import Logd, eventually, run


def test_a_small_budget_takes_all_events_in_time():
    with Logd("memory: 64MiB\n") as logd:
        key = logd.key("ingest")
        memory = logd.status()["memory"]
        assert memory["budget"] == 64 << 20 and memory["head_limit"] == 16 << 20 and memory["resident"] > 0, memory
        body = "".join('{"message":"%s","n":%d}\n' % (os.urandom(250).hex(), i) for i in range(4000))
        refused, most, over = [0], [0], threading.Event()

        def send():
            for _ in range(8):
                while (r := logd.post("/v1/events", body, key=key)).status == 503:
                    assert r.headers["Retry-After"] and "memory" in r.json()["error"], r
                    refused[0] += 1
                    time.sleep(0.05)
                assert r.status == 200, r

        def watch():
            while not over.wait(0.02):
                most[0] = max(most[0], logd.status()["memory"]["head"])

        threads = [threading.Thread(target=send) for _ in range(4)]
        watcher = threading.Thread(target=watch)
        for t in threads + [watcher]:
            t.start()
        for t in threads:
            t.join()
        over.set()
        watcher.join()
        assert 0 < most[0] <= 16 << 20, most
        assert logd.count() == 4 * 8 * 4000, (logd.count(), refused)
        assert logd.status()["segments"] >= 5, logd.status()  # 70 MB in files of about 8
        print("  refused %d times, held at most %.1f MiB" % (refused[0], most[0] / 2**20))


run(globals())
