// Charts: bars and lines over periods, in SVG without a word of text in it (it stretches), labels around it, a table below it.
// One figure is one stop of the Tab key; arrow keys walk through its periods, Shift marks some, Enter zooms into them.
import {h, s} from './dom.js'

const compact = new Intl.NumberFormat('en-US', {notation: 'compact', maximumSignificantDigits: 3})
export const exact = n => n === null || n === undefined ? '–' : n.toLocaleString('en-US', {maximumFractionDigits: 3})

/** A scale of four steps of round numbers that holds all values; from zero unless they are lines far above it. */
export function scaleOf(series) {
  const all = series.flatMap(x => [...x.values, ...x.low ?? [], ...x.high ?? [], ...x.below ?? []]).filter(v => v !== null && v !== undefined)
  let top = Math.max(...all, 0), low = Math.min(...all)
  if (!all.length || top === 0 && low >= 0) top = 1
  if (series.some(x => x.kind === 'bar') || low > 0 && low < top * .7 || low === top || !all.length) low = Math.min(0, low)
  const whole = all.every(Number.isInteger) // a half of a thing that is counted is no tick
  for (let size = 10 ** Math.floor(Math.log10((top - low) / 4)); ; size *= 10)
    for (const step of [1, 2, 2.5, 5].map(n => n * size)) {
      if (whole && step < 1 || step === 2.5 && whole) continue
      const from = Math.floor(low / step) * step
      if (from + 4 * step >= top) return {low: from, top: from + 4 * step, step}
    }
}

/** The runs of values that are there: [[first index, values…], …]. */
function runs(values) {
  const all = []
  values.forEach((v, i) => {
    if (v === null || v === undefined) return
    if (i > 0 && all.length && all.at(-1).end === i) all.at(-1).end++
    else all.push({begin: i, end: i + 1})
  })
  return all
}

const x = i => i * 10 + 5

function lineOf(one, y, name) {
  const d = runs(one.values).map(r => one.values.slice(r.begin, r.end).map((v, k) => `${k ? 'L' : 'M'}${x(r.begin + k)} ${y(v)}`).join('') + (r.end - r.begin === 1 ? 'h.01' : ''))
  return s('path', {class: 'line ' + name, d: d.join('')})
}

function bandOf(one, y, name) {
  const edge = (values, i, k) => `${k ? 'L' : ''}${x(i)} ${y(values[i])}`
  const d = runs(one.low).map(r => {
    const there = Array.from({length: r.end - r.begin}, (_, k) => r.begin + k)
    return 'M' + there.map((i, k) => edge(one.high, i, k)).join('') + there.reverse().map(i => edge(one.low, i, 1)).join('') + 'Z'
  })
  return s('path', {class: 'band ' + name, d: d.join('')})
}

function barsOf(one, y, name) {
  const base = y(0), rect = (v, i, more) => s('rect', {class: 'bar ' + name + more, x: i * 10 + 1, width: 8, y: Math.min(base, y(v)), height: Math.max(.4, Math.abs(base - y(v)))})
  return one.values.flatMap((v, i) => one.below?.[i] ? [rect(one.below[i], i, ' below')] : v ? [rect(v, i, ''),
    one.low && one.low[i] !== null && s('path', {class: 'line whisker', d: `M${x(i)} ${y(one.low[i])}V${y(one.high[i])}`})] : [])
}

function drawn(series, scale) {
  const y = v => 100 - (v - scale.low) / (scale.top - scale.low) * 100
  const lines = [0, 1, 2, 3, 4].map(i => s('path', {class: 'grid', d: `M0 ${i * 25}H100000`}))
  return [...lines, ...series.flatMap((one, n) => {
    const name = one.kind === 'before' ? 'before' : 'c' + n
    return one.kind === 'bar' ? barsOf(one, y, name) : [one.low && bandOf(one, y, name), lineOf(one, y, name)]
  })]
}

const valueText = (one, i, unit) => one.below?.[i] ? `below ${one.below[i]}` : exact(one.values[i]) + (one.values[i] === null ? '' : unit) +
  (one.low && one.low[i] !== null && one.low[i] !== one.high[i] ? ` (${exact(one.low[i])} to ${exact(one.high[i])})` : '')

function tableOf(c) {
  const columns = [c.of ?? 'Period', ...c.series.map(one => one.name)]
  return h('div', {class: 'wide', tabindex: 0, role: 'region', 'aria-label': `Table of ${c.title}`}, h('table', {class: 'list'}, h('caption', {class: 'hidden'}, c.title), h('thead', null, h('tr', null, columns.map((n, i) => h('th', {scope: 'col', class: i && 'right'}, n)))),
    h('tbody', null, c.names.map((name, i) => h('tr', null, h('th', {scope: 'row'}, name), c.series.map(one => h('td', {class: 'right'}, valueText(one, i, c.unit))))))))
}

