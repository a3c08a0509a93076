// One event for eyes: its stack with our own frames in front, what went before it, all its fields.
import {h, say} from './dom.js'

const place = f => [f.file, f.line, f.column].filter(Boolean).join(':')

/** Source around the line, as Sentry's clients send it. */
function source(f) {
  if (!f.context_line && !f.context) return null
  const before = f.pre_context ?? [], after = f.post_context ?? [], first = f.line - before.length
  const lines = [...before, f.context_line ?? f.context, ...after]
  return h('pre', {class: 'source', tabindex: 0}, lines.map((text, i) => h('span', {class: i === before.length && 'here'}, `${String(first + i).padStart(5)}  ${text}\n`)))
}

const frame = f => h('li', {class: f.in_app && 'own'}, h('b', null, f.function || '(no name)'), ' ', h('span', {class: 'soft'}, place(f), f.raw && ` from ${place(f.raw)}`), source(f))

/** Frames newest first; runs of frames that are not the app's are folded. */
function stackOf(frames) {
  const parts = []
  for (const f of frames) {
    if (parts.length && Boolean(parts.at(-1)[0].in_app) === Boolean(f.in_app)) parts.at(-1).push(f)
    else parts.push([f])
  }
  return h('ol', {class: 'frames'}, parts.map(p => p[0].in_app || parts.length === 1 ? p.map(frame) : h('li', null, h('details', null, h('summary', {class: 'soft'}, `${p.length} of libraries, ${p[0].function || place(p[0])}${p.length > 1 ? ' …' : ''}`), h('ol', {class: 'frames'}, p.map(frame))))))
}

const list = v => Array.isArray(v) ? v : Array.isArray(v?.values) ? v.values : []
const at = t => typeof t === 'number' ? new Date(t * 1000).toISOString().slice(11, 19) : t
const crumb = c => typeof c === 'string' ? c : [at(c.timestamp), c.level !== 'info' && c.level, c.category, c.message, c.data && JSON.stringify(c.data)].filter(Boolean).join('  ')

/** A few of the fields, then all of them; `frames`: as the server read them in its text. */
export function eventBox(e, frames) {
  frames = list(e['error.frames']).length ? list(e['error.frames']) : frames ?? []
  const crumbs = list(e.breadcrumbs)
  return h('div', null, frames.length > 0 && [h('h3', null, e['error.type'] ? `${e['error.type']}: ${e['error.message'] ?? ''}` : 'Stack'), stackOf(frames)],
    e['error.stack'] && h('details', {open: !frames.length}, h('summary', null, 'Stack as it came'), h('pre', {tabindex: 0}, e['error.stack'])),
    crumbs.length > 0 && [h('h3', null, 'What went before'), h('ol', {class: 'crumbs'}, crumbs.map(c => h('li', null, crumb(c))))],
    h('h3', null, 'Fields'), fields(e, null, new Set(['error.stack', 'error.frames', 'breadcrumbs'])))
}

/** The table of fields; refine(name, value, not) makes buttons that narrow a query. */
function fields(e, refine, skip) {
  const line = ([name, value]) => h('tr', null, h('th', {scope: 'row'}, name), h('td', null, typeof value === 'object' ? JSON.stringify(value) : String(value)),
    refine && h('td', null, typeof value !== 'object' && [h('button', {class: 'plain', 'aria-label': `Only ${name} ${value}`, onclick: () => refine(name, value)}, 'only'),
      h('button', {class: 'plain', 'aria-label': `Not ${name} ${value}`, onclick: () => refine(name, value, true)}, 'not')]))
  return [h('table', {class: 'fields'}, h('tbody', null, Object.entries(e).filter(([k]) => !skip.has(k)).map(line))),
    h('div', {class: 'bar'}, h('button', {onclick: async () => { await navigator.clipboard.writeText(JSON.stringify(e, null, 2)); say('copied') }}, 'Copy JSON'))]
}

/** An event opened in a list. */
export function details(e, refine) {
  return h('div', {class: 'open'}, e['error.stack'] && h('pre', null, e['error.stack']), fields(e, refine, new Set(['error.stack'])))
}
