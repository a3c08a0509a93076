// Incidents: a list with the silences that hold, one of them with every decision and its reason, and what people do with them.
import {drop, get, post, session} from './api.js'
import {ago, choice, clock, h, many, number, rank, say} from './dom.js'
import {go, link} from './app.js'

const mayEdit = () => session.rights?.includes('edit')

/** Does it, says so, and shows the page as it is now; what was wrong is said instead. */
async function act(what) {
  try { await what() } catch (e) { return say(e.message) }
  say('done')
  go(location.pathname + location.search)
}

const RIGHT = /^(Signals|Mails|Waiting|Tries)$/
function table(columns, rows, empty) {
  if (!rows.length) return h('p', {class: 'soft'}, empty)
  return h('table', {class: 'list alerts'}, h('thead', null, h('tr', null, columns.map(c => c ? h('th', {scope: 'col', class: RIGHT.test(c) && 'right'}, c) : h('td')))),
    h('tbody', null, rows.map(r => h('tr', null, r.map((cell, i) => h('td', RIGHT.test(columns[i]) && {class: 'right', 'data-of': columns[i].toLowerCase()}, cell ?? ''))))))
}

// ---- silences ----

const MATCH = ['rule', 'app', 'env', 'host', 'key']

/** What a silence names, as words. */
const matches = s => MATCH.filter(m => s[m]).map(m => `${m} ${s[m]}`).join(', ')

function silenceForm(given) {
  const wrong = h('p', {class: 'wrong', role: 'alert'})
  const field = (name, more) => h('input', {name, value: given[name] ?? '', maxlength: 200, autocomplete: 'off', ...more})
  const inputs = Object.fromEntries([...MATCH.map(m => [m, field(m, {placeholder: 'any'})]), ['until', field('until', {value: '2h', required: true})], ['why', field('why', {required: true, placeholder: 'deploy of 4.2'})]])
  return h('form', {class: 'silence', onsubmit: async e => {
    e.preventDefault()
    wrong.textContent = ''
    const body = Object.fromEntries(Object.entries(inputs).map(([k, i]) => [k, i.value.trim()]).filter(([, v]) => v))
    try { await post('/v1/silences', body) } catch (err) { wrong.textContent = err.message; return }
    say('done')
    go(location.pathname + location.search)
  }}, Object.entries(inputs).map(([name, i]) => h('label', null, {until: 'Until (a time, or 2h, 3d)', why: 'Why'}[name] ?? name[0].toUpperCase() + name.slice(1), i)), wrong, h('button', {class: 'main'}, 'Silence'))
}

function silencesBox(silences, given = {}) {
  return [h('h2', null, 'Silences'), table(['What', 'Until', 'Why', 'By', ''], silences.map(s => [matches(s), clock(s.until), s.why, s.by, mayEdit() && h('button', {'aria-label': `End the silence of ${matches(s)}`, onclick: () => act(() => drop('/v1/silences/' + encodeURIComponent(s.id)))}, 'End')]),
    'None: whatever is urgent enough is mailed.'),
  mayEdit() && h('details', null, h('summary', null, 'Silence something'), h('p', {class: 'soft'}, 'What matches all that is filled in is counted, and not mailed until then. A * stands for any text.'), silenceForm(given))]
}

// ---- the list ----

export async function incidentsPage(params) {
  const state = params.get('state') ?? 'open'
  const [{incidents}, {silences}] = await Promise.all([get('/v1/incidents?' + new URLSearchParams({state})), get('/v1/silences')])
  const bar = h('div', {class: 'bar'}, choice('State', ['open', 'acked', 'snoozed', 'resolved', 'all'], state, v => go('/incidents', {state: v})), h('span', {class: 'soft'}, many(incidents.length, 'incident')))
  const row = i => [rank(i.rank), [link('/incidents/' + i.id, i.title || i.key), h('div', {class: 'soft'}, [i.app, i.env, i.host].filter(Boolean).join(' · '), ` · ${i.state}${i.owner && i.state !== 'open' ? ' by ' + i.owner : ''}`)], i.rule, number(i.signals), number(i.mails), ago(i.last)]
  return h('div', null, h('h1', null, 'Incidents'), bar, incidents.length ? table(['Rank', 'Incident', 'Rule', 'Signals', 'Mails', 'Last'], incidents.map(row)) : h('p', {class: 'empty'}, state === 'open' ? 'Nothing is open: no rule has fired, or all is settled.' : 'Nothing here.'), silencesBox(silences))
}

