#!/usr/bin/env python3
"""A demo logd: starts it in an empty folder, posts half an hour of sample events of three apps, then goes on posting live.

usage: demo.py [--port 5080] [--once]     --once: post the half hour, say where everything is, stop"""
import argparse, demo_stats, json, os, random, re, shutil, signal, subprocess, sys, time, urllib.error, urllib.request

TOP = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
DEMO = os.environ.get("LOGD_DEMO") or os.path.join(TOP, "build/demo")
SHOWN = os.path.relpath(DEMO, TOP) if DEMO.startswith(TOP) else DEMO  # commands are typed in the tree
LOGD = os.path.join(TOP, "build/logd")
CONFIG = f"""# what `make run` starts: everything stays in this folder
mail: {{url: "maildir:{DEMO}/mail", from: logd@localhost}}
recipients:
  - {{email: you@localhost, min: P4}}
archive: {{url: "file://{DEMO}/archive", every: 60s}}
rules: [{TOP}/rules/default.yaml, {TOP}/rules/demo.yaml]
"""
random.seed(7)
PEOPLE = ["ann", "bob", "carol", "dave", "erin"]
STACK = """TypeError: Cannot read properties of undefined (reading 'amount')
    at applyDiscount (https://shop.example/assets/cart.js:214:31)
    at checkout (https://shop.example/assets/cart.js:88:9)
    at HTMLButtonElement.<anonymous> (https://shop.example/assets/cart.js:12:5)"""
TRACE = """Traceback (most recent call last):
  File "/srv/api/app/orders.py", line 91, in create
    charge(order)
  File "/srv/api/app/payment.py", line 37, in charge
    raise PaymentError("card service answered 502")
app.payment.PaymentError: card service answered 502"""


def event(t):
    """One event of a small web shop: (app, event)."""
    at, roll, user, host = round(t, 3), random.random(), random.choice(PEOPLE), f"web-{random.randint(1, 3)}"
    if roll < 0.60:
        path, status = random.choice(["/", "/cart", "/search", "/product/81", "/checkout"]), random.choices([200, 304, 404, 500], [90, 6, 3, 1])[0]
        return "shop", {"time": at, "level": "error" if status == 500 else "warn" if status == 404 else "info", "host": host, "env": "prod", "release": "1.4.2",
                        "type": "http.request", "message": f"GET {path} {status}",
                        "http": {"method": "GET", "path": path, "status": status, "duration_ms": round(random.lognormvariate(3, .8), 1)}}
    if roll < 0.80:
        return "api", {"time": at, "level": "info", "host": "api-1", "env": "prod", "type": "job.done", "message": f"job mail.send took {random.randint(20, 900)} ms",
                       "job": {"name": "mail.send", "attempt": 1}, "trace_id": f"{random.getrandbits(128):032x}"}
    if roll < 0.90:
        ok = random.random() < .9
        return "api", {"time": at, "level": "info" if ok else "notice", "env": "prod", "auth": {"action": "login", "outcome": "success" if ok else "failure", "user": user,
                       "ip": f"192.0.2.{random.randint(1, 40)}", "method": "password"}, "message": f"login of {user} {'succeeded' if ok else 'failed'}"}
    if roll < 0.985:
        return "worker", {"time": at, "level": random.choice(["debug", "info"]), "host": "worker-1", "env": "prod", "message": f"thumbnail {random.randint(1000, 9999)}.jpg done", "type": "pic.thumbnail"}
    if roll < 0.993:
        return "api", {"time": at, "level": "error", "host": "api-1", "env": "prod", "release": "2.0.1", "type": "order.failed", "message": f"order {random.randint(10000, 99999)} failed",
                       "user": user, "error": {"type": "PaymentError", "message": "card service answered 502", "stack": TRACE}}
    return "shop", {"time": at, "level": "error", "env": "prod", "release": "1.4.2", "type": "browser.error", "url": "https://shop.example/checkout",
                    "message": "TypeError: Cannot read properties of undefined", "user": user,
                    "breadcrumbs": [time.strftime("%H:%M:%S ", time.gmtime(t - 9 + i * 4)) + what for i, what in enumerate(("to https://shop.example/checkout", "GET https://shop.example/api/cart 200 41ms", "click button pay"))], "error": {"type": "TypeError", "message": "Cannot read properties of undefined (reading 'amount')", "stack": STACK}}


def page(url, key):
    """A page of somebody's shop that throws: what a visitor opens to see an error of his own arrive."""
    os.makedirs(DEMO + "/page")
    with open(DEMO + "/page/index.html", "w") as f:
        f.write(f"""<!doctype html><title>shop</title>
<script>_logd=[];for(t of['error','unhandledrejection'])addEventListener(t,e=>_logd.push(e),!0)</script>
<script src="{url}/b.js" data-key="{key}" data-release="1.4.2" data-env="prod" defer></script>
<script src="{url}/vitals.js" defer></script>
<p><button onclick="pay({{}})">Pay</button> an error
<p><button onclick="Promise.reject(new Error('the cart is empty'))">Order</button> a rejection
<p><button onclick="fetch('http://127.0.0.1:1/stock?id=7')">Stock</button> a request without an answer
<p><button onclick="logd.count('cart.add', 1, {{kind: 'book'}})">Add a book</button> a count, no event
<script>function pay(cart) {{ return cart.total.amount }}</script>
""")


