// One metric as people look at it: what can be chosen, and the charts of what the server answers. Used by the stats page and by shared pages.
import {chart, exact, scaleOf} from './chart.js'
import {choice, h, number} from './dom.js'
import {HERE, PERIODS, nameOf, nextStart, periodFor, startOf, starts, timeOf} from './periods.js'

const RANGES = {'-1h': 'Last hour', '-6h': 'Last 6 hours', '-1d': 'Last day', '-7d': 'Last 7 days', '-30d': 'Last 30 days', '-90d': 'Last 90 days', '-365d': 'Last year', '-1826d': 'Last 5 years'}
const DAY = 86400e3, FIGURES = 24
export const STATE = ['app', 'from', 'to', 'by', 'group', 'compare', 'shape', 'zone']

/** What a URL says, completed. `by` is the period asked for, `period` the one that is shown. */
export function stateOf(params, type) {
  const state = Object.fromEntries([...params].filter(([k]) => STATE.includes(k) || k.startsWith('label.')))
  const from = timeOf(state.from ?? (type === 'unique' ? '-30d' : '-1d')), to = timeOf(state.to ?? 'now'), auto = periodFor(from, to)
  return {...state, period: state.by ?? (type === 'unique' && auto === 'minute' ? 'hour' : auto), begin: from, end: to, tz: state.zone === 'local' && type !== 'unique' ? HERE : undefined}
}

const asked = state => Object.fromEntries(Object.entries(state).filter(([k]) => STATE.includes(k) || k.startsWith('label.')))

/** Time range, period, comparison: change(next state) when one is picked. */
export function timeChoices(state, type, change) {
  const now = asked(state), set = (k, v) => change({...now, [k]: v})
  const from = state.from ?? (type === 'unique' ? '-30d' : '-1d'), custom = state.to !== undefined || !(from in RANGES)
  const ranges = custom ? {'': `${nameOf(state.begin, 'minute', state.tz)} to ${nameOf(state.end, 'minute', state.tz)}`, ...RANGES} : RANGES
  return [choice('Time range', ranges, custom ? '' : from, v => change({...now, from: v, to: '', by: ''})),
    choice('Period', {'': `By ${state.period}`, ...Object.fromEntries(PERIODS.filter(p => type !== 'unique' || p !== 'minute').map(p => [p, 'By ' + p]))}, state.by ?? '', v => set('by', v)),
    choice('Compare', {'': 'Compare with nothing', previous: 'With the time before', weekday: 'With the same weekday'}, state.compare ?? '', v => set('compare', v)),
    HERE !== 'UTC' && type !== 'unique' && choice('Zone', {'': "The server's zone", local: HERE}, state.zone ?? '', v => set('zone', v))]
}

/** The range that another is compared with: as many periods just before, or whole weeks earlier. */
function before(state, times, zone) {
  if (state.compare === 'weekday') {
    const shift = Math.ceil((state.end - state.begin) / (7 * DAY)) * 7 * DAY
    return {begin: state.begin - shift, end: state.end - shift}
  }
  return {begin: times.reduce(t => startOf(t - 1, state.period, zone), times[0]), end: times[0]}
}

const iso = t => new Date(t).toISOString()
export const query = (state, range = state) => new URLSearchParams({by: state.period, from: iso(range.begin), to: iso(range.end), ...state.app && {app: state.app}, ...state.group && {group: state.group},
  ...state.tz && {tz: state.tz}, ...Object.fromEntries(Object.entries(state).filter(([k]) => k.startsWith('label.')))})

/** Columns of the points of one group, in step with `times`: {value: […], low: […], …}. */
function columns(answer, group, times) {
  const at = new Map(answer.points.filter(p => (p.group ?? '') === group).map(p => [Date.parse(p.time), p]))
  return name => times.map(t => at.get(t)?.[name] ?? null)
}

