// The frame: which page a path shows, the header, signing in. Pages are functions that give an element.
import {first, session, signIn, signOut, who} from './api.js'
import {h, say} from './dom.js'
import {searchPage} from './search.js'
import {sharedPage, sharesPage} from './shared.js'
import {mapsPage} from './maps.js'
import {metricPage, statsPage} from './stats.js'
import {incidentPage, incidentsPage} from './alerts.js'
import {issuePage, issuesPage} from './issues.js'

const PAGES = [
  [/^\/$/, 'Search', (m, params) => searchPage(params)],
  [/^\/issues$/, 'Issues', (m, params) => issuesPage(params)],
  [/^\/issues\/([^/]+)$/, 'Issues', m => issuePage(decodeURIComponent(m[1]))],
  [/^\/incidents$/, 'Incidents', (m, params) => incidentsPage(params)],
  [/^\/incidents\/([^/]+)$/, 'Incidents', m => incidentPage(decodeURIComponent(m[1]))],
  [/^\/stats$/, 'Stats', (m, params) => statsPage(params)],
  [/^\/stats\/([^/]+)$/, 'Stats', (m, params) => metricPage(decodeURIComponent(m[1]), params)],
  [/^\/maps$/, 'Issues', () => mapsPage()],
  [/^\/shares$/, 'Stats', () => sharesPage()],
]

/** Shows another page; the URL says all there is to say. */
export function go(path, params) {
  const query = params ? new URLSearchParams(Object.entries(params).filter(([, v]) => v !== '' && v !== undefined)).toString() : ''
  history.pushState(null, '', path + (query ? '?' + query : ''))
  show()
}

export function link(path, text) {
  return h('a', {href: path, onclick: e => {
    if (e.ctrlKey || e.metaKey || e.shiftKey || e.button) return
    e.preventDefault()
    go(path)
  }}, text)
}

function header(current) {
  const nav = h('nav', {'aria-label': 'Pages'}, [['/', 'Search'], ['/issues', 'Issues'], ['/incidents', 'Incidents'], ['/stats', 'Stats']].map(([path, name]) => {
    const a = link(path, name)
    if (name === current) a.setAttribute('aria-current', 'page')
    return a
  }))
  document.getElementById('top').replaceChildren(h('b', null, 'logd'), session.user ? nav : '',
    session.user ? h('span', {class: 'soft hide'}, session.user) : '',
    session.user ? h('button', {onclick: async () => { await signOut().catch(e => say(e.message)); show() }}, 'Sign out') : '')
}

function card(title, fields, button, submit) {
  const wrong = h('p', {class: 'wrong', role: 'alert'})
  const inputs = fields.map(f => h('input', {name: f.name, type: f.type, autocomplete: f.autocomplete, required: true, minlength: f.min, autofocus: f === EMAIL}))
  return h('form', {class: 'card', onsubmit: async e => {
    e.preventDefault()
    wrong.textContent = ''
    try {
      await submit(...inputs.map(i => i.value))
      history.replaceState(null, '', ['/login', '/first'].includes(location.pathname) ? '/' : location.href)
      show()
    } catch (err) { wrong.textContent = err.message }
  }}, h('h1', null, title), fields.map((f, i) => h('label', null, f.label, inputs[i])), wrong, h('button', {class: 'main'}, button))
}

const EMAIL = {name: 'email', label: 'E-mail', type: 'email', autocomplete: 'username'}

function signInPage() {
  return card('Sign in', [EMAIL, {name: 'password', label: 'Password', type: 'password', autocomplete: 'current-password'}], 'Sign in', signIn)
}

function firstPage() {
  const token = location.hash.slice(1)
  return card('The first user', [EMAIL, {name: 'password', label: 'A new password, 8 characters or more', type: 'password', autocomplete: 'new-password', min: 8}], 'Become the administrator',
    (email, password) => first(token, email, password))
}

async function page() {
  if (location.pathname === '/first') return ['', firstPage()]
  const shared = /^\/shared\/([^/]+)$/.exec(location.pathname)
  if (shared) return ['', await sharedPage(decodeURIComponent(shared[1]), new URLSearchParams(location.search))]
  if (!session.user) return ['', signInPage()]
  if (location.pathname === '/login') history.replaceState(null, '', '/') // signed in already
  for (const [pattern, name, make] of PAGES) {
    const m = pattern.exec(location.pathname)
    if (m) return [name, await make(m, new URLSearchParams(location.search))]
  }
  return ['', h('p', {class: 'empty'}, 'There is no such page.')]
}

let shown = 0
export async function show() {
  const mine = ++shown, main = document.getElementById('main')
  let name = '', content
  try {
    [name, content] = await page()
  } catch (e) {
    if (e.status === 401) { session.user = null; return show() }
    content = h('p', {class: 'wrong', role: 'alert'}, e.message)
  }
  if (mine !== shown) return // a newer page was asked for meanwhile
  header(name)
  document.title = content.dataset.title ?? (name ? name + ' · ' : '') + 'logd'
  main.replaceChildren(content)
  main.querySelector('[autofocus]')?.focus()
}

addEventListener('popstate', show)
addEventListener('keydown', e => {
  if (e.key !== '/' || /INPUT|SELECT|TEXTAREA/.test(e.target.tagName)) return
  const box = document.querySelector('input[name=q]')
  if (box) { e.preventDefault(); box.focus() }
})
await who().catch(() => {})
show()
