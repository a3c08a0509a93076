"""`logd rules import-sigma`: real rules of the Sigma project become ours, and fire for what they were written for."""
import json, os, subprocess, sys, tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from logd import TREE, run, shared

LOGD = os.environ.get("LOGD_BIN", os.path.join(TREE, "build", "logd"))


def rules(*args):
    return subprocess.run([LOGD, "rules", *args], capture_output=True, text=True)


def test_nearly_all_of_a_real_collection_is_converted_and_whole():
    data = shared("data", "sigma")
    files = sorted(os.path.join(folder, f) for folder, _, names in os.walk(data) for f in names if f.endswith(".yml"))
    done = rules("import-sigma", *files)
    converted = done.stdout.count("\n- id: ")
    print(f"    {converted} of {len(files)} converted")
    assert converted >= 0.95 * len(files) and len(done.stderr.splitlines()) == len(files) - converted + 1, done.stderr
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as f:
        f.write(done.stdout)
        f.flush()
        checked = rules("check", f.name)
    assert checked.returncode == 0 and checked.stdout.startswith(f"{converted} rules, "), checked


def test_a_converted_rule_fires_for_its_prey_and_not_beside_it():
    sigma = """title: Template Injection
id: 0123abcd
level: high
detection:
  method: {cs-method: GET}
  words: ['=${', 'T(org.apache*Utils)']
  filter: {sc-status: 404}
  condition: method and words and not filter
"""
    events = [
        {"id": "prey", "http": {"method": "get", "path": "/?q=${7*7}", "status": 200}},
        {"id": "star", "host": "b", "http": {"method": "GET", "path": "/?q=t(org.apache.commons.io.IOutils)", "status": 200}},
        {"id": "absent", "host": "c", "http": {"method": "GET", "path": "/?q=${7*7}", "status": 404}},
        {"id": "posted", "host": "d", "http": {"method": "POST", "path": "/?q=${7*7}", "status": 200}},
        {"id": "innocent", "host": "e", "http": {"method": "GET", "path": "/?q=$7", "status": 200}},
    ]
    with tempfile.TemporaryDirectory() as d:
        at = {n: os.path.join(d, n) for n in ("s.yml", "r.yaml", "e.ndjson", "mails")}
        with open(at["s.yml"], "w") as f:
            f.write(sigma)
        with open(at["e.ndjson"], "w") as f:
            f.write("".join(json.dumps({"time": 1760000000 + 7200 * i, "app": "web", **e}) + "\n" for i, e in enumerate(events)))
        with open(at["r.yaml"], "w") as f:
            f.write(rules("import-sigma", at["s.yml"]).stdout)
        done = rules("backtest", "--events", at["e.ndjson"], "--mails", at["mails"], at["r.yaml"])
        assert done.returncode == 0, done
        with open(at["mails"]) as f:
            mails = [json.loads(line) for line in f]
    assert [m["event"] for m in mails if m["kind"] == "immediate"] == ["prey", "star"], mails


def test_what_cannot_be_said_is_one_sentence_and_the_rest_is_printed():
    with tempfile.TemporaryDirectory() as d:
        for name, detection in (("good", "{a: b}"), ("bad", "{a|base64: b}")):
            with open(os.path.join(d, name), "w") as f:
                f.write(f"title: {name}\ndetection:\n  s: {detection}\n  condition: s\n")
        done = rules("import-sigma", os.path.join(d, "bad"), os.path.join(d, "good"))
    assert done.returncode == 1 and "- id: good\n" in done.stdout and "- id: bad\n" not in done.stdout, done
    assert done.stderr.splitlines() == [f"logd: rules import-sigma: {d}/bad:3:7: the modifier \"base64\" has no counterpart", "1 of 2 converted"], done.stderr


if __name__ == "__main__":
    run(globals())