def cli(*args):
    done = subprocess.run([LOGD, *args, "--data", DEMO + "/data"], capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr.strip())
    return done.stdout.strip()


def post(url, key, path, objects):
    request = urllib.request.Request(url + path, "".join(json.dumps(o) + "\n" for o in objects).encode(), {"Authorization": "Bearer " + key})
    with urllib.request.urlopen(request, timeout=30) as r:
        return json.load(r)


def post_all(url, keys, events):
    for app, key in keys.items():
        mine = [e for a, e in events if a == app]
        for i in range(0, len(mine), 500):
            post(url, key, "/v1/events", mine[i:i + 500])


def history(url, keys):
    now = time.time()
    events = [event(now - 1800 + i * 0.6) for i in range(3000)]
    events += [("api", {"time": now - 240 + i, "level": "notice", "env": "prod", "auth": {"action": "login", "outcome": "failure", "user": "admin", "ip": "203.0.113.9", "method": "password"},
                        "message": "login of admin failed"}) for i in range(25)]
    events.sort(key=lambda e: e[1]["time"])
    post_all(url, keys, events)
    stats = list(demo_stats.history(now))
    for i in range(0, len(stats), 5000):
        post(url, keys["shop"], "/v1/stats", stats[i:i + 5000])
    post(url, keys["shop"], "/v1/stats", demo_stats.visitors(1500))
    return len(events)


def main():
    p = argparse.ArgumentParser(usage=__doc__)
    p.add_argument("--port", default="5080")
    p.add_argument("--once", action="store_true")
    a = p.parse_args()
    shutil.rmtree(DEMO, ignore_errors=True)
    os.makedirs(DEMO)
    with open(DEMO + "/logd.yaml", "w") as f:
        f.write(CONFIG)
    command = [LOGD, "serve", "--config", DEMO + "/logd.yaml", "--data", DEMO + "/data", "--listen", "127.0.0.1:" + a.port]
    log = open(DEMO + "/log", "wb")
    logd = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log)
    line = logd.stdout.readline().decode().strip()
    if not line:
        sys.exit(open(DEMO + "/log").read().strip() + "\n(another port: make run PORT=5090)")
    url = line.split(" ")[-1]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        keys = {}
        for app in ("shop", "api", "worker"):
            cli("app", "add", app)
            keys[app] = cli("key", "add", "--app", app, "--role", "ingest")
        browser = cli("key", "add", "--app", "shop", "--role", "browser", "--origin", url, "--origin", "http://localhost:8000")
        reader = cli("key", "add", "--app", "shop", "--role", "read")
        page(url, browser)
        n = history(url, keys)
        first = re.search(r"(http\S+/first#\S+)", open(DEMO + "/log").read())
        print(f"""
{line}

  open           {first[1] if first else url}
                 (the link makes you the administrator; later: {url}/)
  post           curl {url}/v1/events -H 'Authorization: Bearer {keys['shop']}' -d '{{"level":"error","message":"hello from curl"}}'
  query          build/logd query 'level>=error | count by app' --data {SHOWN}/data
  numbers        {url}/stats has a month of them; another: curl {url}/v1/stats -H 'Authorization: Bearer {keys['shop']}' -d '{{"name":"lamps.sold","type":"count","value":2}}'
  in a page      python3 -m http.server 8000 -b 127.0.0.1 -d {SHOWN}/page    then press the button on http://localhost:8000
  mails          no mail leaves this machine: they are files in {SHOWN}/mail/new
  archive        {SHOWN}/archive        rules  rules/*.yaml           log  {SHOWN}/log
  read key       {reader}
  lose it all    kill -9 {logd.pid}; rm -r {SHOWN}/data       (what came in the last minute may not be in the archive yet)
  and restore    build/logd restore --from file://{DEMO}/archive --data {SHOWN}/data
                 build/logd serve --config {SHOWN}/logd.yaml --data {SHOWN}/data --listen {url.split("//")[1]}

{n} events of the last half hour are in; more arrive every second. Ctrl-C stops it; the folder stays until the next `make run`.
""", flush=True)
        minute = time.time() // 60
        while not a.once and logd.poll() is None:
            time.sleep(1)
            try:
                post_all(url, keys, [event(time.time()) for _ in range(2)])
                post(url, keys["shop"], "/v1/stats", demo_stats.visitors(1))
                if time.time() // 60 > minute:
                    minute = time.time() // 60
                    post(url, keys["shop"], "/v1/stats", list(demo_stats.moment(minute * 60, 1)))
            except (urllib.error.URLError, OSError) as e:
                if logd.poll() is None:
                    print("post:", e, flush=True)
        if logd.poll() is not None:
            print(f"logd has ended ({logd.returncode}); its log is {SHOWN}/log", flush=True)
    except KeyboardInterrupt:
        pass
    finally:
        logd.terminate()
        logd.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
