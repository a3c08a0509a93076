// Issues: the list with what is done to many, and one of them with its life.
import {get, patch, post, session} from './api.js'
import {chart, exact} from './chart.js'
import {ago, choice, clock, h, many, number, rank, say} from './dom.js'
import {details, eventBox} from './event.js'
import {nameOf, startOf} from './periods.js'
import {go, link, show} from './app.js'

const mayEdit = () => session.rights?.includes('edit')
const HOUR = 3600e3

/** Does it and shows the page anew; what is wrong is said. */
async function act(work) {
  try { await work(); await show(); say('done') } catch (e) { say(e.message) }
}

const UNTIL = {'': 'until somebody opens it', time: 'for a time', count: 'until so many more events', users: 'until so many more users', rate: 'until so many at once'}
const EXAMPLE = {time: '2h', count: '100', users: '10', rate: '100/hour'}

/** A small form that says how long: mute({state, until}). */
function muteForm(mute) {
  const value = h('input', {'aria-label': 'How long or how many', size: 8, hidden: true})
  const kind = choice('Mute until', UNTIL, '', k => { value.hidden = !k; value.placeholder = EXAMPLE[k] ?? ''; value.value = EXAMPLE[k] ?? '' })
  return h('form', {class: 'bar', onsubmit: e => {
    e.preventDefault()
    const v = /^(count|users)$/.test(kind.value) ? Number(value.value) : value.value
    mute({state: 'muted', ...kind.value && {until: {[kind.value]: v}}})
  }}, h('button', null, 'Mute'), kind, value)
}

// ---- many ----

const head = t => h('th', {scope: 'col', class: /^(Events|Users)$/.test(t) && 'right'}, t)

function row(i, chosen, changed) {
  const box = h('input', {type: 'checkbox', 'aria-label': `Choose ${i.title}`.slice(0, 120), onchange: () => { box.checked ? chosen.add(i.id) : chosen.delete(i.id); changed() }})
  const notes = [i.culprit, i.state !== 'open' && i.state + untilText(i), i.regressed_at && 'came back', i.assignee && `for ${i.assignee}`].filter(Boolean).join(' · ')
  return h('tr', null, mayEdit() && h('td', null, box), h('td', null, rank(i.rank)), h('td', {class: 'title'}, link('/issues/' + i.id, i.title), h('div', {class: 'soft'}, notes)), h('td', null, i.app),
    h('td', {class: 'right'}, number(i.count)), h('td', {class: 'right'}, i.users ? number(i.users) : ''), h('td', null, ago(i.last_seen)))
}

/** What is done to the chosen ones, or to all that match the query. */
function bulk(state, chosen) {
  const said = h('span', {class: 'soft', 'aria-live': 'polite'}), bar = h('fieldset', {class: 'bar bulk'}), merge = h('button', {type: 'button', onclick: () => act(() => {
    const [into, ...ids] = chosen
    return post('/v1/issues/merge', {into, ids})
  })}, 'Merge')
  const query = () => chosen.size ? [...chosen].map(id => `id = "${id}"`).join(' or ') : state.q
  const change = body => act(() => patch('/v1/issues?' + new URLSearchParams(chosen.size ? {q: query(), state: 'all'} : state), body))
  const changed = () => {
    bar.disabled = !query().trim()
    merge.disabled = chosen.size < 2
    said.textContent = chosen.size ? `${many(chosen.size, 'issue')} chosen:` : state.q ? 'With all that match the query:' : 'Choose issues, or search, to act on many.'
  }
  bar.append(h('legend', {class: 'hidden'}, 'Act on many'), said, h('button', {type: 'button', onclick: () => change({state: 'resolved'})}, 'Resolve'),
    h('button', {type: 'button', onclick: () => change({state: 'open'})}, 'Open'), merge, muteForm(change))
  changed()
  return {bar, changed}
}

