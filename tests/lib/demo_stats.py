"""Stats of the demo's small web shop: a month of history by the hour, its last two days by the minute, then live. Busy at noon, quiet at night and at weekends."""
import math, random, time

DAY = 86400


def busy(t):
    """0.1 at night to 1 at noon of a weekday (UTC), growing by a fifth a month."""
    hour, weekend = t % DAY / 3600, time.gmtime(t).tm_wday >= 5
    return (0.1 + 0.9 * math.exp(-((hour - 13) / 5) ** 2)) * (0.55 if weekend else 1) * (1 + 0.2 * (t - time.time()) / (30 * DAY))


def some(mean):
    """A whole number of about `mean` things that happen by themselves."""
    return max(0, round(random.gauss(mean, math.sqrt(mean))))


def moment(t, minutes):
    """What the shop counts in that many minutes from t on."""
    load, at = busy(t), {"time": t}
    for kind, share in (("jpg", 7), ("png", 3), ("webp", 1.5)):
        yield {"name": "pic.upload", "value": some(share * load * minutes), "labels": {"kind": kind}, **at}
    for outcome, share in (("paid", 4), ("given up", 1.1), ("card declined", 0.25 if not 0 < time.time() - t < 4 * 3600 else 0.9)):
        yield {"name": "orders", "value": some(share * load * minutes), "labels": {"outcome": outcome}, **at}
    for region, median in (("eu-west-1", 45), ("us-east-1", 110)):
        slow = 2.5 if 26 < (time.time() - t) / 3600 < 30 and region == "us-east-1" else 1  # a bad afternoon, a day ago
        for _ in range(2 if minutes == 1 else 6):
            yield {"name": "s3.put", "type": "timing", "value": round(random.lognormvariate(math.log(median * slow), .5), 1), "labels": {"region": region}, **at}
    for queue, depth in (("mail", 12), ("thumbnails", 40)):
        yield {"name": "queue.depth", "type": "gauge", "value": some(depth * load * load + .3), "labels": {"queue": queue}, **at}
    yield {"name": "memory.peak_mb", "type": "max", "value": round(420 + 260 * load + random.expovariate(1 / 25), 1), **at}
    yield {"name": "disk.free_pct", "type": "min", "value": round(71 - 9 * (1 - (time.time() - t) / (30 * DAY)) + random.uniform(-.2, .2), 2), **at}


def history(now):
    start, minutely = int(now) // 3600 * 3600 - 30 * DAY, int(now) // 3600 * 3600 - 47 * 3600
    for t in range(start, minutely, 3600):
        yield from moment(t, 60)
    for t in range(minutely, int(now), 60):
        yield from moment(t, 1)


def visitors(n):
    """Who came, by an id that only lives until it is counted; many come again."""
    return [{"name": "visitors", "type": "unique", "value": f"visitor-{int(random.expovariate(1 / 900))}", "labels": {"from": random.choices(["search", "a link", "a letter"], [6, 3, 1])[0]}} for _ in range(n)]
