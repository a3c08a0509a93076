"""The stats pages: every metric with its last day, one metric as bars, lines, small charts, beside another time, as a table and as a file; by mouse and by keyboard."""
import functools, json, os, sys, time, urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from logd import Logd, run
from outside import browse, shot

HOSTILE = "=<img src=x onerror=alert(1)>"
SIGN_IN = [{"do": "wait", "at": "input[name=email]:focus"}, {"do": "fill", "at": "input[name=email]", "text": "dev@example.com"},
           {"do": "fill", "at": "input[name=password]", "text": "correct horse battery"}, {"do": "click", "at": "form.card button"}]
WIDER = {"do": "eval", "code": "document.documentElement.scrollWidth - innerWidth"}


def looks(name):
    """Wide and narrow, light and dark: nothing sticks out, and a screen reader has nothing to complain of."""
    return [shot(name), {"do": "axe"}, shot(name + "-dark", dark=True), {"do": "axe"}, shot(name + "-narrow", width=360, height=740, full=True), WIDER, {"do": "axe"},
            shot(name + "-narrow-dark", width=360, height=740, dark=True, full=True), {"do": "axe"}, shot(name)]


def signed_in(logd, path, *steps):
    if not getattr(logd, "dev", False):
        logd.command("user", "add", "dev@example.com", "--role", "admin", input="correct horse battery\n")
        logd.dev = True
    said = browse({"do": "open", "url": logd.url + path}, *SIGN_IN, *steps)
    assert not said["axe"], said["axe"]
    assert not said["dialogs"] and not [c for c in said["console"] if "error" in c.lower() and "401" not in c], said["console"]
    return said["texts"]


def text(at):
    return {"do": "eval", "code": f"[...document.querySelectorAll({json.dumps(at)})].map(e => e.textContent)"}


def zoomed(texts):
    return {k: v for k, v in urllib.parse.parse_qsl(urllib.parse.urlsplit(texts).query)}


HREF = {"do": "eval", "code": "location.href"}
HOUR = 0


def of_one_hour(test):
    """When the hour turns while it runs, the numbers are others: again."""
    @functools.wraps(test)
    def story():
        global HOUR
        HOUR = int(time.time()) // 3600 * 3600
        try:
            test()
        except AssertionError:
            if time.time() < HOUR + 3600:
                raise
            story()
    return story


def shop(logd):
    """Five uploads in each of the last 24 whole hours, the day before four; every third is a png, one has a hostile label; timings of 10, 20, … ms."""
    stats = [{"name": "pic.upload", "value": 5 if h <= 24 else 4, "labels": {"kind": "png" if h % 3 == 0 else "jpg"}, "time": HOUR - h * 3600} for h in range(1, 48)]
    stats += [{"name": "pic.upload", "value": 1, "labels": {"kind": HOSTILE}, "time": HOUR - 3600}]
    stats += [{"name": "s3/put", "type": "timing", "value": 10 * i, "time": HOUR - 3600} for i in range(1, 101)]
    stats += [{"name": "depth", "type": "gauge", "value": v, "time": HOUR - 7200 + i} for i, v in enumerate((100, 90, 120, 110))]
    assert logd.post("/v1/stats", stats).json()["rejected"] == 0


def test_a_stranger_is_told_how_to_post_one():
    with Logd() as logd:
        texts = signed_in(logd, "/stats", {"do": "wait", "at": ".empty pre"}, {"do": "text", "at": ".empty pre"}, *looks("stats-empty"),
                          {"do": "open", "url": logd.url + "/stats/nothing"}, {"do": "wait", "at": ".empty pre"}, {"do": "text", "at": ".empty pre"})
        assert f"curl {logd.url}/v1/stats" in texts[0] and '"type":"count"' in texts[0] and '"name":"nothing"' in texts[-1], texts
        body = texts[0].split("-d '")[1].rstrip("'")
        assert logd.post("/v1/stats", body).json()["accepted"] == 1, "what is printed works"