export async function issuesPage(params) {
  const state = {state: params.get('state') ?? 'open', order: params.get('order') ?? 'last_seen', q: params.get('q') ?? '', app: params.get('app') ?? ''}
  const set = (k, v) => go('/issues', {...state, [k]: v}), input = h('input', {name: 'q', value: state.q, 'aria-label': 'Query', placeholder: 'words, or type:db.* count>100 users>5 last_seen>-1h', autocomplete: 'off', spellcheck: 'false'})
  let issues = [], wrong
  try { ({issues} = await get('/v1/issues?' + new URLSearchParams(state))) } catch (e) { wrong = h('p', {class: 'wrong', role: 'alert'}, e.message + (e.column ? `\n${state.q}\n${' '.repeat(e.column - 1)}^` : '')) }
  const apps = [...new Set([...issues.map(i => i.app), state.app])].filter(Boolean).sort(), chosen = new Set(), {bar, changed} = bulk(state, chosen)
  return h('div', null, h('h1', null, 'Issues'),
    h('form', {class: 'search', onsubmit: e => { e.preventDefault(); set('q', input.value) }}, input, h('button', {class: 'main'}, 'Find')),
    h('div', {class: 'bar'}, choice('State', ['open', 'resolved', 'muted', 'all'], state.state, v => set('state', v)), choice('Order', {last_seen: 'Last seen first', rank: 'Gravest first', count: 'Most events first'}, state.order, v => set('order', v)),
      choice('App', {'': 'Every app', ...Object.fromEntries(apps.map(a => [a, a]))}, state.app, v => set('app', v)), h('span', {class: 'soft'}, many(issues.length, 'issue')), link('/maps', 'Source maps')),
    wrong, issues.length > 0 && mayEdit() && bar,
    issues.length ? h('table', {class: 'list issues'}, h('thead', null, h('tr', null, mayEdit() && h('td'), ['Rank', 'Issue', 'App', 'Events', 'Users', 'Last seen'].map(head))), h('tbody', null, issues.map(i => row(i, chosen, changed))))
      : !wrong && h('p', {class: 'empty'}, state.q || state.app ? 'No issue matches.' : state.state === 'open' ? 'No open issue. An error that arrives makes one.' : 'Nothing here.'))
}

// ---- one ----

function untilText(i) {
  const u = i.until
  if (i.state === 'resolved') return i.in_release ? ` in ${i.in_release}` : ''
  if (!u) return ''
  if (u.time) return ` until ${u.time.slice(0, 16).replace('T', ' ')}`
  return u.count ? ` until ${number(u.count)} more events, ${number(u.seen)} came` : u.users !== undefined ? ` until ${many(u.users, 'more user')}` : u.rate ? ` until ${u.rate}` : ' until somebody opens it'
}

function hours(i, search) {
  const end = startOf(Date.now(), 'hour'), times = Array.from({length: 168}, (_, k) => end - (167 - k) * HOUR), counts = new Map(i.history.map(x => [Date.parse(x.time), x.count]))
  return chart({title: 'Events per hour, last 7 days', of: 'Hour', names: times.map(t => nameOf(t, 'hour')), series: [{name: 'Events', kind: 'bar', values: times.map(t => counts.get(t) ?? 0)}],
    zoom: (a, b) => go('/', {...search, from: new Date(times[a]).toISOString(), to: new Date(times[b] + HOUR).toISOString()})})
}

/** There is no word for an issue in a query: its app, its type and its time come close. */
function searchFor(i) {
  const is = (name, value) => `${name} = ${JSON.stringify(value)}`, of = ['error.type', 'type'].find(name => i.latest?.[name])
  return {q: [is('app', i.app), of ? is(of, i.latest[of]) : `level = ${i.level}`].join(' and '), from: i.first_seen, to: 'now'}
}

function facts(i) {
  const list = names => names.length > 6 ? `${names.slice(0, 2).join(', ')}, … ${names.slice(-3).join(', ')}` : names.join(', ')
  const all = [['Events', exact(i.count)], ['Users', i.users_low && i.users_low < i.users ? `${exact(i.users_low)} to ${exact(i.users)}` : i.users ? exact(i.users) : '–'], ['First seen', ago(i.first_seen)], ['Last seen', ago(i.last_seen)],
    ['Releases', list(i.releases) || '–'], ['Environments', list(i.environments) || '–'], ['Assigned to', i.assignee ?? 'nobody']]
  return h('dl', {class: 'facts'}, all.map(([name, value]) => h('div', null, h('dt', null, name), h('dd', null, value))))
}

function life(i, change) {
  const release = h('input', {'aria-label': 'The release that it is resolved in', size: 10, placeholder: 'release', list: 'releases', maxlength: 200, required: true})
  const to = h('input', {'aria-label': 'E-mail of whom to assign it to', type: 'email', value: i.assignee ?? '', size: 18, placeholder: 'nobody'})
  return h('div', {class: 'life'}, h('div', {class: 'bar'}, i.state === 'open' ? [h('button', {class: 'main', onclick: () => change({state: 'resolved'})}, 'Resolve'),
    h('button', {onclick: () => change({state: 'resolved', in_release: 'next'})}, 'Resolve in next release')] : h('button', {class: 'main', onclick: () => change({state: 'open'})}, 'Open again')),
  i.state === 'open' && h('form', {class: 'bar', onsubmit: e => { e.preventDefault(); change({state: 'resolved', in_release: release.value}) }}, h('button', null, 'Resolve in'), release,
    h('datalist', {id: 'releases'}, i.releases.map(value => h('option', {value})))),
  i.state === 'open' && muteForm(change),
  h('form', {class: 'bar', onsubmit: e => { e.preventDefault(); change({assignee: to.value || null}) }}, h('button', null, 'Assign'), to,
    session.user !== i.assignee && h('button', {type: 'button', class: 'plain', onclick: () => change({assignee: session.user})}, 'to me')))
}

