// logd's browser reporter: <script src="https://logs.example/b.js" data-key="lk_…" data-release="1.4" data-env="prod" defer></script>
// It reports uncaught errors and rejections, failed requests and resources, console.error, CSP violations, and what the page says with
// logd(level, message, data), logd.count(name, value, labels).
//
// No cookie, no id of a visitor; one key of sessionStorage holds what could not be sent yet. URLs are cut to origin and path, so tokens in
// queries and fragments stay in the browser; of the page's own content only a clicked element's tag and id or name are looked at.
// The same error is counted, 30 different ones a page are kept, the rest is counted.
//
// The build (web/embed.c) takes out comments and spaces, gives the names below one letter each, and fails over 2,000 bytes gzipped.
// short: script address seen tally crumbs queue timer wait kept dropped later now quiet post keep retry send soon add report crumb hear wrap http failed
// short: cut clean json describe isError words original depth same old body what
;(() => {
  const script = document.currentScript, {key, release, env} = script.dataset, address = script.src.replace(/b\.js[^/]*$/, 'b?key=' + key)
  const seen = {}, crumbs = [], now = Date.now, original = fetch
  let queue = [], tally = {}, kept = 0, wait = 0, dropped = 0, timer, later

  // Nothing here may disturb the page: what fails is passed over.
  const quiet = f => function (...a) { try { return f.apply(this, a) } catch {} }

  // Who signs in by a URL is cut out, and what follows ? or # in it or in a path; a :line:column behind it stays.
  const cut = (s, n = 2000) => ('' + s).replace(/:\/\/[^\s/]*@/g, '://').replace(/(\/[^\s?#"'()]*)[?#][^\s"'()]*?(?=(:\d+)*([\s"'()]|$))/g, '$1').slice(0, n)
  const clean = s => (s = new URL(s, location)).host ? s.origin + s.pathname : s.protocol
  const json = v => quiet(JSON.stringify)(v) || '' + v
  const isError = e => e instanceof Error
  const words = e => isError(e) || e?.trim ? '' + e : json(e) // a text has trim
  // V8 repeats type and message in front of the stack; our own frames are of no interest.
  const describe = (e, depth = 4) => isError(e) ? {
    type: e.name,
    message: cut(e.message),
    stack: cut(('' + e.stack).split(/\n\s*/).filter(s => /^at |@/.test(s) && !s.includes(script.src)).join('\n'), 4000),
    cause: e.cause && depth ? describe(e.cause, depth - 1) : void 0
  } : {type: 'Error', message: cut(words(e))}

  // A body is sent now, or kept in the tab's storage until there is a network or the server has room.
  const post = body => body && (navigator.onLine ?
    original(address, {method: 'POST', body: body, keepalive: !body[6e4], credentials: 'omit', referrerPolicy: 'no-referrer'}).then(
      r => /429|5../.test(r.status) && keep(body, r.headers.get('Retry-After')), () => keep(body)) : keep(body))
  const keep = quiet((body, s) => {
    later ||= setTimeout(retry, (s || 30) * 1e3)
    sessionStorage.logd = (sessionStorage.logd || '') + body + '\0'
  })
  const retry = quiet(() => {
    const bodies = sessionStorage.logd.split('\0')
    sessionStorage.logd = later = ''
    bodies.map(post)
  })
  const send = () => {
    let body = ''
    timer = clearTimeout(timer)
    dropped && queue.push({type: 'reporter.dropped', count: dropped})
    for (const e of queue) {
      const line = json(e) + '\n'
      if ((body + line).length > 2e4) {
        post(body)
        body = ''
      }
      body += line
    }
    post(body)
    const stats = Object.values(tally)
    stats[0] && post(json({stats}))
    queue = []
    dropped = 0
    tally = {}
  }
  // The first waits a second, each that follows one longer.
  const soon = () => timer ||= setTimeout(send, wait += 1000)
  const add = e => {
    const same = json([e.level, e.message, e.error]).slice(0, 500)
    soon()
    if (!seen[same] && ++kept > 30) return dropped++
    e = seen[same] ||= e
    // the id makes what is sent again the same
    queue.includes(e) ? e.repeated = e.repeated + 1 || 2 : queue.push(Object.assign(e, {
      id: Math.random(), time: now(), repeated: void 0, url: clean(location), release, env,
      breadcrumbs: crumbs[0] && [...crumbs]
    }))
  }
  // The server makes its message of the error's type and message.
  const report = (where, error) => add({type: 'browser.' + where, error})
  // When, in UTC, and what.
  const crumb = what => crumbs.push(new Date().toJSON().slice(11, 19) + ' ' + what) > 20 && crumbs.shift()
  const hear = (type, f) => addEventListener(type, quiet(f), 1)
  const wrap = (o, name, f) => {
    const old = o[name]
    o[name] = function (...a) {
      const t = now(), r = old.apply(this, a)
      quiet(f).call(this, a, r, t)
      return r
    }
  }
  const http = quiet((t, status, method, url) => {
    url = clean(url)
    t = now() - t
    const message = method + ' ' + url + ' ' + (status || 'failed')
    crumb(message + ' ' + t + 'ms')
    if (/^(0|5..)$/.test(status)) add({level: 'error', type: 'browser.http', message, http: {method, url, status, duration_ms: t}})
  })
  const failed = quiet(e => {
    const t = e.target, message = e.message
    if (e.type != 'error') report('rejection', describe(e.reason))
    else if (!message) t.localName && add({level: 'warn', type: 'browser.resource', message: t.localName + ' failed: ' + clean(t.src || t.href)})
    else if (!/^ResizeObserver/.test(message))
      report('error', {stack: 'at ' + cut(e.filename) + ':' + e.lineno + ':' + e.colno, ...describe(e.error ?? message)})
  })

  hear('error', failed)
  hear('unhandledrejection', failed)
  hear('securitypolicyviolation', e => e.blockedURI != address && add({
    level: 'warn', type: 'csp.violation', message: e.effectiveDirective + ' blocked ' + cut(e.blockedURI)
  }))
  hear('click', ({target: t}) => crumb('click ' + t.localName + ' ' + (t.id || t.name || '')))
  wrap(history, 'pushState', () => crumb('to ' + clean(location)))
  wrap(console, 'warn', a => crumb('warn ' + cut(a, 99)))
  wrap(console, 'error', a => add({
    level: 'error', type: 'browser.console', message: cut(a.map(words).join(' ')), error: a.filter(isError).map(e => describe(e))[0]
  }))
  wrap(window, 'fetch', ([what, more], r, t) => {
    r.then(r => r.status || 'opaque', e => e.code == 20 ? 'aborted' : 0).then(status => http(t, status, more?.method || what.method || 'GET', what.url || what))
  })
  wrap(XMLHttpRequest.prototype, 'open', function (a) { this.logd = a })
  wrap(XMLHttpRequest.prototype, 'send', function (a, r, t) {
    for (const type of ['load', 'error', 'timeout']) this.addEventListener(type, () => http(t, this.status, ...this.logd))
  })
  addEventListener('visibilitychange', () => document.hidden && send())
  hear('online', retry)
  window.logd = (level, message, data) => add({level, message: cut(message), data})
  logd.count = (name, value = 1, labels) => {
    soon()
    ;(tally[json([name, labels])] ||= {name, value: 0, labels}).value += value
  }
  // What an inline snippet gathered before this was there.
  window._logd?.map(failed)
  window._logd = {push() {}}
  retry()
})()
