// Incidents: a list, one of them, and what people do with them.
import {get, post, session} from './api.js'
import {ago, choice, clock, h, many, number, rank, say} from './dom.js'
import {go, link} from './app.js'

const mayEdit = () => session.rights?.includes('edit')

const head = t => h('th', {scope: 'col', class: /^(Signals|Mails)$/.test(t) && 'right'}, t)

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