const DID = {open: 'opened it again', assigned: 'gave it to', regressed: 'it came back', merged: 'merged', unmuted: 'the mute is over'}

function activity(i, comment) {
  const box = h('textarea', {'aria-label': 'Comment', rows: 3, maxlength: 10000, required: true})
  return [h('h2', null, 'Activity'), mayEdit() && h('form', {class: 'comment', onsubmit: e => { e.preventDefault(); comment(box.value) }}, box, h('button', null, 'Comment')),
    i.activity.length ? h('ol', {class: 'activity'}, i.activity.map(n => h('li', null, clock(n.time), ' ', n.kind === 'comment' ? h('div', {class: 'said'}, h('b', null, n.by ?? 'logd'), ' ', n.text) : h('span', null, n.by && h('b', null, n.by), ` ${n.kind === 'resolved' && n.text ? 'resolved in' : DID[n.kind] ?? n.kind}${n.text ? ' ' + n.text : ''}`))))
      : h('p', {class: 'soft'}, 'Nobody did anything yet.')]
}

function merged(i, split) {
  return i.merged.length > 0 && [h('h2', null, 'Merged into it'), h('table', {class: 'list'}, h('thead', null, h('tr', null, h('th', {scope: 'col'}, 'Issue'), h('th', {scope: 'col', class: 'right'}, 'Events'), h('td'))),
    h('tbody', null, i.merged.map(m => h('tr', null, h('td', null, m.title, h('div', {class: 'soft'}, 'Same by ', m.why)), h('td', {class: 'right'}, number(m.count)), h('td', {class: 'right'}, mayEdit() && h('button', {'aria-label': `Take out ${m.title}`, onclick: () => split(m.id)}, 'Take out'))))))]
}

/** The chain it is a link of: what is not an issue of its own is told by its name. */
function chain(i) {
  const part = (words, all) => all.length > 0 && h('p', {class: 'chain'}, words + ' ', all.map((x, n) => [n > 0 && ', ', x.issue ? link('/issues/' + x.id, x.title) : h('b', null, x.title)]))
  return [part('Caused by', i.caused_by), part('Causes', i.causes), part('The same is behind', i.same_cause)]
}

/** Its latest event, or one of those that are kept. */
function events(i) {
  const all = [i.latest, ...i.samples.filter(s => s.id !== i.latest?.id).reverse()].filter(Boolean), place = h('div')
  if (!all.length) return [h('h2', null, 'Latest event'), h('p', {class: 'soft'}, 'Its events are past their retention.')]
  const pick = n => place.replaceChildren(eventBox(all[n], n === 0 ? i.frames : null))
  pick(0)
  return [h('h2', null, 'Latest event'), all.length > 1 && choice('Which event', Object.fromEntries(all.map((e, n) => [n, `${e.time.slice(0, 19).replace('T', ' ')}${n === 0 ? ', the latest' : n === all.length - 1 ? ', the first' : ''}`])), '0', n => pick(+n)), place]
}

export async function issuePage(id) {
  const path = '/v1/issues/' + encodeURIComponent(id), i = await get(path), search = searchFor(i)
  return h('div', null, h('h1', null, rank(i.rank), ' ', i.title), i.culprit && h('p', {class: 'culprit'}, i.culprit),
    h('div', {class: 'bar'}, h('b', null, i.state + untilText(i)), h('span', {class: 'soft'}, `in ${i.app}`), i.regressed_at && h('span', {class: 'soft'}, 'came back ', clock(i.regressed_at)), link('/?' + new URLSearchParams(search), 'Search its events')),
    mayEdit() && life(i, body => act(() => patch(path, body))), facts(i), h('p', {class: 'soft'}, 'Same by ', i.why), chain(i), h('div', {class: 'flat'}, hours(i, search)), events(i), merged(i, one => act(() => post(path + '/split', {ids: [one]}))),
    activity(i, text => act(() => post(path + '/comments', {text}))))
}
