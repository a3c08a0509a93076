// Periods as the server cuts them, minute to year; weeks begin on Monday. Times are milliseconds; `local` is the reader's own zone, else UTC.

export const PERIODS = ['minute', 'hour', 'day', 'week', 'month', 'year']
const FIXED = {minute: 60e3, hour: 3600e3}, DAY = 86400e3
const UNITS = {s: 1e3, m: 60e3, h: 3600e3, d: DAY, w: 7 * DAY}

const at = (local, y, m, d) => local ? +new Date(y, m, d) : Date.UTC(y, m, d)
function parts(t, local) {
  const d = new Date(t)
  return local ? [d.getFullYear(), d.getMonth(), d.getDate(), (d.getDay() + 6) % 7] : [d.getUTCFullYear(), d.getUTCMonth(), d.getUTCDate(), (d.getUTCDay() + 6) % 7]
}

/** The start of the period that holds t. */
export function startOf(t, by, local) {
  if (FIXED[by]) return Math.floor(t / FIXED[by]) * FIXED[by]
  const [y, m, d, weekday] = parts(t, local)
  return at(local, y, by === 'year' ? 0 : m, by === 'day' ? d : by === 'week' ? d - weekday : 1)
}

export function nextStart(t, by, local) {
  if (FIXED[by]) return t + FIXED[by]
  const [y, m, d] = parts(t, local)
  return at(local, by === 'year' ? y + 1 : y, by === 'month' ? m + 1 : m, by === 'day' ? d + 1 : by === 'week' ? d + 7 : 1)
}

/** Starts of all periods from the one that holds `from` to before `to`; at most 3,000, the newest. */
export function starts(from, to, by, local) {
  const all = []
  for (let t = startOf(from, by, local); t < to && all.length < 20000; t = nextStart(t, by, local)) all.push(t)
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
export function nameOf(t, by, local) {
  const d = new Date(local ? t - new Date(t).getTimezoneOffset() * 60e3 : t).toISOString()
  return by === 'year' ? d.slice(0, 4) : by === 'month' ? d.slice(0, 7) : by === 'minute' || by === 'hour' ? d.slice(0, 16).replace('T', ' ') : d.slice(0, 10)
}
