// Making elements without markup in strings: what comes from a log is only ever text.

/** h('a', {href, onclick, class}, ...children): attributes by name, listeners by on*, children as nodes or text. */
export function h(name, attrs, ...children) {
  const e = document.createElement(name)
  return fill(e, attrs, children)
}

/** The same for SVG. */
export function s(name, attrs, ...children) {
  return fill(document.createElementNS('http://www.w3.org/2000/svg', name), attrs, children)
}

function fill(e, attrs, children) {
  for (const [k, v] of Object.entries(attrs ?? {})) {
    if (v === undefined || v === null || v === false) continue
    if (k.startsWith('on')) e.addEventListener(k.slice(2), v)
    else if (k === 'value') e.value = v
    else e.setAttribute(k, v === true ? '' : v)
  }
  e.append(...children.flat(9).filter(c => c !== null && c !== undefined && c !== false))
  return e
}

/** Says something once, for eyes and screen readers. */
export function say(text) {
  const box = document.getElementById('said')
  box.textContent = text
  clearTimeout(say.timer)
  say.timer = setTimeout(() => { box.textContent = '' }, 4000)
}

export const number = n => n.toLocaleString('en-US')
export const many = (n, what) => `${number(n)} ${what}${n === 1 ? '' : 's'}`

export function ago(time) {
  const s = (Date.now() - Date.parse(time)) / 1000
  for (const [unit, n] of [['d', 86400], ['h', 3600], ['min', 60]]) if (s >= n) return `${Math.floor(s / n)} ${unit} ago`
  return `${Math.max(0, Math.floor(s))} s ago`
}

/** A time as people read it here, with the exact one on hover. */
export const clock = time => h('time', {datetime: time, title: time}, time.replace('T', ' ').replace(/(\.\d{3})\d*Z$|Z$/, '$1'))

/** Five classes of severity for colours; the word itself is always shown. */
export function severity(n) {
  return n >= 21 ? 'fatal' : n >= 17 ? 'error' : n >= 13 ? 'warn' : n >= 9 ? 'info' : 'debug'
}

/** A select; values: [word, …] or {value: text}. */
export function choice(name, values, now, pick) {
  const all = Array.isArray(values) ? values.map(v => [v, v.replaceAll('_', ' ')]) : Object.entries(values)
  return h('select', {'aria-label': name, onchange: e => pick(e.target.value)}, all.map(([v, text]) => h('option', {value: v, selected: v === now}, text)))
}

export function rank(r) { return h('span', {class: 'level ' + {P1: 'fatal', P2: 'fatal', P3: 'error', P4: 'warn'}[r]}, r) }
