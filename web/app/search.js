// The search page: query, histogram, rows that open. Its whole state is in the URL.
import {get, rows as fetchRows} from './api.js'
import {details} from './event.js'
import {clock, h, many, number, s, say, severity} from './dom.js'
import {go} from './app.js'

const RANGES = {'-15m': '15 minutes', '-1h': 'hour', '-6h': '6 hours', '-1d': 'day', '-7d': '7 days', '-30d': '30 days'}
const PAGE = 200
let running

const word = v => /^[\w.@-]+$/.test(v) ? v : '"' + String(v).replace(/[\\"]/g, '\\$&') + '"'
/** The query without its stages; a | in quotes is text. */
const filterOf = q => /^(?:"(?:\\.|[^"\\])*"|`[^`]*`|[^|])*/.exec(q)[0].trim()
const fieldName = n => /^[A-Za-z_@][\w.@-]*$/.test(n) ? n : '`' + n + '`'

export function searchPage(params) {
  running?.abort()
  running = new AbortController()
  const state = {q: params.get('q') ?? '', from: params.get('from') ?? '-1h', to: params.get('to') ?? 'now'}
  const out = h('div')
  const input = h('input', {name: 'q', value: state.q, 'aria-label': 'Query', placeholder: 'level>=error app:shop "card declined" | count by type',
    autocomplete: 'off', spellcheck: 'false', autofocus: true})
  const range = h('select', {name: 'range', 'aria-label': 'Time range'},
    Object.entries(RANGES).map(([v, t]) => h('option', {value: v, selected: state.from === v && state.to === 'now'}, `Last ${t}`)),
    (!(state.from in RANGES) || state.to !== 'now') && h('option', {value: '', selected: true}, `${short(state.from)} – ${short(state.to)}`))
  const submit = e => {
    e?.preventDefault()
    const next = range.value ? {q: input.value, from: range.value} : {...state, q: input.value}
    go('/', next)
  }
  range.addEventListener('change', submit)
  input.addEventListener('keydown', e => { if (e.key === 'Escape') { running.abort(); say('stopped') } })
  load(state, out, running.signal)
  return h('div', null, h('h1', {class: 'hide'}, 'Search'), h('form', {class: 'search', onsubmit: submit}, input, range, h('button', {class: 'main'}, 'Run')), out)
}

const short = t => t.replace(/:\d\d(\.\d+)?Z$/, '').replace('T', ' ')

function wrong(e, q) {
  const mark = e.column ? `\n${q}\n${' '.repeat(e.column - 1)}^` : ''
  return h('p', {class: 'wrong', role: 'alert'}, e.message + mark)
}

async function load(state, out, signal) {
  const status = h('p', {class: 'soft', 'aria-live': 'polite'}, 'Searching…')
  out.replaceChildren(status)
  const begun = performance.now()
  try {
    const [page, chart] = await Promise.all([fetchRows({...state, limit: PAGE}, signal),
      get('/v1/histogram?' + new URLSearchParams({...state, q: filterOf(state.q), buckets: 80}), signal)])
    const total = chart.buckets.reduce((n, b) => n + b.total, 0)
    status.textContent = `${many(total, 'matching event')}, ${number(page.rows.length)} shown, ${Math.round(performance.now() - begun)} ms` +
      (page.partial ? ', not complete: the query ran out of time' : '')
    out.append(histogram(chart, state))
    if (!page.rows.length) out.append(await nothing(state))
    else if (page.rows[0].severity_number === undefined || !page.rows[0].id) out.append(table(page.rows))
    else out.append(list(page, state, signal))
  } catch (e) {
    if (e.name !== 'AbortError') out.replaceChildren(wrong(e, state.q))
  }
}

function histogram(chart, state) {
  const n = chart.buckets.length || 1, top = Math.max(1, ...chart.buckets.map(b => b.total)), height = 90
  const bars = chart.buckets.map((b, i) => {
    const classes = {debug: 0, info: 0, warn: 0, error: 0, fatal: 0}
    for (const [level, count] of Object.entries(b.levels)) classes[levelClass(level)] += count
    let y = height
    const parts = Object.entries(classes).filter(([, c]) => c).map(([c, count]) => {
      const tall = Math.max(1, count / top * (height - 4))
      y -= tall
      return s('rect', {class: c, x: i * 10 + 1, y, width: 8, height: tall})
    })
    const end = new Date(Date.parse(b.time) + chart.step_s * 1000).toISOString()
    const zoom = () => go('/', {q: state.q, from: b.time, to: end})
    const label = `${short(b.time)}: ${many(b.total, 'event')}` + (classes.error + classes.fatal ? `, ${many(classes.error + classes.fatal, 'error')}` : '')
    return s('g', null, ...parts, b.total > 0 && s('rect', {class: 'hit', x: i * 10, y: 0, width: 10, height, tabindex: 0, role: 'button', 'aria-label': label + ', zoom in',
      onclick: zoom, onkeydown: e => e.key === 'Enter' && zoom()}, s('title', null, label)))
  })
  return h('div', {class: 'chart'}, s('svg', {viewBox: `0 0 ${n * 10} ${height}`, preserveAspectRatio: 'none', role: 'group', 'aria-label': 'Events over time, by severity'}, ...bars),
    chart.buckets.length > 0 && h('div', {class: 'axis'}, h('span', null, short(chart.buckets[0].time)), h('span', null, `${chart.step_s} s a bar, UTC`),
      h('span', null, short(chart.buckets[n - 1].time))))
}

function levelClass(name) {
  return {trace: 'debug', debug: 'debug', info: 'info', notice: 'info', warn: 'warn', error: 'error'}[name] ?? 'fatal'
}

function list(page, state, signal) {
  const ol = h('ol', {class: 'rows'}, page.rows.map(e => row(e, state)))
  const more = h('button', {onclick: async () => {
    more.disabled = true
    try {
      const next = await fetchRows({...state, limit: PAGE, cursor: more.dataset.next}, signal)
      ol.append(...next.rows.map(e => row(e, state)))
      if (next.next) { more.dataset.next = next.next; more.disabled = false } else more.remove()
    } catch (e) { say(e.message); more.disabled = false }
  }}, 'Show older')
  more.dataset.next = page.next ?? ''
  return h('div', null, ol, page.next && more)
}

function row(e, state) {
  const text = e.message ?? e['error.message'] ?? e.type ?? ''
  const toggle = h('button', {'aria-expanded': 'false', 'aria-label': `Details of ${e.level} ${text}`.slice(0, 120), onclick: () => {
    const open = toggle.getAttribute('aria-expanded') === 'true'
    toggle.setAttribute('aria-expanded', String(!open))
    toggle.textContent = open ? '▸' : '▾'
    if (open) li.lastChild.remove()
    else li.append(details(e, (name, value, not) => go('/', {...state, q: `${filterOf(state.q)} ${not ? '-' : ''}${fieldName(name)}=${word(value)}`.trim()})))
  }}, '▸')
  const click = ev => { if (ev.target !== toggle && getSelection().isCollapsed) toggle.click() } // who selects text does not mean it
  const li = h('li', null, h('div', {class: 'row', onclick: click}, toggle, clock(e.time), h('span', {class: 'level ' + severity(e.severity_number)}, e.level),
    h('span', {class: 'soft'}, e.app), h('span', null, text)))
  return li
}

function table(rows) {
  const columns = Object.keys(rows[0])
  return h('table', {class: 'list'}, h('thead', null, h('tr', null, columns.map(c => h('th', {scope: 'col', class: typeof rows[0][c] === 'number' && 'right'}, c)))),
    h('tbody', null, rows.map(r => h('tr', null, columns.map(c => h('td', {class: typeof r[c] === 'number' && 'right'}, r[c] === null || r[c] === undefined ? '' : String(r[c])))))))
}

/** Why there is nothing, and what to do about it. */
async function nothing(state) {
  const any = await fetchRows({q: '', from: '1970-01-01T00:00:00Z', to: 'now', limit: 1}).catch(() => ({rows: []}))
  if (!any.rows.length)
    return h('div', {class: 'empty'}, h('p', null, 'No event has ever arrived. Make a key and post the first one:'),
      h('pre', null, `logd app add shop\nKEY=$(logd key add --app shop --role ingest)\ncurl ${location.origin}/v1/events -H "Authorization: Bearer $KEY" \\\n  -d '{"level":"error","message":"hello from curl"}'`))
  if (state.from !== '-30d' && state.q === '')
    return h('div', {class: 'empty'}, h('p', null, 'Nothing in this time range.'), h('button', {onclick: () => go('/', {q: '', from: '-30d'})}, 'Look at 30 days'))
  return h('div', {class: 'empty'}, h('p', null, state.q ? 'Nothing matches this query in this time range.' : 'Nothing in this time range.'),
    h('button', {onclick: () => go('/', state.q ? {q: '', from: state.from, to: state.to} : {q: '', from: '-30d'})}, state.q ? 'Drop the query' : 'Look at 30 days'))
}
