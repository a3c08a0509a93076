// Web vitals for logd's browser reporter, loaded behind it: <script src="https://logs.example/vitals.js" defer></script>
// Counts of page views by rating, as Google's thresholds have them: web.lcp, web.fcp, web.ttfb, web.inp, web.cls with label rating, good,
// fair or poor, and on the first view of a page only. No time of anybody's is sent, only which of the three it was.
//
// LCP, INP and CLS are what they are when the page is hidden first. INP is the longest interaction: exact below 50 of them.
// short: count watch shift worst paint last session
;(() => {
  let paint, worst = 0, shift = 0, session = 0, last = 0, start = 0
  const count = (name, value, good, poor) => value >= 0 && logd.count('web.' + name, 1, {rating: value <= good ? 'good' : value <= poor ? 'fair' : 'poor'})
  const watch = (type, f) => { try { new PerformanceObserver(l => l.getEntries().map(f)).observe({type, buffered: true, durationThreshold: 40}) } catch {} }
  watch('paint', e => e.name[6] == 'c' && count('fcp', e.startTime, 1800, 3000))
  watch('largest-contentful-paint', e => paint = e.startTime)
  watch('event', e => e.interactionId && (worst = Math.max(worst, e.duration)))
  // Shifts of one session follow each other within a second, five seconds in all; the worst session counts.
  watch('layout-shift', e => {
    const t = e.startTime
    if (e.hadRecentInput) return
    if (t - last > 1000 || t - start > 5000) start = t, session = 0
    last = t
    shift = Math.max(shift, session += e.value)
  })
  document.addEventListener('visibilitychange', () => {
    count('ttfb', performance.getEntriesByType('navigation')[0].responseStart, 800, 1800)
    count('lcp', paint, 2500, 4000)
    count('inp', worst || -1, 200, 500)
    count('cls', shift, .1, .25)
  }, {once: true})
})()
