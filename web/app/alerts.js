// Issues and incidents: lists, one of each, and what people do with them.
import {get, patch, post, session} from './api.js'
import {ago, choice, clock, h, many, number, s, say} from './dom.js'
import {details} from './search.js'
import {go, link} from './app.js'

const mayEdit = () => session.rights?.includes('edit')

const head = t => h('th', {scope: 'col', class: /^(Events|Signals|Mails)$/.test(t) && 'right'}, t)

function rank(r) { return h('span', {class: 'level ' + {P1: 'fatal', P2: 'fatal', P3: 'error', P4: 'warn'}[r]}, r) }

export async function issuesPage(params) {
  const state = params.get('state') ?? 'open', order = params.get('order') ?? 'last_seen'
  const {issues} = await get('/v1/issues?' + new URLSearchParams({state, order}))
  const bar = h('div', {class: 'bar'}, choice('State', ['open', 'resolved', 'all'], state, v => go('/issues', {state: v, order})),
    choice('Order', ['last_seen', 'count', 'rank'], order, v => go('/issues', {state, order: v})), h('span', {class: 'soft'}, many(issues.length, 'issue')))
  if (!issues.length) return h('div', null, h('h1', null, 'Issues'), bar, h('p', {class: 'empty'}, state === 'open' ? 'No open issue. An error that arrives makes one.' : 'Nothing here.'))
  return h('div', null, h('h1', null, 'Issues'), bar, h('table', {class: 'list'},
    h('thead', null, h('tr', null, ['Rank', 'Issue', 'App', 'Events', 'Last seen'].map(head))),
    h('tbody', null, issues.map(i => h('tr', null, h('td', null, rank(i.rank)), h('td', null, link('/issues/' + i.id, i.title), h('div', {class: 'soft'}, i.culprit ?? '',
      i.state !== 'open' && ` · ${i.state}`, i.regressed_at && ' · came back')), h('td', null, i.app), h('td', {class: 'right'}, number(i.count)), h('td', null, ago(i.last_seen)))))))
}

function spark(history) {
  const hours = 48, end = Math.floor(Date.now() / 3600000), counts = new Map(history.map(x => [Date.parse(x.time) / 3600000, x.count]))
  const all = Array.from({length: hours}, (_, i) => counts.get(end - hours + 1 + i) ?? 0), top = Math.max(1, ...all)
  return h('div', {class: 'chart'}, s('svg', {viewBox: `0 0 ${hours * 10} 90`, preserveAspectRatio: 'none', role: 'img', 'aria-label': `Events per hour, last ${hours} hours, at most ${top}`},
    ...all.map((n, i) => s('rect', {class: 'error', x: i * 10 + 1, width: 8, y: 90 - n / top * 86, height: n / top * 86}))), h('div', {class: 'axis'}, h('span', null, `${hours} h ago`), h('span', null, 'now')))
}

// There is no word for an issue in a query: its app, its type and its time come close.
function eventsOf(i) {
  const is = (name, value) => `${name} = ${JSON.stringify(value)}`, of = ['error.type', 'type'].find(name => i.latest?.[name])
  const q = [is('app', i.app), of ? is(of, i.latest[of]) : `level = ${i.level}`].join(' and ')
  return '/?' + new URLSearchParams({q, from: i.first_seen, to: 'now'})
}

export async function issuePage(id) {
  const i = await get('/v1/issues/' + encodeURIComponent(id))
  const change = async body => { await patch('/v1/issues/' + encodeURIComponent(id), body); say('done'); go(location.pathname) }
  return h('div', null, h('h1', null, rank(i.rank), ' ', i.title),
    h('div', {class: 'bar'}, h('span', null, `${many(i.count, 'event')} in ${i.app}${i.env ? ' / ' + i.env : ''}`), h('span', {class: 'soft'}, 'first ', clock(i.first_seen), ', last ', clock(i.last_seen)),
      link(eventsOf(i), 'Search its events'), h('b', null, i.state), i.regressed_at && h('span', {class: 'soft'}, 'came back ', clock(i.regressed_at)),
      mayEdit() && (i.state === 'resolved' ? h('button', {onclick: () => change({state: 'open'})}, 'Open again') : h('button', {class: 'main', onclick: () => change({state: 'resolved'})}, 'Resolve'))),
    h('p', {class: 'soft'}, 'Same by ', i.why), spark(i.history),
    h('h2', null, 'Latest event'), i.latest ? details(i.latest, null) : h('p', {class: 'soft'}, 'Its events are past their retention.'))
}

export async function incidentsPage(params) {
  const state = params.get('state') ?? 'open'
  const {incidents} = await get('/v1/incidents?' + new URLSearchParams({state}))
  const bar = h('div', {class: 'bar'}, choice('State', ['open', 'acked', 'resolved', 'all'], state, v => go('/incidents', {state: v})))
  if (!incidents.length) return h('div', null, h('h1', null, 'Incidents'), bar, h('p', {class: 'empty'}, 'Nothing here: no rule has fired, or all is settled.'))
  return h('div', null, h('h1', null, 'Incidents'), bar, h('table', {class: 'list'},
    h('thead', null, h('tr', null, ['Rank', 'Incident', 'Rule', 'Signals', 'Mails', 'Last'].map(head))),
    h('tbody', null, incidents.map(i => h('tr', null, h('td', null, rank(i.rank)), h('td', null, link('/incidents/' + i.id, i.title ?? i.key), h('div', {class: 'soft'}, `${i.app ?? ''} · ${i.state}`)),
      h('td', null, i.rule), h('td', {class: 'right'}, number(i.signals)), h('td', {class: 'right'}, number(i.mails)), h('td', null, ago(i.last)))))))
}

export async function incidentPage(id) {
  const i = await get('/v1/incidents/' + encodeURIComponent(id))
  const act = async verb => { await post(`/v1/incidents/${encodeURIComponent(id)}/${verb}`, {}); say('done'); go(location.pathname) }
  const lines = (title, rows, columns) => [h('h2', null, title), rows.length ? h('table', {class: 'list'}, h('thead', null, h('tr', null, columns.map(c => h('th', {scope: 'col'}, c)))),
    h('tbody', null, rows.map(r => h('tr', null, columns.map(c => h('td', null, c === 'time' || c === 'created' ? clock(r[c]) : r[c] ?? '')))))) : h('p', {class: 'soft'}, 'None.')]
  return h('div', null, h('h1', null, rank(i.rank), ' ', i.title ?? i.key),
    h('div', {class: 'bar'}, h('b', null, i.state), h('span', null, `${many(i.signals, 'signal')}, ${many(i.mails, 'mail')}, ${number(i.pending)} waiting for the digest`),
      i.issue && link('/issues/' + i.issue, 'The issue'),
      mayEdit() && i.state !== 'resolved' && ['ack', 'resolve', 'noise'].map(v => h('button', {onclick: () => act(v)}, v === 'noise' ? 'Was noise' : v === 'ack' ? 'Acknowledge' : 'Resolve'))),
    h('p', {class: 'soft'}, `Rule ${i.rule}: ${i.why ?? ''}. Key: ${i.key}`),
    ...lines('Decisions', i.decisions, ['time', 'verdict', 'reason']), ...lines('Mails', i.mails_sent, ['created', 'to', 'kind', 'status', 'response']))
}