@of_one_hour
def test_each_metric_shows_its_last_day():
    with Logd() as logd:
        shop(logd)
        texts = signed_in(logd, "/stats", {"do": "wait", "at": "tr:nth-child(3) svg.spark"}, {"do": "wait", "at": "tr:nth-child(1) svg.spark"}, {"do": "wait", "at": "tr:nth-child(2) svg.spark"},
                          text("tbody td:first-child a"), text(".day"), {"do": "eval", "code": "document.querySelector('tr:nth-child(2) svg.spark').getAttribute('aria-label')"}, *looks("stats"),
                          {"do": "fill", "at": "input[name=q]", "text": "PIC"}, {"do": "press", "at": "input[name=q]", "key": "Enter"}, {"do": "wait", "at": ".soft:has-text('of 3')"}, text("tbody td:first-child a"),
                          {"do": "open", "url": logd.url + "/stats"}, {"do": "click", "at": "a:has-text('s3/put')"}, {"do": "wait", "at": ".facts"}, HREF, text("dd"))
        assert texts[0] == ["depth", "pic.upload", "s3/put"] and texts[1] == ["110", "121", "910 ms"] or texts[1][2].startswith("90"), texts
        assert texts[2] == "pic.upload per hour, last 24 hours: 121" and texts[3] == 0, texts
        assert texts[4] == ["pic.upload"] and texts[5].endswith("/stats/s3%2Fput?app=shop"), texts
        measured, median, *_, slowest = texts[6]
        assert measured == "100" and 490 <= float(median.split()[0]) <= 512 and slowest == "1,000 ms", texts


def test_two_apps_may_give_one_name_to_different_things():
    with Logd() as logd:
        logd.post("/v1/stats", {"name": "depth", "value": 7})
        logd.post("/v1/stats", {"name": "depth", "type": "gauge", "value": 2.5}, key=logd.key("ingest", "pool"))
        texts = signed_in(logd, "/stats", {"do": "wait", "at": "tr:nth-child(2) svg.spark"}, {"do": "wait", "at": "tr:nth-child(1) svg.spark"}, text(".day"), {"do": "click", "at": "tr:has-text('pool') a"}, {"do": "wait", "at": ".facts"}, text("h1"), text("dd"),
                          {"do": "eval", "code": "(s => { s.value = 'shop'; s.dispatchEvent(new Event('change')) })(document.querySelector('select[aria-label=App]'))"}, {"do": "wait", "at": "h1:has-text('of shop')"}, text("dd"), HREF)
        assert texts[0] == ["7", "2.5"] and texts[1] == ["depth gauge of pool"] and texts[2] == ["2.5"] and texts[-2] == ["7"] and texts[-1].endswith("?app=shop"), texts


@of_one_hour
def test_keys_walk_mark_and_zoom():
    key = lambda k: {"do": "press", "at": ".plot", "key": k}
    with Logd() as logd:
        shop(logd)
        texts = signed_in(logd, "/stats/pic.upload?compare=previous", {"do": "wait", "at": ".plot"}, {"do": "count", "at": "rect.bar"}, text("dd"),
                          key("End"), key("ArrowLeft"), {"do": "text", "at": ".readout"}, {"do": "eval", "code": "document.querySelector('.plot').ariaValueText"}, *looks("metric"),
                          key("End"), key("ArrowLeft"), key("Shift+ArrowLeft"), key("Shift+ArrowLeft"), {"do": "text", "at": ".readout"}, key("Enter"), {"do": "wait", "at": "select[aria-label='Time range']:has(option[value=''])"}, HREF,
                          {"do": "drag", "at": ".plot", "from": .002, "to": .4}, {"do": "sleep", "ms": 300}, HREF, {"do": "eval", "code": "history.back()"}, {"do": "sleep", "ms": 300}, HREF)
        assert texts[0] == 24, "an hour in which nothing came has no bar"
        assert texts[1][0] == "121" and texts[1][1] == "92" and texts[1][2] == "+31.5 %", texts
        hour = time.strftime("%Y-%m-%d %H:00", time.gmtime(HOUR - 3600))
        assert texts[2] == texts[3] == f"{hour}: Events 6, Before 4", texts
        assert texts[4] == 0 and texts[5].endswith(", 3 periods"), texts
        range_ = zoomed(texts[6])
        assert range_["from"] == time.strftime("%Y-%m-%dT%H:00:00.000Z", time.gmtime(HOUR - 3 * 3600)) and range_["to"] == time.strftime("%Y-%m-%dT%H:00:00.000Z", time.gmtime(HOUR)), range_
        closer = zoomed(texts[7])
        assert closer["from"] == range_["from"] and range_["from"] < closer["to"] < range_["to"] and texts[9] == texts[6], texts


@of_one_hour
def test_labels_stand_beside_each_other_and_stay_text():
    with Logd() as logd:
        shop(logd)
        texts = signed_in(logd, "/stats/pic.upload?group=kind&shape=line", {"do": "wait", "at": ".multiples .small"}, text(".small figcaption b"), text(".small .ticks"), *looks("multiples"),
                          {"do": "click", "at": ".small:nth-child(3) summary"}, {"do": "wait", "at": "details table"}, text("details tbody tr:nth-last-child(2) > *"), {"do": "axe"},
                          {"do": "download", "at": "a:has-text('CSV')"}, {"do": "download", "at": "a:has-text('JSON')"},
                          {"do": "open", "url": logd.url + "/stats/pic.upload?label.kind=png"}, {"do": "wait", "at": "dd"}, text("dd"))
        assert texts[0] == ["jpg", "png", HOSTILE] and len(set(texts[1])) == 1, f"one scale for all: {texts}"
        assert texts[2] == 0 and texts[3][1] == "1", texts
        name, csv = texts[4]
        assert name == "pic.upload.csv" and csv.startswith("time,value,group\r\n") and f",1,\"'{HOSTILE}\"\r\n" in csv and csv.count("\n") == 26, csv
        name, body = texts[5]
        assert name == "pic.upload.json" and json.loads(body)["total"] == 121 and texts[6] == ["40"], texts


