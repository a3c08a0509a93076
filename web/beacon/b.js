// logd's browser reporter. <script src="https://logs.example/b.js" data-key="lk_…" data-release="1.4" data-env="prod" defer></script>
// It reports uncaught errors and rejections, and what logd(level, message, data) is told. No cookie, no id, no storage;
// URLs are cut to origin and path, so tokens in queries and fragments stay in the browser.
;(() => {
  const tag = document.currentScript, set = tag.dataset, url = new URL('/b?key=' + encodeURIComponent(set.key), tag.src)
  const seen = new Map()
  let queue = [], timer, kept = 0, dropped = 0
  const cut = s => String(s).replace(/\b([a-z][a-z0-9+.-]*:\/\/[^\s?#"'()]*?)[?#][^\s"'()]*?(?=(:\d+)*[\s"'()]|(:\d+)*$)/gi, '$1')
  const text = (s, n) => cut(s).slice(0, n)
  const describe = (e, depth) => e instanceof Error ?
    {type: text(e.name, 200), message: text(e.message, 2000), stack: text(e.stack || '', 16000), cause: e.cause && depth < 4 ? describe(e.cause, depth + 1) : undefined} :
    {type: e === null ? 'null' : typeof e, message: text(typeof e === 'object' ? json(e) : e, 2000)}
  const json = v => { try { return JSON.stringify(v) } catch { return String(v) } }

  const send = () => {
    clearTimeout(timer)
    timer = 0
    const batch = queue.map(e => ({...e, ...(e.n > 1 && {repeated: e.n}), n: undefined}))
    if (dropped) batch.push({level: 'warn', type: 'reporter.dropped', message: 'the page reported more than 30 different errors', count: dropped})
    queue = []
    dropped = 0
    seen.clear()
    while (batch.length) {
      let body = ''
      while (batch.length && (body + json(batch[0])).length < 50000) body += json(batch.shift()) + '\n'
      if (!body) { batch.shift(); continue }
      fetch(url, {method: 'POST', body, keepalive: true, credentials: 'omit', referrerPolicy: 'no-referrer'}).catch(() => {})
    }
  }
  const add = e => {
    const same = e.level + e.message + json(e.error || '').slice(0, 300), old = seen.get(same)
    if (old) return void old.n++
    if (kept >= 30) return void dropped++
    kept++
    e = {time: new Date().toISOString(), release: set.release, env: set.env, url: location.origin + location.pathname, user_agent: navigator.userAgent, ...e, n: 1}
    seen.set(same, e)
    queue.push(e)
    timer ||= setTimeout(send, 1000)
  }
  const report = (error, where) => add({level: 'error', type: 'browser.' + where, message: error.type + ': ' + error.message, error})

  addEventListener('error', e => {
    if (!(e instanceof ErrorEvent) || /^ResizeObserver loop/.test(e.message)) return
    const error = e.error ? describe(e.error, 0) : {type: 'Error', message: text(e.message, 2000)}
    if (!error.stack && e.filename) error.stack = error.type + ': ' + error.message + '\n    at ' + text(e.filename, 500) + ':' + e.lineno + ':' + e.colno
    report(error, 'error')
  })
  addEventListener('unhandledrejection', e => report(describe(e.reason, 0), 'rejection'))
  addEventListener('visibilitychange', () => document.visibilityState === 'hidden' && queue.length && send())
  addEventListener('pagehide', () => queue.length && send())
  window.logd = (level, message, data) => add({level, message: text(message, 2000), data})
})()
