// The stats pages: which metrics there are, and one of them.
import {get, session} from './api.js'
import {ago, choice, h, many} from './dom.js'
import {exact, spark} from './chart.js'
import {charts, query, stateOf, timeChoices} from './metric.js'
import {starts} from './periods.js'
import {go, link} from './app.js'

const path = name => '/v1/stats/' + encodeURIComponent(name)
const curl = `curl ${location.origin}/v1/stats -H "Authorization: Bearer $KEY" \\\n  -d '{"name":"pic.upload","type":"count","value":1,"labels":{"kind":"jpg"}}'`

function empty() {
  return h('div', {class: 'empty'}, h('p', null, 'No stat has arrived yet. A number over time needs no event; this posts one:'),
    h('pre', {tabindex: 0}, `logd app add shop\nKEY=$(logd key add --app shop --role ingest)\n${curl}`), h('p', null, 'Types: count, max, min, gauge, timing (milliseconds), unique.'))
}

/** Series of all labels joined to metrics by app and name: [{app, name, type, last, last_time, series}]. */
export function metricsOf(series) {
  const all = new Map()
  for (const one of series) {
    const key = `${one.app}\n${one.name}`, m = all.get(key) ?? {app: one.app, name: one.name, type: one.type, last_time: '', series: []}
    const all_people = one.type === 'unique' && !Object.keys(one.labels).length
    if (all_people || one.last_time > m.last_time) Object.assign(m, {last: one.last, last_time: one.last_time})
    m.series.push(one.labels)
    all.set(key, m)
  }
  return [...all.values()]
}

const DAY = 86400e3
/** The last 24 hours of a metric: its line and a number for them. */
async function lastDay(m, row) {
  const days = m.type === 'unique', state = {app: m.app, period: days ? 'day' : 'hour', begin: Date.now() - (days ? 30 : 1) * DAY, end: Date.now()}, key = m.type === 'timing' ? 'p90' : 'value'
  const answer = await get(`${path(m.name)}?${query(state)}`), times = starts(state.begin, state.end, state.period)
  const at = new Map(answer.points.map(p => [Date.parse(p.time), p[key]])), values = times.map(t => at.get(t) ?? (m.type === 'count' ? 0 : null))
  const t = answer.total, total = m.type === 'timing' ? t.p90 === null ? '–' : `${exact(t.p90)} ms` : m.type === 'unique' ? answer.points.length ? unique(answer.points.at(-1)) : '–' : exact(t)
  row.querySelector('.day').replaceChildren(total)
  row.querySelector('.line').replaceChildren(spark(values, `${m.name} ${days ? 'a day, last 30 days' : 'per hour, last 24 hours'}: ${total}`))
}

const unique = p => p.below ? `below ${p.below}` : exact(p.value)

/** Asks for a row's day once it comes into sight. */
const sight = new IntersectionObserver(seen => {
  for (const e of seen) {
    if (!e.isIntersecting) continue
    sight.unobserve(e.target)
    lastDay(e.target.metric, e.target).catch(err => e.target.querySelector('.day').replaceChildren(err.message))
  }
})

const DAY_SAYS = {count: 'in all', max: 'highest', min: 'lowest', gauge: 'last', timing: '90 %', unique: 'today'}

