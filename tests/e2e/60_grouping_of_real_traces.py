"""`logd debug group` on real traces and logs, scored as the field scores it: a truth group counts when its lines are exactly one mined group."""
import collections, csv, os, subprocess, sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from logd import TREE, Logd, eventually, run, shared

LOGD = os.environ.get("LOGD_BIN", os.path.join(TREE, "build", "logd"))


def score(truth, mined):
    """(GA, FGA)"""
    assert len(truth) == len(mined), (len(truth), len(mined))
    sizes, pairs = collections.Counter(mined), collections.defaultdict(collections.Counter)
    for t, m in zip(truth, mined):
        pairs[t][m] += 1
    right = [sum(c.values()) for c in pairs.values() if len(c) == 1 and sizes[next(iter(c))] == sum(c.values())]
    precision, recall = len(right) / len(sizes), len(right) / len(pairs)
    return sum(right) / len(truth), 2 * precision * recall / (precision + recall) if right else 0


def test_traces_of_one_bug_are_one_issue():
    folder = shared("data", "exceptions")
    with open(os.path.join(folder, "labels.csv")) as f:
        labels = list(csv.DictReader(f))
    ids = subprocess.run([LOGD, "debug", "group", "--errors"] + [os.path.join(folder, r["file"]) for r in labels], capture_output=True, text=True, check=True).stdout.split()
    ga, fga = score([r["bug"] for r in labels], ids)
    print(f"    {len(labels)} traces: GA {ga:.3f}, FGA {fga:.3f}")
    assert fga >= 0.97, fga


def score_folder(folder):
    """{system: (GA, FGA)}"""
    scores = {}
    for system in sorted(os.listdir(folder)):
        table = os.path.join(folder, system, f"{system}_2k.log_structured.csv")
        if not os.path.exists(table):
            continue
        with open(table, encoding="utf-8", errors="replace", newline="") as f:
            truth = [r["EventId"] for r in csv.DictReader(f)]
        with open(os.path.join(folder, system, "content.txt"), "rb") as f:
            ids = subprocess.run([LOGD, "debug", "group"], stdin=f, capture_output=True, text=True, check=True).stdout.split()
        scores[system] = score(truth, ids)
    ga, fga = (sum(s[i] for s in scores.values()) / len(scores) for i in (0, 1))
    print(f"    {len(scores)} systems: mean GA {ga:.3f}, mean FGA {fga:.3f}")
    return scores, ga, fga


def test_messages_of_real_systems_are_grouped_without_tuning():
    scores, ga, fga = score_folder(shared("data", "loghub2k"))
    assert ga >= 0.97 and fga >= 0.93 and min(s[0] for s in scores.values()) >= 0.9, scores


def test_messages_made_from_format_strings_are_grouped_by_them():
    scores, ga, fga = score_folder(shared("data", "genlog"))
    assert ga >= 0.93 and fga >= 0.8, scores


def test_messages_that_differ_in_a_word_are_one_issue_and_old_ids_find_it_after_kill9():
    with Logd() as logd:
        def post(*names):
            assert logd.post("/v1/events", [{"level": "error", "message": f"cannot charge the card of {n} today"} for n in names]).status == 200

        def issues():
            return {i["id"]: i["count"] for i in logd.get("/v1/issues").json()["issues"]}
        post("anna", "bert", "carl")
        before = eventually(lambda: len(issues()) == 3 and issues(), "three that may be anything")
        post("dora")
        (left, count), = eventually(lambda: len(issues()) == 1 and issues(), "the fourth makes them one").items()
        assert left in before and count == 4, (before, left, count)
        assert [(r["issue"], r["count"]) for r in logd.query("| issues")] == [(left, 4)], logd.query("| issues")
        logd.kill9_and_restart()
        post("emil", "bert")
        eventually(lambda: issues() == {left: 6}, "they still are")
        assert {logd.get(f"/v1/issues/{i}").json()["id"] for i in before} == {left}


if __name__ == "__main__":
    run(globals())
