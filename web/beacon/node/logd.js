'use strict'
// logd for Node programs: uncaught exceptions and unhandled rejections, logd(level, message, data), logd.count(name, value, labels).
//
//   const logd = require('logd')({url: 'https://logs.example', key: 'lk_…', release: '1.4', env: 'prod', service: 'api', console: false, spool: FOLDER})
//
// It watches and changes nothing: a program that would crash crashes, with its own message and exit code, and no call here throws.
// What is told leaves in batches after a second. A batch carries an Idempotency-Key and is tried until the server has it or refuses it, so it is
// stored once. At the end of the process what is left goes out through a child of a few seconds; what cannot, waits in the spool for the next start.
// Only a process that is killed by a signal takes its last second with it.
const crypto = require('crypto'), fs = require('fs'), http = require('http'), https = require('https'), os = require('os'), path = require('path')

const BATCH = 500, OUTBOX = 100, WAIT_MS = 1000, WAIT_MOST_MS = 60000, TRY_MS = 10000, LAST_TRY_MS = 3000

const quiet = f => (...a) => {
  try { return f(...a) } catch { /* the program is not disturbed */ }
}
const isError = e => e instanceof Error || Object.prototype.toString.call(e) === '[object Error]'
const text = v => typeof v === 'string' || isError(v) ? String(v) : quiet(JSON.stringify)(v) || String(v)
const describe = (e, depth = 4) => isError(e)
  ? {type: String(e.name), message: String(e.message).slice(0, 10000), stack: String(e.stack).slice(0, 20000), code: e.code, cause: e.cause && depth ? describe(e.cause, depth - 1) : undefined}
  : {type: 'Error', message: text(e).slice(0, 10000)}
const json = event => quiet(JSON.stringify)(event) || JSON.stringify({...event, data: 'what was given is no JSON'})

// One try; resolves to {status, retry}, status 0 for no answer. The socket keeps no process alive.
const send = (to, post, timeout) => new Promise(done => {
  const url = new URL(post.path, to.url), fail = () => done({status: 0})
  const request = (url.protocol === 'https:' ? https : http).request(url, {
    method: 'POST', timeout, agent: false,
    headers: {Authorization: 'Bearer ' + to.key, 'Content-Type': 'application/x-ndjson', 'Content-Length': Buffer.byteLength(post.body), 'Idempotency-Key': post.id}
  }, answer => {
    answer.resume().on('end', () => done({status: answer.statusCode, retry: +answer.headers['retry-after']})).on('error', fail)
  })
  request.on('socket', s => to.hold || s.unref()).on('timeout', () => request.destroy()).on('error', fail).end(post.body)
})
const later = status => status === 0 || status === 429 || status >= 500

// ---- the spool: batches, one a line, in a folder that is ours alone ----
const spoolFolder = folder => {
  const own = folder || path.join(os.tmpdir(), 'logd-' + os.userInfo().uid)
  fs.mkdirSync(own, {recursive: true, mode: 0o700})
  const s = fs.lstatSync(own)
  if (!s.isDirectory() || (!folder && process.getuid && s.uid !== process.getuid())) throw new Error('the spool is somebody else\'s: ' + own)
  return own
}
const spoolName = to => crypto.createHash('sha256').update(to.url + ' ' + to.key).digest('hex').slice(0, 16)
const spoolWrite = quiet((to, posts) => {
  const name = path.join(spoolFolder(to.spool), spoolName(to) + '.' + crypto.randomUUID())
  if (posts.length) fs.writeFileSync(name, posts.map(p => JSON.stringify(p) + '\n').join(''), {mode: 0o600, flag: 'wx'})
})
const spoolRead = to => {
  const folder = spoolFolder(to.spool)
  const files = fs.readdirSync(folder).filter(f => f.startsWith(spoolName(to) + '.')).map(f => path.join(folder, f))
  const posts = files.flatMap(f => fs.readFileSync(f, 'utf8').split('\n').map(quiet(JSON.parse)).filter(Boolean))
  return {files, posts}
}

// ---- the child: the last try ----
const lastTry = async () => {
  const {to, posts} = JSON.parse(fs.readFileSync(0, 'utf8'))
  while (posts.length && !later((await send({...to, hold: true}, posts[0], LAST_TRY_MS)).status)) posts.shift()
  spoolWrite(to, posts)
}