def test_periods_are_cut_as_the_server_cuts_them():
    with Logd() as logd:
        long = [{"name": "x", "time": t} for t in range(1704067200 - 86400 * 40, 1704067200 + 86400 * 40, 40000)]
        logd.post("/v1/stats", long)
        begin, end = "2023-11-25T10:30:00Z", "2024-02-05T00:00:01Z"
        code = "import('/app/periods.js').then(p => Object.fromEntries(p.PERIODS.slice(2).map(by => [by, p.starts(Date.parse('%s'), Date.parse('%s'), by).map(t => new Date(t).toISOString().slice(0, 19) + 'Z')])))" % (begin, end)
        (page,) = signed_in(logd, "/stats/x?from=2023-11-25T10:30:00Z&to=2024-02-05T00:00:01Z", {"do": "wait", "at": ".plot"}, {"do": "eval", "code": code})
        for by, starts in page.items():
            server = [p["time"] for p in logd.get(f"/v1/stats/x?by={by}&from={begin}&to={end}", key="read").json()["points"]]
            assert server == starts, (by, server, starts)


def test_days_of_a_zone_are_23_and_25_hours_long_when_its_clock_changes():
    code = """import('/app/periods.js').then(p => [['2026-03-28T12:00:00Z', '2026-03-31T12:00:00Z', 'day'], ['2026-10-24T12:00:00Z', '2026-10-26T12:00:00Z', 'day'], ['2026-03-25T00:00:00Z', '2026-04-08T00:00:00Z', 'week'], ['2026-03-15T00:00:00Z', '2026-05-01T00:00:00Z', 'month']]
        .map(([from, to, by]) => p.starts(Date.parse(from), Date.parse(to), by, 'Europe/Amsterdam').map(t => new Date(t).toISOString().slice(5, 13) + ' ' + p.nameOf(t, by, 'Europe/Amsterdam').slice(5))))"""
    with Logd() as logd:
        (cuts,) = signed_in(logd, "/stats", {"do": "wait", "at": ".empty"}, {"do": "eval", "code": code})
    assert cuts[0] == ["03-27T23 03-28", "03-28T23 03-29", "03-29T22 03-30", "03-30T22 03-31"], cuts
    assert cuts[1] == ["10-23T22 10-24", "10-24T22 10-25", "10-25T23 10-26"], cuts
    assert cuts[2] == ["03-22T23 03-23", "03-29T22 03-30", "04-05T22 04-06"] and cuts[3] == ["02-28T23 03", "03-31T22 04", "04-30T22 05"], cuts


@of_one_hour
def test_days_are_those_of_the_server_or_of_the_reader():
    noon = HOUR // 86400 * 86400 - 2 * 86400 + 12 * 3600
    late = noon + 11 * 3600 + 1800  # half past eleven of the evening in UTC is the next day in Tokyo, and the same as noon's in New York
    walk = [{"do": "wait", "at": ".plot"}, {"do": "eval", "code": "[...document.querySelectorAll('rect.bar')].map(b => document.querySelector('.plot').ariaValueMax - (+b.getAttribute('x') - 1) / 10)"}]
    with Logd(config="stats: {timezone: Asia/Tokyo}\n") as logd:
        logd.post("/v1/stats", [{"name": "x", "time": noon}, {"name": "x", "value": 3, "time": late}])
        texts = signed_in(logd, "/stats/x?from=-7d&by=day", *walk, {"do": "zone", "name": "America/New_York"}, {"do": "open", "url": logd.url + "/stats/x?from=-7d&by=day&zone=local"}, *walk,
                          {"do": "eval", "code": "document.querySelector('select[aria-label=Zone]').selectedOptions[0].textContent"}, {"do": "axe"})
    today = lambda hours: (int(time.time()) + hours * 3600) // 86400
    day = lambda t, hours: (t + hours * 3600) // 86400
    assert texts[0] == [today(9) - day(noon, 9), today(9) - day(late, 9)], texts
    assert texts[1] in ([today(-5) - day(noon, -5)], [today(-4) - day(noon, -4)]) and texts[2] == "America/New_York", texts


if __name__ == "__main__":
    run(globals())