// ---- one ----

const VERBS = [['ack', 'Acknowledge', 'main'], ['resolve', 'Resolve'], ['noise', 'Was noise']]

function buttons(i, path) {
  const did = (verb, body = {}) => act(() => post(`${path}/${verb}`, body))
  const live = i.state !== 'resolved'
  return h('div', {class: 'bar'}, live && VERBS.filter(([v]) => v !== 'ack' || i.state !== 'acked').map(([v, text, kind]) => h('button', {class: kind, onclick: () => did(v)}, text)),
    live && choice('Snooze for', {'': 'Snooze …', '1h': 'for an hour', '4h': 'for 4 hours', '1d': 'for a day', '7d': 'for a week'}, '', until => until && did('snooze', {until})),
    i.undo && h('button', {onclick: () => did('undo')}, 'Undo what was done last'))
}

const VERDICTS = {mailed: 'mailed', digested: 'in a digest', suppressed: 'not mailed', held: 'held back', ack: 'acknowledged by', snooze: 'snoozed by', noise: 'called noise by', resolve: 'resolved by', undo: 'undone by', resolved: 'resolved by itself'}

/** Answered from what was decided, not guessed: mails to the reader, or the reason that there is none. */
function whyMail(i) {
  const me = session.user, mine = i.mails_sent.filter(m => m.to === me), others = [...new Set(i.mails_sent.map(m => m.to))].filter(to => to !== me)
  const last = i.decisions.filter(d => ['mailed', 'digested', 'suppressed', 'held'].includes(d.verdict)).at(-1)
  const reason = last ? `The last decision, ${VERDICTS[last.verdict]}: ${last.reason}.` : 'Nothing was decided yet.'
  const text = mine.length ? `${me} got ${many(mine.length, 'mail')}: ${mine.map(m => `${m.kind} ${m.created.slice(0, 19).replace('T', ' ')} (${m.status}${m.response ? ': ' + m.response : ''})`).join('; ')}.`
    : `No mail of it went to ${me ?? 'you'}${others.length ? `, but to ${others.join(', ')}: who gets which rank stands in the config under recipients` : ''}.`
  return [h('h2', null, mine.length ? 'Why did I get a mail?' : 'Why did I not get a mail?'), h('p', null, text, ' ', reason)]
}

const kind = k => [rank(k.rank), [k.title || k.key, h('div', {class: 'soft'}, [k.rule, k.host, k.detail, k.points].filter(Boolean).join(' · '))], k.state, number(k.signals), number(k.pending), ago(k.last), k.issue && link('/issues/' + k.issue, 'Issue')]

export async function incidentPage(id) {
  const path = '/v1/incidents/' + encodeURIComponent(id), [i, {silences}] = await Promise.all([get(path), get('/v1/silences')])
  const fact = (name, value) => value && h('div', null, h('dt', null, name), h('dd', null, value))
  return h('div', null, h('h1', null, rank(i.rank), ' ', i.title || i.key),
    h('p', {class: 'soft'}, [i.env, i.app, i.host].filter(Boolean).join(' · '), `. Rule ${i.rule}: ${i.why ?? ''}. Key: ${i.key}`),
    h('dl', {class: 'facts'}, fact('State', i.state), i.state !== 'open' && fact('By', i.owner), fact('Until', i.until && clock(i.until)), fact('Since', ago(i.opened)), fact('Last', ago(i.last)), fact('Signals', number(i.signals)), fact('Mails', number(i.mails)), fact('Waiting', number(i.pending))),
    mayEdit() && buttons(i, path),
    h('h2', null, 'What was decided'), table(['When', 'What', 'Why'], i.decisions.map(d => [clock(d.time), VERDICTS[d.verdict] ?? d.verdict, d.reason]), 'Nothing yet.'),
    whyMail(i),
    h('h2', null, 'Signals'), table(['Rank', 'Signal', 'State', 'Signals', 'Waiting', 'Last', ''], i.kinds.map(kind), 'None.'),
    h('h2', null, 'Mails'), table(['When', 'To', 'Kind', 'Subject', 'Status', 'Tries'], i.mails_sent.map(m => [clock(m.created), m.to, m.kind, m.subject, m.status + (m.response ? ': ' + m.response : ''), number(m.tries)]), 'None.'),
    silencesBox(silences, {rule: i.rule, app: i.app, env: i.env, host: i.host}))
}