function legend(series) {
  return series.length > 1 && h('p', {class: 'legend'}, series.map((one, n) => h('span', null,
    s('svg', {viewBox: '0 0 20 10', 'aria-hidden': 'true'}, s('path', {class: 'line ' + (one.kind === 'before' ? 'before' : 'c' + n), d: 'M0 5H20'})), one.name)))
}

/** The part that is pointed at and walked through; calls show(i or null) and zoom(first, last). */
function area(c, svg, show) {
  const n = c.names.length, cursor = s('rect', {class: 'cursor', y: 0, height: 100, width: 0})
  let at = null, from = null
  svg.append(cursor)
  const move = (i, extend) => {
    at = i === null ? null : Math.max(0, Math.min(n - 1, i))
    if (!extend) from = at
    const first = Math.min(at, from)
    cursor.setAttribute('x', first * 10)
    cursor.setAttribute('width', at === null ? 0 : (Math.abs(at - from) + 1) * 10)
    cursor.classList.toggle('marked', at !== from)
    show(at, from)
    if (at !== null) plot.setAttribute('aria-valuenow', at)
    plot.setAttribute('aria-valuetext', at === null ? 'none' : c.say(at))
  }
  const zoom = () => { if (at !== null && c.zoom) c.zoom(Math.min(at, from), Math.max(at, from)) }
  const under = e => Math.floor((e.clientX - plot.getBoundingClientRect().left) / plot.clientWidth * n)
  const steps = {ArrowLeft: i => i - 1, ArrowRight: i => i + 1, PageUp: i => i - 10, PageDown: i => i + 10, Home: () => 0, End: () => n - 1}
  let pressed = false
  const plot = h('div', {class: 'plot', tabindex: 0, role: 'slider', 'aria-label': `${c.title}: ${n} periods${c.zoom ? ', Enter zooms in' : ''}`, 'aria-valuemin': 0, 'aria-valuemax': n - 1, 'aria-valuenow': n - 1, 'aria-valuetext': c.say(n - 1),
    onkeydown: e => {
      if (steps[e.key]) { e.preventDefault(); move(steps[e.key](at ?? n), e.shiftKey) }
      else if (e.key === 'Enter') zoom()
      else if (e.key === 'Escape') move(null)
    },
    onblur: () => move(null), onfocus: () => { if (at === null && plot.matches(':focus-visible')) move(n - 1) },
    onpointerdown: e => { if (e.button === 0) { pressed = true; plot.setPointerCapture(e.pointerId); move(under(e)) } },
    onpointermove: e => { if (pressed || e.pointerType === 'mouse') move(under(e), pressed) },
    onpointerup: () => { if (pressed && at !== from) zoom(); pressed = false },
    onpointercancel: () => { pressed = false; move(null) },
    onpointerleave: () => { if (!pressed && document.activeElement !== plot) move(null) }}, svg)
  return plot
}

/** A figure. title; names: of the periods; series: [{name, kind: 'bar' | 'line' | 'before', values, low, high, below}], one value (null: none) a period;
 * unit: behind numbers; scale: of scaleOf, when several figures share one; zoom(first, last): somebody marked periods; small: for many of them. */
export function chart(c) {
  const scale = c.scale ?? scaleOf(c.series), readout = h('p', {class: 'readout'}), unit = c.unit ?? ''
  c = {...c, unit, say: i => `${c.names[i]}: ` + c.series.map(one => (c.series.length > 1 ? one.name + ' ' : '') + valueText(one, i, unit)).join(', ')}
  const show = (i, from) => { readout.textContent = i === null ? c.hint ?? '' : i === from ? c.say(i) : `${c.names[Math.min(i, from)]} to ${c.names[Math.max(i, from)]}, ${Math.abs(i - from) + 1} periods` }
  const svg = s('svg', {viewBox: `0 0 ${c.names.length * 10} 100`, preserveAspectRatio: 'none', 'aria-hidden': 'true'}, ...drawn(c.series, scale))
  const ticks = [4, 3, 2, 1, 0].map(i => h('span', null, compact.format(scale.low + i * scale.step))), last = c.names.length - 1
  const details = h('details', {ontoggle: () => { if (details.open && details.children.length === 1) details.append(tableOf(c)) }}, h('summary', null, 'Table'))
  show(null)
  return h('figure', {class: c.small ? 'figure small' : 'figure'}, h('figcaption', null, h('b', null, c.title), ' ', readout),
    h('div', {class: 'frame'}, h('div', {class: 'ticks', 'aria-hidden': 'true'}, ticks), area(c, svg, show)),
    h('div', {class: 'axis', 'aria-hidden': 'true'}, [0, last >> 1, last].filter((v, i, all) => all.indexOf(v) === i).map(i => h('span', null, c.names[i]))), legend(c.series), details)
}

/** A line as small as a word. */
export function spark(values, label) {
  const scale = scaleOf([{kind: 'bar', values}])
  return s('svg', {class: 'spark', viewBox: `0 0 ${values.length * 10} 100`, preserveAspectRatio: 'none', role: 'img', 'aria-label': label}, ...drawn([{kind: 'line', values}], scale).slice(5))
}
