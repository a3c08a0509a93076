// Pages of chosen stats for people who do not sign in: the page itself, and where an administrator makes and ends links to such pages.
import {drop, get, post} from './api.js'
import {choice, clock, h, say} from './dom.js'
import {charts, query, stateOf, timeChoices} from './metric.js'
import {labelsOf, metricsOf} from './stats.js'
import {go} from './app.js'

const says = s => s.group ? `${s.name} by ${s.group}` : s.name

/** What whoever has the link sees. */
export async function sharedPage(token, params) {
  const path = '/v1/shared/' + encodeURIComponent(token), {name, stats} = await get(path)
  if (!params.get('from')) params.set('from', '-30d')
  const state = stateOf(params, 'unique')
  const figure = async (s, i) => h('section', null, h('h2', null, says(s)), await charts({...state, group: s.group}, s.name, () => get(`${path}/${i}?${query(state)}`),
    (from, to) => go(location.pathname, {...Object.fromEntries(params), from: new Date(from).toISOString(), to: new Date(to).toISOString(), by: ''})))
  return h('div', {'data-title': name}, h('h1', null, name), h('div', {class: 'bar choices'}, timeChoices({...state, compare: undefined}, 'unique', next => go(location.pathname, next)).slice(0, 2)),
    await Promise.all(stats.map(figure)), h('p', {class: 'soft'}, 'Numbers of different people are shown once their period is over, and not under 5; where it was so decided, with a little noise.'))
}

function shareForm(metrics, made) {
  const wrong = h('p', {class: 'wrong', role: 'alert'}), name = h('input', {name: 'name', required: true, maxlength: 100, autocomplete: 'off'})
  const apps = [...new Set(metrics.map(m => m.app))], app = choice('App', {'': 'Every app', ...Object.fromEntries(apps.map(a => [a, a]))}, '', () => {})
  const picks = [...new Map(metrics.map(m => [m.name, m])).values()].map(m => {
    const values = {'': 'not shown', [m.name]: 'shown', ...Object.fromEntries(Object.keys(labelsOf(m.series)).map(l => [`${m.name} by ${l}`, 'shown by ' + l]))}
    return [m, choice(m.name, values, '', () => {})]
  })
  return h('form', {class: 'card', onsubmit: async e => {
    e.preventDefault()
    wrong.textContent = ''
    try {
      const stats = picks.map(([, pick]) => pick.value).filter(Boolean)
      if (!stats.length) throw new Error('Choose at least one stat to be shown.')
      made(await post('/v1/shares', {name: name.value, stats, ...app.value && {app: app.value}}))
    } catch (err) { wrong.textContent = err.message }
  }}, h('h2', null, 'A new link'), h('label', null, 'Title of the page', name), apps.length > 1 && h('label', {class: 'pick'}, 'Of app', app), picks.map(([m, pick]) => h('label', {class: 'pick'}, m.name, pick)), wrong, h('button', {class: 'main'}, 'Make the link'))
}

/** Links there are, and a form for another; a link itself is shown once. */
export async function sharesPage() {
  const [{shares}, {stats}] = await Promise.all([get('/v1/shares'), get('/v1/stats')]), fresh = h('div', {'aria-live': 'polite'})
  const made = async share => {
    fresh.replaceChildren(h('p', null, 'Whoever has this link sees the page. It is shown only now:'), h('p', {class: 'link'}, h('a', {href: '/shared/' + share.token}, share.url)),
      h('button', {onclick: async () => { await navigator.clipboard.writeText(share.url); say('copied') }}, 'Copy'))
    list.replaceChildren(tableOf((await get('/v1/shares')).shares))
  }
  const end = async s => {
    try { await drop('/v1/shares/' + s.id); say('ended'); go('/shares') } catch (e) { say(e.message) }
  }
  const tableOf = all => h('table', {class: 'list'}, h('caption', {class: 'hidden'}, 'Links'), h('thead', null, h('tr', null, ['Page', 'Shows', 'Made', ''].map(t => t ? h('th', {scope: 'col'}, t) : h('td')))),
    h('tbody', null, all.map(s => h('tr', null, h('td', null, s.name), h('td', null, s.stats.map(says).join(', ')), h('td', null, clock(s.created)), h('td', {class: 'right'}, h('button', {'aria-label': `End ${s.name}`, onclick: () => end(s)}, 'End'))))))
  const list = h('div', null, tableOf(shares))
  return h('div', null, h('h1', null, 'Shared pages'), h('p', {class: 'soft'}, `A shared page shows chosen stats to whoever has its link, without signing in.`), fresh, list, shareForm(metricsOf(stats), made))
}