export async function statsPage(params) {
  const find = params.get('q') ?? '', all = metricsOf((await get('/v1/stats')).stats)
  if (!all.length) return h('div', null, h('h1', null, 'Stats'), empty())
  const found = all.filter(m => m.name.toLowerCase().includes(find.toLowerCase()))
  const input = h('input', {name: 'q', value: find, 'aria-label': 'Part of a name', placeholder: 'part of a name', autocomplete: 'off'})
  const rows = found.map(m => {
    const row = h('tr', null, h('td', null, link(`/stats/${encodeURIComponent(m.name)}?${new URLSearchParams({app: m.app})}`, m.name), h('div', {class: 'soft'}, m.app, m.series.length > 1 && ` · ${many(m.series.length, 'label set')}`)), h('td', null, m.type),
      h('td', {class: 'right'}, exact(m.last), m.type === 'timing' && ' ms', h('div', {class: 'soft'}, ago(m.last_time))), h('td', {class: 'right'}, h('span', {class: 'day'}, '…'), h('div', {class: 'soft'}, DAY_SAYS[m.type])), h('td', {class: 'line'}))
    row.metric = m
    sight.observe(row)
    return row
  })
  return h('div', null, h('h1', null, 'Stats'),
    h('form', {class: 'search', onsubmit: e => { e.preventDefault(); go('/stats', {q: input.value}) }}, input, h('button', null, 'Find')),
    h('p', {class: 'soft'}, `${many(found.length, 'metric')}${find ? ` of ${all.length}` : ''}`, session.rights?.includes('admin') && [' · ', link('/shares', 'Shared pages')]),
    found.length ? h('table', {class: 'list stats'}, h('thead', null, h('tr', null, ['Metric', 'Type', 'Last', '24 hours', 'Over time'].map((t, i) => h('th', {scope: 'col', class: (i === 2 || i === 3) && 'right'}, t)))), h('tbody', null, rows))
      : h('p', {class: 'empty'}, 'No metric has this in its name.'))
}

/** Which labels the metric has: {name: [value, …]}. */
export function labelsOf(series) {
  const all = {}
  for (const labels of series) for (const [k, v] of Object.entries(labels)) (all[k] ??= new Set()).add(v)
  return Object.fromEntries(Object.entries(all).sort().map(([k, v]) => [k, [...v].sort()]))
}

export async function metricPage(name, params) {
  const all = metricsOf((await get('/v1/stats')).stats).filter(one => one.name === name), m = all.find(one => one.app === params.get('app')) ?? all[0]
  if (!m) return h('div', null, h('h1', null, name), h('div', {class: 'empty'}, h('p', null, 'No stat of this name has arrived. This posts one:'), h('pre', {tabindex: 0}, curl.replace('pic.upload', () => name))))
  params.set('app', m.app)
  const state = stateOf(params, m.type), labels = labelsOf(m.series), now = Object.fromEntries(params)
  const change = next => go('/stats/' + encodeURIComponent(name), next), set = (k, v) => change({...now, [k]: v})
  const ask = p => get(`${path(name)}?${p}`), url = `${path(name)}?${query(state)}`
  const bar = h('div', {class: 'bar choices'}, timeChoices(state, m.type, change), all.length > 1 && choice('App', all.map(one => one.app), m.app, v => go('/stats/' + encodeURIComponent(name), {app: v})),
    Object.keys(labels).length > 0 && choice('Group by', {'': 'All together', ...Object.fromEntries(Object.keys(labels).map(k => [k, 'One chart a ' + k]))}, state.group ?? '', v => set('group', v)),
    Object.entries(labels).map(([k, values]) => choice(`Only ${k}`, {'': `Every ${k}`, ...Object.fromEntries(values.map(v => [v, `${k}: ${v}`]))}, state['label.' + k] ?? '', v => set('label.' + k, v))),
    m.type !== 'timing' && choice('Shape', {'': 'Bars or lines', bar: 'Bars', line: 'Lines'}, state.shape ?? '', v => set('shape', v)))
  return h('div', null, h('p', {class: 'soft'}, link('/stats', 'Stats')), h('h1', null, name, h('span', {class: 'soft'}, ` ${m.type} of ${m.app}`)), bar,
    await charts(state, name, ask, (from, to) => change({...now, from: new Date(from).toISOString(), to: new Date(to).toISOString(), by: ''})),
    h('div', {class: 'bar'}, h('span', {class: 'soft'}, 'Mark a part of the chart to zoom in.'),
      h('a', {href: url, download: name + '.json'}, 'JSON'),
      h('a', {href: url + '&format=csv', download: name + '.csv'}, 'CSV')))
}
