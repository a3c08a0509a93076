"""`logd debug detect` on labelled series of real machines, scored by the Numenta benchmark's rule: 0 is a detector that says nothing, 100 a perfect one."""
import os, re, subprocess, sys, tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from logd import TREE, run, shared

LOGD = os.environ.get("LOGD_BIN", os.path.join(TREE, "build", "logd"))


def test_what_was_never_there_before_is_told_and_little_else():
    data = shared("data", "nab")
    with tempfile.TemporaryDirectory() as out:
        for folder, _, files in os.walk(data):
            for name in (n for n in files if n.endswith(".csv")):
                os.makedirs(os.path.join(out, os.path.basename(folder)), exist_ok=True)
                with open(os.path.join(out, os.path.basename(folder), name), "w") as f:
                    subprocess.run([LOGD, "debug", "detect", os.path.join(folder, name)], stdout=f, check=True)
        told = subprocess.run([sys.executable, os.path.join(data, "nabscore.py"), out], capture_output=True, text=True, check=True).stdout
    print("    " + told.strip())
    standard, few, _ = (float(x) for x in re.findall(r"[a-z] (\d+\.\d)", told))
    assert standard >= 60 and few >= 55, told


if __name__ == "__main__":
    run(globals())
