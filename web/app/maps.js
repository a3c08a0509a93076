// The health of source maps: which frames stay minified, why, and what to do about it; and the maps there are.
import {get} from './api.js'
import {ago, clock, h, many, number} from './dom.js'

function table(title, columns, rows) {
  return h('table', {class: 'list maps'}, h('caption', {class: 'hidden'}, title), h('thead', null, h('tr', null, columns.map(c => h('th', {scope: 'col', class: /^(Frames|Sources)$/.test(c) && 'right'}, c)))),
    h('tbody', null, rows.map(cells => h('tr', null, cells.map((c, i) => h('td', {class: /^(Frames|Sources)$/.test(columns[i]) && 'right'}, c))))))
}

export async function mapsPage() {
  const {maps, health} = await get('/v1/maps'), of = x => `${x.app}${x.release ? ' ' + x.release : ''}`
  const wrong = health.unresolved.reduce((n, u) => n + u.count, 0) + health.others
  return h('div', null, h('h1', null, 'Source maps'),
    h('p', null, `${many(health.resolved, 'frame')} resolved, ${number(wrong)} not, since `, clock(health.since), '.'),
    h('h2', null, 'What stays minified'), health.unresolved.length ? table('Frames that stay minified', ['Frames', 'File', 'Why, and what to do', 'Last'],
      health.unresolved.map(u => [number(u.count), [u.file, h('div', {class: 'soft'}, of(u))], u.fix, ago(u.last)])) : h('p', {class: 'soft'}, 'Nothing, as far as frames have come since the start.'),
    health.others > 0 && h('p', {class: 'soft'}, `And ${many(health.others, 'frame')} of more places.`),
    health.unresolved.length > 0 && h('p', {class: 'soft'}, 'An issue that was made without its map is merged into the one with the original names when its release has the map and the error comes again; Take out on the issue’s page takes that back.'),
    h('h2', null, 'Maps'), maps.length ? table('Maps', ['Of', 'File', 'Sources', 'Uploaded'], maps.map(m => [of(m), [m.path, m.damaged && h('div', {class: 'wrong'}, 'damaged: upload it again'), m.debug_id && h('div', {class: 'soft'}, m.debug_id)], number(m.sources), clock(m.uploaded)]))
      : h('div', {class: 'empty'}, h('p', null, 'No source map was uploaded. After each build:'), h('pre', {tabindex: 0}, `logd maps put --app shop --release 1.4 dist --server ${location.origin} --key $KEY`)))
}