function seriesOf(type, get, shape) {
  if (type === 'timing') return ['p50', 'p90', 'p99'].map(p => ({name: p, kind: 'line', values: get(p)}))
  const kind = shape ?? (type === 'count' || type === 'unique' ? 'bar' : 'line')
  if (type === 'count') return [{name: 'Events', kind, values: get('value').map(v => v ?? 0)}]
  if (type === 'unique') return [{name: 'Different', kind, values: get('value'), low: get('low'), high: get('high'), below: get('below')}]
  if (type === 'gauge') return [{name: 'Value', kind, values: get('value'), low: get('min'), high: get('max')}]
  return [{name: type === 'max' ? 'Highest' : 'Lowest', kind, values: get('value')}]
}

const mainOf = type => type === 'timing' ? 'p90' : 'value'
const sum = values => values.reduce((a, v) => a + (v ?? 0), 0)

function totals(answer, old) {
  const t = answer.total, facts = []
  if (answer.type === 'timing') for (const [name, key] of [['Measured', 'n'], ['Median', 'p50'], ['90 %', 'p90'], ['99 %', 'p99'], ['Slowest', 'max']]) facts.push([name, exact(t[key]) + (key === 'n' || t[key] === null ? '' : ' ms')])
  else if (answer.type === 'unique') facts.push(['In all', t.below ? `below ${t.below}` : t.low === undefined ? exact(t.value) : t.low === t.high ? exact(t.low) : `${exact(t.low)} to ${exact(t.high)}`])
  else facts.push([{count: 'In all', max: 'Highest', min: 'Lowest', gauge: 'Last'}[answer.type], exact(t)])
  if (old && answer.type === 'count') facts.push(['Before', exact(old.total)], ['Change', old.total ? `${t >= old.total ? '+' : '−'}${exact(Math.abs(Math.round((t / old.total - 1) * 1000) / 10))} %` : '–'])
  return h('dl', {class: 'facts'}, facts.map(([name, value]) => h('div', null, h('dt', null, name), h('dd', null, value))))
}

/** The charts of what ask(URLSearchParams) answers. */
export async function charts(state, title, ask, zoom) {
  const answer = await ask(query(state)), zone = state.tz ?? answer.tz // days may be those of the server's zone
  const times = starts(state.begin, state.end, state.period, zone), names = times.map(t => nameOf(t, state.period, zone))
  const range = state.compare && before(state, times, zone), old_times = range && starts(range.begin, range.end, state.period, zone)
  const old = range && await ask(query(state, range))
  if (!answer.points.length) return h('div', {class: 'empty'}, h('p', null, `Nothing of ${title} in this time range.`))
  const groups = [...new Set(answer.points.map(p => p.group ?? ''))].map(g => ({g, get: columns(answer, g, times)}))
  for (const one of groups) {
    one.series = seriesOf(answer.type, one.get, state.shape)
    if (old) one.series.push({name: 'Before', kind: 'before', values: columns(old, one.g, old_times)(mainOf(answer.type)).slice(0, times.length)})
  }
  groups.sort((a, b) => sum(b.get(mainOf(answer.type))) - sum(a.get(mainOf(answer.type))))
  const shown = groups.slice(0, FIGURES), scale = scaleOf(shown.flatMap(one => one.series)), grouped = state.group && true
  const figures = shown.map(one => chart({title: grouped ? one.g || `(no ${state.group})` : title, names, series: one.series, scale, small: grouped, unit: answer.type === 'timing' ? ' ms' : '',
    of: state.period[0].toUpperCase() + state.period.slice(1), zoom: zoom && ((a, b) => zoom(times[a], nextStart(times[b], state.period, zone)))}))
  return h('div', null, totals(answer, old), h('div', {class: grouped && 'multiples'}, figures),
    groups.length > FIGURES && h('p', {class: 'soft'}, `The ${FIGURES} largest of ${number(groups.length)}; choose one label to see another.`))
}
