// Periods as the server cuts them, minute to year; weeks begin on Monday. Times are milliseconds; a zone is a name like Europe/Amsterdam, none is UTC.

export const PERIODS = ['minute', 'hour', 'day', 'week', 'month', 'year']
export const HERE = Intl.DateTimeFormat().resolvedOptions().timeZone
const FIXED = {minute: 60e3, hour: 3600e3}, DAY = 86400e3
const UNITS = {s: 1e3, m: 60e3, h: 3600e3, d: DAY, w: 7 * DAY}

const clocks = new Map()
/** What a clock on the wall of that zone shows, as if it were UTC. */
function wall(t, zone) {
  if (!zone || zone === 'UTC') return t
  if (!clocks.has(zone)) clocks.set(zone, new Intl.DateTimeFormat('en-US', {timeZone: zone, hourCycle: 'h23', year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric', minute: 'numeric', second: 'numeric'}))
  const p = Object.fromEntries(clocks.get(zone).formatToParts(t).map(x => [x.type, x.value]))
  return Date.UTC(p.year, p.month - 1, p.day, p.hour, p.minute, p.second)
}

/** When the clock shows that; asked twice, since the first answer may lie on the other side of a change of the clock. */
function unwall(w, zone) {
  const once = w - (wall(w, zone) - w)
  return w - (wall(once, zone) - once)
}

/** The start of the period that holds t, or with `ahead` of the next one. */
export function startOf(t, by, zone, ahead = 0) {
  if (FIXED[by]) return (Math.floor(t / FIXED[by]) + ahead) * FIXED[by]
  const d = new Date(wall(t, zone)), y = d.getUTCFullYear(), m = d.getUTCMonth(), day = d.getUTCDate()
  const starts = {day: [y, m, day + ahead], week: [y, m, day - (d.getUTCDay() + 6) % 7 + 7 * ahead], month: [y, m + ahead, 1], year: [y + ahead, 0, 1]}
  return unwall(Date.UTC(...starts[by]), zone)
}

export const nextStart = (t, by, zone) => startOf(t, by, zone, 1)

/** Starts of all periods from the one that holds `from` to before `to`; at most 3,000, the newest. */
export function starts(from, to, by, zone) {
  const all = []
  for (let t = startOf(from, by, zone); t < to && all.length < 20000; t = nextStart(t, by, zone)) all.push(t)
  return all.slice(-3000)
}

/** now, -15m, or a time; as milliseconds. */
export function timeOf(text, now = Date.now()) {
  const m = /^(?:now)?-(\d+)([smhdw])$/.exec(text)
  return text === 'now' ? now : m ? now - m[1] * UNITS[m[2]] : Date.parse(text)
}

/** A period that gives some dozens of points, of those the server still keeps so far back. */
export function periodFor(from, to, now = Date.now()) {
  const span = to - from, age = now - from
  if (span <= 3 * 3600e3 && age < 2 * DAY) return 'minute'
  if (span <= 8 * DAY && age < 90 * DAY) return 'hour'
  return span <= 120 * DAY ? 'day' : span <= 800 * DAY ? 'week' : span <= 4000 * DAY ? 'month' : 'year'
}

/** What a chart calls a period. */
export function nameOf(t, by, zone) {
  const d = new Date(wall(t, zone)).toISOString()
  return by === 'year' ? d.slice(0, 4) : by === 'month' ? d.slice(0, 7) : by === 'minute' || by === 'hour' ? d.slice(0, 16).replace('T', ' ') : d.slice(0, 10)
}