const start = options => {
  const {url, key, release, env, service, host = os.hostname(), spool} = options || {}, to = {url, key, spool}
  let events = [], counts = new Map(), outbox = [], files = [], dropped = 0, wait = WAIT_MS, timer, busy = false

  let complained = false
  const complain = what => complained || (complained = true, process.emitWarning('logd: ' + what))
  if (!url || !key) complain('expected url and key, nothing is sent')
  const post = (where, lines) => {
    if (outbox.length < OUTBOX) outbox.push({path: where, id: crypto.randomUUID(), body: lines.map(json).join('\n')})
    else dropped += lines.length
  }
  const seal = () => {
    if (dropped && outbox.length < OUTBOX) {
      events.push({time: Date.now(), level: 'warn', type: 'reporter.dropped', message: 'more was told than could be kept', count: dropped, host, service})
      dropped = 0
    }
    for (let i = 0; i < events.length; i += BATCH) post('/v1/events', events.slice(i, i + BATCH))
    if (counts.size) post('/v1/stats', [...counts.values()])
    events = []
    counts = new Map()
  }
  const soon = ms => {
    timer ||= setTimeout(flush, ms)
    timer.unref()
  }
  const flush = quiet(async hold => {
    timer = undefined
    if (busy) return
    busy = true
    seal()
    while (outbox.length) {
      const answer = await send({...to, hold}, outbox[0], TRY_MS).catch(() => ({status: 400}))
      if (later(answer.status)) {
        wait = Math.min(2 * wait, WAIT_MOST_MS)
        soon(answer.retry > 0 ? answer.retry * 1000 : wait)
        break
      }
      if (answer.status >= 300) complain(`the server refused a batch: status ${answer.status}`)
      wait = WAIT_MS
      outbox.shift()
    }
    busy = false
    if (outbox.length) return
    files.splice(0).forEach(quiet(f => fs.unlinkSync(f))) // of an earlier process, delivered
    if (events.length || counts.size) soon(WAIT_MS)
  })
  const tell = quiet(event => {
    if (events.length >= OUTBOX * BATCH) return void dropped++
    events.push({time: Date.now(), release, env, service, host, pid: process.pid, ...event})
    soon(WAIT_MS)
  })
  const report = quiet((e, type, level = 'error') => {
    const error = describe(e)
    tell({level, type, message: error.type + ': ' + error.message, error})
  })
  const logd = quiet((level, message, data) => isError(message) ? tell({level, message: text(message), error: describe(message), data}) : tell({level, message: text(message), data}))
  logd.count = quiet((name, value = 1, labels) => {
    const same = JSON.stringify([name, labels]), old = counts.get(same)
    if (old) old.value += value
    else if (counts.size < 1000) counts.set(same, {name, value, labels, time: Date.now()})
    else dropped++
    soon(WAIT_MS)
  })
  logd.flush = () => flush(true) || Promise.resolve() // when what is waiting was taken, refused, or has to wait longer

  process.on('uncaughtExceptionMonitor', (e, origin) => report(e, origin === 'unhandledRejection' ? 'node.rejection' : 'node.uncaught', 'critical'))
  // A listener of ours alone would keep a program alive that is to end; beside one of the program's own it changes nothing.
  const rejected = e => report(e, 'node.rejection')
  const join = name => name === 'unhandledRejection' && process.off('newListener', join).on('unhandledRejection', rejected)
  process.listenerCount('unhandledRejection') ? process.on('unhandledRejection', rejected) : process.on('newListener', join)
  process.on('exit', quiet(() => {
    seal()
    if (!outbox.length) return
    const input = JSON.stringify({to, posts: outbox}), env = {...process.env, NODE_OPTIONS: ''}
    const done = require('child_process').spawnSync(process.execPath, [__filename, '--last-try'], {input, env, timeout: 2 * LAST_TRY_MS, stdio: ['pipe', 'ignore', 'ignore']})
    if (done.status !== 0) spoolWrite(to, outbox)
    files.forEach(quiet(f => fs.unlinkSync(f))) // all of it is in the outbox
  }))
  if (options && options.console)
    for (const [name, level] of [['error', 'error'], ['warn', 'warn']]) {
      const old = console[name]
      console[name] = (...a) => {
        old.apply(console, a)
        const e = a.find(isError)
        tell({level, type: 'node.console', message: a.map(text).join(' '), error: e && describe(e)})
      }
    }
  quiet(() => {
    const left = spoolRead(to)
    files = left.files
    outbox = left.posts
    if (outbox.length) soon(0)
  })()
  return logd
}

if (require.main === module && process.argv[2] === '--last-try') lastTry()
else module.exports = options => quiet(start)(options) || Object.assign(() => {}, {count() {}, flush: () => Promise.resolve()})
