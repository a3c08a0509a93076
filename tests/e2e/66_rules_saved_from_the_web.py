"""PUT /v1/rules/ID: a rule saved from the web is checked, tested, kept with every version, and takes the place of the file's at once."""
import os, signal, sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from logd import Logd, eventually, run

FILE = """rules:
# the first of two
- id: loud
  why: it is loud
  when: level >= error # and more
  by: [app]

# the second
- {id: other, why: another, when: "type = other"}
"""
SAVED = """rules:
- id: loud
  why: it is very loud
  when: type = bang
  by: [app]
  rank: P2
  tests:
  - send: [{type: bang, level: info}]
    expect: {mails: 1, rank: P2}
"""


def rule(logd, id):
    return next((r for r in logd.get("/v1/rules").json()["rules"] if r["id"] == id), None)


def put(logd, text, id="loud", key=None):
    return logd.request("PUT", "/v1/rules/" + id, text, key=key)


def test_a_saved_rule_takes_the_files_place_at_once_and_after_a_restart():
    with Logd(rules=FILE) as logd:
        was = rule(logd, "loud")
        assert (was["version"], was["line"]) == (0, 3) and was["source"] == "rules:\n- id: loud\n  why: it is loud\n  when: level >= error # and more\n  by: [app]\n", was
        assert rule(logd, "other")["source"].endswith('- {id: other, why: another, when: "type = other"}\n')
        answer = put(logd, SAVED)
        assert answer.status == 200 and answer.json()["versions"][0]["version"] == 1 and answer.json()["versions"][0]["by"], answer
        now = eventually(lambda: rule(logd, "loud")["version"] == 1 and rule(logd, "loud"), "it is in force")
        assert now["source"] == SAVED and now["when"] == "type = bang" and now["file"] == "web:loud", now
        assert len(logd.get("/v1/rules").json()["rules"]) == 2

        assert logd.post("/v1/events", {"type": "bang"}).status == 200
        eventually(lambda: rule(logd, "loud")["signals"] == 1, "it fires as it says now")
        logd.process.send_signal(signal.SIGHUP)
        eventually(lambda: "what=reloaded" in logd.log(), "files are read again")
        assert rule(logd, "loud")["version"] == 1
        logd.kill9_and_restart()
        assert rule(logd, "loud")["source"] == SAVED and rule(logd, "loud")["signals"] == 1

        assert put(logd, SAVED.replace("very", "not")).status == 200
        versions = logd.get("/v1/rules/loud").json()["versions"]
        assert [v["version"] for v in versions] == [2, 1] and "not loud" in versions[0]["source"] and versions[1]["source"] == SAVED
        assert logd.request("DELETE", "/v1/rules/loud").json()["versions"][0] == {**logd.get("/v1/rules/loud").json()["versions"][0], "version": 3, "source": None}
        back = rule(logd, "loud")
        assert back["version"] == 0 and back["why"] == "it is loud", back
        assert put(logd, was["source"]).status == 200 and rule(logd, "loud")["version"] == 4  # what is shown can be saved


def test_a_new_rule_can_be_saved_and_go_again():
    with Logd(rules=FILE) as logd:
        assert logd.get("/v1/rules/fresh").status == 404
        assert put(logd, SAVED.replace("id: loud", "id: fresh"), "fresh").status == 200 and rule(logd, "fresh")["version"] == 1
        assert logd.request("DELETE", "/v1/rules/fresh").status == 200 and rule(logd, "fresh") is None
        gone = logd.request("DELETE", "/v1/rules/fresh")
        assert gone.status == 404 and gone.json()["error"] == 'no rule "fresh" was saved from the web', gone


def test_what_is_wrong_is_told_with_its_line_and_changes_nothing():
    cases = [
        (SAVED.replace("rank: P2\n", "rnk: P2\n", 1), 6, 'unknown key "rnk" in rules, did you mean "rank"?'),
        (SAVED.replace("type = bang", "type = (bang"), 4, "when: "),
        (SAVED.replace("mails: 1", "mails: 2"), 8, "test 1: expected mails 2"),
        (SAVED.replace("id: loud", "id: quiet"), 2, 'id: expected "loud" as in the address, got "quiet"'),
        (SAVED + "- {id: b, why: c, when: d}\n", None, "rules: expected one rule, got 2"),
        ("rules: [\n", 2, "web:loud:2:1"),
        ("rules: []\n", None, "rules: expected one rule, got 0"),
        (" \n", None, 'expected a rule file with the rule "loud", got nothing'),
    ]
    with Logd(rules=FILE) as logd:
        for text, line, sentence in cases:
            answer = put(logd, text)
            assert answer.status == 400 and answer.json().get("line") == line and sentence in answer.json()["error"], (text, answer.text)
        assert rule(logd, "loud")["version"] == 0 and logd.get("/v1/rules/loud").status == 404
        for role in ("ingest", "read"):
            assert put(logd, SAVED, key=role).status == 403, role


if __name__ == "__main__":
    run(globals())
